//! Reading recorded answers, and running float models for their activations.

use bytes::Bytes;
use quantscope::engine::{Plan, PlanOptions, Semantics};
use quantscope::import::npy::read_npy;
use quantscope::onnx::Document;
use quantscope::quant::calibrate::RangeCollector;
use quantscope::tensor::Tensor;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The reference data, or `None` with a line that says so.
pub fn reference() -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/reference");
    let folder = std::env::var_os("QUANTSCOPE_REFERENCE").map_or(default, PathBuf::from);
    if !folder.join("models").is_dir() {
        eprintln!("skipped: the reference data is not at {}", folder.display());
        return None;
    }
    Some(folder)
}

/// The project's own recorded answers.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/quantize")
}

pub fn bytes(path: &Path) -> Bytes {
    Bytes::from(std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
}

pub fn document(path: &Path) -> Document {
    Document::decode(bytes(path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

pub fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&bytes(path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every array of an .npz by its name.
pub fn npz(path: &Path) -> BTreeMap<String, Tensor> {
    let file = std::fs::File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut archive = zip::ZipArchive::new(file).unwrap();
    (0..archive.len())
        .map(|index| {
            let mut entry = archive.by_index(index).unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (entry.name().unwrap().trim_end_matches(".npy").to_owned(), npy(bytes))
        })
        .collect()
}
