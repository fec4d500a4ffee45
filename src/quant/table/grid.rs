//! The grid of codes that a tensor is rounded to.

use crate::quant::{Granularity, QuantParams};
use crate::tensor::DType;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Scales, zero points and the codes that may be used: `bits` may be fewer than the stored type has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grid {
    /// Scales and zero points; their dtype is the type that the codes are stored in.
    pub params: QuantParams,
    /// Bits of a code, 2 to 16 (32 for a bias).
    pub bits: u8,
    /// Whether the lowest code is left out, as TensorFlow's `narrow_range` does: -127..=127, or 1..=255.
    pub narrow_range: bool,
}

/// What is wrong with a grid; shown at the field that was edited.
#[derive(Clone, Debug, PartialEq, Error, Serialize, Deserialize)]
pub enum GridError {
    /// A scale that nothing can be divided by.
    #[error("a scale must be a finite number greater than 0, not {found}")]
    Scale {
        /// The scale.
        found: f32,
    },
    /// A zero point that is no code.
    #[error("the zero point {found} is outside of the codes {low} to {high}")]
    ZeroPoint {
        /// The zero point.
        found: i64,
        /// Lowest code.
        low: i32,
        /// Highest code.
        high: i32,
    },
    /// Numbers of scales and zero points differ or do not fit the tensor.
    #[error("{scales} scales and {zero_points} zero points where the tensor needs {needed}")]
    Count {
        /// Scales found.
        scales: usize,
        /// Zero points found.
        zero_points: usize,
        /// How many of each are needed.
        needed: usize,
    },
    /// Codes that do not fit the stored type.
    #[error("{bits} bits do not fit {dtype}")]
    Bits {
        /// Bits asked for.
        bits: u8,
        /// The stored type.
        dtype: DType,
    },
    /// An axis the tensor does not have.
    #[error("the tensor has no axis {axis}")]
    Axis {
        /// The axis.
        axis: usize,
    },
    /// Bounds of a range that are not in order or not finite.
    #[error("a range needs finite bounds, low below high and 0 inside, not {low} to {high}")]
    Range {
        /// Lower bound.
        low: f32,
        /// Upper bound.
        high: f32,
    },
    /// The tensor has no row, or a row that cannot be edited so.
    #[error("{0}")]
    Row(String),
}

impl Grid {
    /// The grid that a file's parameters say: all codes of their type. `None` for types that are no integers.
    pub fn of(params: QuantParams) -> Option<Grid> {
        params.dtype.int_range()?;
        let bits = u8::try_from(params.dtype.bits()?).ok()?;
        Some(Grid { params, bits, narrow_range: false })
    }

    /// Whether codes may be negative.
    pub fn signed(&self) -> bool {
        self.params.dtype.int_range().is_none_or(|(low, _)| low < 0)
    }

    /// Lowest and highest code.
    pub fn codes(&self) -> (i32, i32) {
        let span = 1i64 << u32::from(self.bits.clamp(1, 32));
        let (low, high) = if self.signed() { (-span / 2, span / 2 - 1) } else { (0, span - 1) };
        let low = low + i64::from(self.narrow_range);
        // A uint32 has no place in i32: no row holds one.
        (i32::try_from(low).unwrap_or(i32::MIN), i32::try_from(high).unwrap_or(i32::MAX))
    }

    /// Checks scales, zero points, bits and their number against a tensor's dims.
    pub fn check(&self, shape: Option<&[usize]>) -> Result<(), GridError> {
        let QuantParams { scale, zero_point, dtype, granularity } = &self.params;
        if dtype.int_range().is_none()
            || dtype.bits().is_none_or(|bits| u32::from(self.bits) > bits as u32)
            || self.bits < 2
        {
            return Err(GridError::Bits { bits: self.bits, dtype: *dtype });
        }
        if let Some(&found) = scale.iter().find(|scale| !(scale.is_finite() && **scale > 0.0)) {
            return Err(GridError::Scale { found });
        }
        let (low, high) = self.codes();
        if let Some(&found) = zero_point.iter().find(|zero_point| **zero_point < low || **zero_point > high) {
            return Err(GridError::ZeroPoint { found: found.into(), low, high });
        }
        let needed = match (*granularity, shape) {
            (Granularity::PerTensor, _) => 1,
            (_, None) => scale.len(),
            (Granularity::PerChannel { axis }, Some(shape)) => *shape.get(axis).ok_or(GridError::Axis { axis })?,
            (Granularity::Blocked { axis, block_size }, Some(shape)) => {
                let dim = *shape.get(axis).ok_or(GridError::Axis { axis })?;
                let others: usize =
                    shape.iter().enumerate().filter(|(at, _)| *at != axis).map(|(_, dim)| dim).product();
                dim.div_ceil(block_size.max(1)) * others
            }
        };
        if scale.len() != needed || zero_point.len() != needed {
            return Err(GridError::Count { scales: scale.len(), zero_points: zero_point.len(), needed });
        }
        Ok(())
    }
}
