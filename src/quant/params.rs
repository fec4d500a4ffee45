//! The quantization parameters of one tensor.

use crate::tensor::DType;
use serde::{Deserialize, Serialize};

/// How many scales a tensor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Granularity {
    /// One scale for the whole tensor.
    PerTensor,
    /// One scale for each index along an axis.
    PerChannel {
        /// The axis, counted from the front.
        axis: usize,
    },
    /// One scale for each run of `block_size` elements along an axis.
    Blocked {
        /// The axis, counted from the front.
        axis: usize,
        /// Elements that share a scale.
        block_size: usize,
    },
}

/// Scales and zero points of one tensor, as many of each as the granularity asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantParams {
    /// Scales, greater than 0. For blocked parameters in the row-major order of the scale tensor.
    pub scale: Vec<f32>,
    /// Zero points, as many as scales.
    pub zero_point: Vec<i32>,
    /// Type of the stored values.
    pub dtype: DType,
    /// How the scales spread over the tensor.
    pub granularity: Granularity,
}
