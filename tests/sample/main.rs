//! The shipped sample against what ONNX Runtime answered on it, graph optimizations disabled
//! (tests/fixtures/sample, written by tools/sample/record_expected.py).
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod parameters;
mod predictions;
mod support;
mod tensors;

use serde_json::Value;
use sha2::{Digest, Sha256};
use support::{data_sets, expected, shipped};

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_archive_opens_as_two_data_sets() {
    let sets = data_sets();
    let facts: Vec<(&str, usize)> = sets.iter().map(|set| (set.name.as_str(), set.len())).collect();
    assert!(
        matches!(facts[..], [(calibration, 1000), (test, 2000)]
        if calibration.contains("calibration") && test.contains("test")),
        "{facts:?}"
    );
    let digits: Vec<String> = (0..10).map(|digit| digit.to_string()).collect();
    for set in &sets {
        assert_eq!(set.class_names.as_ref(), Some(&digits), "{}", set.name);
        assert!(!set.class_names_assumed);
        // Equally many images per class.
        assert_eq!(set.samples_per_class(), vec![set.len() / 10; 10]);
        let size = set.image_size().unwrap();
        assert_eq!((size.height, size.width, size.channels), (32, 32, 3));
    }
}

#[test]
fn the_manifest_fits_the_files_and_the_recorded_accuracy() {
    let manifest: Value = serde_json::from_slice(&shipped("sample.json")).unwrap();
    let expected = expected();
    for entry in manifest["files"].as_array().unwrap() {
        let name = entry["file"].as_str().unwrap();
        let bytes = shipped(name);
        assert_eq!(
            (entry["bytes"].as_u64(), entry["sha256"].as_str()),
            (Some(bytes.len() as u64), Some(&*sha256(&bytes))),
            "{name}"
        );
    }
    for (model, record) in expected["models"].as_object().unwrap() {
        // The answers belong to these very files.
        assert_eq!(record["sha256"], Value::from(sha256(&shipped(record["file"].as_str().unwrap()))), "{model}");
        assert_eq!(manifest["accuracy"][model]["correct"], record["accuracy"]["correct"], "{model}");
    }
}
