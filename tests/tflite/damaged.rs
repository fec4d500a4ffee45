//! Files that are cut, changed, or claim too much: an error each, or a model; never a panic, never much memory.

use crate::support::{fixtures, reference};
use proptest::prelude::*;
use quantscope::import::ImportError;
use quantscope::import::tflite::{TfliteOptions, read};

fn attempt(bytes: Vec<u8>) -> Result<(), ImportError> {
    read(&bytes.into(), &TfliteOptions::default()).map(drop)
}

fn seeds() -> Vec<Vec<u8>> {
    let names = ["residual_int8", "mobile_float", "branches_float", "branches_int8_float_io", "residual_int16x8"];
    names.iter().map(|name| std::fs::read(fixtures("tflite").join(format!("{name}.tflite"))).unwrap()).collect()
}

fn said_well(error: ImportError) {
    let problem = error.into_problem("m.tflite");
    assert!(!problem.place.is_empty() && !problem.found.is_empty() && !problem.advice.is_empty(), "{problem}");
}

#[test]
fn every_cut_is_said() {
    const STEP_BYTES: usize = 64;
    let mut files = seeds();
    let mut step = STEP_BYTES;
    if let Some(folder) = reference() {
        files.push(std::fs::read(folder.join("models/pretrainedResnet_quant.tflite")).unwrap());
        step = 256;
    }
    for file in &files {
        for end in (0..file.len()).step_by(step) {
            // The converter writes buffers first and tables last, so that every cut loses something.
            if let Err(error) = attempt(file[..end].to_vec()) {
                said_well(error);
            }
        }
        assert!(attempt(file[..file.len() / 2].to_vec()).is_err());
    }
}

#[test]
fn every_length_made_huge_is_said() {
    // Each aligned u32 in turn becomes a length or an offset that no file has.
    for file in seeds().into_iter().take(2) {
        let mut refused = 0;
        for at in (8..file.len() - 4).step_by(4) {
            for value in [u32::MAX, 0x7fff_ffff, 0x0100_0000] {
                let mut changed = file.clone();
                changed[at..at + 4].copy_from_slice(&value.to_le_bytes());
                if let Err(error) = attempt(changed) {
                    refused += 1;
                    said_well(error);
                }
            }
        }
        assert!(refused > 500, "{refused}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn flipped_bytes(
        seed in 0..5usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = seeds().swap_remove(seed);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Err(error) = attempt(bytes) {
            said_well(error);
        }
    }

    #[test]
    fn arbitrary_bytes(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let bytes = [&[16, 0, 0, 0], b"TFL3".as_slice(), &body].concat();
        if let Err(error) = attempt(bytes) {
            said_well(error);
        }
    }
}
