//! From a range of real numbers to a scale and a zero point, and from float constants to stored integers.
//!
//! The rules are those of `onnxruntime.quantization.quant_utils` (1.23), reimplemented: which steps are taken in the
//! tensor's own float type and which in f64 decides the last bit of a scale and the zero point at a tie.

use super::{Granularity, QuantParams};
use crate::tensor::{Channels, DType, Tensor, TensorError};
use half::f16;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Smallest normal float16.
const TINY_F16: f64 = 6.103515625e-5;
/// What a bias scale is kept above the smallest that int32 can hold, so that rounding cannot push it below.
const BIAS_MARGIN: f64 = 1.0001;

/// How integers shall represent a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScaleRule {
    /// Type of the stored values.
    pub dtype: DType,
    /// Whether the range is made symmetric about 0, with one zero point for all ranges.
    pub symmetric: bool,
    /// Whether about half of the type's numbers are used only, for kernels that saturate at 16 bits.
    pub reduce_range: bool,
    /// Whether a symmetric range is spread over all numbers of the type all the same, as PyTorch's observers do: int8
    /// has 127.5 steps to either side, and what would be 128 is 127.
    pub all_numbers: bool,
    /// A width below which the range is widened upward, as QNN needs it.
    pub min_real_range: Option<f32>,
}

/// Why there is no scale.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ScaleError {
    /// Quantizing to this type is not defined.
    #[error("{0} is not a type to quantize to")]
    Type(DType),
    /// The values or the range hold NaN or infinity.
    #[error("the range {low}..{high} is not finite")]
    Range {
        /// Lower bound.
        low: f32,
        /// Upper bound.
        high: f32,
    },
    /// The axis is none of the tensor's.
    #[error("axis {axis} of a tensor of rank {rank}")]
    Axis {
        /// The axis asked for.
        axis: usize,
        /// Rank of the tensor.
        rank: usize,
    },
    /// As many scales as channels, or one, are needed.
    #[error("{found} scales where {expected} are needed")]
    Scales {
        /// Scales at hand.
        found: usize,
        /// Scales there should be.
        expected: usize,
    },
    /// The tensor cannot be read as real numbers.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

impl ScaleRule {
    /// The asymmetric rule of a type over its full range.
    pub fn of(dtype: DType) -> Self {
        ScaleRule { dtype, symmetric: false, reduce_range: false, all_numbers: false, min_real_range: None }
    }

    /// Lowest and highest integer that the range is spread over; stored values may still reach the type's own bounds.
    ///
    /// A reduced range goes before a symmetric one: int8 -64..64, uint8 0..127. A symmetric one leaves out a number at
    /// one end: int8 -127..127, uint8 0..254; 4-bit types keep all.
    pub fn limits(&self) -> Result<(i32, i32), ScaleError> {
        let limits = |full, symmetric, reduced| match (self.reduce_range, self.symmetric && !self.all_numbers) {
            (true, _) => reduced,
            (false, true) => symmetric,
            (false, false) => full,
        };
        Ok(match self.dtype {
            DType::Uint8 => limits((0, 255), (0, 254), (0, 127)),
            DType::Int8 => limits((-128, 127), (-127, 127), (-64, 64)),
            DType::Uint16 => limits((0, 65535), (0, 65534), (0, 32767)),
            DType::Int16 => limits((-32768, 32767), (-32767, 32767), (-16384, 16384)),
            DType::Uint4 => limits((0, 15), (0, 15), (0, 7)),
            DType::Int4 => limits((-8, 7), (-8, 7), (-4, 3)),
            other => return Err(ScaleError::Type(other)),
        })
    }

    /// Scale and zero point for the real numbers `low..high`, which are of the type `real` (float32 or float16; others
    /// count as float32).
    ///
    /// 0 is always in the range. `scale = (high - low) / (highest - lowest integer)`, the difference in `real`, the
    /// quotient in f64; `zero point = round half even(lowest integer - low / scale)`, or the middle of the integers
    /// where symmetric. A range too narrow for the type gives scale 1 and zero point 0.
    pub fn scale(&self, low: f32, high: f32, real: DType) -> Result<(f32, i32), ScaleError> {
        let (lowest, highest) = self.limits()?;
        if !(low.is_finite() && high.is_finite()) {
            return Err(ScaleError::Range { low, high });
        }
        let (mut low, mut high) = (low.min(0.0), high.max(0.0));
        if let Some(width) = self.min_real_range {
            high = high.max(round_to(real, f64::from(low) + f64::from(round_to(real, width.into()))));
        }
        if self.symmetric {
            let reach = low.abs().max(high.abs());
            (low, high) = (-reach, reach);
        }
        let width = round_to(real, f64::from(high) - f64::from(low));
        let (scale, zero_point) = spread(low.into(), width.into(), lowest, highest);
        let tiny = if real == DType::Float16 { TINY_F16 } else { f64::from(f32::MIN_POSITIVE) };
        if !scale.is_finite() {
            return Err(ScaleError::Range { low, high });
        }
        if scale < tiny {
            return Ok((1.0, 0));
        }
        let zero_point = match self.symmetric {
            true => (f64::from(lowest + highest) / 2.0).round_ties_even(),
            false => zero_point,
        };
        Ok((round_to(real, scale), zero_point as i32))
    }

    /// Scale and zero point of constant values: those of their extremes. No values give scale 1 and zero point 0.
    pub fn scale_of(&self, values: &[f32], real: DType) -> Result<(f32, i32), ScaleError> {
        if values.is_empty() {
            return self.limits().map(|_| (1.0, 0));
        }
        if let Some(&value) = values.iter().find(|value| !value.is_finite()) {
            return Err(ScaleError::Range { low: value, high: value });
        }
        let low = values.iter().copied().fold(f32::INFINITY, f32::min);
        let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        self.scale(low, high, real)
    }

    /// The parameters of a constant tensor, one for all or one for each index along `axis`.
    pub fn params(&self, tensor: &Tensor, axis: Option<usize>) -> Result<QuantParams, ScaleError> {
        let values = tensor.to_f32()?;
        let pairs = match axis {
            None => vec![self.scale_of(&values, tensor.dtype())?],
            Some(axis) => {
                let rank = tensor.shape().len();
                let channels = i64::try_from(axis).ok().and_then(|axis| Channels::along(tensor.shape(), axis));
                let channels = channels.ok_or(ScaleError::Axis { axis, rank })?;
                let of_channel = |channel| {
                    let values: Vec<f32> = channels.values(&values, channel).copied().collect();
                    self.scale_of(&values, tensor.dtype())
                };
                (0..channels.count).map(of_channel).collect::<Result<_, _>>()?
            }
        };
        let (scale, zero_point) = pairs.into_iter().unzip();
        let granularity = axis.map_or(Granularity::PerTensor, |axis| Granularity::PerChannel { axis });
        Ok(QuantParams { scale, zero_point, dtype: self.dtype, granularity })
    }
}

/// The rule on any codes, in f64 and not rounded to a float type yet: `scale = width / (highest - lowest code)`, `zero
/// point = round half even(lowest code - low / scale)`, where `width` is that of the range from `low` on.
pub(super) fn spread(low: f64, width: f64, lowest: i32, highest: i32) -> (f64, f64) {
    let scale = width / (f64::from(highest) - f64::from(lowest));
    (scale, (f64::from(lowest) - low / scale).round_ties_even())
}

/// The nearest number of a float type; float32 unless it is float16.
fn round_to(real: DType, value: f64) -> f32 {
    match real {
        // Through f32: no sum, difference or quotient of two float16 numbers lies between the two roundings' ties.
        DType::Float16 => f16::from_f32(value as f32).to_f32(),
        _ => value as f32,
    }
}

/// A bias as int32 with zero point 0 and scale = input scale x weight scale, one f32 product for each scale of the
/// weight, rounded to the bias's own type. Integers come from a quotient in f64 and saturate.
///
/// With more than one scale the last axis of the bias runs along them.
pub fn bias_params(bias: &Tensor, input_scale: f32, weight_scale: &[f32]) -> Result<QuantParams, ScaleError> {
    let scale: Vec<f32> =
        weight_scale.iter().map(|weight| round_to(bias.dtype(), (input_scale * weight).into())).collect();
    let granularity = match scale.len() {
        1 => Granularity::PerTensor,
        found => {
            let axis = bias.shape().len().checked_sub(1).ok_or(ScaleError::Scales { found, expected: 1 })?;
            let expected = bias.shape().get(axis).copied().unwrap_or(1);
            if expected != found {
                return Err(ScaleError::Scales { found, expected });
            }
            Granularity::PerChannel { axis }
        }
    };
    Ok(QuantParams { zero_point: vec![0; scale.len()], scale, dtype: DType::Int32, granularity })
}

/// The integers of a bias with the parameters of [`bias_params`].
pub fn quantize_bias(bias: &Tensor, params: &QuantParams) -> Result<Tensor, ScaleError> {
    let values = bias.to_f32()?;
    let count = params.scale.len().max(1);
    let code = |(index, value): (usize, &f32)| {
        let scale = params.scale.get(index % count).copied().unwrap_or(1.0);
        let steps = (f64::from(*value) / f64::from(scale)).round_ties_even();
        steps.clamp(i32::MIN.into(), i32::MAX.into()) as i32
    };
    let codes: Vec<i32> = values.iter().enumerate().map(code).collect();
    Ok(Tensor::from_vec(bias.shape().to_vec(), codes)?)
}

/// Widens the scales of a symmetric weight where the scale of the bias, input scale x weight scale, would be so small
/// that int32 cannot hold the bias. Returns whether any was widened.
///
/// With one scale the largest absolute bias counts, with one per channel each channel's own.
pub fn widen_for_bias(weight_scale: &mut [f32], input_scale: f32, bias: &[f32], real: DType) -> bool {
    // int32 without its lowest number.
    let codes = f64::from(i32::MAX) - f64::from(i32::MIN + 1);
    let one = weight_scale.len() == 1;
    let largest = bias.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    let mut widened = false;
    for (channel, scale) in weight_scale.iter_mut().enumerate() {
        let reach = if one { Some(largest) } else { bias.get(channel).map(|value| value.abs()) };
        let smallest = BIAS_MARGIN * (2.0 * f64::from(reach.unwrap_or(0.0))) / codes;
        let candidate = f64::from(input_scale) * f64::from(*scale);
        if candidate > 0.0 && candidate < smallest {
            *scale = round_to(real, f64::from(*scale) * (smallest / candidate));
            widened = true;
        }
    }
    widened
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(dtype: DType, symmetric: bool, reduce_range: bool) -> ScaleRule {
        ScaleRule { symmetric, reduce_range, ..ScaleRule::of(dtype) }
    }

    #[test]
    fn limits_of_every_type() {
        let limits =
            |dtype| [(false, false), (true, false), (true, true)].map(|(s, r)| rule(dtype, s, r).limits().unwrap());
        assert_eq!(limits(DType::Int8), [(-128, 127), (-127, 127), (-64, 64)]);
        assert_eq!(limits(DType::Uint8), [(0, 255), (0, 254), (0, 127)]);
        assert_eq!(limits(DType::Int16), [(-32768, 32767), (-32767, 32767), (-16384, 16384)]);
        assert_eq!(limits(DType::Uint16), [(0, 65535), (0, 65534), (0, 32767)]);
        assert_eq!(limits(DType::Int4), [(-8, 7), (-8, 7), (-4, 3)]);
        assert_eq!(limits(DType::Uint4), [(0, 15), (0, 15), (0, 7)]);
        assert_eq!(ScaleRule::of(DType::Int32).limits(), Err(ScaleError::Type(DType::Int32)));
    }

    #[test]
    fn zero_is_in_the_range_and_in_the_codes() {
        let scale =
            |dtype, symmetric, low, high| rule(dtype, symmetric, false).scale(low, high, DType::Float32).unwrap();
        assert_eq!(scale(DType::Uint8, false, 1.0, 255.0), (1.0, 0));
        assert_eq!(scale(DType::Int8, false, 0.0, 255.0), (1.0, -128));
        assert_eq!(scale(DType::Int8, true, -1.0, 127.0), (1.0, 0));
        assert_eq!(scale(DType::Uint8, true, -127.0, 3.0), (1.0, 127));
        assert_eq!(scale(DType::Uint8, false, 0.0, 0.0), (1.0, 0));
        assert_eq!(scale(DType::Int8, false, 0.0, 1e-40), (1.0, 0));
        // The middle of -8..7 is a tie and goes to the even 0.
        assert_eq!(scale(DType::Int4, true, -1.0, 1.0), ((2.0f64 / 15.0) as f32, 0));
    }

    #[test]
    fn a_least_width_and_what_is_not_finite() {
        let wide = ScaleRule { min_real_range: Some(0.255), ..ScaleRule::of(DType::Uint8) };
        assert_eq!(wide.scale(0.0, 0.0, DType::Float32).unwrap(), (0.255 / 255.0, 0));
        for (low, high) in [(f32::NAN, 1.0), (0.0, f32::INFINITY), (f32::MIN, f32::MAX)] {
            assert!(matches!(
                ScaleRule::of(DType::Int8).scale(low, high, DType::Float32),
                Err(ScaleError::Range { .. })
            ));
        }
        assert!(ScaleRule::of(DType::Int8).scale_of(&[1.0, f32::NAN], DType::Float32).is_err());
        assert_eq!(ScaleRule::of(DType::Int8).scale_of(&[], DType::Float32), Ok((1.0, 0)));
    }

    #[test]
    fn channels_have_their_own_scales() {
        let weight = Tensor::from_vec(vec![2, 2], vec![127.0f32, -1.0, 0.5, 254.0]).unwrap();
        let params = rule(DType::Int8, true, false).params(&weight, Some(0)).unwrap();
        assert_eq!(
            (params.scale.as_slice(), params.granularity),
            (&[1.0, 2.0][..], Granularity::PerChannel { axis: 0 })
        );
        assert!(rule(DType::Int8, true, false).params(&weight, Some(2)).is_err());
    }

    #[test]
    fn a_bias_takes_the_scales_of_input_and_weight() {
        let bias = Tensor::from_vec(vec![2], vec![1.0f32, -1.0]).unwrap();
        let params = bias_params(&bias, 0.5, &[0.25, 0.5]).unwrap();
        assert_eq!(quantize_bias(&bias, &params).unwrap().to_i64().unwrap(), [8, -4]);
        assert!(bias_params(&bias, 0.5, &[0.25; 3]).is_err());
        let tiny = bias_params(&bias, 1e-20, &[1e-10]).unwrap();
        assert_eq!(quantize_bias(&bias, &tiny).unwrap().to_i64().unwrap(), [i32::MAX as i64, i32::MIN as i64]);
    }

    #[test]
    fn a_bias_that_does_not_fit_widens_the_weight() {
        let mut scale = [1e-12f32];
        assert!(widen_for_bias(&mut scale, 1e-3, &[0.5, -4.0], DType::Float32));
        assert!(scale[0] * 1e-3 * i32::MAX as f32 >= 4.0);
        let mut per_channel = [1e-12f32, 1e-3];
        assert!(widen_for_bias(&mut per_channel, 1e-3, &[4.0, 4.0], DType::Float32));
        assert_eq!(per_channel[1], 1e-3);
        assert!(!widen_for_bias(&mut [0.1], 0.1, &[1.0], DType::Float32));
    }
}
