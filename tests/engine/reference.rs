//! The reference models against ONNX Runtime's recorded answers.

use crate::support::{Cifar, argmax, npz, reference};
use quantscope::engine::{Observe, Plan, PlanOptions, Semantics};
use quantscope::tensor::Tensor;
use std::path::Path;

/// Class of every image of the test head, one by one.
fn classes(folder: &Path, model: &str, semantics: Semantics) -> (Vec<usize>, Vec<Vec<f32>>) {
    let document = crate::support::document(&folder.join("models").join(format!("{model}.onnx")));
    let mut plan = Plan::compile(&document, semantics, &PlanOptions { observe: Observe::OutputsOnly }).unwrap();
    let images = Cifar::open(&folder.join("cifar10/test_batch_head.bin"));
    let (input, output) = (plan.inputs()[0].name.clone(), plan.outputs()[0].clone());
    let mut rows = Vec::new();
    for index in 0..images.len() {
        plan.run(&[(input.clone(), images.images(index, 1))]).unwrap();
        rows.push(plan.value(&output).unwrap().to_f32().unwrap());
    }
    (rows.iter().map(|row| argmax(row)).collect(), rows)
}

/// How far the predictions of the test head may be from unoptimized ONNX Runtime's.
struct Tolerance {
    /// Images that may be classified differently.
    different: usize,
    /// How far the number of correct ones may be off.
    correct: usize,
}

/// Float sums are taken in another order, so single pre-quantized values may fall to the other side of a tie.
const QUANTIZED: Tolerance = Tolerance { different: 3, correct: 2 };
const EQUAL: Tolerance = Tolerance { different: 0, correct: 0 };

fn check(model: &str, semantics: Semantics, tolerance: Tolerance) {
    let Some(folder) = reference() else { return };
    let expected = npz(&folder.join("expected/predicted_classes_all.npz"));
    let key = expected.keys().find(|k| k.contains("head") && k.contains(&format!("{model}__unoptimized"))).cloned();
    let key = key.unwrap_or_else(|| panic!("{model} in {:?}", expected.keys().collect::<Vec<_>>()));
    let expected = expected[&key].to_i64().unwrap();
    let images = Cifar::open(&folder.join("cifar10/test_batch_head.bin"));
    let (found, _) = classes(&folder, model, semantics);
    let different = found.iter().zip(&expected).filter(|(f, e)| **f as i64 != **e).count();
    let correct = |classes: &mut dyn Iterator<Item = usize>| classes.enumerate().filter(|&(i, c)| c == images.label(i)).count();
    let ours = correct(&mut found.iter().copied());
    let theirs = correct(&mut expected.iter().map(|&c| c as usize));
    println!("{model} {semantics:?}: {ours} correct, recorded {theirs}, {different} of {} differ", found.len());
    assert!(different <= tolerance.different, "{different} images differ");
    assert!(ours.abs_diff(theirs) <= tolerance.correct, "{ours} correct, recorded {theirs}");
}

#[test]
fn float_predictions() {
    check("resnet8", Semantics::Simulate, EQUAL);
}

#[test]
fn int8_predictions() {
    check("resnet8_int8", Semantics::Simulate, QUANTIZED);
}

#[allow(dead_code)]
fn unused(_: Tensor) {}
