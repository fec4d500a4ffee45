//! Tiny models of every kind against ONNX Runtime's recorded answers (tests/fixtures/models).

use crate::support::{argmax, document, fixtures, npy_file, npz};
use bytes::Bytes;
use quantscope::engine::{Plan, PlanOptions, Semantics};
use quantscope::onnx::Document;
use quantscope::tensor::{DType, Tensor};

/// Float values: the order of a sum may differ, relative to the tensor's largest magnitude.
const FLOAT: f64 = 5e-6;
/// float16 values: every node rounds to 11 bits, and a different sum may round to the neighbour, node after node.
const FLOAT16: f64 = 4e-3;
/// Integer elements that must be equal; the rest may be one step off.
const EQUAL_INTEGERS: f64 = 0.999;

fn index() -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(fixtures("models/expected/index.json")).unwrap()).unwrap()
}

/// External data is inlined before the engine sees a document; this does what the opening of files does.
fn open(model: &str) -> Document {
    let path = fixtures("models").join(model);
    let data = path.with_extension("onnx.data");
    let opened = document(&path);
    if !data.is_file() {
        return opened;
    }
    let bytes = Bytes::from(std::fs::read(data).unwrap());
    let mut proto = opened.proto().clone();
    for tensor in &mut proto.graph.as_mut().unwrap().initializer {
        let number = |key: &str| {
            tensor.external_data.iter().find(|e| e.key() == key).map(|e| e.value().parse::<usize>().unwrap())
        };
        if let Some(offset) = number("offset") {
            let length = number("length").unwrap();
            tensor.raw_data = Some(bytes.slice(offset..offset + length));
            tensor.data_location = None;
            tensor.external_data.clear();
        }
    }
    Document::from_proto(proto).unwrap()
}

fn two_images(inputs: &Tensor) -> Tensor {
    let count = 2 * inputs.len() / inputs.shape()[0];
    let mut shape = inputs.shape().to_vec();
    shape[0] = 2;
    Tensor::from_vec(shape, inputs.to_f32().unwrap()[..count].to_vec()).unwrap()
}

#[test]
fn every_value_of_every_model() {
    let index = index();
    let inputs = npy_file(&fixtures("models/tiny_inputs.npy"));
    let mut failures = Vec::new();
    for (model, about) in index["models"].as_object().unwrap() {
        let document = open(model);
        let mut plan = match Plan::compile(&document, Semantics::Integer, &PlanOptions::default()) {
            Ok(plan) => plan,
            Err(error) => {
                failures.push(format!("{model}: {error}"));
                continue;
            }
        };
        // QDQ files were recorded without fusion, that is simulated; QOperator files run the integer kernels.
        if !model.contains("qoperator") {
            plan = Plan::compile(&document, Semantics::Simulate, &PlanOptions::default()).unwrap();
        }
        let input = about["input"].as_str().unwrap().to_owned();
        if let Err(error) = plan.run(&[(input.clone(), two_images(&inputs))]) {
            failures.push(format!("{model}: {error}"));
            continue;
        }
        let stem = model.trim_end_matches(".onnx");
        let recorded = npz(&fixtures("models/expected").join(format!("{stem}.npz")));
        for name in plan.observed() {
            let Some(expected) = recorded.get(name).or_else(|| recorded.get(&name.replace('/', "_"))) else {
                failures.push(format!("{model}: '{name}' is not recorded"));
                continue;
            };
            let found = plan.value(name).unwrap();
            if found.shape() != expected.shape() {
                failures.push(format!("{model}: '{name}' {:?} instead of {:?}", found.shape(), expected.shape()));
                continue;
            }
            let (f, e) = (found.to_f64().unwrap(), expected.to_f64().unwrap());
            let scale = e.iter().fold(1e-30, |m: f64, v| m.max(v.abs()));
            let worst = f.iter().zip(&e).map(|(f, e)| (f - e).abs()).fold(0.0, f64::max);
            let exact = model.contains("qoperator") && found.dtype().is_int();
            let fits = match found.dtype() {
                dtype if dtype.is_int() => {
                    let equal = f.iter().zip(&e).filter(|(f, e)| f == e).count() as f64;
                    worst <= if exact { 0.0 } else { 1.0 } && equal >= (EQUAL_INTEGERS * e.len() as f64).floor()
                }
                DType::Float16 => worst / scale <= FLOAT16,
                // Behind a quantizer one step may show.
                _ if about["quantized"].as_array().is_some_and(|q| !q.is_empty()) || model.contains("dynamic") => {
                    worst / scale <= 2e-2
                }
                _ if model.contains("fp16.") => worst / scale <= FLOAT16,
                _ => worst / scale <= FLOAT,
            };
            if !fits {
                failures.push(format!("{model}: '{name}' ({}) off by {worst} of {scale}", found.dtype()));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn a_batch_gives_the_recorded_classes() {
    let index = index();
    let inputs = npy_file(&fixtures("models/tiny_inputs.npy"));
    for (model, about) in index["models"].as_object().unwrap() {
        let semantics = if model.contains("qoperator") { Semantics::Integer } else { Semantics::Simulate };
        let mut plan = Plan::compile(&open(model), semantics, &PlanOptions::default()).unwrap();
        let input = about["input"].as_str().unwrap().to_owned();
        plan.run(&[(input, inputs.clone())]).unwrap();
        let found = plan.value(&plan.outputs()[0]).unwrap();
        let classes: Vec<usize> = found.to_f32().unwrap().chunks(10).map(argmax).collect();
        let expected: Vec<usize> =
            about["argmax"].as_array().unwrap().iter().map(|c| c.as_u64().unwrap() as usize).collect();
        let different = classes.iter().zip(&expected).filter(|(a, b)| a != b).count();
        assert!(different == 0, "{model}: {classes:?} instead of {expected:?}");
    }
}
