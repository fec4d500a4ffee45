//! Every weight in one .npz.

use crate::support::{document, fixtures};
use quantscope::export::{Compression, weights_npz};
use quantscope::import::read_npy;
use std::io::{Cursor, Read};

#[test]
fn all_weights_are_there_with_their_bytes() {
    for model in ["tiny.onnx", "tiny_int8.onnx", "tiny_int4w.onnx", "tiny_external.onnx"] {
        let path = fixtures("models").join(model);
        let find = |name: &str| std::fs::read(fixtures("models").join(name)).ok().map(Into::into);
        let document = quantscope::onnx::Document::decode_with(std::fs::read(&path).unwrap().into(), &find).unwrap();
        let file = weights_npz(&document, Compression::Deflated).unwrap();
        let mut archive = zip::ZipArchive::new(Cursor::new(file.bytes)).unwrap();
        assert_eq!(archive.len(), document.graph().initializer.len());
        for proto in &document.graph().initializer {
            let tensor = document.tensor(proto).unwrap();
            let mut bytes = Vec::new();
            archive.by_name(&format!("{}.npy", proto.name())).unwrap().read_to_end(&mut bytes).unwrap();
            let read = read_npy(&bytes.into()).unwrap();
            assert_eq!(read.shape(), tensor.shape());
            assert_eq!(read.to_f64().unwrap(), tensor.to_f64().unwrap(), "{model} {}", proto.name());
            let converted = file.conversions.iter().any(|(name, _)| name == proto.name());
            assert_eq!(read.dtype() != tensor.dtype(), converted);
        }
    }
}

#[test]
fn constant_nodes_are_weights_too_and_missing_files_are_said() {
    let file = weights_npz(&document(&fixtures("odd").join("constant_nodes.onnx")), Compression::Stored).unwrap();
    assert!(zip::ZipArchive::new(Cursor::new(file.bytes)).unwrap().len() > 1);
    let missing = weights_npz(&document(&fixtures("models").join("tiny_external.onnx")), Compression::Stored);
    assert!(missing.unwrap_err().to_string().contains("not open"));
}
