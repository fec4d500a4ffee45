//! com.microsoft `QLinearAveragePool` and `QLinearGlobalAveragePool`.

use super::conv::layout_axes;
use super::{Affine, code_range, codes, from_codes, saturate};
use crate::engine::kernel::{Inputs, Kernel, optional, required};
use crate::engine::value::{KernelError, Value};
use crate::engine::window::{Pooling, Window};
use crate::onnx::NodeExt;
use crate::onnx::proto::NodeProto;
use crate::quant::dequantize;

/// `saturate(round_half_even(mean / sy + zy))`, the mean taken of dequantized elements in memory order, in f32. Inputs: x,
/// its scale and zero point, the result's scale and zero point.
///
/// Source: ORT `QLinearAveragePool` (`QLinearPool2DTask`).
pub(super) struct AveragePool {
    pooling: Pooling,
    channels_last: bool,
}

impl AveragePool {
    pub fn new(node: &NodeProto) -> Result<Self, KernelError> {
        let channels_last = NodeExt::int(node, "channels_last").unwrap_or(0) != 0;
        Ok(AveragePool { pooling: Pooling::new(node)?, channels_last })
    }
}

impl Kernel for AveragePool {
    fn run(&mut self, inputs: Inputs<'_>) -> Result<Vec<Value>, KernelError> {
        let x = required(inputs, 0)?;
        let (from, to) = (Affine::at(inputs, 1, 2)?, Affine::at(inputs, 3, 4)?);
        let dtype = optional(inputs, 4).map_or(x.dtype(), Value::dtype);
        let range = code_range(dtype)?;
        let (to_first, to_last) = layout_axes(x.shape().len());
        let x = if self.channels_last { x.permuted(&to_first)? } else { x.clone() };
        let windows = self.pooling.windows(x.shape())?;
        let (lead, dims) = x.shape().split_at_checked(2).unwrap_or((x.shape(), &[]));
        let numbers: Vec<f32> = codes(&x)?.into_iter().map(|q| dequantize(q, from.scale, from.zero_point)).collect();
        let (planes, plane): (usize, usize) = (lead.iter().product(), dims.iter().product());
        let results: usize = windows.iter().map(|w| w.count).product();
        let mut y = vec![0; planes * results];
        let mut window = Window::default();
        for position in 0..results {
            window.move_to(&windows, position);
            // With `ceil_mode` a window may reach past the padding; ORT's kernel counts that part too.
            let count = if self.pooling.count_include_pad { self.pooling.volume() } else { window.inside() };
            for (y, data) in y.chunks_mut(results).zip(numbers.chunks(plane.max(1))) {
                let mean = window.sum(data) / count as f32;
                if let Some(y) = y.get_mut(position) {
                    // The zero point takes part in the rounding: it decides which neighbour of a tie is even.
                    *y = saturate(mean / to.scale + to.zero_point as f32, 0, range);
                }
            }
        }
        let shape: Vec<usize> = lead.iter().copied().chain(windows.iter().map(|w| w.count)).collect();
        let y = from_codes(dtype, &shape, y)?;
        Ok(vec![if self.channels_last { y.permuted(&to_last)? } else { y }])
    }
}

/// `saturate(round_half_even(S x f32(sx / (sy x n))) + zy)`, S the sum of `code - zx` over all spatial elements.
///
/// Source: ORT `MlasQLinearGlobalAveragePool`.
pub(super) struct GlobalAveragePool {
    channels_last: bool,
}

impl GlobalAveragePool {
    pub fn new(node: &NodeProto) -> Self {
        GlobalAveragePool { channels_last: NodeExt::int(node, "channels_last").unwrap_or(0) != 0 }
    }
}

impl Kernel for GlobalAveragePool {
    fn run(&mut self, inputs: Inputs<'_>) -> Result<Vec<Value>, KernelError> {
        let x = required(inputs, 0)?;
        let (from, to) = (Affine::at(inputs, 1, 2)?, Affine::at(inputs, 3, 4)?);
        let dtype = optional(inputs, 4).map_or(x.dtype(), Value::dtype);
        let range = code_range(dtype)?;
        let rank = x.shape().len();
        if rank < 3 {
            return Err(format!("data of shape {:?} has no spatial axes", x.shape()));
        }
        let (to_first, to_last) = layout_axes(rank);
        let x = if self.channels_last { x.permuted(&to_first)? } else { x.clone() };
        let plane: usize = x.shape().iter().skip(2).product();
        let planes: usize = x.shape().iter().take(2).product();
        let multiplier = from.scale / (to.scale * plane as f32);
        let numbers = codes(&x)?;
        let one = |index: usize| {
            let data = numbers.get(index * plane..(index + 1) * plane).unwrap_or(&[]);
            let sum: i64 = data.iter().map(|&q| i64::from(q - from.zero_point)).sum();
            saturate(sum as f32 * multiplier, to.zero_point, range)
        };
        let y = (0..planes).map(one).collect();
        let shape: Vec<usize> = x.shape().iter().enumerate().map(|(i, &d)| if i < 2 { d } else { 1 }).collect();
        let y = from_codes(dtype, &shape, y)?;
        Ok(vec![if self.channels_last { y.permuted(&to_last)? } else { y }])
    }
}
