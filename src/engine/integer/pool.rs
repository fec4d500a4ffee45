//! com.microsoft `QLinearAveragePool` and `QLinearGlobalAveragePool`.

use super::conv::layout_axes;
use super::{Affine, code_range, codes, from_codes, saturate};
use crate::engine::kernel::{Inputs, Kernel, optional, required};
use crate::engine::limits::check_attributes;
use crate::engine::value::{KernelError, Value};
use crate::onnx::NodeExt;
use crate::onnx::proto::NodeProto;

/// `saturate(round_half_even((S / n) x f32(sx / sy)) + zy)`, S the sum of `code - zx` inside the window, n the number
/// of elements the mean counts. Inputs: x, its scale and zero point, the result's scale and zero point.
///
/// Source: ORT `QLinearAveragePool`.
pub(super) struct AveragePool {
    kernel: Vec<usize>,
    strides: Vec<i64>,
    pads: Vec<i64>,
    auto_pad: String,
    ceil_mode: bool,
    count_include_pad: bool,
    channels_last: bool,
}

/// Padding before, and number of windows, of one axis.
struct Windows {
    before: i64,
    after: i64,
    count: usize,
}

impl AveragePool {
    pub fn new(node: &NodeProto) -> Result<Self, KernelError> {
        check_attributes(node)?;
        let kernel: Vec<usize> = NodeExt::ints(node, "kernel_shape").iter().map(|&k| k as usize).collect();
        if kernel.is_empty() {
            return Err("the attribute kernel_shape is missing".to_owned());
        }
        if NodeExt::ints(node, "dilations").iter().any(|&d| d != 1) {
            return Err("dilated average pooling is not known to the engine".to_owned());
        }
        let or = |name: &str, default: i64, count: usize| match NodeExt::ints(node, name) {
            [] => Ok(vec![default; count]),
            given if given.len() == count => Ok(given.to_vec()),
            given => Err(format!("the attribute {name} has {} entries, {count} are needed", given.len())),
        };
        let flag = |name: &str| NodeExt::int(node, name).unwrap_or(0) != 0;
        Ok(AveragePool {
            strides: or("strides", 1, kernel.len())?,
            pads: or("pads", 0, 2 * kernel.len())?,
            auto_pad: NodeExt::string(node, "auto_pad").unwrap_or("NOTSET").to_owned(),
            ceil_mode: flag("ceil_mode"),
            count_include_pad: flag("count_include_pad"),
            channels_last: flag("channels_last"),
            kernel,
        })
    }

    fn windows(&self, axis: usize, dim: usize) -> Result<Windows, KernelError> {
        let at = |list: &[i64], index: usize| list.get(index).copied().unwrap_or(0);
        let (size, stride) = (self.kernel.get(axis).copied().unwrap_or(1) as i64, at(&self.strides, axis).max(1));
        let dim = dim as i64;
        if self.auto_pad.starts_with("SAME") {
            let count = (dim + stride - 1) / stride;
            let total = ((count - 1) * stride + size - dim).max(0);
            let before = if self.auto_pad == "SAME_LOWER" { (total + 1) / 2 } else { total / 2 };
            return Ok(Windows { before, after: total - before, count: count as usize });
        }
        let valid = self.auto_pad == "VALID";
        let (before, after) =
            if valid { (0, 0) } else { (at(&self.pads, axis), at(&self.pads, axis + self.kernel.len())) };
        let free = dim + before + after - size;
        if free < 0 {
            return Err(format!("a window of {size} does not fit into {dim} elements"));
        }
        let mut count = if self.ceil_mode { (free + stride - 1) / stride } else { free / stride } + 1;
        // The last window has to start inside of the data or its leading padding.
        if self.ceil_mode && (count - 1) * stride >= dim + before {
            count -= 1;
        }
        Ok(Windows { before, after, count: count as usize })
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
        let spatial = x.shape().get(2..).filter(|s| s.len() == self.kernel.len());
        let spatial = spatial.ok_or_else(|| format!("data of shape {:?} does not fit the window", x.shape()))?;
        let windows: Vec<Windows> =
            spatial.iter().enumerate().map(|(axis, &dim)| self.windows(axis, dim)).collect::<Result<_, _>>()?;
        let multiplier = from.scale / to.scale;
        let numbers = codes(&x)?;
        let planes: usize = x.shape().iter().take(2).product();
        let plane: usize = spatial.iter().product();
        let results: usize = windows.iter().map(|w| w.count).product();
        let mut y = Vec::with_capacity(planes * results);
        for index in 0..planes {
            let data = numbers.get(index * plane..(index + 1) * plane).unwrap_or(&[]);
            for window in 0..results {
                let (sum, count) = self.window(data, spatial, &windows, window, from.zero_point);
                let steps = sum as f32 / count as f32 * multiplier;
                y.push(saturate(steps, to.zero_point, range));
            }
        }
        let shape: Vec<usize> =
            x.shape().iter().take(2).copied().chain(windows.iter().map(|w| w.count)).collect();
        let y = from_codes(dtype, &shape, y)?;
        Ok(vec![if self.channels_last { y.permuted(&to_last)? } else { y }])
    }
}

impl AveragePool {
    /// Sum of `code - zero_point` over one window of a plane, and the number of elements it counts.
    fn window(&self, data: &[i32], dims: &[usize], windows: &[Windows], at: usize, zero_point: i32) -> (i64, i64) {
        // For each axis the part of the window that lies inside of the data.
        let mut rest = at;
        let mut spans = vec![(0usize, 0usize); dims.len()];
        let mut counted = 1i64;
        for axis in (0..dims.len()).rev() {
            let (Some(window), Some(&dim), Some(&size), Some(&stride), Some(span)) = (
                windows.get(axis),
                dims.get(axis),
                self.kernel.get(axis),
                self.strides.get(axis),
                spans.get_mut(axis),
            ) else {
                return (0, 1);
            };
            let start = (rest % window.count) as i64 * stride - window.before;
            rest /= window.count;
            let end = start + size as i64;
            *span = (start.clamp(0, dim as i64) as usize, end.clamp(0, dim as i64) as usize);
            // With `ceil_mode` a window may reach past the padding; that part never counts.
            let padded = (end.min(dim as i64 + window.after) - start).max(0);
            counted *= if self.count_include_pad { padded } else { (span.1 - span.0) as i64 };
        }
        let mut offsets = vec![0usize];
        for (&dim, &(start, end)) in dims.iter().zip(&spans) {
            offsets = offsets.iter().flat_map(|&o| (start..end).map(move |i| o * dim + i)).collect();
        }
        let sum = offsets.iter().filter_map(|&o| data.get(o)).map(|&q| i64::from(q - zero_point)).sum();
        (sum, counted.max(1))
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
