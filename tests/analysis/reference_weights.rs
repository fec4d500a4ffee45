//! The weights of the reference models and of the tiny ones against their `expected/weight_histograms.json`.

use quantscope::analysis::{error_metrics, tensor_histogram, tensor_stats};
use quantscope::onnx::proto::NodeProto;
use quantscope::onnx::{Document, NodeExt};
use quantscope::quant::dequantize;
use quantscope::tensor::{Channels, Tensor};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// numpy sums pairwise, this crate one by one, both in float64: n x 1.1e-16 for 9216 elements.
const ACCUMULATION_TOLERANCE: f64 = 1e-12;

fn reference() -> Option<PathBuf> {
    let local = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/reference");
    let folder = PathBuf::from(std::env::var_os("QUANTSCOPE_REFERENCE").unwrap_or_else(|| local.into()));
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: no reference data at {}", folder.display());
    None
}

/// JSON with every number as its text: serde_json misses the last bit of some floats (unless it is built with
/// `float_roundtrip`), and edges are compared to the last bit.
fn with_numbers_as_text(json: &str) -> Value {
    let (mut text, mut in_string, mut in_number, mut escaped) = (String::new(), false, false, false);
    for c in json.chars() {
        let is_number = !in_string && (c.is_ascii_digit() || "+-.".contains(c) || (in_number && "eE".contains(c)));
        if is_number != in_number {
            text.push('"');
        }
        in_string ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        in_number = is_number;
        text.push(c);
    }
    serde_json::from_str(&text).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_str().expect("a number").parse().expect("a number")
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("numbers").iter().map(number).collect()
}

fn close(found: Option<f64>, expected: &Value, what: &str) {
    let (found, expected) = (found.expect(what), number(expected));
    let difference = (found - expected).abs();
    assert!(difference <= ACCUMULATION_TOLERANCE * expected.abs().max(1e-3), "{what}: {found} against {expected}");
}

struct Model(Document);

impl Model {
    fn open(models: &Path, name: &str) -> Self {
        let bytes = std::fs::read(models.join(format!("{name}.onnx"))).expect("the model is there");
        Model(Document::decode(bytes.into()).expect("the model decodes"))
    }

    fn tensor(&self, name: &str) -> Tensor {
        self.0.constant(name).expect(name).expect(name)
    }

    fn dequantized(&self, name: &str) -> Tensor {
        let stored_name = format!("{name}_quantized");
        let stored = self.tensor(&stored_name);
        let scale = self.tensor(&format!("{name}_scale")).to_f32().unwrap();
        let zero_point = self.tensor(&format!("{name}_zero_point")).to_i64().unwrap();
        let channels = if scale.len() == 1 {
            Channels::whole(stored.len())
        } else {
            let takes_it = |node: &&NodeProto| node.input.first() == Some(&stored_name);
            let node = self.0.graph().node.iter().find(takes_it).expect("a DequantizeLinear");
            Channels::along(stored.shape(), node.int("axis").unwrap_or(1)).expect("an axis")
        };
        let real = |(index, q): (usize, i64)| {
            let channel = channels.of(index);
            dequantize(q as i32, scale[channel], zero_point[channel] as i32)
        };
        let values = stored.to_i64().unwrap().into_iter().enumerate().map(real).collect();
        Tensor::from_vec::<f32>(stored.shape().to_vec(), values).unwrap()
    }
}

fn check_distribution(tensor: &Tensor, expected: &Value, what: &str) {
    let result = tensor_histogram(tensor, 50, None).unwrap();
    let counts: Vec<f64> = result.counts.iter().map(|&count| count as f64).collect();
    assert_eq!(counts, numbers(&expected["counts"]), "counts of {what}");
    assert_eq!(result.edges, numbers(&expected["edges"]), "edges of {what}");
    let stats = tensor_stats(tensor).unwrap();
    assert_eq!((stats.min, stats.max), (Some(number(&expected["min"])), Some(number(&expected["max"]))), "{what}");
    // Every element is in a bin; only the reference names their number.
    assert_eq!(stats.count as f64, numbers(&expected["counts"]).iter().sum::<f64>(), "{what}");
    expected.get("count").inspect(|count| assert_eq!(stats.count as f64, number(count), "{what}"));
    close(stats.mean, &expected["mean"], what);
    close(stats.std, &expected["std"], what);
}

/// Checks every entry of a `weight_histograms.json`; returns how many quantized weights there were.
fn check(models: &Path, expected: &Path, float_model: &str) -> usize {
    let expected = with_numbers_as_text(&std::fs::read_to_string(expected).unwrap());
    let float = Model::open(models, float_model);
    let mut checked = 0;
    for (name, entries) in expected.as_object().unwrap().iter().filter(|(_, entries)| entries.is_object()) {
        check_distribution(&float.tensor(name), &entries["fp32"], name);
        for variant in entries.as_object().unwrap().keys().filter_map(|key| key.strip_suffix("_raw")) {
            let what = format!("{name} of {variant}");
            let model = Model::open(models, variant);
            check_distribution(&model.tensor(&format!("{name}_quantized")), &entries[format!("{variant}_raw")], &what);
            let dequantized = model.dequantized(name);
            check_distribution(&dequantized, &entries[format!("{variant}_dequantized")], &what);

            let error = &entries[format!("{variant}_error")];
            let found = error_metrics(&float.tensor(name).to_f32().unwrap(), &dequantized.to_f32().unwrap()).unwrap();
            close(found.mse, &error["mse"], &what);
            close(found.mae, &error["mae"], &what);
            close(found.max_abs, &error["max"], &what);
            close(found.sqnr_db, &error["sqnr_db"], &what);
            checked += 1;
        }
    }
    checked
}

#[test]
fn the_reference_weights_are_distributed_as_numpy_says() {
    let Some(folder) = reference() else { return };
    let checked = check(&folder.join("models"), &folder.join("expected/weight_histograms.json"), "resnet8");
    assert_eq!(checked, 6);
}

#[test]
fn the_tiny_weights_are_distributed_as_numpy_says() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models");
    // Per tensor and per channel, int8, uint8 and int4, QDQ and QOperator, five weights each.
    assert_eq!(check(&models, &models.join("expected/weight_histograms.json"), "tiny"), 25);
}
