//! Activation functions that have no node, because the quantizer behind them saturates where they clip.

use super::row::{Clamp, Row};
use crate::quant::quantize;

/// Operators whose results can be negative, whatever goes in.
const SIGNED: [&str; 9] =
    ["Conv", "ConvTranspose", "Add", "Sub", "Mul", "Gemm", "MatMul", "BatchNormalization", "InstanceNormalization"];

/// What a row's saturation stands for, by its codes alone: a quantizer whose lowest code is 0 behind an operator that
/// gives negative numbers too has taken a Relu's place. What it clips above cannot be told from calibration.
pub(super) fn guess(op: &str, row: &Row) -> Option<Clamp> {
    let (low, _) = row.grid.codes();
    let one_sided = row.grid.params.zero_point.iter().all(|&zero_point| zero_point == low);
    (one_sided && SIGNED.contains(&op)).then_some(Clamp { low: 0.0, high: f32::INFINITY })
}

/// The float variant's word on it, as far as the row's codes end there too: an activation function whose bounds the
/// quantizer does not reach was not absorbed, or the result would differ.
pub(super) fn confirmed(clamp: Clamp, row: &Row) -> Option<Clamp> {
    let (low, high) = row.grid.codes();
    let params = &row.grid.params;
    let ends = |bound: f32, code: i32| {
        params
            .scale
            .iter()
            .zip(&params.zero_point)
            .all(|(&scale, &zero)| quantize(bound, scale, zero, low, high) == code)
    };
    let absorbed = Clamp {
        low: if ends(clamp.low, low) { clamp.low } else { f32::NEG_INFINITY },
        high: if ends(clamp.high, high) { clamp.high } else { f32::INFINITY },
    };
    (absorbed.low > f32::NEG_INFINITY || absorbed.high < f32::INFINITY).then_some(absorbed)
}
