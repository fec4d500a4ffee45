//! A small model for every kind of layer, in every kind of Keras file (tests/fixtures/keras/layers.zip).

use crate::checker::{check, python, workplace};
use crate::support::{difference, file, fixtures, npz, run, unzip};
use bytes::Bytes;
use quantscope::import::{Converted, ImportError, KerasOptions, Limits, Opened, SourceFile, convert_keras, open};
use quantscope::onnx::{Document, NEWEST_OPSET, NodeExt};
use quantscope::tensor::Tensor;
use std::collections::BTreeMap;

/// Two float32 implementations of one layer: sums in another order, and functions of another library.
const SAME: f64 = 1e-5;

pub fn layers() -> BTreeMap<String, Bytes> {
    unzip(&file(&fixtures("keras/layers.zip")))
}

fn convert(name: &str, bytes: &Bytes, opset: i64, fold_batch_norm: bool) -> Result<Converted, ImportError> {
    convert_keras(bytes, name, &KerasOptions { opset, fold_batch_norm })
}

/// Runs a converted model on the recorded inputs; gives what is wrong.
fn compare(converted: &Converted, recorded: &BTreeMap<String, Tensor>) -> Result<f64, String> {
    if !converted.unsupported.is_empty() {
        return Err(format!("not converted: {:?}", converted.unsupported));
    }
    if !converted.document.issues().is_empty() {
        return Err(format!("issues: {:?}", converted.document.issues()));
    }
    let given: Vec<&Tensor> =
        recorded.iter().filter(|(name, _)| name.starts_with("in_")).map(|(_, array)| array).collect();
    let inputs = converted.document.inputs().map(|input| {
        // A Sequential's input may carry another name in the file.
        let named = recorded.get(&format!("in_{}", input.name()));
        let array = named.or(given.first().copied().filter(|_| given.len() == 1));
        Ok((input.name().to_owned(), array.ok_or(format!("nothing for '{}'", input.name()))?.clone()))
    });
    let inputs = inputs.collect::<Result<Vec<_>, String>>()?;
    let outputs = run(&converted.document, &inputs)?;
    let expected = recorded.keys().filter(|name| name.starts_with("out_")).count();
    if outputs.len() != expected {
        return Err(format!("{} outputs, not {expected}", outputs.len()));
    }
    let mut most = 0f64;
    for (position, output) in outputs.iter().enumerate() {
        let expected = &recorded[&format!("out_{position}")];
        if output.shape() != expected.shape() {
            return Err(format!("output {position} is {:?}, not {:?}", output.shape(), expected.shape()));
        }
        let difference = difference(output, expected);
        if difference > SAME {
            return Err(format!("output {position} is {difference:.1e} off"));
        }
        most = most.max(difference);
    }
    Ok(most)
}

#[test]
fn every_layer_in_every_file_and_operator_set() {
    let files = layers();
    let written = workplace("keras");
    let only = std::env::var("QUANTSCOPE_CASE").unwrap_or_default();
    let (mut failures, mut runs, mut most) = (Vec::new(), 0, 0f64);
    for (name, bytes) in &files {
        let Some(stem) = name.strip_suffix(".h5").or(name.strip_suffix(".keras")) else { continue };
        let Some(recorded) = files.get(&format!("{stem}.npz")) else { continue };
        if !name.starts_with(&only) {
            continue;
        }
        let recorded = npz(recorded);
        let opsets: &[i64] = if name.ends_with(".keras") { &[13, 17, NEWEST_OPSET] } else { &[15, 18, 21] };
        for &opset in opsets {
            for fold in [false, true] {
                let result = match convert(name, bytes, opset, fold) {
                    Ok(converted) => {
                        let path = written.join(format!("{name}.{opset}.{fold}.onnx"));
                        std::fs::write(path, converted.document.encode()).unwrap();
                        compare(&converted, &recorded)
                    }
                    Err(error) => Err(error.to_string()),
                };
                runs += 1;
                match result {
                    Ok(difference) => most = most.max(difference),
                    Err(error) => failures.push(format!("{name}, opset {opset}, fold {fold}: {error}")),
                }
            }
        }
    }
    println!("{runs} conversions run, largest difference {most:.1e}");
    assert!(failures.is_empty(), "{} of {runs}:\n{}", failures.len(), failures.join("\n"));
    assert!(runs > if only.is_empty() { 800 } else { 0 }, "only {runs} conversions");
    // What onnx.checker has to say of the files, and onnxruntime of their outputs.
    if let Some(python) = python() {
        check(&python, "check_keras.py", &written);
    }
}

#[test]
fn folding_leaves_no_trace_of_the_normalization() {
    let files = layers();
    let count = |name: &str, fold: bool, op_type: &str| {
        let converted = convert(name, &files[name], 15, fold).unwrap();
        let nodes = &converted.document.graph().node;
        nodes.iter().filter(|node| node.op_type() == op_type).count()
    };
    assert_eq!((count("sequential.keras", false, "Mul"), count("sequential.keras", true, "Mul")), (2, 0));
    // The models inside are called once each.
    assert_eq!((count("nested_once.h5", false, "Mul"), count("nested_once.h5", true, "Mul")), (1, 0));
    // Of six behind identities and at the borders of models, two are alone with what they normalize.
    for name in ["fold_shared_value.keras", "fold_shared_value.k2.h5"] {
        assert_eq!((count(name, false, "Mul"), count(name, true, "Mul")), (6, 4), "{name}");
    }
    // Called twice with the same weights: nothing is folded.
    assert_eq!((count("shared.keras", false, "Mul"), count("shared.keras", true, "Mul")), (2, 2));
}

#[test]
fn shared_weights_are_there_once() {
    let files = layers();
    for name in ["shared.h5", "shared.k2.h5", "shared.keras", "shared.k2.keras"] {
        let converted = convert(name, &files[name], 15, false).unwrap();
        let graph = converted.document.graph();
        let floats = graph.initializer.iter().filter(|tensor| tensor.data_type() == 1);
        // conv 2, normalization 2, dense 2, head 2 x 2
        assert_eq!(floats.count(), 10, "{name}");
        let twice = converted.layer_of.iter().find(|layer| layer.layer == "twice").unwrap();
        assert_eq!(twice.values, ["twice", "twice_1"], "{name}");
        let inner = converted.layer_of.iter().find(|layer| layer.layer == "inner/conv").unwrap();
        assert_eq!(inner.values.len(), 2, "{name}");
    }
}

#[test]
fn values_are_named_after_their_layers() {
    let files = layers();
    for (name, bytes) in files.iter().filter(|(name, _)| name.ends_with(".keras") || name.ends_with(".h5")) {
        let Ok(converted) = convert(name, bytes, 15, false) else { continue };
        let index = converted.document.index();
        for layer in &converted.layer_of {
            for value in &layer.values {
                let made = index.producer(value).is_some() || converted.document.inputs().any(|i| i.name() == value);
                assert!(made, "{name}: '{value}' of layer '{}' is not in the model", layer.layer);
            }
        }
    }
}

#[test]
fn a_custom_layer_is_named_and_the_rest_is_there() {
    let files = layers();
    for name in ["custom.h5", "custom.keras"] {
        let converted = convert(name, &files[name], 15, true).unwrap();
        assert_eq!(converted.unsupported.len(), 1, "{:?}", converted.unsupported);
        assert!(converted.unsupported[0].starts_with("Doubled 'mine'"), "{:?}", converted.unsupported);
        assert!(converted.document.issues().is_empty(), "{:?}", converted.document.issues());
        let graph = converted.document.graph();
        let node = graph.node.iter().find(|node| node.op_type() == "Doubled").unwrap();
        assert_eq!((node.domain_name(), node.float("factor")), ("keras", Some(3.0)));
        // Its input in Keras's order, and its weight.
        assert_eq!(node.input.len(), 2);
        let convolutions = graph.node.iter().filter(|node| node.op_type() == "Conv").count();
        assert_eq!((convolutions, graph.output.len()), (2, 1));
    }
}

#[test]
fn an_unknown_layer_has_as_many_results_as_are_read() {
    let files = layers();
    for name in ["custom_results.h5", "custom_results.keras"] {
        let converted = convert(name, &files[name], 15, false).unwrap();
        assert!(converted.unsupported.len() == 1 && converted.unsupported[0].starts_with("Two 'two'"), "{name}");
        assert!(converted.document.issues().is_empty(), "{:?}", converted.document.issues());
        let graph = converted.document.graph();
        let node = graph.node.iter().find(|node| node.op_type() == "Two").unwrap();
        assert_eq!(node.output, ["two", "two:1"], "{name}");
        let sum = graph.node.iter().find(|node| node.op_type() == "Add").unwrap();
        assert_eq!(sum.input, ["two", "two:1"], "{name}");
    }
}

#[test]
fn a_refused_layer_leaves_nothing_of_what_was_begun() {
    let files = layers();
    for name in ["custom_activation.h5", "custom_activation.keras"] {
        let converted = convert(name, &files[name], 15, false).unwrap();
        assert_eq!(converted.unsupported.len(), 2, "{:?}", converted.unsupported);
        let graph = converted.document.graph();
        let types: Vec<(&str, &str)> = graph.node.iter().map(|node| (node.domain_name(), node.op_type())).collect();
        assert_eq!(types, [("keras", "Conv2D"), ("", "Reshape"), ("keras", "Dense")], "{name}");
        let read = |value: &str| graph.node.iter().any(|node| node.input.iter().any(|input| input == value));
        let unread: Vec<_> = graph.initializer.iter().filter(|tensor| !read(tensor.name())).collect();
        assert!(unread.is_empty(), "{name}: {unread:?}");
    }
}

#[test]
fn a_file_of_weights_only_says_what_to_do() {
    let files = layers();
    let error = convert("w.h5", &files["weights_only.weights.h5"], 15, false).unwrap_err();
    let problem = error.into_problem("w.h5");
    assert!(problem.found.contains("weights of a Keras model without the model itself"), "{problem}");
    assert!(problem.advice.contains("model.save"), "{problem}");
}

#[test]
fn options_are_checked() {
    let files = layers();
    for opset in [12, NEWEST_OPSET + 1] {
        assert!(convert("d", &files["dense.h5"], opset, false).is_err());
    }
}

#[test]
fn a_dropped_file_opens_as_a_model_with_its_notes() {
    let files = layers();
    for name in ["sequential.h5", "sequential.keras"] {
        let dropped = vec![SourceFile::new(name, files[name].clone())];
        let (opened, problems) = open(dropped, &Limits::default());
        assert!(problems.is_empty(), "{problems:?}");
        let [Opened::Model { name: shown, bytes, .. }] = &opened[..] else { panic!("{opened:?}") };
        let document = Document::decode(bytes.clone()).unwrap();
        let notes = document.proto().metadata_props.iter().filter(|entry| entry.key() == "notes");
        assert!(shown == name && notes.count() > 0);
    }
    let dropped = vec![SourceFile::new("w.h5", files["weights_only.weights.h5"].clone())];
    let (opened, problems) = open(dropped, &Limits::default());
    assert!(opened.is_empty() && problems.len() == 1, "{problems:?}");
}
