//! `quantize`.

use crate::support::{quantscope, reference, sample, scratch};
use serde_json::Value;
use std::collections::BTreeMap;

/// Ranges come from float sums in another order.
const SCALE: f64 = 1e-5;

/// Every scale and zero point of a file by its name.
pub fn parameters(file: &str) -> BTreeMap<String, Vec<f64>> {
    let extracted = quantscope(&["extract", file, "--json"]).json();
    let mut all = BTreeMap::new();
    for operation in extracted["operations"].as_array().unwrap() {
        for kind in ["scales", "zero_points"] {
            for (name, value) in operation[kind].as_object().unwrap() {
                let numbers = match value {
                    Value::Array(list) => list.iter().map(|value| value.as_f64().unwrap()).collect(),
                    value => vec![value.as_f64().unwrap()],
                };
                all.insert(name.clone(), numbers);
            }
        }
    }
    all
}

fn equal(found: &str, wanted: &str) {
    let (found, wanted) = (parameters(found), parameters(wanted));
    assert_eq!(found.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    let mut worst = 0f64;
    for (name, wanted) in &wanted {
        for (found, wanted) in found[name].iter().zip(wanted) {
            // Zero points are whole numbers: this asks for equality.
            worst = worst.max((found - wanted).abs() / wanted.abs().max(f64::MIN_POSITIVE));
            assert!((found - wanted).abs() <= SCALE * wanted.abs(), "{name}: {found} instead of {wanted}");
        }
    }
    println!("{} parameters, furthest {worst:e}", wanted.len());
}

#[test]
fn the_sample_is_quantized_as_onnxruntime_did() {
    let out = scratch("sample-int8.onnx");
    let data = sample("street-digits.tar.gz");
    let shown = quantscope(&[
        "quantize",
        &sample("street-digits.onnx"),
        "--data",
        &data,
        "--set",
        "calibration",
        "--activations",
        "int8",
        "--weights",
        "int8",
        "--out",
        &out,
        "--json",
    ])
    .json();
    assert_eq!((&shown["out"], &shown["images"]), (&Value::from(out.as_str()), &Value::from(1000)));
    assert_eq!(shown["size_bytes"], std::fs::metadata(&out).unwrap().len());
    equal(&out, &sample("street-digits-int8.onnx"));
}

#[test]
fn the_reference_is_quantized_as_onnxruntime_did() {
    let Some(model) = reference("models/resnet8.onnx") else { return };
    let Some(data) = reference("cifar10/data_batch_head.bin") else { return };
    let cases: [(&str, &[&str]); 2] = [
        ("resnet8_int8_per_channel", &["--activations", "int8", "--weights", "int8", "--per-channel"]),
        ("resnet8_uint8_qoperator", &["--activations", "uint8", "--weights", "uint8", "--format", "qoperator"]),
    ];
    for (name, options) in cases {
        let out = scratch(&format!("{name}.onnx"));
        let mut arguments = vec!["quantize", &model, "--data", &data, "--out", &out];
        arguments.extend(options);
        assert_eq!(quantscope(&arguments).code, 0);
        let Some(wanted) = reference(&format!("models/{name}.onnx")) else { return };
        let nodes = |file: &str| quantscope(&["inspect", file, "--json"]).json()[0]["op_counts"].clone();
        assert_eq!(nodes(&out), nodes(&wanted), "{name}");
        equal(&out, &wanted);
    }
}

#[test]
fn every_calibration_and_every_type_writes_a_model_that_runs() {
    let data = sample("street-digits.tar.gz");
    let made = |name: &str, options: &[&str]| {
        let out = scratch(&format!("made-{name}.onnx"));
        let model = sample("street-digits.onnx");
        let mut arguments = vec!["quantize", &model, "--data", &data, "--limit", "4", "--out", &out, "--json"];
        arguments.extend(options);
        assert_eq!(quantscope(&arguments).json()["images"], 4, "{name}");
        let card = quantscope(&["inspect", &out, "--json"]).json()[0].clone();
        assert_eq!(card["issues"], serde_json::json!([]), "{name}");
        (out, card)
    };
    let mut scales = Vec::new();
    for method in ["minmax", "moving-average", "entropy", "percentile", "distribution", "mse"] {
        let (out, card) = made(method, &["--calibration", method, "--bins", "512"]);
        assert_eq!(card["format"], "QDQ int8", "{method}");
        scales.push(parameters(&out).into_values().map(|numbers| numbers[0]).sum::<f64>());
    }
    // They are different methods: hardly any two agree on all scales.
    scales.sort_by(f64::total_cmp);
    scales.dedup();
    assert!(scales.len() >= 4, "{scales:?}");
    for (activations, weights, format) in [
        ("uint8", "uint8", "qdq"),
        ("uint8", "int8", "qoperator"),
        ("int8", "int4", "qdq"),
        ("int16", "int8", "qdq"),
        ("uint16", "uint8", "qdq"),
    ] {
        let name = format!("{activations}-{weights}-{format}");
        let (out, card) =
            made(&name, &["--activations", activations, "--weights", weights, "--format", format, "--per-channel"]);
        let named = card["format"].as_str().unwrap();
        assert!(named.starts_with(if format == "qdq" { "QDQ" } else { "QOperator" }), "{name}: {named}");
        let evaluated = quantscope(&["evaluate", &out, "--data", &data, "--limit", "4", "--json"]).json();
        assert_eq!(evaluated[0]["overall"]["total"], 4, "{name}");
    }
}

#[test]
fn a_seed_chooses_the_same_images_again() {
    let data = sample("street-digits.tar.gz");
    let made = |name: &str, seed: &str| {
        let out = scratch(&format!("seed-{name}.onnx"));
        let model = sample("street-digits.onnx");
        let arguments =
            ["quantize", &model, "--data", &data, "--per-class", "1", "--seed", seed, "--out", &out, "--json"];
        assert_eq!(quantscope(&arguments).json()["images"], 10);
        std::fs::read(out).unwrap()
    };
    let first = made("a", "7");
    assert!(first == made("b", "7"));
    assert!(first != made("c", "8"));
}

#[test]
fn what_cannot_be_quantized_is_refused() {
    let (data, out) = (sample("street-digits.tar.gz"), scratch("refused.onnx"));
    let model = sample("street-digits.onnx");
    let quantize = |model: &str, more: &[&str]| {
        let mut arguments = vec!["quantize", model, "--data", &data, "--out", &out];
        arguments.extend(more);
        quantscope(&arguments)
    };
    quantize(&sample("street-digits-int8.onnx"), &["--limit", "1"]).refused(&["quantized already"]);
    quantize(&model, &["--limit", "0"]).refused(&["no image of"]);
    quantize(&model, &["--set", "validation"]).refused(&["'validation'", "calibration"]);
    quantize(&sample("classes.txt"), &["--limit", "1"]).refused(&["classes.txt"]);
    assert!(!std::path::Path::new(&out).exists());
    let nowhere = scratch("no-folder/q.onnx");
    quantscope(&["quantize", &model, "--data", &data, "--limit", "1", "--out", &nowhere]).refused(&["no-folder"]);
}

#[test]
fn names_that_the_model_has_not_are_refused() {
    let (data, out) = (sample("street-digits.tar.gz"), scratch("names.onnx"));
    // Left by an earlier run.
    let _ = std::fs::remove_file(&out);
    let model = sample("street-digits.onnx");
    let quantize = |more: &[&str]| {
        let mut arguments = vec!["quantize", &model, "--data", &data, "--out", &out];
        arguments.extend(more);
        quantscope(&arguments)
    };
    quantize(&["--limit", "1", "--exclude", "nosuchnode"]).refused(&["no node 'nosuchnode'", "near are "]);
    quantize(&["--limit", "1", "--op-types", "Convv"]).refused(&["no operator type 'Convv'; near are Conv"]);
    assert!(!std::path::Path::new(&out).exists());
    assert_eq!(quantize(&["--limit", "1", "--op-types", "Conv"]).code, 0);
    assert_eq!(quantize(&["--limit", "4", "--per-class", "1"]).code, 2);
}

#[test]
fn preprocessing_reaches_the_ranges_and_the_errors() {
    let (data, model) = (sample("street-digits.tar.gz"), sample("street-digits.onnx"));
    let made = |name: &str, more: &[&str]| {
        let out = scratch(&format!("range-{name}.onnx"));
        let mut arguments = vec!["quantize", &model, "--data", &data, "--limit", "4", "--out", &out, "--json"];
        arguments.extend(more);
        let shown = quantscope(&arguments).json();
        (shown["preprocessing"]["given"].clone(), std::fs::read(out).unwrap())
    };
    let (own, other) = (made("own", &[]), made("raw", &["--range", "raw", "--mean", "7"]));
    assert_eq!((own.0, other.0), (serde_json::json!([]), serde_json::json!(["value range", "mean"])));
    assert!(own.1 != other.1);
    let int8 = sample("street-digits-int8.onnx");
    let errors = |more: &[&str]| {
        let mut arguments =
            vec!["sqnr", "--float", &model, "--quantized", &int8, "--data", &data, "--limit", "2", "--json"];
        arguments.extend(more);
        quantscope(&arguments).json()
    };
    assert_ne!(errors(&[]), errors(&["--mean", "7"]));
}

#[test]
fn an_input_that_stays_float_is_told() {
    let (data, out) = (sample("street-digits.tar.gz"), scratch("float-input.onnx"));
    let model = sample("street-digits.onnx");
    let arguments = [
        "quantize",
        &model,
        "--data",
        &data,
        "--limit",
        "2",
        "--out",
        &out,
        "--integer-io",
        "--op-types",
        "MatMul",
        "--json",
    ];
    let notes = quantscope(&arguments).json()["notes"].to_string();
    assert!(notes.contains("stays float32: not every node that reads it is quantized"), "{notes}");
}

#[test]
fn a_preset_sets_what_is_not_given() {
    let out = scratch("preset.onnx");
    let (model, data) = (sample("street-digits.onnx"), sample("street-digits.tar.gz"));
    let with = |options: &[&str]| {
        let mut arguments = vec!["quantize", &model, "--data", &data, "--limit", "2", "--out", &out, "--json"];
        arguments.extend(options);
        let shown = quantscope(&arguments).json();
        let card = quantscope(&["inspect", &out, "--json"]).json()[0].clone();
        (shown["notes"].clone(), card["format"].clone())
    };
    assert_eq!(with(&["--preset", "ort-qnn"]).1, "QDQ uint8");
    assert_eq!(with(&["--preset", "ort-qnn", "--activations", "int8", "--weights", "int8"]).1, "QDQ int8");
    let (notes, _) = with(&["--preset", "torch-qnnpack", "--per-channel"]);
    assert_eq!(notes[0], "PyTorch qnnpack's default configuration has one scale per weight");
    let refused = quantscope(&["quantize", &model, "--data", &data, "--out", &out, "--preset", "qnn"]);
    assert_eq!(refused.code, 2);
    assert!(refused.error.contains("ort-qnn"), "{}", refused.error);
}
