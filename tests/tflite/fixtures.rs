//! The converted fixtures, run, against what TensorFlow Lite's interpreter gave.

use crate::support::{fixtures, npz};
use quantscope::engine::{Plan, PlanOptions, Semantics, unsupported};
use quantscope::import::Converted;
use quantscope::import::tflite::{TfliteModel, TfliteOptions, convert};
use quantscope::onnx::{Document, NodeExt};
use quantscope::tensor::{DType, Tensor};
use std::collections::BTreeMap;

/// Float kernels sum in another order; outputs are of size 1 to 10.
const FLOAT: f64 = 5e-6;
/// Half precision weights are the same numbers in both.
const FLOAT16: f64 = 5e-6;
/// Int8 models with how many of their outputs must be the interpreter's very codes, and how many steps of the output's
/// scale the others may be off. Convolutions, sums and products agree in every code; TensorFlow Lite rounds averages
/// (AVERAGE_POOL_2D, MEAN) half away from zero and not half to even, so that in an average of four one code in ten is off
/// by one, which a dense layer and a softmax behind it spread.
const INT8: [(&str, f64, f64); 6] = [
    ("residual_int8", 0.5, 4.0),
    ("residual_int8_float_io", 0.5, 4.0),
    ("branches_int8_float_io", 0.75, 1.01),
    ("mobile_int8", 1.0, 0.01),
    ("keyword_int8", 1.0, 0.01),
    ("autoencoder_int8", 1.0, 0.01),
];
/// 16 bit activations leave rounding of 8 bit weights' products only: relative to outputs of size 1.
const INT16: f64 = 2e-3;
/// Weights of 8 bits, activations that the interpreter quantizes anew for each input: 1 % of outputs of size 3.
const HYBRID: f64 = 5e-2;

pub fn model(name: &str) -> TfliteModel {
    let path = fixtures("tflite").join(format!("{name}.tflite"));
    TfliteModel::read(std::fs::read(path).unwrap().into()).unwrap()
}

pub fn converted(name: &str) -> Converted {
    let converted = convert(&model(name), &TfliteOptions::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(converted.unsupported, Vec::<String>::new(), "{name}");
    assert!(converted.document.issues().is_empty(), "{name}: {:?}", converted.document.issues());
    converted
}

/// Every output for the samples, taken `batch` at a time.
pub fn outputs(document: &Document, semantics: Semantics, x: &Tensor, batch: usize) -> Vec<Vec<f32>> {
    assert_eq!(unsupported(document), vec![]);
    let mut plan = Plan::compile(document, semantics, &PlanOptions::default()).unwrap();
    let input = plan.inputs()[0].name.clone();
    let (values, count) = (x.to_f32().unwrap(), x.shape()[0]);
    let size = values.len() / count;
    let names = plan.outputs().to_vec();
    let mut rows = vec![Vec::new(); names.len()];
    for first in (0..count).step_by(batch) {
        let last = (first + batch).min(count);
        let shape = std::iter::once(last - first).chain(x.shape()[1..].iter().copied()).collect();
        let part = Tensor::from_vec(shape, values[first * size..last * size].to_vec()).unwrap();
        plan.run(&[(input.clone(), part)]).unwrap();
        for (rows, name) in rows.iter_mut().zip(&names) {
            rows.extend(plan.value(name).unwrap().to_f32().unwrap());
        }
    }
    rows
}

fn worst(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(f, e)| f64::from((f - e).abs())).fold(0.0, f64::max)
}

/// The largest distance to the recorded answers over all outputs.
fn distance(name: &str, document: &Document, semantics: Semantics, batch: usize) -> f64 {
    let recorded: BTreeMap<String, Tensor> = npz(&fixtures("tflite").join(format!("{name}.npz")));
    let found = outputs(document, semantics, &recorded["x"], batch);
    let expected = |at: usize| recorded[&format!("y{at}")].to_f32().unwrap();
    assert!(!recorded.contains_key(&format!("y{}", found.len())));
    found.iter().enumerate().map(|(at, found)| worst(found, &expected(at))).fold(0.0, f64::max)
}

/// How many outputs are less than half a step of this scale from the recorded ones.
fn equal_share(name: &str, document: &Document, semantics: Semantics, scale: f32) -> f64 {
    let recorded = npz(&fixtures("tflite").join(format!("{name}.npz")));
    let found: Vec<f32> = outputs(document, semantics, &recorded["x"], 3).concat();
    let expected: Vec<f32> =
        (0..2).filter_map(|at| recorded.get(&format!("y{at}"))).flat_map(|tensor| tensor.to_f32().unwrap()).collect();
    assert_eq!(found.len(), expected.len());
    let equal = found.iter().zip(&expected).filter(|(f, e)| (**f - **e).abs() < scale / 2.0).count();
    equal as f64 / found.len() as f64
}

#[test]
fn float_models_equal_the_interpreter() {
    for name in ["residual_float", "mobile_float", "keyword_float", "autoencoder_float", "branches_float"] {
        let document = converted(name).document;
        for batch in [1, 4] {
            let worst = distance(name, &document, Semantics::Simulate, batch);
            println!("{name}, batch {batch}: within {worst:e}");
            assert!(worst <= FLOAT, "{name}: {worst}");
        }
    }
    let worst = distance("residual_fixed", &converted("residual_fixed").document, Semantics::Simulate, 1);
    assert!(worst <= FLOAT, "residual_fixed: {worst}");
}

#[test]
fn half_precision_and_hybrid_weights() {
    let worst = distance("residual_float16", &converted("residual_float16").document, Semantics::Simulate, 6);
    println!("residual_float16: within {worst:e}");
    assert!(worst <= FLOAT16, "{worst}");
    let hybrid = converted("wide_dynamic");
    let worst = distance("wide_dynamic", &hybrid.document, Semantics::Simulate, 6);
    println!("wide_dynamic: within {worst:e}");
    assert!(worst <= HYBRID, "{worst}");
    assert!(hybrid.notes.iter().any(|note| note.contains("8 bit weights")), "{:?}", hybrid.notes);
}

#[test]
fn int8_models_are_close_to_the_interpreter() {
    let mut failed = Vec::new();
    for (name, least_equal, most_steps) in INT8 {
        let (document, source) = (converted(name).document, model(name));
        let graph = &source.subgraphs[0];
        // The last quantized tensor before an output has the scale that its steps are counted in.
        let scale = graph
            .outputs
            .iter()
            .map(|&at| {
                let made = graph.operators.iter().find(|operator| operator.outputs.contains(&at)).unwrap();
                let own = &graph.tensors[at].quantization;
                let scale = own.as_ref().or(graph.tensors[made.inputs[0].unwrap()].quantization.as_ref());
                scale.unwrap().scale[0]
            })
            .fold(0.0, f32::max);
        for semantics in [Semantics::Simulate, Semantics::Integer] {
            let steps = distance(name, &document, semantics, 3) / f64::from(scale);
            let equal = equal_share(name, &document, semantics, scale);
            println!("{name} {semantics:?}: {:.1} % equal, within {steps:.2} steps of {scale}", 100.0 * equal);
            if steps > most_steps || equal < least_equal {
                failed.push(format!("{name} {semantics:?}: {steps}, {equal}"));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn sixteen_bit_activations() {
    let converted = converted("residual_int16x8");
    assert_eq!(converted.document.opset(""), Some(21));
    let worst = distance("residual_int16x8", &converted.document, Semantics::Simulate, 6);
    println!("residual_int16x8: within {worst:e}");
    assert!(worst <= INT16, "{worst}");
}

#[test]
fn an_integer_interface_takes_and_gives_the_files_own_codes() {
    let recorded = npz(&fixtures("tflite").join("mobile_int8.npz"));
    let options = TfliteOptions { integer_interface: true, opset: 17 };
    let document = convert(&model("mobile_int8"), &options).unwrap().document;
    let mut plan = Plan::compile(&document, Semantics::Integer, &PlanOptions::default()).unwrap();
    assert_eq!((plan.inputs()[0].dtype, document.opset("")), (DType::Int8, Some(17)));
    let source = model("mobile_int8");
    let input = source.subgraphs[0].tensors[source.subgraphs[0].inputs[0]].quantization.clone().unwrap();
    let code = |&x: &f32| quantscope::quant::quantize(x, input.scale[0], input.zero_point[0] as i32, -128, 127) as i8;
    let x = &recorded["x"];
    let codes = Tensor::from_vec(x.shape().to_vec(), x.to_f32().unwrap().iter().map(code).collect()).unwrap();
    plan.run(&[(plan.inputs()[0].name.clone(), codes)]).unwrap();
    let found = plan.value(&plan.outputs()[0].clone()).unwrap();
    let (found, expected) = (found.to_i64().unwrap(), recorded["y0_q"].to_i64().unwrap());
    let worst = found.iter().zip(&expected).map(|(f, e)| f.abs_diff(*e)).max().unwrap();
    println!("mobile_int8 in integers: at most {worst} steps off");
    assert_eq!(worst, 0);
}

#[test]
fn what_the_file_holds_is_found() {
    let source = model("mobile_int8");
    let graph = &source.subgraphs[0];
    assert_eq!((source.version, source.subgraphs.len()), (3, 1));
    let depthwise = graph.operators.iter().find(|operator| operator.kind == "DEPTHWISE_CONV_2D").unwrap();
    let weight = &graph.tensors[depthwise.inputs[1].unwrap()];
    let quantization = weight.quantization.as_ref().unwrap();
    assert_eq!((weight.shape.as_slice(), quantization.dimension, quantization.scale.len()), (&[1, 3, 3, 8][..], 3, 8));
    let converted = converted("mobile_int8");
    let listed = converted.source_tensors.iter().find(|tensor| tensor.path == weight.name).unwrap();
    assert_eq!((listed.dtype.as_str(), listed.tensor.bytes()), ("INT8", weight.data.as_ref().unwrap()));
    // The weight in the document is the same, with the channels in front and along the axis of its scales.
    let stored: Vec<_> = quantscope::quant::quantized_tensors(&converted.document)
        .into_iter()
        .filter(|tensor| {
            tensor.kind == quantscope::quant::TensorKind::Weight && tensor.fixed().unwrap().scale.len() == 8
        })
        .collect();
    assert_eq!(stored[0].fixed().unwrap().scale, quantization.scale);
    let moved = converted.document.constant(&stored[0].stored).unwrap().unwrap();
    assert_eq!(moved.shape(), [8, 1, 3, 3]);
    assert_eq!(moved.permuted(&[1, 2, 3, 0]).unwrap().bytes(), weight.data.as_ref().unwrap());
}

#[test]
fn the_interface_stays_channels_last_and_layouts_change_at_the_ends_only() {
    let converted = converted("residual_float");
    let input = converted.document.inputs().next().unwrap();
    let fact = quantscope::onnx::declared_fact(input);
    assert_eq!(fact.shape.unwrap().iter().map(ToString::to_string).collect::<Vec<_>>(), ["N", "9", "7", "3"]);
    let transposes = converted.document.graph().node.iter().filter(|node| node.op_type() == "Transpose").count();
    assert_eq!(transposes, 2, "one in, one before the flattening");
    let names: Vec<&str> = converted.document.graph().node.iter().map(|node| node.op_type()).collect();
    assert!(!names.contains(&"Shape"), "{names:?}");
    assert!(converted.document.graph().node.iter().all(|node| node.domain_name().is_empty()));
}
