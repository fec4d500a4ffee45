//! Opening what is shipped, and what ONNX Runtime answered on it.

use quantscope::engine::{Observe, Plan, PlanOptions, Semantics};
use quantscope::import::{Dataset, Limits, NamedArray, Opened, Preprocess, SourceFile, open, read_npy};
use quantscope::onnx::Document;
use quantscope::tensor::Tensor;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn folder(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The bytes of a shipped file.
pub fn shipped(name: &str) -> Vec<u8> {
    read(&folder("public/sample").join(name))
}

fn recorded(name: &str) -> Vec<u8> {
    read(&folder("tests/fixtures/sample").join(name))
}

/// Everything recorded that is not an array.
pub fn expected() -> Value {
    serde_json::from_slice(&recorded("expected.json")).unwrap()
}

/// A recorded array.
pub fn npy(name: &str) -> Tensor {
    read_npy(&recorded(name).into()).unwrap()
}

fn open_one(name: &str, bytes: Vec<u8>) -> Vec<Opened> {
    let (opened, problems) = open(vec![SourceFile::new(name, bytes)], &Limits::default());
    assert!(problems.is_empty(), "{problems:?}");
    opened
}

/// The arrays of a recorded .npz.
pub fn npz(name: &str) -> Vec<NamedArray> {
    let mut opened = open_one(name, recorded(name));
    match (opened.pop(), opened.pop()) {
        (Some(Opened::Arrays { arrays, .. }), None) => arrays,
        other => panic!("{name}: {other:?}"),
    }
}

/// The shipped data sets: calibration, test.
pub fn data_sets() -> Vec<Dataset> {
    let opened = open_one("street-digits.tar.gz", shipped("street-digits.tar.gz"));
    let set = |opened| if let Opened::Dataset(set) = opened { Some(*set) } else { None };
    opened.into_iter().filter_map(set).collect()
}

pub fn test_set() -> Dataset {
    data_sets().into_iter().find(|set| set.name.contains("test")).unwrap()
}

/// What the models read: raw pixels, one image.
pub fn input(set: &Dataset, index: usize) -> Tensor {
    Preprocess::default().apply(&set.image(index).unwrap()).unwrap()
}

/// The shipped model that is recorded as `float`, `int8` or `uint8`.
pub fn document(model: &str) -> Document {
    let file = expected()["models"][model]["file"].as_str().unwrap().to_owned();
    Document::decode(shipped(&file).into()).unwrap()
}

pub fn plan(model: &str, observe: Observe) -> Plan {
    Plan::compile(&document(model), Semantics::Simulate, &PlanOptions { observe }).unwrap()
}

pub fn run(plan: &mut Plan, input: Tensor) {
    let name = plan.inputs()[0].name.clone();
    plan.run(&[(name, input)]).unwrap();
}

/// A value of the last run.
pub fn values(plan: &Plan, name: &str) -> Vec<f32> {
    plan.value(name).unwrap_or_else(|| panic!("'{name}' was not kept")).to_f32().unwrap()
}
