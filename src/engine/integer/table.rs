//! Operators on one code at a time: dequantize, compute, quantize, by a table of all codes.

use super::{Affine, code_range, codes, from_codes};
use crate::engine::kernel::{Input, Inputs, Kernel, optional, required};
use crate::engine::tract_node::TractNode;
use crate::engine::value::{KernelError, Value};
use crate::onnx::proto::AttributeProto;
use crate::quant::{dequantize, quantize};
use crate::tensor::DType;

/// Applies `f` to the real value of every element.
fn map(x: &Value, from: Affine, to: Affine, dtype: DType, f: impl Fn(f32) -> f32) -> Result<Value, KernelError> {
    if from == to && x.dtype() == dtype && f(1.25) == 1.25 && f(-1.25) == -1.25 {
        return Ok(x.clone());
    }
    let ((low, high), (from_low, from_high)) = (code_range(dtype)?, code_range(x.dtype())?);
    let one = |q: i32| quantize(f(dequantize(q, from.scale, from.zero_point)), to.scale, to.zero_point, low, high);
    let numbers = codes(x)?;
    let mapped = if from_high - from_low < 256 {
        let table: Vec<i32> = (from_low..=from_high).map(one).collect();
        numbers.into_iter().map(|q| table.get((q - from_low) as usize).copied().unwrap_or(0)).collect()
    } else {
        numbers.into_iter().map(one).collect()
    };
    from_codes(dtype, x.shape(), mapped)
}

/// Inputs: x, its scale and zero point, the result's scale and zero point.
fn unary(inputs: Inputs<'_>, f: impl Fn(f32) -> f32) -> Result<Vec<Value>, KernelError> {
    let x = required(inputs, 0)?;
    let dtype = optional(inputs, 4).map_or(x.dtype(), Value::dtype);
    Ok(vec![map(x, Affine::at(inputs, 1, 2)?, Affine::at(inputs, 3, 4)?, dtype, f)?])
}

/// com.microsoft `QLinearSigmoid`.
pub(super) fn sigmoid(inputs: Inputs<'_>) -> Result<Vec<Value>, KernelError> {
    // f64, so that native and wasm builds agree.
    unary(inputs, |v| (1.0 / (1.0 + (-f64::from(v)).exp())) as f32)
}

/// com.microsoft `QLinearLeakyRelu`.
pub(super) fn leaky_relu(inputs: Inputs<'_>, alpha: f32) -> Result<Vec<Value>, KernelError> {
    unary(inputs, |v| if v >= 0.0 { v } else { alpha * v })
}

/// com.microsoft `QLinearConcat`. Inputs: the result's scale and zero point, then x, scale, zero point per part.
pub(super) fn concat(axis: i64, opset: i64) -> Result<impl Kernel, KernelError> {
    let attribute = AttributeProto {
        name: Some("axis".to_owned()),
        i: Some(axis),
        r#type: Some(crate::onnx::proto::attribute_proto::AttributeType::Int as i32),
        ..Default::default()
    };
    let mut join: Option<(usize, TractNode)> = None;
    Ok(move |inputs: Inputs<'_>| -> Result<Vec<Value>, KernelError> {
        let to = Affine::at(inputs, 0, 1)?;
        let dtype = required(inputs, 1)?.dtype();
        let parts = inputs.len().saturating_sub(2) / 3;
        let mut mapped = Vec::with_capacity(parts);
        for part in 0..parts {
            let from = Affine::at(inputs, 3 + 3 * part, 4 + 3 * part)?;
            let value = map(required(inputs, 2 + 3 * part)?, from, to, dtype, |v| v)?;
            mapped.push(Some(Input { value, constant: false }));
        }
        if join.as_ref().is_none_or(|(count, _)| *count != parts) {
            join = Some((parts, TractNode::made("Concat", parts, std::slice::from_ref(&attribute), opset)?));
        }
        let Some((_, join)) = join.as_mut() else { return Err("nothing to join".to_owned()) };
        join.run(&mapped)
    })
}

/// com.microsoft `QLinearWhere`. Inputs: condition, x, its scale and zero point, y, its scale and zero point, the
/// result's scale and zero point.
pub(super) struct QLinearWhere(TractNode);

impl QLinearWhere {
    pub fn new(opset: i64) -> Result<Self, KernelError> {
        Ok(QLinearWhere(TractNode::made("Where", 3, &[], opset.max(9))?))
    }
}

impl Kernel for QLinearWhere {
    fn run(&mut self, inputs: Inputs<'_>) -> Result<Vec<Value>, KernelError> {
        let to = Affine::at(inputs, 7, 8)?;
        let dtype = required(inputs, 8)?.dtype();
        let x = map(required(inputs, 1)?, Affine::at(inputs, 2, 3)?, to, dtype, |v| v)?;
        let y = map(required(inputs, 4)?, Affine::at(inputs, 5, 6)?, to, dtype, |v| v)?;
        let live = |value: Value| Some(Input { value, constant: false });
        self.0.run(&[live(required(inputs, 0)?.clone()), live(x), live(y)])
    }
}
