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

fn close(found: Option<f64>, expected: &Value, what: &str) {
    let (found, expected) = (found.expect(what), expected.as_f64().expect(what));
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
    assert_eq!(serde_json::to_value(&result.counts).unwrap(), expected["counts"], "counts of {what}");
    let edges: Vec<f64> = serde_json::from_value(expected["edges"].clone()).unwrap();
    assert_eq!(result.edges, edges, "edges of {what}");
    let stats = tensor_stats(tensor).unwrap();
    assert_eq!((stats.min, stats.max), (expected["min"].as_f64(), expected["max"].as_f64()), "{what}");
    assert_eq!(Some(stats.count as u64), expected["count"].as_u64(), "{what}");
    close(stats.mean, &expected["mean"], what);
    close(stats.std, &expected["std"], what);
}

#[test]
fn weights_are_distributed_as_numpy_says() {
    let Some(folder) = reference() else { return };
    let text = std::fs::read(folder.join("expected/weight_histograms.json")).unwrap();
    let expected: Value = serde_json::from_slice(&text).unwrap();
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
