//! Bad files: what refuses a file, what only keeps it from running, and what the messages say.

use crate::support::{fixture_files, floats, model_of, node, reference, small, value};
use bytes::Bytes;
use prost::Message;
use quantscope::onnx::proto::attribute_proto::AttributeType;
use quantscope::onnx::proto::{AttributeProto, FunctionProto, GraphProto, ModelProto};
use quantscope::onnx::{Document, NodeExt, OnnxError};
use quantscope::quant::{parameter_issues, quantized_tensors};

fn decode(proto: &ModelProto) -> Document {
    Document::decode(Bytes::from(proto.encode_to_vec())).unwrap()
}

fn only_issue(proto: &ModelProto) -> String {
    let document = decode(proto);
    assert_eq!(document.issues().len(), 1, "{:?}", document.issues());
    // Still inspectable: nodes, order and constants are there.
    assert_eq!(document.index().order().len(), document.graph().node.len());
    document.issues()[0].to_string()
}

fn changed(change: impl FnOnce(&mut GraphProto)) -> ModelProto {
    let mut proto = small();
    change(proto.graph.as_mut().unwrap());
    proto
}

#[test]
fn every_cut_of_a_model_is_refused_with_its_place() {
    let whole = small().encode_to_vec();
    for length in 0..whole.len() {
        match Document::decode(Bytes::copy_from_slice(&whole[..length])) {
            Err(error) => {
                let problem = error.problem("m.onnx");
                assert!(!problem.place.is_empty() && !problem.advice.is_empty(), "{length}: {problem}");
            }
            // Cut exactly between two fields of the model: what is left is a model without its last field.
            Ok(document) => {
                assert!(!document.issues().is_empty(), "{length}");
            }
        }
    }
}

#[test]
fn a_cut_reference_model_names_the_innermost_field() {
    let Some(folder) = reference() else { return };
    let bytes = std::fs::read(folder.join("models/resnet8.onnx")).unwrap();
    let error = Document::decode(Bytes::copy_from_slice(&bytes[..200_000])).unwrap_err();
    let OnnxError::Truncated { place, left, declared, offset } = &error else { panic!("{error}") };
    assert!(place.starts_with("graph.initializer[") && place.ends_with("].raw_data"), "{place}");
    assert!(*left < 200_000 - offset && (*left as u64) < *declared);
    let text = error.to_string();
    assert!(text.starts_with("byte 1") && text.contains(" are left"), "{text}");
    let problem = error.problem("resnet8.onnx");
    assert!(problem.advice.contains("not complete") && problem.expected.contains("the field declares"), "{problem}");
}

#[test]
fn files_that_are_no_models() {
    for bytes in [&b""[..], b"hello, this is not a model", b"\x89PNG\r\n\x1a\n1234", b"PK\x03\x04....", &[0xff; 64]] {
        let error = Document::decode(Bytes::copy_from_slice(bytes)).unwrap_err();
        assert!(matches!(error, OnnxError::NotAModel { .. }), "{error}");
    }
    // A model without a graph is said to lack it.
    let empty = ModelProto { ir_version: Some(8), ..Default::default() };
    let error = Document::decode(Bytes::from(empty.encode_to_vec())).unwrap_err();
    assert!(matches!(&error, OnnxError::Missing { what, .. } if what == "a graph"), "{error}");
}

#[test]
fn a_missing_initializer_is_named_with_its_reader() {
    let text = only_issue(&changed(|graph| graph.initializer.clear()));
    assert!(text.contains("node 0 (Add)") && text.contains("'w'"), "{text}");
}

#[test]
fn tensors_that_cannot_be() {
    let text = only_issue(&changed(|graph| graph.initializer[0].dims = vec![-3]));
    assert!(text.contains("tensor 'w'") && text.contains("dim -3"), "{text}");
    let text = only_issue(&changed(|graph| graph.initializer[0].dims = vec![1 << 40, 1 << 40]));
    assert!(text.contains("more elements than can be addressed"), "{text}");
    let text = only_issue(&changed(|graph| graph.initializer[0].dims = vec![3]));
    assert!(text.contains("8 bytes found where float32[3] takes 12"), "{text}");
    let text = only_issue(&changed(|graph| graph.initializer[0].data_type = Some(99)));
    assert!(text.contains("data type 99"), "{text}");
    let text = only_issue(&changed(|graph| graph.input = vec![value("x", &[1 << 30, 1 << 30])]));
    assert!(text.contains("value 'x'"), "{text}");
    let text = only_issue(&changed(|graph| graph.input = vec![value("x", &[-7])]));
    assert!(text.contains("dim -7"), "{text}");
    assert_eq!(decode(&changed(|graph| graph.input = vec![value("x", &[-1, 2])])).issues(), []);
}

#[test]
fn names_made_twice() {
    let text = only_issue(&changed(|graph| graph.initializer.push(floats("w", &[1], &[0.0]))));
    assert!(text.contains("a second initializer named 'w'"), "{text}");
    let text = only_issue(&changed(|graph| graph.node.push(node("Abs", &["x"], &["s"]))));
    assert!(text.contains("output 's'"), "{text}");
    let text = only_issue(&changed(|graph| graph.output.push(value("nowhere", &[]))));
    assert!(text.contains("graph output 'nowhere'"), "{text}");
}

#[test]
fn a_cycle_names_a_node_on_it() {
    let proto = changed(|graph| {
        graph.node.insert(0, node("Abs", &["b"], &["behind"]));
        graph.node.push(node("Add", &["x", "b"], &["a"]));
        graph.node.push(node("Neg", &["a"], &["b"]));
    });
    let text = only_issue(&proto);
    assert!(text.contains("cycle") && (text.contains("(Neg)") || text.contains("node 3 (Add)")), "{text}");
    // What does not hang on the cycle is ordered before it.
    assert_eq!(decode(&proto).index().order()[..2], [1, 2]);
}

#[test]
fn attributes_of_the_wrong_type() {
    let attribute = |name: &str, kind: AttributeType| AttributeProto {
        name: Some(name.into()),
        r#type: Some(kind as i32),
        ..Default::default()
    };
    let text = only_issue(&changed(|graph| graph.node[1].attribute.push(attribute("axis", AttributeType::Float))));
    assert!(text.contains("attribute 'axis' of type FLOAT") && text.contains("expected INT"), "{text}");
    let fine = changed(|graph| graph.node[1].attribute.push(attribute("axis", AttributeType::Int)));
    assert_eq!(decode(&fine).issues(), []);
}

#[test]
fn old_opsets_are_inspected_only() {
    let mut proto = small();
    proto.opset_import[0].version = Some(6);
    assert!(only_issue(&proto).contains("operator set 6"));
    let problem = decode(&proto).issues()[0].problem("old.onnx");
    assert!(problem.found.contains("version 6") && problem.expected.contains('7'), "{problem}");
    proto.opset_import.clear();
    assert!(only_issue(&proto).contains("opset_import"));
}

/// `y = cond ? Neg(x) : x + w`, the branches reading the outer `x` and `w`.
fn branching() -> ModelProto {
    let branch = |node| GraphProto { node: vec![node], output: vec![value("out", &[])], ..Default::default() };
    let graph = |name: &str, graph| AttributeProto {
        name: Some(name.into()),
        r#type: Some(AttributeType::Graph as i32),
        g: Some(graph),
        ..Default::default()
    };
    let mut choice = node("If", &["cond"], &["y"]);
    choice.attribute.push(graph("then_branch", branch(node("Neg", &["late"], &["out"]))));
    choice.attribute.push(graph("else_branch", branch(node("Add", &["x", "w"], &["out"]))));
    model_of(GraphProto {
        name: Some("g".into()),
        // The If stands before the node whose result its branch reads.
        node: vec![choice, node("Abs", &["x"], &["late"])],
        initializer: vec![floats("w", &[2], &[1.0, 2.0])],
        input: vec![value("x", &[2]), value("cond", &[])],
        output: vec![value("y", &[2])],
        ..Default::default()
    })
}

#[test]
fn subgraphs_read_outer_values() {
    let document = decode(&branching());
    assert_eq!(document.issues(), []);
    assert_eq!(document.index().order(), [1, 0]);
    assert_eq!(document.index().captured(0), ["late", "x", "w"]);
    assert_eq!(document.index().captors("w"), [0]);
    let mut broken = branching();
    broken.graph.as_mut().unwrap().initializer.clear();
    assert!(only_issue(&broken).contains("'w'"));
}

#[test]
fn functions_are_listed_and_their_calls_known() {
    let mut proto = small();
    proto.functions.push(FunctionProto {
        name: Some("Twice".into()),
        domain: Some("own".into()),
        input: vec!["a".into()],
        output: vec!["b".into()],
        node: vec![node("Add", &["a", "a"], &["b"])],
        ..Default::default()
    });
    let graph = proto.graph.as_mut().unwrap();
    let mut call = node("Twice", &["y"], &["z"]);
    call.domain = Some("own".into());
    graph.node.push(call);
    let document = decode(&proto);
    assert_eq!(document.functions().len(), 1);
    assert_eq!((document.functions()[0].name.as_str(), document.functions()[0].node_count), ("Twice", 1));
    assert!(document.called_function(&document.graph().node[2]).is_some());
    assert!(document.called_function(&document.graph().node[0]).is_none());
    proto.functions.push(proto.functions[0].clone());
    assert!(only_issue(&proto).contains("a second function"));
}

#[test]
fn good_files_have_no_issues() {
    let folder = reference();
    let models = folder.iter().flat_map(|folder| crate::support::onnx_files(folder.join("models")));
    let nodes = fixture_files().into_iter().filter(|path| path.parent().is_some_and(|folder| folder.ends_with("node")));
    for path in models.chain(nodes) {
        let document = crate::support::open(&path);
        assert_eq!(document.issues(), [], "{}", path.display());
        assert_eq!(document.missing_external(), [], "{}", path.display());
    }
}

/// What the application can say of a file, all of it.
fn messages(path: &std::path::Path) -> (bool, String) {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let folder = path.parent().unwrap();
    // Only files that were opened too can be found, by their bare name.
    let find = |location: &str| {
        let beside = !location.contains('/');
        beside.then(|| std::fs::read(folder.join(location)).ok()).flatten().map(Bytes::from)
    };
    match Document::decode_with(Bytes::from(std::fs::read(path).unwrap()), &find) {
        Err(error) => (false, error.problem(&name).to_string()),
        Ok(document) => {
            let missing = document.missing_external();
            let missing = missing.into_iter().map(|(tensor, location)| OnnxError::ExternalData { tensor, location });
            let parameters = parameter_issues(&document, &quantized_tensors(&document));
            let all = document.issues().iter().cloned().chain(missing).chain(parameters);
            (true, all.map(|error| error.problem(&name).to_string()).collect::<Vec<_>>().join("\n"))
        }
    }
}

/// What only running can find: which operators there are is the engine's to say, and a reshape of a symbolic batch
/// may come out even.
const FOUND_BY_THE_ENGINE: [&str; 3] = ["unknown_op.onnx", "three_unknown_ops.onnx", "reshape.onnx"];

#[test]
fn every_bad_fixture_is_told_of() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bad");
    let index: serde_json::Value = serde_json::from_slice(&std::fs::read(folder.join("index.json")).unwrap()).unwrap();
    let (mut checked, mut silent) = (0, Vec::new());
    for (name, entry) in index["files"].as_object().unwrap().iter().filter(|(name, _)| name.ends_with(".onnx")) {
        let (opened, text) = messages(&folder.join(name));
        if FOUND_BY_THE_ENGINE.contains(&name.as_str()) {
            assert!(opened, "{name}");
            continue;
        }
        let mention = entry["mention"].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_lowercase());
        let lower = text.to_lowercase();
        for word in mention.filter(|word| !lower.contains(word)) {
            silent.push(format!("{name} ({}): no '{word}' in: {text}", entry["wrong"]));
        }
        if text.is_empty() {
            silent.push(format!("{name}: nothing is said of {}", entry["wrong"]));
        }
        checked += 1;
    }
    assert!(silent.is_empty(), "{}", silent.join("\n"));
    assert!(checked > 50, "{checked}");
}

#[test]
fn odd_fixtures_are_fine() {
    for path in fixture_files().into_iter().filter(|path| path.parent().is_some_and(|folder| !folder.ends_with("bad")))
    {
        let (opened, text) = messages(&path);
        assert!(opened && text.is_empty(), "{}: {text}", path.display());
    }
}

#[test]
fn a_function_call_is_no_operator() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models");
    let document = crate::support::open(&folder.join("tiny_functions.onnx"));
    assert!(!document.functions().is_empty());
    let calls = document.graph().node.iter().filter(|node| document.called_function(node).is_some());
    assert!(calls.clone().count() > 0 && calls.into_iter().all(|node| !node.domain_name().is_empty()));
}
