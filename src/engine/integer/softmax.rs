//! com.microsoft `QLinearSoftmax`.

use super::{Affine, code_range, codes, from_codes, saturate};
use crate::engine::kernel::{Inputs, Kernel, optional, required};
use crate::engine::value::{KernelError, Value};
use crate::onnx::NodeExt;
use crate::onnx::proto::NodeProto;

/// `saturate(round_half_even(p x trunc(1 / sy)) + zy)`. Inputs: x, its scale and zero point, the result's.
///
/// The truncation is ORT's (`QLinearSoftmax`): a scale of 1/255, whose reciprocal is just below 255, gives 254.
/// The attribute `opset` says whether lines are flattened.
pub(super) struct QLinearSoftmax {
    axis: Option<i64>,
    flatten: bool,
}

impl QLinearSoftmax {
    pub fn new(node: &NodeProto, opset: i64) -> Self {
        let opset = NodeExt::int(node, "opset").unwrap_or(opset);
        QLinearSoftmax { axis: NodeExt::int(node, "axis"), flatten: opset < 13 }
    }
}

impl Kernel for QLinearSoftmax {
    fn run(&mut self, inputs: Inputs<'_>) -> Result<Vec<Value>, KernelError> {
        let x = required(inputs, 0)?;
        let (x_affine, y_affine) = (Affine::at(inputs, 1, 2)?, Affine::at(inputs, 3, 4)?);
        let dtype = optional(inputs, 4).map_or(x.dtype(), Value::dtype);
        let range = code_range(dtype)?;
        let lines = crate::engine::kernel::softmax_lines(x.shape(), self.axis, self.flatten)?;
        let numbers = codes(x)?;
        let at = |index: usize| numbers.get(index).copied().unwrap_or(0);
        let multiplier = (1.0 / y_affine.scale).trunc();
        let mut y = vec![0i32; numbers.len()];
        for block in 0..lines.outer {
            for offset in 0..lines.inner {
                let line = || (0..lines.count).map(|k| (block * lines.count + k) * lines.inner + offset);
                let top = line().map(at).max().unwrap_or(0);
                let power = |index: usize| (f64::from(at(index) - top) * f64::from(x_affine.scale)).exp();
                let sum: f64 = line().map(power).sum();
                for index in line() {
                    let steps = (power(index) / sum * f64::from(multiplier)) as f32;
                    if let Some(y) = y.get_mut(index) {
                        *y = saturate(steps, y_affine.zero_point, range);
                    }
                }
            }
        }
        Ok(vec![from_codes(dtype, x.shape(), y)?])
    }
}
