//! `Softplus` without overflow.

use super::{Inputs, KernelError, required};
use crate::engine::value::Value;

/// `ln(1 + e^x)` as `max(x, 0) + ln(1 + e^-|x|)`, which is finite for every finite x, as ONNX Runtime computes it.
pub fn softplus(inputs: Inputs<'_>) -> Result<Vec<Value>, KernelError> {
    let x = required(inputs, 0)?;
    let soft = |x: &f32| x.max(0.0) + (-x.abs()).exp().ln_1p();
    // max drops NaN.
    let numbers = x.f32s()?.iter().map(|x| if x.is_nan() { *x } else { soft(x) }).collect();
    Ok(vec![Value::from_vec(x.dtype(), x.shape(), numbers)?])
}
