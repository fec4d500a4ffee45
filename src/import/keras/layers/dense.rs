//! Dense layers and embeddings.

use super::activation;
use crate::import::keras::context::Context;
use crate::import::keras::lowering::Foldable;
use crate::import::keras::stop::Stop;
use crate::import::keras::value::{Layout, Value};
use crate::tensor::DType;

/// `Dense`: over the last axis, whatever the rank.
pub(super) fn dense(context: &mut Context, inputs: &[Value]) -> Result<Vec<Value>, Stop> {
    let value = context.single(inputs)?;
    let value = context.float(value);
    let value = context.low.as_is(&value);
    let units = context.config.count("units")?;
    let weight = context
        .constant("kernel", |context| context.required(&["kernel", "W"], 0, &[value.last_dim(), Some(units)]))?;
    let mut name = context.node("MatMul", &[&value.name, &weight], "MatMul", &[]);
    let mut bias = None;
    if context.config.bool("use_bias", true)? {
        let constant = context.constant("bias", |context| context.required(&["bias", "b"], 1, &[Some(units)]))?;
        name = context.node("Add", &[&name, &constant], "Add", &[]);
        bias = Some(constant);
    }
    let shape = value.shape.clone().map(|mut shape| {
        if let Some(last) = shape.last_mut() {
            *last = Some(units);
        }
        shape
    });
    let result = Value { mask: value.mask.clone(), ..Value::new(name, shape, Layout::AsIs) };
    let function = activation::of_layer(context)?;
    if function.is_none() && context.once {
        let foldable = Foldable { weight, axis: 1, bias, bias_is_input: false };
        context.low.foldable.insert(result.name.clone(), foldable);
    }
    Ok(vec![activation::apply(context, &result, function)?])
}

/// `Embedding`: a row per number; with `mask_zero` the zeros are steps to skip.
pub(super) fn embedding(context: &mut Context, inputs: &[Value]) -> Result<Vec<Value>, Stop> {
    let value = context.single(inputs)?;
    let value = context.low.as_is(value);
    let (rows, width) = (context.config.count("input_dim")?, context.config.count("output_dim")?);
    let table = context
        .constant("embeddings", |context| context.required(&["embeddings", "W"], 0, &[Some(rows), Some(width)]))?;
    let index = match value.dtype {
        DType::Int32 | DType::Int64 => value.name.clone(),
        _ => {
            let to = i64::from(DType::Int64.to_onnx());
            context.node("Cast", &[&value.name], "Cast", &[("to", to.into())])
        }
    };
    let name = context.node("Gather", &[&table, &index], "Gather", &[("axis", 0i64.into())]);
    let shape = value.shape.clone().map(|shape| shape.into_iter().chain([Some(width)]).collect());
    let mut result = Value::new(name, shape, Layout::AsIs);
    if context.config.bool("mask_zero", false)? {
        result.mask = Some(not_equal_zero(context, &value)?);
    }
    Ok(vec![result])
}

/// A mask that is true where the value is not 0.
pub(super) fn not_equal_zero(context: &mut Context, value: &Value) -> Result<String, Stop> {
    let float = context.float(value);
    let zero = context.floats("zero", &[], &[0.0])?;
    let equal = context.node("Equal", &[&float.name, &zero], "is_zero", &[]);
    Ok(context.node("Not", &[&equal], "mask", &[]))
}
