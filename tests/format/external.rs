//! Tensors that keep their data in other files.

use crate::support::small;
use bytes::Bytes;
use prost::Message;
use quantscope::onnx::proto::{StringStringEntryProto, tensor_proto::DataLocation};
use quantscope::onnx::{Document, OnnxError};

fn external(location: &str, offset: Option<&str>, length: Option<&str>) -> Bytes {
    let mut proto = small();
    let tensor = &mut proto.graph.as_mut().unwrap().initializer[0];
    tensor.raw_data = None;
    tensor.data_location = Some(DataLocation::External as i32);
    let entry = |key: &str, value: &str| StringStringEntryProto { key: Some(key.into()), value: Some(value.into()) };
    tensor.external_data.push(entry("location", location));
    tensor.external_data.extend(offset.map(|offset| entry("offset", offset)));
    tensor.external_data.extend(length.map(|length| entry("length", length)));
    Bytes::from(proto.encode_to_vec())
}

fn weights() -> Bytes {
    let bytes: Vec<u8> = [9.0f32, 3.0, 4.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    Bytes::from(bytes)
}

#[test]
fn data_is_found_by_name_and_by_the_tail_of_its_path() {
    for location in ["w.bin", "./data/w.bin", "data\\w.bin"] {
        let model = external(location, Some("4"), Some("8"));
        let document = Document::decode_with(model.clone(), &|name| (name == "w.bin").then(weights)).unwrap();
        assert_eq!(document.issues(), []);
        assert_eq!(document.missing_external(), []);
        let tensor = document.constant("w").unwrap().unwrap();
        assert_eq!(tensor.to_f32().unwrap(), [3.0, 4.0]);
        // The reference stays in the file.
        assert_eq!(document.encode(), model);
        let inlined = Document::decode(Bytes::from(document.inlined().unwrap().encode())).unwrap();
        assert_eq!(inlined.constant("w").unwrap().unwrap(), tensor);
        assert!(inlined.graph().initializer[0].external_data.is_empty());
    }
}

#[test]
fn offset_and_length_may_be_left_out() {
    let document = Document::decode_with(external("w.bin", None, None), &|_| Some(weights().slice(4..))).unwrap();
    assert_eq!(document.constant("w").unwrap().unwrap().to_f32().unwrap(), [3.0, 4.0]);
}

#[test]
fn a_missing_file_is_named() {
    let document = Document::decode(external("data/w.bin", None, None)).unwrap();
    assert_eq!(document.missing_external(), [("w".to_owned(), "data/w.bin".to_owned())]);
    assert_eq!(document.issues(), []);
    let expected = OnnxError::ExternalData { tensor: "w".into(), location: "data/w.bin".into() };
    assert_eq!(document.constant("w").unwrap().unwrap_err(), expected);
    assert_eq!(document.inlined().unwrap_err(), expected);
    assert!(expected.problem("m.onnx").advice.contains("data/w.bin"));
}

#[test]
fn bounds_are_checked() {
    for (offset, length) in [(Some("8"), Some("8")), (Some("16"), None), (Some("-4"), None), (None, Some("x"))] {
        let document = Document::decode_with(external("w.bin", offset, length), &|_| Some(weights())).unwrap();
        assert_eq!(document.issues().len(), 1, "{offset:?} {length:?}");
        assert!(document.constant("w").unwrap().is_err());
    }
    // In bounds, and not what the shape asks for.
    let document = Document::decode_with(external("w.bin", Some("8"), Some("4")), &|_| Some(weights())).unwrap();
    assert!(matches!(document.issues(), [OnnxError::Tensor { tensor, .. }] if tensor == "w"));
}
