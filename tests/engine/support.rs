//! Reading fixtures: .npy, .npz, CIFAR-10.

use bytes::Bytes;
use quantscope::engine::{Plan, PlanOptions, Semantics};
use quantscope::onnx::Document;
use quantscope::tensor::{DType, Tensor};
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

pub fn document(path: &Path) -> Document {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    Document::decode(Bytes::from(bytes)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

pub fn plan(path: &Path, semantics: Semantics) -> Plan {
    Plan::compile(&document(path), semantics, &PlanOptions::default())
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// One .npy array; `as_type` overrides the element type (numpy has no int4, fp8, bf16).
pub fn npy(bytes: &[u8]) -> Tensor {
    assert_eq!(&bytes[..6], b"\x93NUMPY");
    let wide = bytes[6] >= 2;
    let start = if wide { 12 } else { 10 };
    let length = if wide {
        u32::from_le_bytes(bytes[8..12].try_into().unwrap()) as usize
    } else {
        u16::from_le_bytes(bytes[8..10].try_into().unwrap()) as usize
    };
    let header = std::str::from_utf8(&bytes[start..start + length]).unwrap();
    assert!(header.contains("'fortran_order': False"), "{header}");
    let descr = header.split("'descr': '").nth(1).unwrap().split('\'').next().unwrap();
    let dtype = match &descr[1..] {
        "f4" => DType::Float32,
        "f8" => DType::Float64,
        "f2" => DType::Float16,
        "i1" => DType::Int8,
        "i2" => DType::Int16,
        "i4" => DType::Int32,
        "i8" => DType::Int64,
        "u1" => DType::Uint8,
        "u2" => DType::Uint16,
        "u4" => DType::Uint32,
        "u8" => DType::Uint64,
        "b1" => DType::Bool,
        other => panic!("numpy type {other}"),
    };
    let dims = header.split("'shape': (").nth(1).unwrap().split(')').next().unwrap();
    let shape: Vec<usize> =
        dims.split(',').filter(|d| !d.trim().is_empty()).map(|d| d.trim().parse().unwrap()).collect();
    Tensor::new(dtype, shape, Bytes::copy_from_slice(&bytes[start + length..])).unwrap()
}

pub fn npy_file(path: &Path) -> Tensor {
    npy(&std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
}

/// Every array of an .npz by its name.
pub fn npz(path: &Path) -> BTreeMap<String, Tensor> {
    npz_bytes(&std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
}

/// The same of a file in memory.
pub fn npz_bytes(bytes: &[u8]) -> BTreeMap<String, Tensor> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    (0..archive.len())
        .map(|index| {
            let mut entry = archive.by_index(index).unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (entry.name().unwrap().trim_end_matches(".npy").to_owned(), npy(&bytes))
        })
        .collect()
}

/// Images of a CIFAR-10 binary file as float NHWC, 0..255, and their labels.
pub struct Cifar {
    bytes: Vec<u8>,
}

impl Cifar {
    pub fn open(path: &Path) -> Self {
        Cifar { bytes: std::fs::read(path).unwrap() }
    }
    pub fn len(&self) -> usize {
        self.bytes.len() / 3073
    }
    pub fn label(&self, index: usize) -> usize {
        self.bytes[index * 3073].into()
    }
    /// `count` images from `first` on as one (count, 32, 32, 3) tensor.
    pub fn images(&self, first: usize, count: usize) -> Tensor {
        let mut pixels = Vec::with_capacity(count * 3072);
        for index in first..first + count {
            let planes = &self.bytes[index * 3073 + 1..(index + 1) * 3073];
            for at in 0..1024 {
                pixels.extend((0..3).map(|c| f32::from(planes[c * 1024 + at])));
            }
        }
        Tensor::from_vec(vec![count, 32, 32, 3], pixels).unwrap()
    }
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
