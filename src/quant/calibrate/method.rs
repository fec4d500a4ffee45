//! The methods by name, with their settings.

use super::error::CalibrationError;
use super::histogram::HistogramSide;
use crate::tensor::DType;
use serde::{Deserialize, Serialize};

/// The range of real numbers that a tensor's integers shall represent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValueRange {
    /// Lower bound.
    pub low: f32,
    /// Upper bound.
    pub high: f32,
}

impl ValueRange {
    /// The smallest range that holds both.
    pub fn union(self, other: ValueRange) -> ValueRange {
        ValueRange { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    /// The range that reaches as far on either side of 0 as this one does on its longer side.
    pub fn symmetric(self) -> ValueRange {
        let reach = self.low.abs().max(self.high.abs());
        ValueRange { low: -reach, high: reach }
    }

    /// What both hold; bounds of `self` that lie outside `limit` are moved to it.
    pub(super) fn limited_to(self, limit: ValueRange) -> ValueRange {
        let low = if self.low < limit.low { limit.low } else { self.low };
        let high = if self.high > limit.high { limit.high } else { self.high };
        ValueRange { low, high }
    }
}

/// Which histogram of a tensor a method reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HistogramKind {
    /// Bins it starts with.
    pub bins: usize,
    /// What is binned.
    pub side: HistogramSide,
}

/// How the range of a tensor is found from its values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum CalibrationMethod {
    /// The smallest and the largest value ever seen.
    MinMax,
    /// The mean of the extremes of single runs; in chunks of `every` runs, each chunk moves the average by `constant`
    /// of the difference (`CalibMovingAverage`, `CalibMovingAverageConstant`, `CalibStridedMinMax`).
    MovingAverage {
        /// How far a chunk moves the average, 0 to 1. ONNX Runtime's default is 0.01.
        constant: f32,
        /// Runs in a chunk; `None` for one chunk, which is their plain mean.
        every: Option<u64>,
    },
    /// The clipping at which the distribution, merged into `quantized_bins`, is nearest to the whole one in
    /// Kullback-Leibler divergence. With equal numbers of bins there is one candidate, the full range.
    Entropy {
        /// Bins of the histogram; ONNX Runtime's default is 128.
        bins: usize,
        /// Bins that the clipped part is merged into; ONNX Runtime's default is 128.
        quantized_bins: usize,
    },
    /// The range that holds this share of all values.
    Percentile {
        /// Bins of the histogram; ONNX Runtime's default is 2048.
        bins: usize,
        /// Per cent, 0 to 100; ONNX Runtime's default is 99.999.
        percentile: f64,
        /// Whether one bound is found for the absolute values (ONNX Runtime's default) instead of one for each side.
        symmetric: bool,
    },
    /// The full symmetric range of the histogram; mean and standard deviation are there too, for float 8 types.
    Distribution {
        /// Bins of the histogram, 512 or more; ONNX Runtime's default is 2048.
        bins: usize,
    },
    /// The clipping with the least squared error after quantization. Not a method of ONNX Runtime.
    SquaredError {
        /// Bins of the histogram.
        bins: usize,
        /// Steps between the lowest and the highest stored integer: 255 for 8 bits.
        steps: u32,
        /// Whether the range is symmetric about 0.
        symmetric: bool,
    },
}

impl CalibrationMethod {
    /// ONNX Runtime's Entropy with its default settings.
    pub const ENTROPY: Self = CalibrationMethod::Entropy { bins: 128, quantized_bins: 128 };
    /// ONNX Runtime's Percentile with its default settings.
    pub const PERCENTILE: Self = CalibrationMethod::Percentile { bins: 2048, percentile: 99.999, symmetric: true };
    /// ONNX Runtime's Distribution with its default settings.
    pub const DISTRIBUTION: Self = CalibrationMethod::Distribution { bins: 2048 };
    /// ONNX Runtime's moving average with its default settings.
    pub const MOVING_AVERAGE: Self = CalibrationMethod::MovingAverage { constant: 0.01, every: None };
    /// Least squared error for 8 bits.
    pub const SQUARED_ERROR: Self = CalibrationMethod::SquaredError { bins: 2048, steps: 255, symmetric: false };

    /// All methods with their usual settings, for values of this stored type.
    pub fn usual(dtype: DType, symmetric: bool) -> [Self; 6] {
        let steps = dtype.bits().filter(|bits| *bits <= 16).map_or(255, |bits| (1u32 << bits) - 1);
        [
            Self::MinMax,
            Self::MOVING_AVERAGE,
            Self::ENTROPY,
            Self::PERCENTILE,
            Self::DISTRIBUTION,
            CalibrationMethod::SquaredError { bins: 2048, steps, symmetric },
        ]
    }

    /// The method's name, for messages.
    pub fn name(&self) -> &'static str {
        match self {
            CalibrationMethod::MinMax => "MinMax",
            CalibrationMethod::MovingAverage { .. } => "moving average",
            CalibrationMethod::Entropy { .. } => "Entropy",
            CalibrationMethod::Percentile { .. } => "Percentile",
            CalibrationMethod::Distribution { .. } => "Distribution",
            CalibrationMethod::SquaredError { .. } => "MSE",
        }
    }

    /// The histogram it reads; `None` for the methods that need extremes only, and one pass.
    pub fn histogram(&self) -> Option<HistogramKind> {
        match *self {
            CalibrationMethod::MinMax | CalibrationMethod::MovingAverage { .. } => None,
            CalibrationMethod::Percentile { bins, symmetric: true, .. } => {
                Some(HistogramKind { bins, side: HistogramSide::Absolute })
            }
            CalibrationMethod::Entropy { bins, .. }
            | CalibrationMethod::Percentile { bins, .. }
            | CalibrationMethod::Distribution { bins }
            | CalibrationMethod::SquaredError { bins, .. } => Some(HistogramKind { bins, side: HistogramSide::Signed }),
        }
    }

    /// Fails where a setting is out of the method's bounds.
    pub fn check(&self) -> Result<(), CalibrationError> {
        let refuse = |found: String, expected: &str| {
            Err(CalibrationError::Setting { method: self.name(), found, expected: expected.to_owned() })
        };
        if let Some(HistogramKind { bins, .. }) = self.histogram()
            && !(1..=super::histogram::MOST_BINS).contains(&bins)
        {
            return refuse(format!("{bins} bins"), "a number from 1 to 1048576");
        }
        match *self {
            CalibrationMethod::MovingAverage { constant, .. } if !(0.0..=1.0).contains(&constant) => {
                refuse(format!("the constant {constant}"), "a number from 0 to 1")
            }
            CalibrationMethod::MovingAverage { every: Some(0), .. } => {
                refuse("chunks of 0 runs".to_owned(), "a number of 1 or more")
            }
            CalibrationMethod::Entropy { bins, quantized_bins } if quantized_bins < 2 || quantized_bins > bins => {
                refuse(format!("{quantized_bins} quantized bins of {bins}"), "a number from 2 to the number of bins")
            }
            CalibrationMethod::Percentile { percentile, .. } if !(0.0..=100.0).contains(&percentile) => {
                refuse(format!("the percentile {percentile}"), "a number from 0 to 100")
            }
            CalibrationMethod::Distribution { bins } if bins < 512 => {
                refuse(format!("{bins} bins"), "a number of 512 or more")
            }
            CalibrationMethod::SquaredError { steps: 0, .. } => refuse("0 steps".to_owned(), "a number of 1 or more"),
            _ => Ok(()),
        }
    }
}
