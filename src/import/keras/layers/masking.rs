//! `Masking`.

use super::functions::reduced;
use crate::import::keras::context::Context;
use crate::import::keras::stop::Stop;
use crate::import::keras::value::{Layout, Value};
use crate::tensor::DType;

/// `Masking`: the tensor with steps of nothing but one value set to 0, and marked as steps to skip.
pub(super) fn masking(context: &mut Context, inputs: &[Value]) -> Result<Vec<Value>, Stop> {
    let value = context.single(inputs)?;
    let value = context.float(value);
    let value = context.low.as_is(&value);
    let skipped = context.config.float("mask_value", 0.0)? as f32;
    let skipped = context.floats("mask_value", &[], &[skipped])?;
    let equal = context.node("Equal", &[&value.name, &skipped], "Equal", &[]);
    let differs = context.node("Not", &[&equal], "Not", &[]);
    let number = context.node("Cast", &[&differs], "Cast", &[("to", i64::from(DType::Float32.to_onnx()).into())]);
    let kept = reduced(context, "ReduceMax", &number, &[-1], true, "kept")?;
    let name = context.node("Mul", &[&value.name, &kept], "Mul", &[]);
    let flat = reduced(context, "ReduceMax", &number, &[-1], false, "steps")?;
    let mask = context.node("Cast", &[&flat], "mask", &[("to", i64::from(DType::Bool.to_onnx()).into())]);
    Ok(vec![Value { mask: Some(mask), ..Value::new(name, value.shape.clone(), Layout::AsIs) }])
}
