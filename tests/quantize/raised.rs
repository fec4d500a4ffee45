//! Models of operator sets without quantizing operators, raised to one that has them.

use super::support::{Runner, document, fixtures, json};
use quantscope::onnx::{Attr, Document, NodeExt, OnnxError, RAISED_OPSET, raised};
use quantscope::quant::quantizer::{Note, QuantizeOptions, Ranges, calibration_tensors, quantize, with_quantizers};
use quantscope::quant::table::{TableFormat, lower};
use quantscope::tensor::Tensor;

/// Sums of 18 products of f32 numbers in another order.
const SAME: f64 = 1e-5;

fn old(opset: i64) -> Document {
    document(&fixtures().join(format!("old{opset}.onnx")))
}

fn floats(value: &serde_json::Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

#[test]
fn settings_become_inputs_and_nothing_else_changes() {
    let recorded = json(&fixtures().join("raised.json"));
    for opset in [7, 9] {
        let model = old(opset);
        assert_eq!(model.opset(""), Some(opset));
        let raised = raised(&model).unwrap().unwrap();
        assert!(raised.document.issues().is_empty(), "{:?}", raised.document.issues());
        assert_eq!((raised.from, raised.document.opset("")), (opset, Some(RAISED_OPSET)));
        // Two Clips, Pad, Slice, Upsample and TopK; before opset 9 the attribute `spatial` too.
        assert_eq!(raised.rewritten, if opset < 9 { 7 } else { 6 });
        let case = &recorded["models"][format!("old{opset}")];
        let input: Vec<f32> = floats(&case["x"]).into_iter().map(|value| value as f32).collect();
        for document in [&model, &raised.document] {
            let mut runner = Runner::new(document, vec!["out".to_owned()]);
            runner.run(Tensor::from_vec(vec![1, 2, 5, 5], input.clone()).unwrap(), |_, found| {
                let expected = floats(&case["out"]);
                assert_eq!(found.len(), expected.len());
                for (found, expected) in found.iter().zip(&expected) {
                    assert!((f64::from(*found) - expected).abs() <= SAME, "opset {opset}: {found}, not {expected}");
                }
            });
        }
    }
}

#[test]
fn a_raised_model_is_quantized_by_operators_of_its_own_set() {
    for format in [TableFormat::Qdq, TableFormat::QOperator] {
        let (model, note) = with_quantizers(&old(9));
        assert_eq!(note, Some(Note::Raised { from: 9, to: RAISED_OPSET, rewritten: 6 }));
        let options = QuantizeOptions { format, ..QuantizeOptions::default() };
        let tensors = calibration_tensors(&model, &options);
        let ranges: Ranges = tensors.into_iter().map(|tensor| (tensor, (-1.0, 1.0))).collect();
        let quantized = quantize(&model, &ranges, &options).unwrap();
        let file = lower(&quantized.document, &quantized.table, format).unwrap();
        let of_runtime = |node: &&quantscope::onnx::proto::NodeProto| node.domain_name() == "com.microsoft";
        assert_eq!(file.graph().node.iter().filter(of_runtime).count(), 0);
        let quantizers = file.graph().node.iter().filter(|node| node.op_type() == "QuantizeLinear");
        assert!(quantizers.count() > 0);
    }
}

#[test]
fn what_has_no_equal_is_named() {
    let position_wise = old(7).edit(|model| {
        let nodes = &mut model.graph.as_mut().unwrap().node;
        let norm = nodes.iter_mut().find(|node| node.op_type() == "BatchNormalization").unwrap();
        norm.attribute.retain(|attribute| attribute.name() != "spatial");
        norm.attribute.push(Attr::Int(0).into_proto("spatial"));
    });
    let model = position_wise.unwrap();
    let Err(OnnxError::Raise { from: 7, place, found }) = raised(&model) else { panic!("it is raised") };
    assert!(place.contains("bn/BatchNormalization") && found.contains("spatial"), "{place}: {found}");
    let (same, note) = with_quantizers(&model);
    assert_eq!(same.opset(""), Some(7));
    assert!(matches!(note, Some(Note::NotRaised { why }) if why.contains("bn/BatchNormalization")));
}

#[test]
fn newer_models_stay() {
    let model = document(&fixtures().join("cnn13.onnx"));
    assert!(raised(&model).unwrap().is_none());
    assert_eq!(with_quantizers(&model).1, None);
}
