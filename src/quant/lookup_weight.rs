//! A constant of the network as stored integers and as real numbers.

use super::lookup::{QuantizedTensor, quantized_tensors};
use super::lookup_ranges::scale_indices;
use super::params::QuantParams;
use super::{dequantize, quantize};
use crate::onnx::{Document, OnnxError};
use crate::tensor::{DType, Tensor};

/// A weight, a bias or another constant.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightView {
    /// The integers, where it is quantized to an integer type: as the file has them, or what a `QuantizeLinear` makes
    /// of the floats in the file.
    pub stored: Option<Vec<i32>>,
    /// The real numbers: the floats of the file, or `scale x (q - zero_point)`.
    pub real: Vec<f32>,
    /// Dims.
    pub shape: Vec<usize>,
    /// Type of the elements in the file.
    pub dtype: DType,
    /// Scale and zero point, where it is quantized.
    pub params: Option<QuantParams>,
}

/// The view of the constant that `value` is or comes from (`DequantizeLinear` of it, a reshape of it). `None` where the
/// value is not constant; an error where its data cannot be read.
pub fn weight_view(document: &Document, value: &str) -> Option<Result<WeightView, OnnxError>> {
    weight_view_with(document, value, &quantized_tensors(document))
}

/// The same with the lookup at hand: for many weights of one document.
pub fn weight_view_with(
    document: &Document,
    value: &str,
    quantized: &[QuantizedTensor],
) -> Option<Result<WeightView, OnnxError>> {
    let origin = document.origin(value);
    let tensor = match document.constant(&origin)? {
        Ok(tensor) => tensor,
        Err(error) => return Some(Err(error)),
    };
    let entry = quantized.iter().find(|entry| entry.value == origin || document.origin(&entry.stored) == origin);
    let params = entry.and_then(QuantizedTensor::fixed);
    Some(view(&tensor, params).map_err(|source| OnnxError::Tensor { tensor: origin.clone(), source }))
}

fn view(tensor: &Tensor, params: Option<&QuantParams>) -> Result<WeightView, crate::tensor::TensorError> {
    let made = |stored, real, params| WeightView {
        stored,
        real,
        shape: tensor.shape().to_vec(),
        dtype: tensor.dtype(),
        params,
    };
    let indexed = params.and_then(|params| Some((params, scale_indices(params, tensor.shape())?)));
    let Some((params, indices)) = indexed else {
        let stored = tensor.to_i64().ok().map(|values| values.into_iter().map(|value| value as i32).collect());
        return Ok(made(stored, tensor.to_f32()?, None));
    };
    let scale_of = |index: &usize| {
        let scale = params.scale.get(*index).copied().unwrap_or(f32::NAN);
        (scale, params.zero_point.get(*index).copied().unwrap_or(0))
    };
    let range =
        params.dtype.int_range().and_then(|(low, high)| Some((i32::try_from(low).ok()?, i32::try_from(high).ok()?)));
    let stored: Vec<i32> = match (tensor.dtype().is_float(), range) {
        (false, _) => tensor.to_i64()?.into_iter().map(|value| value as i32).collect(),
        // Floats behind which a QuantizeLinear stands.
        (true, Some((low, high))) if !params.dtype.is_float() => {
            let values = tensor.to_f32()?;
            let quantized = values.iter().zip(&indices).map(|(&value, index)| {
                let (scale, zero_point) = scale_of(index);
                quantize(value, scale, zero_point, low, high)
            });
            quantized.collect()
        }
        // 8 and 4 bit floats: the code's own value times the scale.
        (true, _) => {
            let values = tensor.to_f32()?.into_iter().zip(&indices);
            let real = values.map(|(value, index)| value * scale_of(index).0).collect();
            return Ok(made(None, real, Some(params.clone())));
        }
    };
    let real = stored.iter().zip(&indices).map(|(&q, index)| {
        let (scale, zero_point) = scale_of(index);
        dequantize(q, scale, zero_point)
    });
    let real = real.collect();
    Ok(made(Some(stored), real, Some(params.clone())))
}
