//! `Softmax` and `LogSoftmax`, with the flattening that operator sets before 13 ask for.

use super::{Inputs, Kernel, required};
use crate::engine::value::{KernelError, Value};
use crate::onnx::NodeExt;
use crate::onnx::proto::NodeProto;
use crate::tensor::{Channels, DType};

/// Computed in f64 and rounded once, so that native and wasm builds agree: their f32 `exp` differ in the last bit.
pub(crate) struct Softmax {
    axis: Option<i64>,
    flatten: bool,
    log: bool,
}

impl Softmax {
    pub fn new(node: &NodeProto, opset: i64) -> Self {
        Softmax { axis: NodeExt::int(node, "axis"), flatten: opset < 13, log: node.op_type() == "LogSoftmax" }
    }
}

/// The lines a softmax runs over. Before operator set 13 the tensor counts as a matrix whose rows hold every axis
/// from `axis` (default 1) on; from 13 on it is one axis (default the last).
pub(crate) fn softmax_lines(shape: &[usize], axis: Option<i64>, flatten: bool) -> Result<Channels, KernelError> {
    let out_of_range = |axis: i64| format!("the axis {axis} is outside of {shape:?}");
    if !flatten {
        if shape.is_empty() {
            return Ok(Channels { outer: 1, count: 1, inner: 1 });
        }
        let axis = axis.unwrap_or(-1);
        return Channels::along(shape, axis).ok_or_else(|| out_of_range(axis));
    }
    let axis = axis.unwrap_or(1);
    let rank = shape.len() as i64;
    let front = usize::try_from(if axis < 0 { axis + rank } else { axis }).map_err(|_| out_of_range(axis))?;
    let (outer, inner) = shape.split_at_checked(front).ok_or_else(|| out_of_range(axis))?;
    Ok(Channels { outer: outer.iter().product(), count: inner.iter().product(), inner: 1 })
}

impl Kernel for Softmax {
    fn run(&mut self, inputs: Inputs<'_>) -> Result<Vec<Value>, KernelError> {
        let x = required(inputs, 0)?;
        let numbers = x.f32s()?;
        let Channels { outer, count, inner } = softmax_lines(x.shape(), self.axis, self.flatten)?;
        let mut y = vec![0f32; numbers.len()];
        for block in 0..outer {
            for offset in 0..inner {
                let line = || (0..count).map(|k| (block * count + k) * inner + offset);
                let at = |index: usize| numbers.get(index).copied().unwrap_or(0.0);
                let top = line().map(at).fold(f32::NEG_INFINITY, f32::max);
                let shifted = |index: usize| f64::from(at(index)) - f64::from(top);
                let sum: f64 = line().map(|index| shifted(index).exp()).sum();
                for index in line() {
                    let value = if self.log { shifted(index) - sum.ln() } else { shifted(index).exp() / sum };
                    if let Some(y) = y.get_mut(index) {
                        *y = value as f32;
                    }
                }
            }
        }
        Ok(vec![Value::from_vec(DType::Float32, x.shape(), y)?.retyped(x.dtype())?])
    }
}
