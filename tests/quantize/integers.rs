//! Files of the QOperator form: they run, they are lifted and lowered back, and give the same bit for bit.

use super::support::{Case, Recorded, Runner, answers, apart, cases, fixtures, json, model, node, weights};
use quantscope::engine::{Plan, PlanOptions, Semantics};
use quantscope::onnx::{Attr, Document, NodeExt, tensor_from_proto};
use quantscope::quant::quantizer::{Note, QuantizeOptions, Ranges, calibration_tensors, left_float, quantize};
use quantscope::quant::table::{TableFormat, lift, lower};
use quantscope::tensor::{DType, Tensor};
use std::collections::BTreeSet;

/// Of the largest output: a few codes of 255.
const NEXT_CODES: f64 = 0.02;

fn nodes(file: &Document) -> BTreeSet<String> {
    let recorded = Recorded::of_file(file, file);
    recorded.nodes.iter().map(|node| format!("{node:?}")).collect()
}

#[test]
fn lifted_and_lowered_they_give_the_same() {
    let files = cases().into_iter().filter(|case| case.options.format == TableFormat::QOperator);
    for Case { name, document, ranges, options, .. } in files {
        let quantized = quantize(&document, &ranges, &options).unwrap();
        let file = lower(&quantized.document, &quantized.table, options.format).unwrap();
        let lifted = lift(&file, None).unwrap();
        assert_eq!(lifted.as_written, [], "{name}");
        let again = lower(&lifted.float, &lifted.table, TableFormat::QOperator).unwrap();
        assert_eq!(nodes(&again), nodes(&file), "{name}");
        let pairs = lower(&lifted.float, &lifted.table, TableFormat::Qdq).unwrap();
        for semantics in [Semantics::Simulate, Semantics::Integer] {
            let expected = answers(&file, semantics);
            assert_eq!(apart(&answers(&again, semantics), &expected), 0.0, "{name} {semantics:?}");
            if semantics == Semantics::Simulate {
                // The last bit of a float sum may round an element to the next code, and what follows with it.
                let most =
                    expected.values().flat_map(|tensor| tensor.to_f64().unwrap()).fold(0f64, |m, v| m.max(v.abs()));
                let off = apart(&answers(&pairs, semantics), &expected);
                assert!(off <= NEXT_CODES * most, "{name} as QDQ: {off}");
            }
        }
    }
}

#[test]
fn the_runtime_gives_these_very_answers() {
    let recorded = json(&fixtures().join("cases.json"));
    let name = "integers_operator_uint8";
    let case = cases().into_iter().find(|case| case.name == name).unwrap();
    let quantized = quantize(&case.document, &case.ranges, &case.options).unwrap();
    let file = lower(&quantized.document, &quantized.table, case.options.format).unwrap();
    let numbers = |value: &serde_json::Value| -> Vec<f32> {
        value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect()
    };
    let mut plan = Plan::compile(&file, Semantics::Integer, &PlanOptions::default()).unwrap();
    let input = Tensor::from_vec(vec![1, 3, 6, 6], numbers(&recorded["cases"][name]["x"])).unwrap();
    plan.run(&[("x".to_owned(), input)]).unwrap();
    for output in ["sum", "best"] {
        let found = plan.value(output).unwrap().to_f64().unwrap();
        let expected = numbers(&recorded["cases"][name]["answers"][output]);
        let expected: Vec<f64> = expected.into_iter().map(f64::from).collect();
        assert_eq!(found, expected, "{output}");
    }
}

/// Ranges as the engine finds them on the numbers that [`answers`] feeds.
fn ranges_of(document: &Document, options: &QuantizeOptions, shape: &[usize]) -> Ranges {
    let tensors = calibration_tensors(document, options);
    let mut runner = Runner::new(document, tensors.into_iter().filter(|tensor| tensor != "x").collect());
    let mut ranges = Ranges::from([("x".to_owned(), (-1.0, 1.01))]);
    let input = Tensor::from_vec(shape.to_vec(), super::support::numbers(3, shape.iter().product())).unwrap();
    runner.run(input, |tensor, values| {
        let low = values.iter().fold(0f32, |low, value| low.min(*value));
        let high = values.iter().fold(0f32, |high, value| high.max(*value));
        ranges.insert(tensor.to_owned(), (low, high));
    });
    ranges
}

fn operator_options() -> QuantizeOptions {
    QuantizeOptions {
        format: TableFormat::QOperator,
        activation_type: DType::Uint8,
        weight_type: DType::Uint8,
        ..QuantizeOptions::default()
    }
}

#[test]
fn factors_of_a_gemm_are_kept() {
    let factors = [("alpha", Attr::Float(0.5)), ("beta", Attr::Float(2.0))];
    let nodes = vec![node("Gemm", &["x", "w", "b"], "y", &factors)];
    let float = model(nodes, vec![weights("w", &[5, 3]), weights("b", &[3])], &[2, 5]);
    let options = operator_options();
    let quantized = quantize(&float, &ranges_of(&float, &options, &[2, 5]), &options).unwrap();
    assert_eq!(quantized.notes, [Note::AlphaFolded { bias: "b".to_owned(), alpha: 0.5, beta: 2.0 }]);
    let file = lower(&quantized.document, &quantized.table, options.format).unwrap();
    assert_eq!(left_float(&quantized, &file), []);
    let gemm = file.graph().node.iter().find(|node| node.op_type() == "QGemm").unwrap();
    assert_eq!((NodeExt::float(gemm, "alpha"), NodeExt::float(gemm, "beta")), (Some(0.5), None));
    // Ten steps of 255 for the rounding of x, w and y.
    let wanted = answers(&float, Semantics::Simulate);
    let step = quantized.table.row("y").unwrap().grid.params.scale[0];
    for semantics in [Semantics::Simulate, Semantics::Integer] {
        let off = apart(&answers(&file, semantics), &wanted);
        assert!(off <= 10.0 * f64::from(step), "{semantics:?}: {off} with steps of {step}");
    }
    let lifted = lift(&file, None).unwrap();
    assert_eq!(lifted.as_written, []);
    let gemm = lifted.float.graph().node.iter().find(|node| node.op_type() == "Gemm").unwrap();
    assert_eq!((NodeExt::float(gemm, "alpha"), NodeExt::float(gemm, "beta")), (Some(0.5), Some(0.5)));
}

#[test]
fn a_resize_that_interpolates_stays_float_and_says_so() {
    let scales = Tensor::from_vec(vec![4], vec![1f32, 1.0, 2.0, 2.0]).unwrap();
    let nodes = vec![
        node("Conv", &["x", "w"], "c", &[]),
        node("Resize", &["c", "", "scales"], "u", &[("mode", Attr::Text("linear".to_owned()))]),
        node("Conv", &["u", "w2"], "y", &[]),
    ];
    let constants = vec![weights("w", &[2, 2, 1, 1]), weights("w2", &[2, 2, 1, 1]), ("scales".to_owned(), scales)];
    let float = model(nodes, constants, &[1, 2, 4, 4]);
    let options = operator_options();
    let quantized = quantize(&float, &ranges_of(&float, &options, &[1, 2, 4, 4]), &options).unwrap();
    let file = lower(&quantized.document, &quantized.table, options.format).unwrap();
    let mode = "linear".to_owned();
    assert_eq!(left_float(&quantized, &file), [Note::ResizeInFloat { node: "u/Resize".to_owned(), mode }]);
}

#[test]
fn padding_with_code_0_is_no_padding_with_0() {
    // A file whose Pad leaves the number out: integers are padded with code 0, which is not real 0 here.
    let float = {
        let pads = Tensor::from_vec(vec![8], vec![0i64, 0, 1, 1, 0, 0, 1, 1]).unwrap();
        let nodes = vec![
            node("Conv", &["x", "w"], "c", &[]),
            node("Pad", &["c", "pads"], "p", &[]),
            node("Conv", &["p", "w2"], "y", &[]),
        ];
        let constants = vec![weights("w", &[2, 2, 1, 1]), weights("w2", &[2, 2, 1, 1]), ("pads".to_owned(), pads)];
        model(nodes, constants, &[1, 2, 4, 4])
    };
    let options = operator_options();
    let quantized = quantize(&float, &ranges_of(&float, &options, &[1, 2, 4, 4]), &options).unwrap();
    let file = lower(&quantized.document, &quantized.table, options.format).unwrap();
    let pad = file.graph().node.iter().find(|node| node.op_type() == "Pad").unwrap();
    let zero = file.graph().initializer.iter().find(|tensor| tensor.name() == pad.input[2]).unwrap();
    assert_ne!(tensor_from_proto(zero).unwrap().to_i64().unwrap(), [0], "the fixture has to have a zero point");
    let bare = file.edit(|model| {
        let nodes = &mut model.graph.as_mut().unwrap().node;
        nodes.iter_mut().find(|node| node.op_type() == "Pad").unwrap().input.truncate(2);
    });
    let bare = bare.unwrap();
    let (with, without) = (answers(&file, Semantics::Integer), answers(&bare, Semantics::Integer));
    assert!(apart(&with, &without) > 0.0);
    let lifted = lift(&bare, None).unwrap();
    assert_eq!(lifted.as_written, []);
    let again = lower(&lifted.float, &lifted.table, TableFormat::QOperator).unwrap();
    for semantics in [Semantics::Simulate, Semantics::Integer] {
        assert_eq!(apart(&answers(&again, semantics), &answers(&bare, semantics)), 0.0);
    }
}

#[test]
fn a_relu_behind_moved_integers() {
    let run = |first: bool| {
        let pool = ("kernel_shape", Attr::Ints(vec![2, 2]));
        let mut nodes = vec![node("Conv", &["x", "w"], "c", &[])];
        if first {
            nodes.push(node("Relu", &["c"], "r", &[]));
        }
        nodes.extend([
            node("MaxPool", &[if first { "r" } else { "c" }], "p", &[pool]),
            node("Relu", &["p"], "q", &[]),
            node("Conv", &["q", "w2"], "y", &[]),
        ]);
        let float = model(nodes, vec![weights("w", &[2, 2, 1, 1]), weights("w2", &[2, 2, 1, 1])], &[1, 2, 4, 4]);
        let options = operator_options();
        let quantized = quantize(&float, &ranges_of(&float, &options, &[1, 2, 4, 4]), &options).unwrap();
        let file = lower(&quantized.document, &quantized.table, options.format).unwrap();
        assert_eq!(left_float(&quantized, &file), []);
        let step = f64::from(quantized.table.row("y").unwrap().grid.params.scale[0]);
        let off = apart(&answers(&file, Semantics::Integer), &answers(&float, Semantics::Simulate));
        assert!(off <= 8.0 * step, "{off} with steps of {step}");
        let relus = file.graph().node.iter().filter(|node| node.op_type() == "Relu").count();
        (quantized.notes, relus)
    };
    // What the pool hands on reaches below 0: the function stays. Behind another Relu it does nothing.
    let kept = Note::ActivationBehindMoved { node: "q/Relu".to_owned(), with: "c".to_owned() };
    assert_eq!(run(false), (vec![kept], 1));
    assert_eq!(run(true), (vec![], 0));
}
