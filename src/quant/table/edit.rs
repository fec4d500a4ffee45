//! What a user can change in the table.

use super::grid::Grid;
use crate::tensor::DType;
use serde::{Deserialize, Serialize};

/// A change of one row. Weights are requantized from their float values, and biases follow the scales they are made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edit {
    /// [`super::Row::tensor`].
    pub tensor: String,
    /// What changes.
    pub change: Change,
}

/// The part of a row that an [`Edit`] changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The scale of a channel, or of all.
    Scale {
        /// Which channel; `None`: every one.
        channel: Option<usize>,
        /// The scale.
        scale: f32,
    },
    /// The zero point of a channel, or of all.
    ZeroPoint {
        /// Which channel; `None`: every one.
        channel: Option<usize>,
        /// The zero point.
        zero_point: i32,
    },
    /// The real range that the codes reach: scale and zero point follow by the quantizer's own rule (a symmetric row
    /// keeps its zero point and takes the larger side).
    Range {
        /// Which channel; `None`: every one. Of several channels each keeps its own range as far as it lies in this
        /// one; those that reach furthest follow a bound outwards.
        channel: Option<usize>,
        /// Lower bound.
        low: f32,
        /// Upper bound.
        high: f32,
    },
    /// Bits, sign and narrow range; the real range stays as near as the new codes allow.
    Codes {
        /// 2 to 16.
        bits: u8,
        /// Whether codes may be negative.
        signed: bool,
        /// Whether the lowest code is left out.
        narrow_range: bool,
    },
    /// The type that codes are stored in (4, 8 or 16 bits): all its codes, or as many bits as now where it is as wide;
    /// the real range stays as near as the new codes allow.
    Type(DType),
    /// Symmetric (the zero point is 0, or the middle of an unsigned type) or asymmetric (it is not, even where the range
    /// is the same on both sides); the range is that of the values where they are known, else the present one.
    Symmetric(bool),
    /// A scale for each index of the row's channel axis, or one for all; ranges are those of the values.
    PerChannel(bool),
    /// Quantized or not.
    Enabled(bool),
    /// Everything at once: what a finding's fix and a shared edit list write.
    Grid(Grid),
    /// Back to what the file says.
    Reset,
}
