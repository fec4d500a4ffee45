//! A bit-width grid as JSON.

use super::ModelPreprocessing;
use serde::Serialize;

/// Version of the fields.
const SCHEMA_VERSION: u32 = 1;

/// What was measured, and how.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BitWidthsReport {
    /// File name of the model.
    pub model: String,
    /// Name of the data set.
    pub data: String,
    /// How images became the model's input; null where it takes none.
    pub preprocessing: Option<ModelPreprocessing>,
    /// "per tensor" or "per channel".
    pub weights: String,
    /// "symmetric" or "asymmetric".
    pub activations: String,
    /// "dynamic" or "calibrated".
    pub ranges: String,
    /// Name of the calibration data, where there is any.
    pub calibration: Option<String>,
    /// How many images of it.
    pub calibration_images: Option<usize>,
    /// Whether biases were corrected on them.
    pub bias_correction: bool,
    /// Whether weights of MatMul were rounded.
    pub mat_mul_weights: bool,
    /// The cells that have been measured.
    pub cells: Vec<BitWidthsCellReport>,
}

/// A cell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BitWidthsCellReport {
    /// Bits of weights; null is float.
    pub weight_bits: Option<u8>,
    /// Bits of activations; null is float.
    pub activation_bits: Option<u8>,
    /// Right answers.
    pub correct: usize,
    /// Images.
    pub total: usize,
}

#[derive(Serialize)]
struct Versioned<'a> {
    schema_version: u32,
    #[serde(flatten)]
    report: &'a BitWidthsReport,
}

impl BitWidthsReport {
    /// Indented JSON with a `schema_version`.
    pub fn json(&self) -> String {
        // Plain strings and numbers under text keys: there is nothing that JSON cannot say.
        serde_json::to_string_pretty(&Versioned { schema_version: SCHEMA_VERSION, report: self }).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn float_is_null() {
        let report = BitWidthsReport {
            preprocessing: None,
            model: "m.onnx".into(),
            data: "d".into(),
            weights: "per tensor".into(),
            activations: "symmetric".into(),
            ranges: "dynamic".into(),
            calibration: None,
            calibration_images: None,
            bias_correction: false,
            mat_mul_weights: false,
            cells: vec![BitWidthsCellReport { weight_bits: Some(4), activation_bits: None, correct: 3, total: 5 }],
        };
        let read: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!((&read["schema_version"], &read["cells"][0]["weight_bits"]), (&1.into(), &4.into()));
        assert!(read["cells"][0]["activation_bits"].is_null() && read["calibration"].is_null());
    }
}
