//! Finding the reference data and building small models.

use bytes::Bytes;
use quantscope::onnx::Document;
use quantscope::onnx::proto::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
    tensor_shape_proto::{Dimension, dimension},
    type_proto,
};
use std::path::PathBuf;

/// The folder of reference data; `None`, said once per test, where it is not there.
pub fn reference() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/reference");
    let folder = std::env::var_os("QUANTSCOPE_REFERENCE").map_or(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: no reference data at {}", folder.display());
    None
}

/// Every `.onnx` file below a folder, sorted; empty where the folder is absent.
pub fn onnx_files(folder: PathBuf) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "onnx") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The models of the fixtures that are committed with the tests.
pub fn fixture_files() -> Vec<PathBuf> {
    onnx_files(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"))
}

pub fn open(path: &std::path::Path) -> Document {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Document::decode(Bytes::from(bytes)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A reference model by name, or `None` without reference data.
pub fn model(name: &str) -> Option<Document> {
    Some(open(&reference()?.join("models").join(format!("{name}.onnx"))))
}

pub fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    NodeProto {
        op_type: Some(op.into()),
        input: inputs.iter().map(|name| (*name).into()).collect(),
        output: outputs.iter().map(|name| (*name).into()).collect(),
        ..Default::default()
    }
}

pub fn value(name: &str, dims: &[i64]) -> ValueInfoProto {
    let dim = |&dim: &i64| Dimension { value: Some(dimension::Value::DimValue(dim)), ..Default::default() };
    let shape = TensorShapeProto { dim: dims.iter().map(dim).collect() };
    let tensor = type_proto::Tensor { elem_type: Some(1), shape: Some(shape) };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    ValueInfoProto { name: Some(name.into()), r#type: Some(kind), ..Default::default() }
}

pub fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        name: Some(name.into()),
        data_type: Some(1),
        dims: dims.to_vec(),
        raw_data: Some(values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>().into()),
        ..Default::default()
    }
}

pub fn model_of(graph: GraphProto) -> ModelProto {
    ModelProto {
        ir_version: Some(8),
        opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(13) }],
        graph: Some(graph),
        ..Default::default()
    }
}

/// `y = Relu(x + w)`.
pub fn small() -> ModelProto {
    model_of(GraphProto {
        name: Some("g".into()),
        node: vec![node("Add", &["x", "w"], &["s"]), node("Relu", &["s"], &["y"])],
        initializer: vec![floats("w", &[2], &[1.0, -2.0])],
        input: vec![value("x", &[1, 2])],
        output: vec![value("y", &[1, 2])],
        ..Default::default()
    })
}
