//! Opening and encoding gives the file back, byte by byte.

use crate::support::{fixture_files, node, onnx_files, open, reference, small};
use bytes::Bytes;
use prost::Message;
use quantscope::onnx::Document;
use quantscope::onnx::proto::ModelProto;

fn assert_lossless(path: &std::path::Path) {
    let bytes = std::fs::read(path).unwrap();
    let document = open(path);
    assert!(document.encode() == bytes, "{}: encode changes the file", path.display());
    // Through the messages, not through the bytes that were kept.
    assert!(document.encode_message() == bytes, "{}: the message does not encode to the file", path.display());
    assert!(document.canonical(), "{}", path.display());
    let anew = ModelProto::decode(&bytes[..]).unwrap().encode_to_vec();
    assert!(anew == bytes, "{}: prost alone does not encode to the file", path.display());
}

#[test]
fn reference_models_are_byte_identical() {
    let Some(folder) = reference() else { return };
    let files = onnx_files(folder.join("models"));
    assert_eq!(files.len(), 13, "the reference has 13 ONNX models");
    files.iter().for_each(|path| assert_lossless(path));
}

#[test]
fn fixtures_are_byte_identical() {
    for path in fixture_files() {
        let bytes = std::fs::read(&path).unwrap();
        // Damaged fixtures are refused with a message; see `validation`.
        if let Ok(document) = Document::decode(Bytes::from(bytes.clone())) {
            assert!(document.encode() == bytes, "{}: encode changes the file", path.display());
            if document.canonical() {
                assert!(document.encode_message() == bytes, "{}", path.display());
            }
        }
    }
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn field(number: u64, body: &[u8]) -> Vec<u8> {
    [varint(number << 3 | 2), varint(body.len() as u64), body.to_vec()].concat()
}

/// A record of each wire type under numbers the schema does not have (3 and 16 are reserved: old writers used them).
fn strange(marker: u8) -> Vec<u8> {
    let mut bytes = [varint(900 << 3), varint(marker.into())].concat();
    bytes.extend(field(901, &[marker; 3]));
    bytes.extend([varint(902 << 3 | 5), vec![marker; 4]].concat());
    bytes.extend([varint(903 << 3 | 1), vec![marker; 8]].concat());
    bytes.extend([varint(904 << 3 | 3), varint(1 << 3), varint(7), varint(904 << 3 | 4)].concat());
    bytes
}

/// A model with unknown fields in the model, the graph, two nodes, an attribute, a tensor and a value's type.
fn with_unknown() -> Vec<u8> {
    let attribute = [field(1, b"axis"), varint(3 << 3), varint(1), varint(20 << 3), varint(2), strange(5)].concat();
    let softmax = [field(1, b"y"), field(2, b"z"), field(3, b"soft"), field(4, b"Softmax"), field(5, &attribute)];
    let softmax = [softmax.concat(), strange(4)].concat();
    let mut proto = small();
    let graph = proto.graph.take().unwrap();
    let mut body = Vec::new();
    for node in &graph.node {
        let old = if node.op_type() == "Relu" { strange(3) } else { Vec::new() };
        body.extend(field(1, &[node.encode_to_vec(), old].concat()));
    }
    body.extend(field(1, &softmax));
    body.extend(field(2, b"g"));
    for tensor in &graph.initializer {
        body.extend(field(5, &[tensor.encode_to_vec(), strange(6)].concat()));
    }
    body.extend(field(11, &graph.input[0].encode_to_vec()));
    let mut output = graph.output[0].clone();
    output.name = None;
    let kind = [output.r#type.take().unwrap().encode_to_vec(), strange(7)].concat();
    body.extend(field(12, &[field(1, b"z"), field(2, &kind)].concat()));
    // Fields 3 and 4 of GraphProto are reserved: models of 2017 have ir_version and producer there.
    body.extend([varint(3 << 3), varint(1), field(4, b"1.0"), strange(2)].concat());
    let imports = proto.opset_import[0].encode_to_vec();
    [varint(1 << 3), varint(8), field(7, &body), field(8, &imports), strange(1)].concat()
}

#[test]
fn unknown_fields_survive_at_every_level() {
    let bytes = with_unknown();
    let document = Document::decode(Bytes::from(bytes.clone())).unwrap();
    assert_eq!(document.issues(), []);
    assert!(document.proto().encode_to_vec().len() < bytes.len(), "prost alone drops them");
    assert_eq!(document.encode_message(), bytes);
    assert!(document.canonical());
}

#[test]
fn unknown_fields_survive_an_edit() {
    let document = Document::decode(Bytes::from(with_unknown())).unwrap();
    // A node in front, a renamed value and a new doc string.
    let edited = document
        .edit(|proto| {
            let graph = proto.graph.as_mut().unwrap();
            graph.node.insert(0, node("Identity", &["x"], &["copy"]));
            graph.initializer[0].name = Some("renamed".into());
            graph.node[1].input[1] = "renamed".into();
            proto.doc_string = Some("edited".into());
        })
        .unwrap();
    let written = edited.encode();
    let count = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).filter(|window| *window == part).count();
    for marker in 1..=7 {
        assert_eq!(count(&written, &strange(marker)), 1, "marker {marker}");
    }
    let again = Document::decode(Bytes::from(written.clone())).unwrap();
    assert_eq!(again.proto(), edited.proto());
    assert_eq!(again.encode_message(), written);
    // Marker 3 is still in the Relu node: its record ends with it.
    let relu = [again.graph().node[2].encode_to_vec(), strange(3)].concat();
    assert_eq!(count(&written, &field(1, &relu)), 1);
    // A removed message takes its unknown fields along.
    let cut = document.edit(|proto| _ = proto.graph.as_mut().unwrap().node.pop()).unwrap();
    assert_eq!(count(&cut.encode(), &strange(4)), 0);
    assert_eq!(count(&cut.encode(), &strange(3)), 1);
}

#[test]
fn forms_that_are_not_canonical_are_kept_too() {
    let proto = small();
    let graph = field(7, &proto.graph.as_ref().unwrap().encode_to_vec());
    let imports = field(8, &proto.opset_import[0].encode_to_vec());
    let version = [varint(1 << 3), varint(8)].concat();
    let long = vec![0x08, 0x88, 0x80, 0x00];
    for (what, bytes) in [
        ("fields out of order", [graph.clone(), imports.clone(), version.clone()].concat()),
        ("a long varint", [long, graph.clone(), imports.clone()].concat()),
        ("a field written twice", [version.clone(), version, graph, imports].concat()),
    ] {
        let document = Document::decode(Bytes::from(bytes.clone())).unwrap();
        assert!(!document.canonical(), "{what}");
        assert!(document.encode() == bytes, "{what}");
        let edited = document.edit(|proto| proto.model_version = Some(3)).unwrap();
        assert_eq!(Document::decode(Bytes::from(edited.encode())).unwrap().proto(), edited.proto(), "{what}");
    }
    // Packed dims and unpacked float_data: the other way round than the schema writes them.
    let tensor = [field(1, &[2]), varint(2 << 3), varint(1), field(8, b"w")].concat();
    let values = [1.5f32, 2.5].iter().flat_map(|v| [varint(4 << 3 | 5), v.to_le_bytes().to_vec()].concat());
    let tensor = [tensor, values.collect()].concat();
    let bytes = [varint(8), varint(8), field(7, &field(5, &tensor))].concat();
    let document = Document::decode(Bytes::from(bytes.clone())).unwrap();
    assert!(!document.canonical());
    assert!(document.encode() == bytes);
    assert_eq!(document.constant("w").unwrap().unwrap().to_f32().unwrap(), [1.5, 2.5]);
}

proptest::proptest! {
    /// No bytes make the reader panic, and what it opens it writes back.
    #[test]
    fn any_bytes(mut bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200), model in proptest::prelude::any::<bool>(), at in 0usize..400, with in proptest::prelude::any::<u8>()) {
        if model {
            bytes = with_unknown();
            let at = at % bytes.len();
            bytes[at] = with;
        }
        if let Ok(document) = Document::decode(Bytes::from(bytes.clone())) {
            proptest::prop_assert!(document.encode() == bytes);
            let written = document.encode_message();
            let again = Document::decode(Bytes::from(written.clone())).unwrap();
            proptest::prop_assert!(again.encode_message() == written);
        }
    }
}
