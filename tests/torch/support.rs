//! Files, hashes and runs.

use bytes::Bytes;
use quantscope::engine::{Observe, Plan, PlanOptions, Semantics};
use quantscope::import::{Limits, TorchFile, TorchOptions, read_npy, read_pytorch};
use quantscope::onnx::Document;
use quantscope::tensor::Tensor;
use sha2::{Digest, Sha256};
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

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/torch")
}

pub fn bytes(path: &Path) -> Bytes {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).into()
}

pub fn torch(path: &Path) -> TorchFile {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let file = read_pytorch(&bytes(path), &name, &Limits::default(), &TorchOptions::default());
    file.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&bytes(path)).unwrap()
}

/// SHA-256 of the little-endian bytes in C order, as hex.
pub fn sha256(tensor: &Tensor) -> String {
    Sha256::digest(tensor.bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every array of an .npz by its name.
pub fn npz(path: &Path) -> BTreeMap<String, Tensor> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes(path))).unwrap();
    let read = |index| {
        let mut entry = archive.by_index(index).unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (entry.name().unwrap().trim_end_matches(".npy").to_owned(), read_npy(&content.into()).unwrap())
    };
    (0..archive_len(path)).map(read).collect()
}

fn archive_len(path: &Path) -> usize {
    zip::ZipArchive::new(std::io::Cursor::new(bytes(path))).unwrap().len()
}

pub fn plan(document: &Document, semantics: Semantics) -> Plan {
    let options = PlanOptions { observe: Observe::OutputsOnly };
    Plan::compile(document, semantics, &options).unwrap_or_else(|error| panic!("{error}"))
}

/// The outputs of a document for these inputs, in order.
pub fn run(document: &Document, inputs: &[Tensor], semantics: Semantics) -> Vec<Tensor> {
    let mut plan = plan(document, semantics);
    let names: Vec<String> = plan.inputs().iter().map(|input| input.name.clone()).collect();
    let named: Vec<(String, Tensor)> = names.into_iter().zip(inputs.iter().cloned()).collect();
    plan.run(&named).unwrap_or_else(|error| panic!("{error}"));
    plan.outputs().to_vec().iter().map(|name| plan.value(name).unwrap()).collect()
}

/// Position of the first largest value.
pub fn argmax(values: &[f32]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
}

/// `count` CIFAR-10 images from `first` on as one (count, 32, 32, 3) tensor of 0..255, and their labels.
pub fn images(path: &Path, first: usize, count: usize) -> (Tensor, Vec<usize>) {
    const RECORD: usize = 3073;
    let content = bytes(path);
    let (mut pixels, mut labels) = (Vec::with_capacity(count * 3072), Vec::new());
    for record in content.chunks_exact(RECORD).skip(first).take(count) {
        labels.push(usize::from(record[0]));
        for at in 0..1024 {
            pixels.extend((0..3).map(|channel| f32::from(record[1 + channel * 1024 + at])));
        }
    }
    (Tensor::from_vec(vec![labels.len(), 32, 32, 3], pixels).unwrap(), labels)
}
