//! Activation functions that have no node, because the quantizer behind them saturates where they clip.

use super::row::{Clamp, Row};
use crate::quant::quantize;

/// Operators whose results can be negative, whatever goes in.
const SIGNED: [&str; 9] =
    ["Conv", "ConvTranspose", "Add", "Sub", "Mul", "Gemm", "MatMul", "BatchNormalization", "InstanceNormalization"];

/// The upper bound of Relu6, the one that networks clip at.
const SIX: f32 = 6.0;

/// What a row's saturation stands for, by its codes alone: a quantizer whose lowest code is 0 behind an operator that
/// gives negative numbers too has taken a Relu's place. One whose codes end within a step of 6 has taken a Relu6's: a
/// Clip that is reached gives its bound to calibration. Other bounds cannot be told from the reach of calibrated codes.
pub(super) fn guess(op: &str, row: &Row) -> Option<Clamp> {
    let (low, _) = row.grid.codes();
    let params = &row.grid.params;
    let one_sided = params.zero_point.iter().all(|&zero_point| zero_point == low);
    let at_six = params.scale.iter().zip(row.grid.reach()).all(|(&scale, (_, top))| (top - SIX).abs() <= scale);
    let relu = Clamp { low: 0.0, high: f32::INFINITY };
    let six = Clamp { high: SIX, ..relu };
    let found = if at_six { confirmed(six, row) } else { Some(relu) };
    found.filter(|_| one_sided && SIGNED.contains(&op))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::table::Grid;
    use crate::quant::{Granularity, QuantParams, TensorKind};
    use crate::tensor::DType;

    fn row(scale: f32, zero_point: i32, dtype: DType) -> Row {
        let granularity = Granularity::PerTensor;
        let params = QuantParams { scale: vec![scale], zero_point: vec![zero_point], dtype, granularity };
        Row::new("t", TensorKind::Activation, Grid::of(params).unwrap())
    }

    #[test]
    fn codes_that_end_at_six_stand_for_relu6() {
        let high = |scale, zero_point, dtype| guess("Conv", &row(scale, zero_point, dtype)).map(|clamp| clamp.high);
        assert_eq!(high(6.0 / 255.0, 0, DType::Uint8), Some(6.0));
        assert_eq!(high(6.0 / 255.0, -128, DType::Int8), Some(6.0));
        // The largest value that calibration saw lay a little below.
        assert_eq!(high(5.99 / 255.0, 0, DType::Uint8), Some(6.0));
        assert_eq!(high(5.5 / 255.0, 0, DType::Uint8), Some(f32::INFINITY));
        // Codes that reach past 6 by more than half a step do not clip there.
        assert_eq!(high(6.018 / 255.0, 0, DType::Uint8), Some(f32::INFINITY));
        assert_eq!(high(6.0 / 255.0, 3, DType::Uint8), None);
        assert_eq!(guess("Relu", &row(6.0 / 255.0, 0, DType::Uint8)), None);
    }
}
