//! `DynamicQuantizeLinear`.

use super::{Inputs, Layout, quantize_value, required};
use crate::engine::value::{KernelError, Value};
use crate::tensor::DType;

/// Scale and zero point of a uint8 tensor that holds `values`, the range widened to include 0.
///
/// `scale = (max - min) / 255`, 1 where all values are 0; `zero_point = round_half_even(saturate(-min / scale))`.
/// An empty tensor counts as all 0.
///
/// Source: ONNX operator `DynamicQuantizeLinear`; ORT `GetQuantizationParameter` for the scale of an empty range.
pub(crate) fn dynamic_params(values: &[f32]) -> (f32, u8) {
    let (low, high) = values.iter().fold((0f32, 0f32), |(low, high), &v| (low.min(v), high.max(v)));
    let scale = if low == high { 1.0 } else { (high - low) / 255.0 };
    let zero_point = (0.0 - low / scale).clamp(0.0, 255.0).round_ties_even();
    (scale, zero_point as u8)
}

pub(super) fn dynamic_quantize_linear(inputs: Inputs<'_>) -> Result<Vec<Value>, KernelError> {
    let x = required(inputs, 0)?;
    let numbers = x.f32s()?;
    let (scale, zero_point) = dynamic_params(numbers);
    Ok(vec![
        quantize_value(numbers, x.shape(), &[scale], &[i32::from(zero_point)], Layout::Whole, DType::Uint8)?,
        Value::from_vec(DType::Float32, &[], vec![scale])?,
        Value::from_vec(DType::Uint8, &[], vec![zero_point])?,
    ])
}
