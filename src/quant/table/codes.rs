//! A constant's codes and what its readers see.

use super::error::TableError;
use super::grid::Grid;
use super::row::Row;
use crate::quant::lookup_ranges::scale_indices;
use crate::quant::{dequantize, quantize};
use crate::tensor::{DType, Tensor, TensorError};
use bytes::Bytes;

impl Grid {
    /// The codes of real values of this shape: `saturate(round_half_even(x / scale) + zero_point)` into the codes the
    /// grid may use, each element with its own scale; packed in the grid's stored type. The quotient of int32 codes is
    /// taken in f64, as ONNX Runtime's quantizer does it for biases: f32 has no room for them.
    pub fn quantize(&self, values: &[f32], shape: &[usize]) -> Result<Tensor, TensorError> {
        let (low, high) = self.codes();
        let codes: Option<Vec<i64>> = scale_indices(&self.params, shape).and_then(|indices| {
            let code = |(&value, index): (&f32, usize)| {
                let (scale, zero_point) = (*self.params.scale.get(index)?, *self.params.zero_point.get(index)?);
                if self.params.dtype == DType::Int32 {
                    let steps = (f64::from(value) / f64::from(scale)).round_ties_even() + f64::from(zero_point);
                    return Some(steps.clamp(low.into(), high.into()) as i64);
                }
                Some(i64::from(quantize(value, scale, zero_point, low, high)))
            };
            values.iter().zip(indices).map(code).collect()
        });
        let codes =
            codes.ok_or(TensorError::Kind { wanted: "a tensor that fits its scales", found: DType::Float32 })?;
        integers(self.params.dtype, shape, &codes)
    }

    /// The real numbers of codes: `scale x (q - zero_point)`, float32 of the same shape.
    pub fn dequantize(&self, codes: &Tensor) -> Result<Tensor, TensorError> {
        let stored = codes.to_i64()?;
        let indices = scale_indices(&self.params, codes.shape())
            .ok_or(TensorError::Kind { wanted: "a tensor that fits its scales", found: codes.dtype() })?;
        let real = |(q, index): (i64, usize)| {
            let scale = self.params.scale.get(index).copied().unwrap_or(f32::NAN);
            let zero_point = self.params.zero_point.get(index).copied().unwrap_or(0);
            i32::try_from(q).map_or((q - i64::from(zero_point)) as f32 * scale, |q| dequantize(q, scale, zero_point))
        };
        Tensor::from_vec(codes.shape().to_vec(), stored.into_iter().zip(indices).map(real).collect())
    }

    /// Whether every code of the stored type may be used.
    pub fn uses_all_codes(&self) -> bool {
        let (low, high) = self.codes();
        self.params.dtype.int_range() == Some((low.into(), high.into()))
    }

    /// The smallest and the largest real number of each scale's codes.
    pub fn reach(&self) -> Vec<(f32, f32)> {
        let (low, high) = self.codes();
        let pairs = self.params.scale.iter().zip(&self.params.zero_point);
        pairs.map(|(&scale, &zero)| (dequantize(low, scale, zero), dequantize(high, scale, zero))).collect()
    }
}

/// Integers as a tensor of an integer type of up to 32 bits; narrow ones packed, low bits first.
pub(in crate::quant) fn integers(dtype: DType, shape: &[usize], values: &[i64]) -> Result<Tensor, TensorError> {
    let bytes: Vec<u8> = match dtype.bits() {
        Some(bits @ (2 | 4)) => {
            let mask = (1i64 << bits) - 1;
            let packed = |run: &[i64]| {
                run.iter().enumerate().fold(0u8, |byte, (at, value)| byte | ((value & mask) as u8) << (at * bits))
            };
            values.chunks(8 / bits).map(packed).collect()
        }
        Some(bits @ (8 | 16 | 32)) => {
            values.iter().flat_map(|value| value.to_le_bytes().into_iter().take(bits / 8)).collect()
        }
        _ => return Err(TensorError::Kind { wanted: "integers of up to 32 bits", found: dtype }),
    };
    Tensor::new(dtype, shape.to_vec(), Bytes::from(bytes))
}

impl Row {
    /// The integers of a constant: the file's own while the row is not edited, else the float values on the grid.
    /// `None` where the row is no constant.
    pub fn codes_tensor(&self) -> Option<Result<Tensor, TableError>> {
        let constant = self.constant.as_ref()?;
        if let Some(stored) = &constant.stored {
            return Some(Ok(stored.clone()));
        }
        let made = constant.float.to_f32().and_then(|values| self.grid.quantize(&values, constant.float.shape()));
        Some(made.map_err(|error| TableError::tensor(&self.tensor, error)))
    }

    /// What the readers of a constant see, float32: the dequantized codes, or the float values where the row is off.
    pub fn seen_constant(&self) -> Option<Result<Tensor, TableError>> {
        let constant = self.constant.as_ref()?;
        if !self.enabled {
            return Some(Ok(constant.float.clone()));
        }
        let seen = self
            .codes_tensor()?
            .and_then(|codes| self.grid.dequantize(&codes).map_err(|error| TableError::tensor(&self.tensor, error)));
        Some(seen)
    }

    /// Whether the codes end where the absorbed activation function clips, so that `round(clamp(x))` is `round(x)` for
    /// every x; true without one.
    pub fn covers_absorbed(&self) -> bool {
        let Some(clamp) = self.absorbed else { return true };
        let (low, high) = self.grid.codes();
        let params = &self.grid.params;
        params.scale.iter().zip(&params.zero_point).all(|(&scale, &zero)| {
            let at = |bound: f32| quantize(bound, scale, zero, low, high);
            (clamp.low == f32::NEG_INFINITY || at(clamp.low) == low)
                && (clamp.high == f32::INFINITY || at(clamp.high) == high)
        })
    }
}
