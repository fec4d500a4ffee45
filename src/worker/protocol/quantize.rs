//! Static quantization: calibrate on images, choose scales, write a model.

use super::{ModelId, SourceId};
use crate::import::Preprocess;
use crate::quant::calibrate::CalibrationMethod;
use crate::quant::quantizer::QuantizeOptions;
use serde::{Deserialize, Serialize};

/// Quantizes a float model as `onnxruntime.quantization.quantize_static` does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantizeOrder {
    /// The float model.
    pub model: ModelId,
    /// The calibration images.
    pub source: SourceId,
    /// Which of them.
    pub images: CalibrationImages,
    /// How an image becomes a tensor; `None`: as read off the model.
    pub preprocess: Option<Preprocess>,
    /// How ranges are found from the values.
    pub calibration: CalibrationMethod,
    /// Everything else.
    pub options: QuantizeOptions,
    /// Fold constants and batch norm first.
    pub fold: bool,
}

/// Which images calibrate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CalibrationImages {
    /// The first ones, in order.
    First(usize),
    /// As many of each class, chosen at random; without labels, as many in all.
    PerClass {
        /// How many of each.
        count: usize,
        /// Of the choice.
        seed: u64,
    },
}

/// A quantized model; its file is in the blob.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantizedFile {
    /// The name to save it under.
    pub name: String,
    /// Images that were used.
    pub images: usize,
    /// What was folded, and what a reader of the result should know.
    pub notes: Vec<String>,
}
