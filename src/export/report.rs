//! `Export report`: what was open, how it is quantized and what it predicted, as JSON.
//!
//! The structs are the schema: keys appear in the order of the fields, absent values as null. **Whoever changes a
//! field's name or meaning raises [`SCHEMA_VERSION`].** Numbers that are not finite become null, as JSON has none.

use crate::problem::Problem;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the report's fields.
pub const SCHEMA_VERSION: u32 = 1;

/// The whole report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Name and version of this program.
    pub generator: String,
    /// How quantized operators were evaluated: `simulate` (float arithmetic on rounded values) or `integer`.
    pub semantics: String,
    /// What was run; null before a run.
    pub input: Option<InputReport>,
    /// The open variants, in the order they were opened.
    pub models: Vec<ModelReport>,
    /// Tensors that have no counterpart in every variant.
    pub unmatched: Vec<UnmatchedTensor>,
    /// What went wrong with the files that were opened.
    pub problems: Vec<Problem>,
}

impl Report {
    /// A report of this version of the program, for the caller to fill.
    pub fn new(semantics: &str) -> Self {
        Report {
            schema_version: SCHEMA_VERSION,
            generator: concat!("quantscope ", env!("CARGO_PKG_VERSION")).to_owned(),
            semantics: semantics.to_owned(),
            input: None,
            models: Vec::new(),
            unmatched: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Indented JSON with a newline at the end; equal reports give equal bytes.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(text)
    }
}

/// The input of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputReport {
    /// Where it came from: a file and an index in it, or the seed of random data.
    pub source: String,
    /// What was done to it.
    pub preprocessing: Preprocessing,
    /// Index of the true class, where known.
    pub label: Option<usize>,
    /// Name of the true class, where known.
    pub label_name: Option<String>,
}

/// From an image to a model's input: `(pixel x scale - mean) / std` per channel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// `NCHW` or `NHWC`.
    pub layout: String,
    /// `RGB`, `BGR` or `gray`.
    pub channel_order: String,
    /// Values of the darkest and of the brightest pixel before mean and std.
    pub range: [f32; 2],
    /// Subtracted per channel; empty for none.
    pub mean: Vec<f32>,
    /// Divided by per channel; empty for none.
    pub std: Vec<f32>,
    /// How the image was brought to the model's size: `none`, or the resize in words.
    pub resize: String,
}

/// How images became the input of one model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelPreprocessing {
    /// The settings.
    #[serde(flatten)]
    pub settings: Preprocessing,
    /// Those that were set by hand; the others were read off the model.
    pub given: Vec<String>,
    /// All of it in words.
    pub sentence: String,
}

/// One open variant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelReport {
    /// File name.
    pub name: String,
    /// Size of the file.
    pub file_size_bytes: u64,
    /// SHA-256 of the file, lower-case hexadecimal.
    pub sha256: String,
    /// Program that wrote the model.
    pub producer: String,
    /// ONNX IR version; null where the file has none.
    pub ir_version: Option<i64>,
    /// Operator sets the model imports.
    pub opsets: Vec<OpsetReport>,
    /// Graph inputs that are not initializers.
    pub inputs: Vec<ValueReport>,
    /// Graph outputs.
    pub outputs: Vec<ValueReport>,
    /// Elements of all weights.
    pub parameters: u64,
    /// Multiply-accumulates of one item of the batch; null where a shape is not known.
    pub macs: Option<u64>,
    /// Nodes of the graph.
    pub node_count: usize,
    /// Nodes per operator, by name.
    pub op_counts: BTreeMap<String, usize>,
    /// QuantizeLinear nodes.
    pub quantize_linear: usize,
    /// DequantizeLinear nodes.
    pub dequantize_linear: usize,
    /// QuantizeLinear and DequantizeLinear nodes in all nodes, 0 to 1.
    pub quantized_share: f64,
    /// The quantization parameters, in graph order.
    pub quantization: Vec<QuantizationReport>,
    /// The best classes, best first; empty before a run.
    pub predictions: Vec<PredictionReport>,
}

/// One operator set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpsetReport {
    /// Domain, `ai.onnx` for the standard one.
    pub domain: String,
    /// Version.
    pub version: i64,
}

/// One input or output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValueReport {
    /// Name of the value.
    pub name: String,
    /// Element type, by its ONNX name.
    pub dtype: String,
    /// Dims in words: a number, a symbolic name, or `?`.
    pub shape: Vec<String>,
}

/// The quantization parameters of one tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantizationReport {
    /// Name of the float tensor.
    pub tensor: String,
    /// `weight`, `bias` or `activation`.
    pub kind: String,
    /// Type of the stored values, by its ONNX name.
    pub dtype: String,
    /// Scales: the float32 values with the fewest digits that read back as the same float32.
    pub scale: Vec<f32>,
    /// Zero points, as many as scales.
    pub zero_point: Vec<i32>,
    /// The axis that the scales run along; null for one scale.
    pub axis: Option<usize>,
    /// `per-tensor`, `per-channel` or `blocked`.
    pub granularity: String,
    /// Whether zero maps to the middle of the integer range: every zero point 0 of a signed type.
    pub symmetric: bool,
    /// Smallest and largest number that can be represented, over all channels.
    pub range: [f64; 2],
}

/// One class of a prediction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PredictionReport {
    /// Name of the class.
    pub class: String,
    /// Its index.
    pub index: usize,
    /// Its probability.
    pub probability: f64,
    /// The model's output where that is a logit.
    pub logit: Option<f32>,
}

impl From<crate::analysis::Prediction> for PredictionReport {
    fn from(prediction: crate::analysis::Prediction) -> Self {
        let crate::analysis::Prediction { class, index, probability, logit } = prediction;
        PredictionReport { class, index, probability, logit }
    }
}

/// A tensor without a counterpart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnmatchedTensor {
    /// The model that has it.
    pub model: String,
    /// Its name there.
    pub tensor: String,
    /// Why none was found.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled() -> Report {
        let mut report = Report::new("simulate");
        report.models.push(ModelReport {
            name: "net.onnx".to_owned(),
            op_counts: [("Relu".to_owned(), 2), ("Conv".to_owned(), 1)].into(),
            quantization: vec![QuantizationReport {
                tensor: "w".to_owned(),
                kind: "weight".to_owned(),
                dtype: "int8".to_owned(),
                scale: vec![0.1, f32::MIN_POSITIVE],
                zero_point: vec![0, 0],
                axis: Some(0),
                granularity: "per-channel".to_owned(),
                symmetric: true,
                range: [-12.8, 12.7],
            }],
            ..ModelReport::default()
        });
        report
    }

    #[test]
    fn keys_stand_in_the_order_of_the_fields() {
        let json = filled().to_json().unwrap();
        let keys =
            ["schema_version", "generator", "semantics", "input", "models", "sha256", "Conv", "Relu", "problems"];
        let places: Vec<usize> = keys.iter().map(|key| json.find(&format!("\"{key}\"")).expect(key)).collect();
        assert!(places.is_sorted(), "{json}");
        assert!(json.contains("\"input\": null"), "{json}");
    }

    #[test]
    fn a_report_reads_back_equal() {
        let report = filled();
        let json = report.to_json().unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
        assert!(json.contains("0.1,"), "float32 is written as float32: {json}");
    }

    #[test]
    fn numbers_that_json_lacks_are_null() {
        let mut report = filled();
        report.models[0].quantization[0].range = [f64::NEG_INFINITY, 1.0];
        let json: serde_json::Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
        assert!(json["models"][0]["quantization"][0]["range"][0].is_null());
    }
}
