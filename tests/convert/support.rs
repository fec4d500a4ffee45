//! Fixtures, the reference data, and comparing tensors.

use bytes::Bytes;
use quantscope::engine::{Observe, Plan, PlanOptions, Semantics};
use quantscope::import::read_npy;
use quantscope::onnx::Document;
use quantscope::tensor::Tensor;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A folder of the repository's fixtures.
pub fn fixtures(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder)
}

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

pub fn file(path: &Path) -> Bytes {
    Bytes::from(std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// Every member of a zip archive by its name.
pub fn unzip(bytes: &[u8]) -> BTreeMap<String, Bytes> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    (0..archive.len())
        .map(|index| {
            let mut entry = archive.by_index(index).unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (entry.name().unwrap().into_owned(), Bytes::from(bytes))
        })
        .collect()
}

/// The arrays of an .npz by name.
pub fn npz(bytes: &[u8]) -> BTreeMap<String, Tensor> {
    let members = unzip(bytes).into_iter();
    members.map(|(name, bytes)| (name.trim_end_matches(".npy").to_owned(), read_npy(&bytes).unwrap())).collect()
}

/// The outputs of a document, in order.
pub fn run(document: &Document, inputs: &[(String, Tensor)]) -> Result<Vec<Tensor>, String> {
    let options = PlanOptions { observe: Observe::OutputsOnly };
    let mut plan = Plan::compile(document, Semantics::Simulate, &options).map_err(|error| error.to_string())?;
    plan.run(inputs).map_err(|error| error.to_string())?;
    let names = plan.outputs().to_vec();
    names.iter().map(|name| plan.value(name).ok_or_else(|| format!("no value '{name}'"))).collect()
}

/// Largest difference, relative to the larger of 1 and the largest expected magnitude.
pub fn difference(found: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(found.shape(), expected.shape());
    let (found, expected) = (found.to_f64().unwrap(), expected.to_f64().unwrap());
    let scale = expected.iter().fold(1f64, |most, value| most.max(value.abs()));
    found.iter().zip(&expected).fold(0f64, |most, (a, b)| match a == b {
        true => most,
        false if a.is_nan() || b.is_nan() => f64::INFINITY,
        false => most.max((a - b).abs() / scale),
    })
}
