//! Biases whose scale is made of the scales of an input and a weight.

use super::grid::Grid;
use super::row::Row;
use crate::tensor::DType;

/// A file's product of the two scales may be rounded differently in its last bits.
const SCALE_TOLERANCE: f32 = 1e-6;

/// Whether a row is an int32 constant with scale = input scale x weight scale and zero point 0.
pub(super) fn follows(bias: &Row, input: &Grid, weight: &Grid) -> bool {
    let (params, weights) = (&bias.grid.params, &weight.params.scale);
    let [input_scale] = input.params.scale.as_slice() else { return false };
    let near = |(found, weight): (&f32, &f32)| (found - input_scale * weight).abs() <= found.abs() * SCALE_TOLERANCE;
    params.dtype == DType::Int32
        && bias.constant.is_some()
        && params.zero_point.iter().all(|&zero_point| zero_point == 0)
        && (params.scale.len() == weights.len() || weights.len() == 1)
        && params.scale.iter().zip(weights.iter().cycle()).all(near)
}
