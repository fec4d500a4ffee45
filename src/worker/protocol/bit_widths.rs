//! The bit-width study: right answers for each number of bits of weights and activations.

use super::{ModelId, SourceId};
use crate::import::PreprocessEdits;
use serde::{Deserialize, Serialize};

/// Everything but the numbers of bits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BitWidthsSetting {
    /// The float model.
    pub model: ModelId,
    /// The labelled data set.
    pub source: SourceId,
    /// What is set by hand of how an image becomes a tensor; the rest is as read off the model.
    pub preprocess: Option<PreprocessEdits>,
    /// A scale for each output channel of a weight, instead of one.
    pub per_channel: bool,
    /// Signed activations with zero point 0, instead of unsigned ones with a zero point.
    pub symmetric: bool,
    /// Weights that a `MatMul` reads are rounded too.
    pub mat_mul: bool,
    /// Where the ranges of activations come from.
    pub ranges: ActivationRanges,
    /// Images on which the mean error of each rounded layer's channels is measured and taken off its bias, from the
    /// first layer to the last; `None`: biases stay.
    pub correction: Option<FirstImages>,
}

/// Where the ranges of activations come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActivationRanges {
    /// From the evaluated images themselves: what all of them reach, with everything before rounded already.
    Dynamic,
    /// From these images, run with rounded weights and float activations.
    Calibrated(FirstImages),
}

/// The first images of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstImages {
    /// Which source.
    pub source: SourceId,
    /// How many, at most what is there.
    pub count: usize,
}

/// Some images of one cell of the grid. With dynamic ranges a cell is all its images in one order, since their ranges
/// are taken together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BitWidthsOrder {
    /// The setting.
    pub setting: BitWidthsSetting,
    /// Bits of weights, 2 to 16; `None`: float.
    pub weights: Option<u8>,
    /// Bits of activations, 2 to 16; `None`: float.
    pub activations: Option<u8>,
    /// The first item.
    pub first: usize,
    /// How many items, at most what is there.
    pub count: usize,
}

/// What came of an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BitWidthsCell {
    /// Right answers.
    pub correct: usize,
    /// Images.
    pub total: usize,
    /// Weights that are rounded.
    pub weights: usize,
    /// Activations that are rounded.
    pub activations: usize,
    /// Images whose ranges were taken together; fewer than all of them where memory is short. 0 without dynamic ranges.
    pub together: usize,
    /// Time of the runs on the evaluated images.
    pub run_ms: f64,
}
