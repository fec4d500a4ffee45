//! `ConvInteger` and `QLinearConv`.

use super::{Accumulator, Affine, EXACT_F32, centered, code_range, exact_sums, reach};
use crate::engine::kernel::linear::{round_steps, zero_points};
use crate::engine::kernel::{Input, Inputs, Kernel, optional, required};
use crate::engine::lower::FlatNode;
use crate::engine::tract_node::TractNode;
use crate::engine::value::{KernelError, Value};
use crate::onnx::NodeExt;
use crate::tensor::{Channels, DType};

/// Weights minus their zero points, kept while weights and zero points stay the same.
struct Centered {
    weights: Value,
    zero_point: Option<Value>,
    numbers: Value,
}

/// An exact integer convolution.
pub(super) struct IntegerConv {
    conv: TractNode,
    centered: Option<Centered>,
}

impl IntegerConv {
    pub fn new(flat: &FlatNode) -> Result<Self, KernelError> {
        let known = ["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"];
        let attributes: Vec<_> = flat.proto.attribute.iter().filter(|a| known.contains(&a.name())).cloned().collect();
        Ok(IntegerConv { conv: TractNode::made("Conv", 2, &attributes, flat.opset)?, centered: None })
    }

    /// Convolves `x - x_zero_point` with `weights - weight_zero_point`; outside of `x` counts as its zero point.
    /// The result holds whole numbers in f32 or f64.
    pub fn sums(
        &mut self,
        x: &Value,
        x_zero_point: i32,
        weights: &Input,
        weight_zero_point: Option<&Value>,
    ) -> Result<Value, KernelError> {
        let kept = self.centered.as_ref().filter(|c| {
            c.weights.is_same(&weights.value)
                && match (&c.zero_point, weight_zero_point) {
                    (None, None) => true,
                    (Some(then), Some(now)) => then.same_bits(now),
                    _ => false,
                }
        });
        let x_reach = reach(x.dtype(), &[x_zero_point])?;
        let numbers = match kept {
            Some(kept) => kept.numbers.clone(),
            None => {
                let numbers = centered_weights(&weights.value, weight_zero_point, x_reach)?;
                let kept = (weights.value.clone(), weight_zero_point.cloned());
                self.centered = Some(Centered { weights: kept.0, zero_point: kept.1, numbers: numbers.clone() });
                numbers
            }
        };
        let wide = numbers.dtype() == DType::Float64;
        let x = centered(x, &[x_zero_point], Channels::whole(x.len()), wide)?;
        let inputs =
            [Some(Input { value: x, constant: false }), Some(Input { value: numbers, constant: weights.constant })];
        self.conv.run(&inputs)?.into_iter().next().ok_or_else(|| "the convolution gave no result".to_owned())
    }
}

/// Weights minus zero points, in f64 where an f32 sum could be inexact.
fn centered_weights(weights: &Value, zero_point: Option<&Value>, x_reach: i64) -> Result<Value, KernelError> {
    let outputs = weights.shape().first().copied().unwrap_or(0);
    let zero_points = match zero_point {
        Some(value) if value.len() > 1 => zero_points(Some(value), outputs)?,
        other => zero_points(other, 1)?,
    };
    let inner = weights.len().checked_div(outputs).unwrap_or(0);
    let channels = Channels { outer: 1, count: outputs, inner };
    let numbers = centered(weights, &zero_points, channels, false)?;
    let sums = numbers.f32s()?.chunks(inner.max(1)).map(|c| c.iter().map(|w| w.abs() as i64).sum::<i64>());
    // The reach of x may grow when its zero point is edited; every 8-bit zero point stays below twice this.
    let wide = sums.max().unwrap_or(0).saturating_mul(x_reach.max(255)) >= EXACT_F32;
    if wide { centered(weights, &zero_points, channels, true) } else { Ok(numbers) }
}

/// `ConvInteger`: inputs x, w, x_zero_point, w_zero_point; int32 sums.
pub(super) struct ConvInteger(IntegerConv);

impl ConvInteger {
    pub fn new(flat: &FlatNode) -> Result<Self, KernelError> {
        Ok(ConvInteger(IntegerConv::new(flat)?))
    }
}

impl Kernel for ConvInteger {
    fn run(&mut self, inputs: Inputs<'_>) -> Result<Vec<Value>, KernelError> {
        let Some(Some(weights)) = inputs.get(1) else { return Err("the weights are missing".to_owned()) };
        let zero_point = zero_points(optional(inputs, 2), 1)?.first().copied().unwrap_or(0);
        let sums = self.0.sums(required(inputs, 0)?, zero_point, weights, optional(inputs, 3))?;
        Ok(vec![Value::from_vec(DType::Int32, sums.shape(), exact_sums(&sums)?)?])
    }
}

/// `QLinearConv`: `saturate(round_half_even(acc x f32(sx x sw / sy)) + zy)`, acc the int32 sum with the bias.
///
/// Inputs: x, its scale and zero point, w, its scale(s) and zero point(s), the result's scale and zero point, bias.
/// Source: ORT `QLinearConv::Compute` and `MlasRequantizeOutput`.
pub(super) struct QLinearConv {
    conv: IntegerConv,
    channels_last: bool,
}

impl QLinearConv {
    pub fn new(flat: &FlatNode) -> Result<Self, KernelError> {
        let channels_last = NodeExt::int(&flat.proto, "channels_last").unwrap_or(0) != 0;
        Ok(QLinearConv { conv: IntegerConv::new(flat)?, channels_last })
    }
}

/// Axis orders from channels-last to channels-first and back.
pub(super) fn layout_axes(rank: usize) -> (Vec<usize>, Vec<usize>) {
    let last = rank.saturating_sub(1);
    let to_first = std::iter::once(0).chain(std::iter::once(last)).chain(1..last).take(rank).collect();
    let to_last = std::iter::once(0).chain(2..rank).chain(std::iter::once(1)).take(rank).collect();
    (to_first, to_last)
}

impl Kernel for QLinearConv {
    fn run(&mut self, inputs: Inputs<'_>) -> Result<Vec<Value>, KernelError> {
        let x = required(inputs, 0)?;
        let (x_affine, y_affine) = (Affine::at(inputs, 1, 2)?, Affine::at(inputs, 6, 7)?);
        let Some(Some(weights)) = inputs.get(3) else { return Err("the weights are missing".to_owned()) };
        let weight_scales = required(inputs, 4)?.to_f32s()?;
        let dtype = required(inputs, 7)?.dtype();
        let (to_first, to_last) = layout_axes(x.shape().len());
        let x = if self.channels_last { x.permuted(&to_first)? } else { x.clone() };
        let sums = self.conv.sums(&x, x_affine.zero_point, weights, optional(inputs, 5))?;
        let outputs = weights.value.shape().first().copied().unwrap_or(0);
        if weight_scales.len() != 1 && weight_scales.len() != outputs {
            return Err(format!("{} weight scales were found for {outputs} output channels", weight_scales.len()));
        }
        let scale = |w: f32| x_affine.scale * w / y_affine.scale;
        let multipliers: Vec<f32> = weight_scales.into_iter().map(scale).collect();
        let bias = optional(inputs, 8).map(|b| b.slice::<i32>()).transpose()?;
        if bias.is_some_and(|b| b.len() != outputs) {
            return Err(format!("the bias does not have {outputs} entries"));
        }
        let channels = Channels::along(sums.shape(), 1).ok_or("the result has no channels")?;
        let y = requantize(&sums, &multipliers, bias, channels, y_affine.zero_point, dtype)?;
        Ok(vec![if self.channels_last { y.permuted(&to_last)? } else { y }])
    }
}

/// `saturate(round_half_even((acc + bias) x multiplier) + zero_point)` with a multiplier and a bias per channel.
pub(super) fn requantize(
    sums: &Value,
    multipliers: &[f32],
    bias: Option<&[i32]>,
    channels: Channels,
    zero_point: i32,
    dtype: DType,
) -> Result<Value, KernelError> {
    let range = code_range(dtype)?;
    let inner = channels.inner.max(1);
    macro_rules! narrow {
        ($from:ty, $sums:expr, $t:ty) => {{
            let all: &[$from] = $sums;
            Value::build(dtype, sums.shape(), |y: &mut [$t]| {
                for (run, (y, sums)) in y.chunks_mut(inner).zip(all.chunks(inner)).enumerate() {
                    let channel = run % channels.count.max(1);
                    let multiplier = multipliers.get(channel).or(multipliers.first()).copied().unwrap_or(f32::NAN);
                    let offset = bias.and_then(|b| b.get(channel)).copied().unwrap_or(0);
                    y.iter_mut().zip(sums).for_each(|(y, &sum)| {
                        let steps = sum.accumulator().wrapping_add(offset) as f32 * multiplier;
                        *y = round_steps(steps, zero_point, range) as $t;
                    });
                }
                Ok(())
            })
        }};
    }
    macro_rules! from {
        ($from:ty, $sums:expr) => {
            match dtype {
                DType::Uint8 | DType::Uint4 | DType::Uint2 => narrow!($from, $sums, u8),
                DType::Int8 | DType::Int4 | DType::Int2 => narrow!($from, $sums, i8),
                DType::Uint16 => narrow!($from, $sums, u16),
                _ => narrow!($from, $sums, i16),
            }
        };
    }
    match sums.dtype() {
        DType::Float32 => from!(f32, sums.f32s()?),
        _ => from!(f64, sums.slice::<f64>()?),
    }
}
