//! `convert`.

use crate::support::{arrays, fixture, quantscope, reference, sample, scratch};
use quantscope::export::npy;
use quantscope::tensor::Tensor;
use serde_json::Value;
use std::io::Read;

/// A file out of the committed archive of Keras models.
fn keras(name: &str) -> String {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(fixture("keras/layers.zip")).unwrap()).unwrap();
    let mut bytes = Vec::new();
    archive.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
    let path = scratch(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn written(shown: &Value) -> Vec<String> {
    let paths = shown["written"].as_array().unwrap().iter();
    let paths: Vec<String> = paths.map(|path| path.as_str().unwrap().to_owned()).collect();
    assert!(paths.iter().all(|path| std::path::Path::new(path).metadata().unwrap().len() > 0));
    paths
}

#[test]
fn other_formats_become_onnx() {
    for input in
        [keras("activation_layers.h5"), keras("activation_layers.keras"), fixture("tflite/branches_float.tflite")]
    {
        let out = format!("{input}.onnx");
        let out = scratch(std::path::Path::new(&out).file_name().unwrap().to_str().unwrap());
        let shown = quantscope(&["convert", &input, "--out", &out, "--json"]).json();
        assert_eq!(written(&shown), std::slice::from_ref(&out));
        let card = quantscope(&["inspect", &out, "--json"]).json()[0].clone();
        assert!(card["nodes"].as_u64().unwrap() > 0, "{input}");
        assert_eq!((&card["issues"], &card["unsupported"]), (&Value::Array(vec![]), &Value::Array(vec![])), "{input}");
    }
    let out = scratch("opset13.onnx");
    assert_eq!(quantscope(&["convert", &keras("activation_layers.h5"), "--opset", "18", "--out", &out]).code, 0);
    let card = quantscope(&["inspect", &out, "--json"]).json();
    assert_eq!(card[0]["opsets"][0], serde_json::json!(["ai.onnx", 18]));
}

#[test]
fn an_onnx_file_becomes_pytorch_code() {
    let folder = scratch("pytorch");
    let shown =
        quantscope(&["convert", &sample("street-digits.onnx"), "--to", "pytorch", "--out", &folder, "--json"]).json();
    let names: Vec<String> = written(&shown).iter().map(|path| path.rsplit('/').next().unwrap().to_owned()).collect();
    assert_eq!(names[..3], ["model.py", "model.safetensors", "model.pt"]);
    let code = std::fs::read_to_string(format!("{folder}/model.py")).unwrap();
    assert!(code.contains("import torch") && code.contains("class "), "{code}");
    // The weights are the model's own.
    let card = quantscope(&["inspect", &format!("{folder}/model.safetensors"), "--json"]).json();
    assert_eq!(card[0]["issues"], serde_json::json!([]));
}

/// Keras, ONNX Runtime and PyTorch agree within this much.
const PROBABILITY: f32 = 2e-6;

#[test]
fn the_converted_reference_gives_keras_s_numbers() {
    let Some(input) = reference("models/pretrainedResnet.h5") else { return };
    let images = std::fs::read(reference("cifar10/test_batch_head.bin").unwrap()).unwrap();
    let pixels = images.chunks_exact(3073).take(64).flat_map(|record| {
        (0..1024).flat_map(move |at| (0..3).map(move |plane| f32::from(record[1 + plane * 1024 + at])))
    });
    let array = Tensor::from_vec(vec![64, 32, 32, 3], pixels.collect()).unwrap();
    let x = scratch("keras64.npy");
    std::fs::write(&x, npy(&array).unwrap().bytes).unwrap();
    let probabilities = std::fs::read(reference("expected/probs64/keras.npy").unwrap()).unwrap();
    let wanted = quantscope::import::read_npy(&probabilities.into()).unwrap().to_f32().unwrap();
    for fold in [false, true] {
        let (out, y) = (scratch(&format!("keras-{fold}.onnx")), scratch(&format!("keras-{fold}.npz")));
        let mut arguments = vec!["convert", &input, "--out", &out];
        if fold {
            arguments.push("--fold-batch-norm");
        }
        assert_eq!(quantscope(&arguments).code, 0);
        assert_eq!(quantscope(&["run", &out, "--input", &x, "--out", &y]).code, 0);
        let found = arrays(&y)[0].tensor.to_f32().unwrap();
        let furthest = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("folded {fold}: furthest probability {furthest:e}");
        assert!(found.len() == wanted.len() && furthest <= PROBABILITY);
    }
}

#[test]
fn what_is_no_model_is_not_converted() {
    let out = scratch("refused-convert.onnx");
    for input in [sample("classes.txt"), fixture("bad/cut_half.onnx"), fixture("bad/keras.h5"), scratch("none.h5")] {
        quantscope(&["convert", &input, "--out", &out]).refused(&[&input]);
    }
    assert!(!std::path::Path::new(&out).exists());
}

#[test]
fn weights_alone_are_no_network() {
    let (input, out) = (fixture("convert/net_state.pt"), scratch("weights-alone.onnx"));
    let _ = std::fs::remove_file(&out);
    quantscope(&["convert", &input, "--out", &out]).refused(&[&input, "a network"]);
    assert!(!std::path::Path::new(&out).exists());
    let folder = scratch("weights-alone");
    let shown = quantscope(&["convert", &input, "--to", "pytorch", "--out", &folder, "--json"]).json();
    assert!(shown["notes"].to_string().contains("no network"), "{shown}");
    let card = quantscope(&["inspect", &input, "--json"]).json()[0].clone();
    assert!(card["parameters"].as_u64().unwrap() > 0, "{card}");
}

#[test]
fn unknown_layers_are_warned_of() {
    let out = scratch("custom.onnx");
    let ended = quantscope(&["convert", &keras("custom.h5"), "--out", &out]);
    assert_eq!(ended.code, 0, "{}", ended.error);
    assert!(ended.out.lines().any(|line| line.starts_with("warning: not converted: Doubled")), "{}", ended.out);
    // The checker wants the type of every output whole.
    let document = quantscope::onnx::Document::decode(std::fs::read(&out).unwrap().into()).unwrap();
    let whole = |port: &quantscope::onnx::proto::ValueInfoProto| format!("{:?}", port.r#type).contains("shape: Some");
    assert!(document.graph().output.iter().all(whole));
}

#[test]
fn a_scripted_network_takes_the_shape_of_its_input() {
    let (input, out) = (fixture("torch/head_script.pt"), scratch("head.onnx"));
    let refused = quantscope(&["convert", &input, "--out", &out]);
    refused.refused(&[&input, "convert again with an input shape"]);
    let ended = quantscope(&["convert", &input, "--out", &out, "--input-shape", "N,3,16,21"]);
    assert_eq!(ended.code, 0, "{}", ended.error);
    let document = quantscope::onnx::Document::decode(std::fs::read(&out).unwrap().into()).unwrap();
    assert_eq!(document.graph().node.iter().filter(|node| node.op_type() == "Conv").count(), 1);
    // What is no shape, and a file that tells its own.
    for (file, shape, said) in
        [(&input, "N,3,zero", "'zero' is no dim"), (&keras("activation_layers.h5"), "1,4", "tells its own")]
    {
        let ended = quantscope(&["convert", file, "--out", &out, "--input-shape", shape]);
        assert!(ended.code != 0 && ended.error.contains(said), "{}", ended.error);
    }
}
