//! What may be done beside rounding to nearest.

use serde::{Deserialize, Serialize};

/// What is done before and after scales are chosen. Nothing by default, as in ONNX Runtime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Corrections {
    /// Factors are moved between layers ([`super::equalize`]), before calibration.
    pub equalize: bool,
    /// Weights are rounded so that each layer's output is nearest ([`super::RoundingSite`]).
    pub adaptive_rounding: bool,
    /// What rounding does to the mean of each channel is taken off the biases, last.
    pub bias: BiasCorrection,
}

impl Corrections {
    /// Whether anything is done.
    pub fn any(&self) -> bool {
        *self != Corrections::default()
    }
}

/// Where the means of the channels come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum BiasCorrection {
    /// Biases stay.
    #[default]
    None,
    /// From runs of the float and of the quantized model on calibration images, layer after layer.
    Empirical,
    /// From batch normalization as the file has it, without data. Layers behind anything else stay.
    Analytic,
}

/// One of the steps of [`Corrections`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CorrectionStep {
    /// Cross-layer equalization.
    Equalization,
    /// Adaptive rounding.
    AdaptiveRounding,
    /// Bias correction.
    BiasCorrection,
}

impl CorrectionStep {
    /// The step in words.
    pub fn name(self) -> &'static str {
        match self {
            CorrectionStep::Equalization => "cross-layer equalization",
            CorrectionStep::AdaptiveRounding => "adaptive rounding",
            CorrectionStep::BiasCorrection => "bias correction",
        }
    }
}
