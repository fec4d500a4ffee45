//! Static quantization: calibrate on images, choose scales, write a model.

use super::{ModelId, SourceId};
use crate::analysis::Quality;
use crate::import::PreprocessEdits;
use crate::quant::calibrate::CalibrationMethod;
use crate::quant::quantizer::{CorrectionStep, Corrections, QuantizeOptions};
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
    /// What is set by hand of how an image becomes a tensor; the rest is as read off the model.
    pub preprocess: Option<PreprocessEdits>,
    /// How ranges are found from the values.
    pub calibration: CalibrationMethod,
    /// Everything else.
    pub options: QuantizeOptions,
    /// The [`crate::quant::quantizer::Preset`] whose target completes the options for the model, by its id.
    pub preset: Option<String>,
    /// Fold constants and batch norm first.
    pub fold: bool,
    /// What is done beside rounding to nearest; each step is measured.
    pub corrections: Corrections,
    /// Find the ranges of all methods from the same pass, to compare them.
    pub compare: bool,
}

/// Which images calibrate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// These, by position from 0; positions that the data set does not have are left out.
    Listed(Vec<usize>),
}

impl CalibrationImages {
    /// Reads a list of positions: "0-99, 120, 130-139". `None` where it is no such list.
    pub fn listed(text: &str) -> Option<Self> {
        let mut all = Vec::new();
        for part in text.split([',', ' ', '\n']).map(str::trim).filter(|part| !part.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            if last < first || last - first >= MOST_LISTED.saturating_sub(all.len()) {
                return None;
            }
            all.extend(first..=last);
        }
        (!all.is_empty()).then_some(CalibrationImages::Listed(all))
    }
}

/// Longest list of images.
const MOST_LISTED: usize = 1_000_000;

/// A quantized model; its file is in the blob.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantizedFile {
    /// The name to save it under.
    pub name: String,
    /// Images that were used.
    pub images: usize,
    /// What was folded, and what a reader of the result should know.
    pub notes: Vec<String>,
    /// The calibration methods of `ranges`, the chosen one first.
    pub methods: Vec<String>,
    /// What each method makes of each tensor.
    pub ranges: Vec<CalibratedTensor>,
    /// What each correction has brought, in the order in which they were made.
    pub effects: Vec<StepEffect>,
    /// The images that the effects were measured on; empty where nothing was measured.
    pub measured_on: String,
}

/// What a correction has brought, measured on the same images: without it are the steps before it only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepEffect {
    /// Which step.
    pub step: CorrectionStep,
    /// How many layers (pairs of layers for equalization) it changed; 0 where it does not apply.
    pub layers: usize,
    /// Before the step.
    pub without: Quality,
    /// With the step.
    pub with: Quality,
}

/// The ranges of a tensor by several methods.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibratedTensor {
    /// The tensor.
    pub tensor: String,
    /// (low, high) by method; `None` where a method finds none.
    pub ranges: Vec<Option<(f32, f32)>>,
}

#[cfg(test)]
mod tests {
    use super::CalibrationImages;

    #[test]
    fn a_list_of_images_is_read() {
        let listed = |text: &str| CalibrationImages::listed(text);
        assert_eq!(listed("3, 5-7 9"), Some(CalibrationImages::Listed(vec![3, 5, 6, 7, 9])));
        for bad in ["", "a", "7-5", "1-", "0-99999999999", "-3"] {
            assert_eq!(listed(bad), None, "{bad}");
        }
    }
}
