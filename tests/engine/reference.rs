//! The reference models against ONNX Runtime's recorded answers, graph optimizations disabled. Tolerances are those of
//! a machine with FMA; a baseline wasm build has none and is judged by the wider column (see examples/engine_check.rs).

use crate::support::{Cifar, argmax, document, npy_file, npz, plan, reference};
use quantscope::engine::{Observe, Plan, PlanOptions, Semantics};
use quantscope::tensor::Tensor;
use std::path::Path;

/// Output rows of the first `count` images, computed `batch` images at a time.
fn rows(folder: &Path, model: &str, semantics: Semantics, count: usize, batch: usize) -> Vec<Vec<f32>> {
    let document = document(&folder.join("models").join(format!("{model}.onnx")));
    let mut plan = Plan::compile(&document, semantics, &PlanOptions { observe: Observe::OutputsOnly }).unwrap();
    let images = Cifar::open(&folder.join("cifar10/test_batch_head.bin"));
    let (input, output) = (plan.inputs()[0].name.clone(), plan.outputs()[0].clone());
    let count = count.min(images.len());
    let mut rows = Vec::new();
    for first in (0..count).step_by(batch) {
        plan.run(&[(input.clone(), images.images(first, batch.min(count - first)))]).unwrap();
        rows.extend(plan.value(&output).unwrap().to_f32().unwrap().chunks(10).map(<[f32]>::to_vec));
    }
    rows
}

fn probabilities(folder: &Path, model: &str) -> Vec<f32> {
    npy_file(&folder.join(format!("expected/probs64/{model}__unoptimized.npy"))).to_f32().unwrap()
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
/// Float probabilities differ by 1e-5 at most, and no image is that close to a draw.
const FLOAT: Tolerance = Tolerance { different: 0, correct: 0 };
/// Integer kernels do not depend on the order of summation.
const BIT_EQUAL: Tolerance = Tolerance { different: 0, correct: 0 };
/// The dynamic file quantizes every activation by its own range, that of the whole batch: one by one, 1 % may differ
/// from answers that were recorded in batches.
const DYNAMIC: Tolerance = Tolerance { different: 10, correct: 6 };
/// Images per run when the answers were recorded.
const RECORDED_BATCH: usize = 100;
/// 64 probabilities of the float model, the bound.
const FLOAT_PROBABILITY: f32 = 1e-5;
/// Float tensors, relative to the largest magnitude of the tensor.
const FLOAT_TENSOR: f64 = 5e-6;
/// Integer elements of the two recorded images that must be equal, end to end and per isolated block.
const EQUAL_INTEGERS: f64 = 0.9999;

fn check(model: &str, semantics: Semantics, tolerance: Tolerance) -> Vec<Vec<f32>> {
    check_batched(model, semantics, tolerance, 1)
}

fn check_batched(model: &str, semantics: Semantics, tolerance: Tolerance, batch: usize) -> Vec<Vec<f32>> {
    let Some(folder) = reference() else { return Vec::new() };
    let expected = npz(&folder.join("expected/predicted_classes_all.npz"));
    let expected = expected[&format!("{model}__unoptimized__head")].to_i64().unwrap();
    let images = Cifar::open(&folder.join("cifar10/test_batch_head.bin"));
    let rows = rows(&folder, model, semantics, images.len(), batch);
    let found: Vec<usize> = rows.iter().map(|row| argmax(row)).collect();
    assert_eq!(found.len(), expected.len());
    let different = found.iter().zip(&expected).filter(|(f, e)| **f as i64 != **e).count();
    let correct = |classes: &mut dyn Iterator<Item = usize>| {
        classes.enumerate().filter(|&(index, class)| class == images.label(index)).count()
    };
    let ours = correct(&mut found.iter().copied());
    let theirs = correct(&mut expected.iter().map(|&c| c as usize));
    println!(
        "{model} {semantics:?}, batch {batch}: {ours} correct, recorded {theirs}, {different} of {} differ",
        found.len()
    );
    assert!(different <= tolerance.different, "{model}: {different} images differ");
    assert!(ours.abs_diff(theirs) <= tolerance.correct, "{model}: {ours} correct, recorded {theirs}");
    rows
}

#[test]
fn float_models() {
    for model in ["resnet8", "resnet8_bn_folded"] {
        let rows = check(model, Semantics::Simulate, FLOAT);
        let Some(folder) = reference() else { return };
        let expected = probabilities(&folder, model);
        let found = rows.iter().take(64).flatten();
        let worst = found.zip(&expected).map(|(f, e)| (f - e).abs()).fold(0.0, f32::max);
        println!("{model}: 64 probabilities within {worst:e}");
        assert!(worst <= FLOAT_PROBABILITY);
    }
}

#[test]
fn int8_model() {
    check("resnet8_int8", Semantics::Simulate, QUANTIZED);
}

#[test]
fn uint8_model() {
    check("resnet8_uint8", Semantics::Simulate, QUANTIZED);
}

#[test]
fn per_channel_and_clipped_models() {
    for model in ["resnet8_int8_per_channel", "resnet8_int8_percentile", "resnet8_int8_entropy2048"] {
        check(model, Semantics::Simulate, QUANTIZED);
    }
}

#[test]
fn original_and_folded_models() {
    for model in ["resnet8_int8_original_params", "resnet8_bn_folded_int8", "resnet8_bn_folded_uint8"] {
        check(model, Semantics::Simulate, QUANTIZED);
    }
}

#[test]
fn the_qoperator_model_is_bit_equal() {
    let rows = check("resnet8_uint8_qoperator", Semantics::Integer, BIT_EQUAL);
    let Some(folder) = reference() else { return };
    let expected = probabilities(&folder, "resnet8_uint8_qoperator");
    let found: Vec<f32> = rows.into_iter().take(64).flatten().collect();
    assert_eq!(
        found.iter().map(|v| v.to_bits()).collect::<Vec<_>>(),
        expected.iter().map(|v| v.to_bits()).collect::<Vec<_>>()
    );
}

#[test]
fn the_simulated_qoperator_model() {
    // Float sums between dequantize and quantize instead of integer kernels: a step here and there, no class to speak of.
    check("resnet8_uint8_qoperator", Semantics::Simulate, Tolerance { different: 10, correct: 6 });
}

#[test]
fn integer_semantics_of_qdq_models() {
    // Not what the recorded answers were made with, so only close to them: 1 %.
    for model in ["resnet8_int8", "resnet8_uint8", "resnet8_int8_per_channel"] {
        check(model, Semantics::Integer, Tolerance { different: 20, correct: 10 });
    }
}

#[test]
fn the_dynamic_model() {
    check("resnet8_uint8_dynamic", Semantics::Integer, DYNAMIC);
    check_batched("resnet8_uint8_dynamic", Semantics::Integer, QUANTIZED, RECORDED_BATCH);
}

#[test]
fn every_recorded_activation() {
    let Some(folder) = reference() else { return };
    let images = Cifar::open(&folder.join("cifar10/test_batch_head.bin"));
    for model in ["resnet8", "resnet8_int8", "resnet8_uint8"] {
        let recorded = recorded(&folder, model);
        let mut plan = plan(&folder.join("models").join(format!("{model}.onnx")), Semantics::Simulate);
        plan.run(&[("input".to_owned(), images.images(0, 2))]).unwrap();
        let (mut integers, mut equal, mut worst_float, mut worst_step) = (0usize, 0usize, 0f64, 0f64);
        for name in plan.observed() {
            let Some(expected) = recorded.iter().find(|(n, _)| n == name).map(|(_, t)| t) else {
                panic!("{model}: '{name}' is not recorded");
            };
            let found = plan.value(name).unwrap();
            assert_eq!((found.dtype(), found.shape()), (expected.dtype(), expected.shape()), "{name}");
            let (f, e) = (found.to_f64().unwrap(), expected.to_f64().unwrap());
            let worst = f.iter().zip(&e).map(|(f, e)| (f - e).abs()).fold(0.0, f64::max);
            if expected.dtype().is_int() {
                integers += e.len();
                equal += f.iter().zip(&e).filter(|(f, e)| f == e).count();
                worst_step = worst_step.max(worst);
            } else if model == "resnet8" {
                let scale = e.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
                worst_float = worst_float.max(worst / scale.max(f64::MIN_POSITIVE));
            }
        }
        println!("{model}: {equal} of {integers} integers equal, worst step {worst_step}, float {worst_float:e}");
        assert!(equal as f64 >= EQUAL_INTEGERS * integers as f64);
        assert!(worst_float <= FLOAT_TENSOR);
    }
}

/// Every tensor recorded of the first two images, by its ONNX name.
pub fn recorded(folder: &Path, model: &str) -> Vec<(String, Tensor)> {
    let arrays = npz(&folder.join(format!("expected/activations/{model}.npz")));
    let text = std::fs::read(folder.join(format!("expected/activations/{model}.json"))).unwrap();
    let index: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let entries = index["tensors"].as_array().unwrap().iter();
    entries
        .map(|entry| {
            let of = |key: &str| entry[key].as_str().unwrap().to_owned();
            (of("tensor"), arrays[&of("key")].clone())
        })
        .collect()
}

#[test]
fn isolated_blocks_on_recorded_inputs() {
    let Some(folder) = reference() else { return };
    for model in ["resnet8_int8", "resnet8_uint8"] {
        let document = document(&folder.join("models").join(format!("{model}.onnx")));
        let recorded = recorded(&folder, model);
        let blocks = crate::cut::every_block(&document, &recorded);
        for block in &blocks {
            if block.alone {
                assert_eq!(block.equal, block.total, "{}: {block:?}", block.node);
            }
            assert!(
                block.equal as f64 >= EQUAL_INTEGERS * block.total as f64 && block.worst <= 1.0,
                "{}: {block:?}",
                block.node
            );
        }
        let alone = blocks.iter().filter(|block| block.alone).count();
        let blocks = blocks.len() - alone;
        println!("{model}: {alone} Q and DQ nodes alone, {blocks} blocks");
        assert!(alone > 30 && blocks > 20);
    }
}
