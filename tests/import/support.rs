//! Reading fixtures and opening them.

use quantscope::import::{Dataset, Image, Limits, Opened, SourceFile, open};
use quantscope::problem::Problem;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

pub fn fixtures(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder)
}

/// The reference folder, or a clear line and `None`.
pub fn reference() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/reference");
    let folder = std::env::var_os("QUANTSCOPE_REFERENCE").map_or(beside, PathBuf::from);
    if !folder.is_dir() {
        eprintln!("skipped: no reference data at {} (set QUANTSCOPE_REFERENCE)", folder.display());
        return None;
    }
    Some(folder)
}

pub fn index(folder: &str) -> serde_json::Map<String, serde_json::Value> {
    let text = std::fs::read_to_string(fixtures(folder).join("index.json")).unwrap();
    let index: serde_json::Value = serde_json::from_str(&text).unwrap();
    index["files"].as_object().unwrap().clone()
}

pub fn source(folder: &Path, name: &str) -> SourceFile {
    SourceFile::new(name, std::fs::read(folder.join(name)).unwrap())
}

pub fn open_all(files: Vec<SourceFile>) -> (Vec<Opened>, Vec<Problem>) {
    open(files, &Limits::default())
}

pub fn sets(opened: &[Opened]) -> Vec<&Dataset> {
    opened
        .iter()
        .filter_map(|opened| if let Opened::Dataset(set) = opened { Some(set.as_ref()) } else { None })
        .collect()
}

pub fn images(set: &Dataset) -> Vec<Image> {
    (0..set.len()).map(|index| set.image(index).unwrap()).collect()
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
