//! The weights of the reference models against `expected/weight_histograms.json`.

use quantscope::analysis::{error_metrics, tensor_histogram, tensor_stats};
use quantscope::onnx::Document;
use quantscope::quant::dequantize;
use quantscope::tensor::Tensor;
use serde_json::Value;
use std::path::PathBuf;

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
    fn open(folder: &std::path::Path, name: &str) -> Self {
        let bytes = std::fs::read(folder.join("models").join(name)).expect("the model is there");
        Model(Document::decode(bytes.into()).expect("the model decodes"))
    }

    fn tensor(&self, name: &str) -> Tensor {
        self.0.constant(name).expect(name).expect(name)
    }

    fn dequantized(&self, name: &str) -> Tensor {
        let stored = self.tensor(&format!("{name}_quantized"));
        let scale = self.tensor(&format!("{name}_scale")).to_f32().unwrap()[0];
        let zero_point = self.tensor(&format!("{name}_zero_point")).to_i64().unwrap()[0] as i32;
        let values = stored.to_i64().unwrap().into_iter().map(|q| dequantize(q as i32, scale, zero_point)).collect();
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
    assert_eq!(stats.count as f64, number(&expected["count"]), "{what}");
    close(stats.mean, &expected["mean"], what);
    close(stats.std, &expected["std"], what);
}

#[test]
fn weights_are_distributed_as_numpy_says() {
    let Some(folder) = reference() else { return };
    let text = std::fs::read_to_string(folder.join("expected/weight_histograms.json")).unwrap();
    let expected = with_numbers_as_text(&text);
    let float = Model::open(&folder, "resnet8.onnx");
    let mut checked = 0;
    for (name, entries) in expected.as_object().unwrap().iter().filter(|(_, entries)| entries.is_object()) {
        check_distribution(&float.tensor(name), &entries["fp32"], name);
        for variant in ["resnet8_int8", "resnet8_uint8"] {
            let model = Model::open(&folder, &format!("{variant}.onnx"));
            let raw = model.tensor(&format!("{name}_quantized"));
            check_distribution(&raw, &entries[format!("{variant}_raw")], &format!("{name} {variant} raw"));
            let dequantized = model.dequantized(name);
            check_distribution(&dequantized, &entries[format!("{variant}_dequantized")], &format!("{name} {variant}"));

            let error = &entries[format!("{variant}_error")];
            let found = error_metrics(&float.tensor(name).to_f32().unwrap(), &dequantized.to_f32().unwrap()).unwrap();
            close(found.mse, &error["mse"], "mse");
            close(found.mae, &error["mae"], "mae");
            close(found.max_abs, &error["max"], "max");
            close(found.sqnr_db, &error["sqnr_db"], "sqnr_db");
            checked += 1;
        }
    }
    assert_eq!(checked, 6);
}
