//! What is folded before a quantization, and what stays; the model computes the same.

use super::support::{answers, apart, model, node, weights};
use quantscope::engine::{Semantics, constant_values};
use quantscope::onnx::{Attr, Document};
use quantscope::quant::quantizer::{PrepareOptions, Prepared, computes_nothing, prepare};
use quantscope::tensor::Tensor;

/// Products of f32 numbers rounded in another order, a few layers deep.
const SAME: f64 = 1e-5;

fn positive(name: &str, count: usize) -> (String, Tensor) {
    let (name, tensor) = weights(name, &[count]);
    let values = tensor.to_f32().unwrap().into_iter().map(|value| value.abs() + 0.5).collect();
    (name, Tensor::from_vec(vec![count], values).unwrap())
}

/// Scale, offset, mean and variance of `count` channels.
fn statistics(count: usize) -> Vec<(String, Tensor)> {
    vec![weights("g", &[count]), weights("o", &[count]), weights("m", &[count]), positive("v", count)]
}

fn norm(input: &str, output: &str) -> quantscope::onnx::proto::NodeProto {
    node("BatchNormalization", &[input, "g", "o", "m", "v"], output, &[])
}

fn ops(document: &Document) -> Vec<&str> {
    document.graph().node.iter().map(|node| node.op_type()).collect()
}

/// Prepares a model and checks that it gives the same.
fn prepared(model: &Document) -> Prepared {
    let prepared = prepare(model, &PrepareOptions::default(), &constant_values).unwrap();
    assert!(prepared.document.issues().is_empty(), "{:?}", prepared.document.issues());
    let run = |document: &Document| answers(document, Semantics::Simulate);
    let off = apart(&run(model), &run(&prepared.document));
    assert!(off <= SAME, "{:?}: off by {off}", ops(&prepared.document));
    prepared
}

#[test]
fn batch_norm_goes_into_the_matrix_product_before() {
    let factors = [("transB", Attr::Int(1)), ("alpha", Attr::Float(0.5)), ("beta", Attr::Float(2.0))];
    let gemm = |inputs: &[&str]| vec![node("Gemm", inputs, "a", &factors), norm("a", "y")];
    let product = vec![node("MatMul", &["x", "w"], "a", &[]), norm("a", "y")];
    let sum = vec![node("MatMul", &["x", "w"], "a", &[]), node("Add", &["b", "a"], "s", &[]), norm("s", "y")];
    for (nodes, weight, left) in [
        (gemm(&["x", "w", "b"]), [3, 5], vec!["Gemm"]),
        (gemm(&["x", "w"]), [3, 5], vec!["Gemm"]),
        (product, [5, 3], vec!["MatMul", "Add"]),
        (sum, [5, 3], vec!["MatMul", "Add"]),
    ] {
        let mut constants = statistics(3);
        constants.extend([weights("w", &weight), weights("b", &[3])]);
        let prepared = prepared(&model(nodes, constants, &[2, 5]));
        assert_eq!(ops(&prepared.document), left);
        assert_eq!((prepared.folded.len(), prepared.unfolded.len()), (1, 0), "{:?}", prepared.folded);
        assert_eq!(prepared.folded[0].node, "y/BatchNormalization");
    }
}

#[test]
fn factors_and_summands_of_a_dense_layer_over_steps() {
    // Dense, then batch normalization as Mul and Add: three axes, channels last.
    let nodes = vec![
        node("MatMul", &["x", "w"], "a", &[]),
        node("Add", &["a", "b"], "s", &[]),
        node("Mul", &["s", "f"], "p", &[]),
        node("Add", &["p", "t"], "y", &[]),
    ];
    let constants = vec![weights("w", &[5, 3]), weights("b", &[3]), weights("f", &[3]), weights("t", &[1, 1, 3])];
    let prepared = prepared(&model(nodes, constants, &[2, 4, 5]));
    assert_eq!(ops(&prepared.document), ["MatMul", "Add"]);
    // Three channels along the middle axis are not the product's.
    let nodes = vec![node("MatMul", &["x", "w"], "a", &[]), node("Mul", &["a", "f"], "y", &[])];
    let constants = vec![weights("w", &[5, 3]), weights("f", &[1, 3, 1])];
    let same = prepare(&model(nodes, constants, &[2, 3, 5]), &PrepareOptions::default(), &constant_values).unwrap();
    assert_eq!(ops(&same.document), ["MatMul", "Mul"]);
}

#[test]
fn batch_norm_goes_into_the_layer_behind() {
    let conv = |attributes: &[(&str, Attr)]| vec![norm("x", "a"), node("Conv", &["a", "w"], "y", attributes)];
    let mut constants = statistics(2);
    constants.push(weights("w", &[3, 2, 3, 3]));
    let folded = prepared(&model(conv(&[]), constants.clone(), &[1, 2, 5, 5]));
    assert_eq!(ops(&folded.document), ["Conv"]);
    // Padding adds zeros behind the normalization.
    let padded = conv(&[("pads", Attr::Ints(vec![1, 1, 1, 1]))]);
    let left = prepared(&model(padded, constants, &[1, 2, 5, 5]));
    assert_eq!(ops(&left.document), ["BatchNormalization", "Conv"]);
    assert_eq!(
        left.notes()[0],
        "a/BatchNormalization (BatchNormalization) is not folded: an input of the model goes into it"
    );

    let factors = [("alpha", Attr::Float(0.5)), ("beta", Attr::Float(2.0))];
    let nodes = vec![norm("x", "a"), node("Gemm", &["a", "w", "b"], "y", &factors)];
    let mut constants = statistics(5);
    constants.extend([weights("w", &[5, 3]), weights("b", &[3])]);
    assert_eq!(ops(&prepared(&model(nodes, constants, &[2, 5])).document), ["Gemm"]);
}

#[test]
fn what_others_read_is_not_folded() {
    let nodes = vec![
        node("Gemm", &["x", "w"], "a", &[]),
        norm("a", "n"),
        node("Relu", &["n"], "r", &[]),
        node("Add", &["r", "a"], "y", &[]),
    ];
    let mut constants = statistics(3);
    constants.push(weights("w", &[5, 3]));
    let prepared = prepared(&model(nodes, constants, &[2, 5]));
    assert_eq!(prepared.folded, []);
    assert_eq!(prepared.unfolded[0].why, "what a/Gemm (Gemm) makes has other readers");
}

#[test]
fn everything_that_is_constant_becomes_an_initializer() {
    // A weight that is cut, turned, scaled, and joined of two; the shape of a value as a target shape.
    let integers = |values: &[i64]| Tensor::from_vec(vec![values.len()], values.to_vec()).unwrap();
    let nodes = vec![
        node("Gather", &["w", "rows"], "picked", &[("axis", Attr::Int(0))]),
        node("Concat", &["picked", "w"], "joined", &[("axis", Attr::Int(0))]),
        node("Transpose", &["joined"], "turned", &[("perm", Attr::Ints(vec![1, 0]))]),
        node("Mul", &["turned", "scale"], "scaled", &[]),
        node("Cast", &["scaled"], "wide", &[("to", Attr::Int(11))]),
        node("Cast", &["wide"], "weight", &[("to", Attr::Int(1))]),
        node("MatMul", &["x", "weight"], "a", &[]),
        node("Shape", &["a"], "dims", &[]),
        node("Reshape", &["a", "dims"], "y", &[]),
    ];
    let constants = vec![weights("w", &[3, 5]), weights("scale", &[1]), ("rows".to_owned(), integers(&[2, 0]))];
    let model = model(nodes, constants, &[2, 5]);
    let folded = prepared(&model);
    assert_eq!(ops(&folded.document), ["MatMul", "Reshape"]);
    assert_eq!(folded.folded.len(), 7);
    assert!(folded.notes().contains(&"turned/Transpose (Transpose) became a constant".to_owned()));
    let last = folded.notes().pop().unwrap();
    assert!(last.starts_with("the shapes of ") && last.ends_with(" values were inferred"), "{last}");
    // Without an engine, only what needs no arithmetic.
    let plain = prepare(&model, &PrepareOptions::default(), &computes_nothing).unwrap();
    assert_eq!(plain.folded.len(), 1);
}

#[test]
fn one_number_does_not_become_a_large_tensor() {
    let nodes = vec![node("Expand", &["one", "dims"], "large", &[]), node("Add", &["x", "large"], "y", &[])];
    let dims = Tensor::from_vec(vec![2], vec![512i64, 512]).unwrap();
    let constants = vec![weights("one", &[1]), ("dims".to_owned(), dims)];
    let prepared = prepare(&model(nodes, constants, &[1, 512]), &PrepareOptions::default(), &constant_values).unwrap();
    assert_eq!(ops(&prepared.document), ["Expand", "Add"]);
}
