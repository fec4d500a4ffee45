//! MLPerf Tiny's `pretrainedResnet.h5` against Keras's own outputs and tf2onnx's models.

use crate::support::{difference, file, reference, run};
use bytes::Bytes;
use quantscope::import::{Converted, KerasOptions, convert_keras, read_npy};
use quantscope::onnx::{Document, tensor_from_proto};
use quantscope::tensor::{DType, Tensor};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Probabilities; Keras, ONNX Runtime and PyTorch agree within this much.
const PROBABILITY: f64 = 2e-6;
/// Constants that a tool computes from others in float32: some roundings in another order, relative.
const COMPUTED: f64 = 1e-6;

fn converted(folder: &Path, fold_batch_norm: bool) -> Converted {
    let bytes = file(&folder.join("models/pretrainedResnet.h5"));
    convert_keras(&bytes, "pretrainedResnet.h5", &KerasOptions { opset: 15, fold_batch_norm }).unwrap()
}

/// The first `count` test images as (count, 32, 32, 3), and their labels.
pub fn images(folder: &Path, first: usize, count: usize) -> (Tensor, Vec<usize>) {
    const RECORD: usize = 3073;
    let bytes = file(&folder.join("cifar10/test_batch_head.bin"));
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for record in bytes.chunks_exact(RECORD).skip(first).take(count) {
        labels.push(usize::from(record[0]));
        pixels.extend(
            (0..1024)
                .flat_map(|at| (0..3).map(move |plane| (plane, at)))
                .map(|(plane, at)| f32::from(record[1 + plane * 1024 + at])),
        );
    }
    (Tensor::from_vec(vec![labels.len(), 32, 32, 3], pixels).unwrap(), labels)
}

fn outputs(document: &Document, images: Tensor) -> Tensor {
    let input = document.inputs().next().unwrap().name().to_owned();
    run(document, &[(input, images)]).unwrap().remove(0)
}

#[test]
fn resnet_equals_keras_on_64_images() {
    let Some(folder) = reference() else { return };
    let expected = read_npy(&file(&folder.join("expected/probs64/keras.npy"))).unwrap();
    for fold in [false, true] {
        let converted = converted(&folder, fold);
        assert!(converted.unsupported.is_empty() && converted.document.issues().is_empty());
        let found = outputs(&converted.document, images(&folder, 0, 64).0);
        let difference = difference(&found, &expected);
        println!("folded {fold}: {difference:.1e}");
        assert!(difference <= PROBABILITY, "{difference}");
    }
}

#[test]
fn resnet_is_right_as_often_as_keras() {
    const CORRECT: usize = 895;
    let Some(folder) = reference() else { return };
    let document = converted(&folder, true).document;
    let mut correct = 0;
    for first in (0..1017).step_by(128) {
        let (images, labels) = images(&folder, first, 128);
        let probabilities = outputs(&document, images).to_f32().unwrap();
        for (row, label) in probabilities.chunks(10).zip(labels) {
            let best = (0..10).fold(0, |best, at| if row[at] > row[best] { at } else { best });
            correct += usize::from(best == label);
        }
    }
    assert_eq!(correct, CORRECT);
}

fn op_types(document: &Document) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    document.graph().node.iter().for_each(|node| *counts.entry(node.op_type().to_owned()).or_default() += 1);
    counts
}

fn initializers(document: &Document) -> Vec<Tensor> {
    document.graph().initializer.iter().map(|tensor| tensor_from_proto(tensor).unwrap()).collect()
}

/// Every tensor of one list is one of the other: stored ones bit by bit, computed ones nearly. Gives how many are equal
/// bit by bit.
fn same_tensors(ours: &[Tensor], theirs: &[Tensor], stored: &BTreeSet<Vec<u32>>) -> usize {
    assert_eq!(ours.len(), theirs.len());
    let mut left: Vec<&Tensor> = theirs.iter().collect();
    let (mut exact, mut near) = (0, 0);
    for tensor in ours {
        if let Some(at) = left.iter().position(|other| *other == tensor) {
            exact += 1;
            left.swap_remove(at);
            continue;
        }
        assert_eq!(tensor.dtype(), DType::Float32);
        assert!(!stored.contains(&sorted_bits(tensor)), "a stored weight of shape {:?} differs", tensor.shape());
        let fits = |other: &&Tensor| {
            other.dtype() == DType::Float32 && other.shape() == tensor.shape() && difference(tensor, other) <= COMPUTED
        };
        let at = left.iter().position(fits).unwrap_or_else(|| panic!("nothing like shape {:?}", tensor.shape()));
        near += 1;
        left.swap_remove(at);
    }
    println!("{exact} initializers equal bit by bit, {near} computed ones within {COMPUTED}");
    exact
}

/// The elements, whatever their order: tells a weight under any transposition.
fn sorted_bits(tensor: &Tensor) -> Vec<u32> {
    let mut bits: Vec<u32> = tensor.to_f32().unwrap().into_iter().map(f32::to_bits).collect();
    bits.sort_unstable();
    bits
}

#[test]
fn graphs_equal_those_of_tf2onnx() {
    let Some(folder) = reference() else { return };
    for (fold, name) in [(false, "resnet8.onnx"), (true, "resnet8_bn_folded.onnx")] {
        let ours = converted(&folder, fold);
        let theirs = Document::decode(file(&folder.join("models").join(name))).unwrap();
        assert_eq!(op_types(&ours.document), op_types(&theirs), "{name}");
        let stored = ours.source_tensors.iter().map(|source| sorted_bits(&source.tensor)).collect();
        let tensors = initializers(&ours.document);
        let exact = same_tensors(&tensors, &initializers(&theirs), &stored);
        // The folded constants are tf2onnx's to the last bit; the others hold TensorFlow's reciprocal root.
        assert!(!fold || exact == tensors.len(), "{exact} of {}", tensors.len());
    }
}

#[test]
fn every_dataset_is_found_with_its_bytes() {
    let Some(folder) = reference() else { return };
    let contents = std::fs::read(folder.join("expected/h5_contents.json")).unwrap();
    let contents: serde_json::Value = serde_json::from_slice(&contents).unwrap();
    let found: BTreeMap<String, _> =
        converted(&folder, false).source_tensors.into_iter().map(|source| (source.path.clone(), source)).collect();
    let listed = contents["datasets"].as_array().unwrap();
    assert_eq!(found.len(), listed.len());
    let mut hashes = 0;
    for dataset in listed {
        let path = dataset["path"].as_str().unwrap();
        let source = found.get(path).unwrap_or_else(|| panic!("{path} is not found"));
        let shape: Vec<u64> = source.shape.iter().map(|&dim| dim as u64).collect();
        assert_eq!(serde_json::json!(shape), dataset["shape"], "{path}");
        assert_eq!(source.dtype, dataset["dtype"].as_str().unwrap(), "{path}");
        // A scalar is listed without a hash.
        let Some(expected) = dataset["sha256_le"].as_str() else { continue };
        let hash = Sha256::digest(source.tensor.bytes()).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hash, expected, "{path}");
        hashes += 1;
    }
    assert!(hashes > 100, "{hashes} hashes");
}

#[test]
fn the_interface_is_that_of_keras() {
    let Some(folder) = reference() else { return };
    let converted = converted(&folder, false);
    let bytes: Bytes = converted.document.encode().into();
    let document = Document::decode(bytes).unwrap();
    let input = document.inputs().next().unwrap();
    assert_eq!(input.name(), "input_1");
    let fact = quantscope::onnx::declared_fact(input);
    let dims: Vec<String> = fact.shape.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(dims, ["N", "32", "32", "3"]);
    assert_eq!(document.graph().output[0].name(), "dense");
    assert_eq!(document.graph().node.iter().filter(|node| node.op_type() == "Transpose").count(), 1);
}
