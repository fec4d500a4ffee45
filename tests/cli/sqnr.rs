//! `sqnr`.

use crate::support::{expected, json_of, quantscope, reference, sample, test_images};
use serde_json::Value;

/// A flipped integer changes the noise of 64 images by this much at most.
const ACTIVATION_DB: f64 = 0.05;
/// The real weights are float32, the record's float64.
const WEIGHT_DB: f64 = 1e-3;

/// Furthest apart of two lists of dB, where null means no error at all.
fn compare(rows: &Value, kind: &str, recorded: &Value, keys: [&str; 2]) -> (usize, f64) {
    let rows: Vec<&Value> = rows.as_array().unwrap().iter().filter(|row| row["kind"] == kind).collect();
    let (mut count, mut worst) = (0, 0f64);
    for (tensor, recorded) in recorded.as_object().unwrap() {
        let row = rows.iter().find(|row| row["tensor"] == tensor.as_str()).unwrap_or_else(|| panic!("{tensor}"));
        for (mine, theirs) in ["local_sqnr_db", "cumulative_sqnr_db"].iter().zip(keys) {
            let Some(wanted) = recorded.get(theirs) else { continue };
            count += 1;
            match (row[mine].as_f64(), wanted.as_f64()) {
                (Some(found), Some(wanted)) => worst = worst.max((found - wanted).abs()),
                (found, wanted) => assert_eq!(found, wanted, "{tensor} {mine}"),
            }
        }
    }
    (count, worst)
}

#[test]
fn the_sample_is_off_as_much_as_recorded() {
    for model in ["int8", "uint8"] {
        let (float, quantized) = (sample("street-digits.onnx"), sample(&format!("street-digits-{model}.onnx")));
        let data = test_images();
        let mut arguments = vec!["sqnr", "--float", &float, "--quantized", &quantized, "--limit", "64", "--json"];
        arguments.extend(data.iter().map(String::as_str));
        let rows = quantscope(&arguments).json();
        for row in rows.as_array().unwrap() {
            let keys: Vec<&String> = row.as_object().unwrap().keys().collect();
            assert_eq!(keys, ["tensor", "kind", "local_sqnr_db", "cumulative_sqnr_db"]);
        }
        let recorded = &expected()["models"][model]["sqnr"];
        let (activations, worst) = compare(&rows, "activation", &recorded["activations"], ["qdq_np", "xmodel_np"]);
        let (weights, worst_weight) = compare(&rows, "weight", &recorded["weights"], ["np", "-"]);
        println!(
            "{model}: {activations} of activations off by {worst:.4} dB, {weights} of weights by {worst_weight:e} dB"
        );
        assert!(activations == 64 && worst <= ACTIVATION_DB, "{worst}");
        assert!(weights > 0 && worst_weight <= WEIGHT_DB, "{worst_weight}");
    }
}

#[test]
fn the_reference_is_off_as_much_as_onnxruntime_says() {
    let Some(recorded) = reference("expected/sqnr.json") else { return };
    let recorded = json_of(&recorded);
    for model in ["resnet8_int8", "resnet8_int8_per_channel"] {
        let file = |name: &str| reference(name).unwrap();
        let (float, quantized) = (file("models/resnet8.onnx"), file(&format!("models/{model}.onnx")));
        let data = file("cifar10/test_batch_head.bin");
        let arguments =
            ["sqnr", "--float", &float, "--quantized", &quantized, "--data", &data, "--limit", "64", "--json"];
        let rows = quantscope(&arguments).json();
        let (activations, worst) =
            compare(&rows, "activation", &recorded[model]["activations"], ["qdq_np", "xmodel_np"]);
        println!("{model}: {activations} of activations off by {worst:.4} dB");
        assert!(activations == 64 && worst <= ACTIVATION_DB, "{worst}");
    }
}

#[test]
fn models_that_do_not_go_together_are_told() {
    let (float, data) = (sample("street-digits.onnx"), sample("street-digits.tar.gz"));
    let sqnr = |quantized: &str, limit: &str| {
        quantscope(&["sqnr", "--float", &float, "--quantized", quantized, "--data", &data, "--limit", limit])
    };
    sqnr(&sample("street-digits-int8.onnx"), "0").refused(&["at least one image"]);
    sqnr(&sample("classes.txt"), "1").refused(&["classes.txt", "a model in each file"]);
    let words = sqnr(&sample("street-digits-int8.onnx"), "1");
    assert!(words.code == 0 && words.out.lines().count() == 66, "{}", words.out);
}
