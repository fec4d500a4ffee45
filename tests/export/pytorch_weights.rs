//! Weights as PyTorch's files, read back without PyTorch.

use crate::support::{document, fixtures};
use bytes::Bytes;
use quantscope::export::pytorch::{pytorch, state_dict_pt, state_dict_safetensors};
use quantscope::import::pickle::{self, Id, Pickle};
use quantscope::tensor::{DType, Tensor};
use std::io::{Cursor, Read};

fn member(archive: &[u8], name: &str) -> Bytes {
    let mut archive = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
    let mut bytes = Vec::new();
    archive.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
    bytes.into()
}

fn integers(pickle: &Pickle, id: Id) -> Vec<i64> {
    pickle.items(id).unwrap().iter().map(|&item| pickle.int(item).unwrap()).collect()
}

/// Name, storage class, shape and bytes of every tensor, as torch would take them.
fn read_back(archive: &[u8]) -> Vec<(String, String, Vec<i64>, Bytes)> {
    let data = member(archive, "model/data.pkl");
    let (pickle, length) = pickle::parse(&data, 1 << 20).unwrap();
    assert_eq!(length, data.len());
    assert!(pickle.foreign_globals(&["torch"]).is_empty());
    let mut found = Vec::new();
    for &(name, value) in pickle.pairs(pickle.root()).unwrap() {
        let (module, function, object) = pickle.call(value).unwrap();
        assert_eq!((module, function), ("torch._utils", "_rebuild_tensor_v2"));
        let args = pickle.items(object.args).unwrap();
        let pickle::Value::Persistent(storage) = pickle.get(args[0]) else { panic!("no storage") };
        let storage = pickle.items(*storage).unwrap();
        assert_eq!(pickle.text(storage[0]).unwrap(), "storage");
        let (module, class) = pickle.global(storage[1]).unwrap();
        assert_eq!((module, pickle.text(storage[3]).unwrap().as_ref()), ("torch", "cpu"));
        let shape = integers(&pickle, args[2]);
        let count: i64 = shape.iter().product();
        assert_eq!((pickle.int(storage[4]), pickle.int(args[1])), (Some(count), Some(0)));
        let bytes = member(archive, &format!("model/data/{}", pickle.text(storage[2]).unwrap()));
        assert_eq!(integers(&pickle, args[3]).len(), shape.len());
        found.push((pickle.text(name).unwrap().into_owned(), class.to_owned(), shape, bytes));
    }
    found
}

fn sample() -> Vec<(String, Tensor)> {
    let tensor = |name: &str, tensor: Tensor| (name.to_owned(), tensor);
    vec![
        tensor("a.weight", Tensor::from_vec(vec![2, 3], vec![1.0f32, -2.0, 3.5, 0.0, f32::INFINITY, 1e-40]).unwrap()),
        tensor("a.count", Tensor::from_vec(vec![], vec![7i64]).unwrap()),
        tensor("empty", Tensor::from_vec::<f64>(vec![0, 4], vec![]).unwrap()),
        tensor("half", Tensor::from_vec(vec![1], vec![half::f16::ONE]).unwrap()),
        tensor("bytes", Tensor::from_vec(vec![3], vec![-1i8, 0, 127]).unwrap()),
        tensor("nibbles", Tensor::new(DType::Int4, vec![3], Bytes::from_static(&[0xf7, 0x08])).unwrap()),
        tensor("wide", Tensor::from_vec(vec![2], vec![0u16, 65535]).unwrap()),
        tensor("truth", Tensor::new(DType::Bool, vec![2], Bytes::from_static(&[0, 255])).unwrap()),
    ]
}

#[test]
fn the_state_dict_reads_back() {
    let archive = state_dict_pt(&sample()).unwrap();
    let found = read_back(&archive);
    let kinds: Vec<_> =
        found.iter().map(|(name, class, shape, _)| (name.as_str(), class.as_str(), shape.as_slice())).collect();
    assert_eq!(
        kinds,
        [
            ("a.weight", "FloatStorage", &[2, 3][..]),
            ("a.count", "LongStorage", &[]),
            ("empty", "DoubleStorage", &[0, 4]),
            ("half", "HalfStorage", &[1]),
            ("bytes", "CharStorage", &[3]),
            ("nibbles", "CharStorage", &[3]),
            ("wide", "IntStorage", &[2]),
            ("truth", "BoolStorage", &[2]),
        ]
    );
    assert_eq!(&found[0].3, sample()[0].1.bytes());
    assert_eq!(&found[5].3[..], [7, 0xff, 0xf8]);
    assert_eq!((&found[6].3[..], &found[7].3[..]), (&[0, 0, 0, 0, 255, 255, 0, 0][..], &[0, 1][..]));
    assert_eq!(
        (member(&archive, "model/version").as_ref(), member(&archive, "model/byteorder").as_ref()),
        (&b"3\n"[..], &b"little"[..])
    );
    assert_eq!(state_dict_pt(&sample()).unwrap(), archive, "equal tensors give equal bytes");
}

#[test]
fn storages_are_aligned_and_not_packed() {
    let archive = state_dict_pt(&sample()).unwrap();
    let mut archive = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
    for index in 0..archive.len() {
        let entry = archive.by_index(index).unwrap();
        assert_eq!(entry.compressed_size(), entry.size());
        assert_eq!(entry.data_start().unwrap() % 64, 0, "{:?}", entry.name());
    }
}

#[test]
fn safetensors_hold_the_same() {
    let file = state_dict_safetensors(&sample()).unwrap();
    let read = safetensors::SafeTensors::deserialize(&file).unwrap();
    assert_eq!(read.len(), sample().len());
    let weight = read.tensor("a.weight").unwrap();
    assert_eq!((weight.dtype(), weight.shape()), (safetensors::Dtype::F32, &[2, 3][..]));
    assert_eq!(weight.data(), &sample()[0].1.bytes()[..]);
    assert_eq!(read.tensor("nibbles").unwrap().data(), [7, 0xff, 0xf8]);
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&file).unwrap();
    assert_eq!(metadata.metadata().as_ref().unwrap()["format"], "pt");
    assert!(state_dict_safetensors(&[]).is_ok() && state_dict_pt(&[]).is_ok());
}

#[test]
fn what_torch_has_no_type_for_is_named() {
    let fp8 = Tensor::new(DType::Float8E8m0, vec![1], Bytes::from_static(&[127])).unwrap();
    let error = state_dict_pt(&[("scale".to_owned(), fp8)]).unwrap_err().to_string();
    assert!(error.contains("'scale'") && error.contains("float8e8m0"), "{error}");
}

#[test]
fn an_exported_layer_has_its_weights() {
    let model = document(&fixtures("pytorch").join("gemm.onnx"));
    let export = pytorch(&model).unwrap();
    let names: Vec<&str> = export.tensors.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["y.weight", "y.bias"]);
    // nn.Linear keeps (out, in), Gemm without transB (in, out).
    let original = model.constant("w").unwrap().unwrap();
    assert_eq!(export.tensors[0].1, original.permuted(&[1, 0]).unwrap());
    assert_eq!(read_back(&export.state_dict)[0].2, [4, 5]);
}

#[test]
fn a_document_without_nodes_keeps_its_tensors() {
    let bytes = Bytes::from(std::fs::read(fixtures("torch/quant_state_dict.pt")).unwrap());
    let options = quantscope::import::ConvertOptions::default();
    let limits = quantscope::import::Limits::default();
    let kind = quantscope::import::detect("quant_state_dict.pt", &bytes, bytes.len() as u64);
    let converted = quantscope::import::convert(kind, &bytes, "quant_state_dict.pt", &options, &limits).unwrap();
    let document = converted.converted.document;
    let export = pytorch(&document).unwrap();
    let names: Vec<&str> = export.tensors.iter().map(|(name, _)| name.as_str()).collect();
    let wanted: Vec<&str> = document.graph().initializer.iter().map(|tensor| tensor.name()).collect();
    assert!(!names.is_empty() && names == wanted, "{names:?}");
    let read: Vec<String> = read_back(&export.state_dict).into_iter().map(|(name, ..)| name).collect();
    assert_eq!(read, wanted);
    assert!(!export.model_py.contains("\nclass ") && export.notes[0].contains("no network"), "{:?}", export.notes);
}
