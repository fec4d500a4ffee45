//! Functions that make one number of many.

use super::{axis_in, cast, with_dims};
use crate::import::keras::context::Context;
use crate::import::keras::stop::{Stop, unsupported};
use crate::import::keras::value::{Layout, Value};
use crate::onnx::Attr;
use crate::tensor::{DType, Tensor};

/// The result of such a function; `None` where the name is not one of theirs.
pub(super) fn function(context: &mut Context, name: &str, value: &Value) -> Result<Option<Value>, Stop> {
    Ok(Some(match name {
        "any" => truth(context, value, "ReduceMax")?,
        "all" => truth(context, value, "ReduceMin")?,
        "mean" => number(context, value, "ReduceMean")?,
        "sum" => number(context, value, "ReduceSum")?,
        "max" => number(context, value, "ReduceMax")?,
        "min" => number(context, value, "ReduceMin")?,
        "prod" => number(context, value, "ReduceProd")?,
        "logsumexp" => number(context, value, "ReduceLogSumExp")?,
        "var" => variance(context, value)?,
        "std" => {
            let variance = variance(context, value)?;
            context.same("Sqrt", &variance, &[])
        }
        "norm" | "euclideannorm" => norm(context, value)?,
        "normalize" => normalize(context, value)?,
        "argmax" => position(context, value, "ArgMax")?,
        "argmin" => position(context, value, "ArgMin")?,
        "cumsum" => cumulative(context, value)?,
        _ => return Ok(None),
    }))
}

/// A reduction over axes of the tensor as it is.
pub(in crate::import::keras::layers) fn reduced(
    context: &mut Context,
    op_type: &str,
    value: &str,
    axes: &[i64],
    keep: bool,
    suffix: &str,
) -> Result<String, Stop> {
    let keep: (&str, Attr) = ("keepdims", i64::from(keep).into());
    let as_input = context.low.builder.opset() >= 18 || op_type == "ReduceSum";
    if axes.is_empty() {
        return Ok(context.node(op_type, &[value], suffix, &[keep]));
    }
    if as_input {
        let axes = context.ints("axes", axes)?;
        return Ok(context.node(op_type, &[value, &axes], suffix, &[keep]));
    }
    Ok(context.node(op_type, &[value], suffix, &[("axes", axes.to_vec().into()), keep]))
}

/// A reduction over the axes of the options, all where they name none.
fn reduce(context: &mut Context, value: &Value, op_type: &str) -> Result<Value, Stop> {
    let keep = context.config.bool("keepdims", false)?;
    reduce_to(context, value, op_type, keep)
}

fn reduce_to(context: &mut Context, value: &Value, op_type: &str, keep: bool) -> Result<Value, Stop> {
    let axes = context.config.axes("axis", &[])?;
    let value = context.low.as_is(value);
    let shape = match &value.shape {
        None => None,
        Some(shape) => {
            let at: Vec<usize> =
                axes.iter().map(|&axis| axis_in(context, axis, shape.len())).collect::<Result<_, _>>()?;
            let gone = |axis: usize| axes.is_empty() || at.contains(&axis);
            let dims = shape.iter().enumerate().filter(|(axis, _)| keep || !gone(*axis));
            Some(dims.map(|(axis, dim)| if gone(axis) { Some(1) } else { *dim }).collect())
        }
    };
    let name = reduced(context, op_type, &value.name, &axes, keep, op_type)?;
    Ok(Value::new(name, shape, Layout::AsIs))
}

fn number(context: &mut Context, value: &Value, op_type: &str) -> Result<Value, Stop> {
    let value = context.float(value);
    reduce(context, &value, op_type)
}

/// `any` and `all`, which ONNX has for numbers only. What Keras 3 does not say is what `Masking` makes: the last axis.
fn truth(context: &mut Context, value: &Value, op_type: &str) -> Result<Value, Stop> {
    let truth = cast(context, value, DType::Bool);
    let number = cast(context, &truth, DType::Float32);
    let result = if context.config.map().contains_key("axis") || context.low.major < 3 {
        reduce(context, &number, op_type)?
    } else {
        let number = context.low.as_is(&number);
        let shape = number.shape.as_ref().and_then(|shape| Some(shape.split_last()?.1.to_vec()));
        let name = reduced(context, op_type, &number.name, &[-1], false, op_type)?;
        Value::new(name, shape, Layout::AsIs)
    };
    Ok(cast(context, &result, DType::Bool))
}

/// The mean of the squared distances from the mean.
fn variance(context: &mut Context, value: &Value) -> Result<Value, Stop> {
    let value = context.float(value);
    let value = context.low.as_is(&value);
    let mean = reduce_to(context, &value, "ReduceMean", true)?;
    let distance = context.node("Sub", &[&value.name, &mean.name], "Sub", &[]);
    let square = context.node("Mul", &[&distance, &distance], "Mul", &[]);
    reduce(context, &value.named(square), "ReduceMean")
}

fn squared_length(context: &mut Context, value: &Value, keep: bool) -> Result<Value, Stop> {
    let square = context.node("Mul", &[&value.name, &value.name], "square", &[]);
    reduce_to(context, &value.named(square), "ReduceSum", keep)
}

/// The root of the sum of squares.
fn norm(context: &mut Context, value: &Value) -> Result<Value, Stop> {
    let axes = context.config.axes("axis", &[])?.len();
    let is_euclidean = match context.config.get("ord") {
        None => true,
        Some(serde_json::Value::String(name)) => name == "euclidean" || name == "fro",
        // Of a matrix the 2-norm is another number.
        Some(order) => order.as_f64() == Some(2.0) && axes == 1,
    };
    if !is_euclidean {
        return unsupported("a norm that is not the euclidean one");
    }
    let value = context.float(value);
    let value = context.low.as_is(&value);
    let keep = context.config.bool("keepdims", false)?;
    let sum = squared_length(context, &value, keep)?;
    Ok(context.same("Sqrt", &sum, &[]))
}

/// The value divided by its length, or by a smallest length where it is shorter: 1e-7 in Keras 3, the root of 1e-12 in
/// TensorFlow.
fn normalize(context: &mut Context, value: &Value) -> Result<Value, Stop> {
    if context.config.float("order", 2.0)? != 2.0 {
        return unsupported("a norm that is not the euclidean one");
    }
    let smallest = match context.low.major {
        3.. => context.config.float("epsilon", 1e-7)?,
        _ => context.config.float("epsilon", 1e-12)?.max(0.0).sqrt(),
    };
    let value = context.float(value);
    let value = context.low.as_is(&value);
    let sum = squared_length(context, &value, true)?;
    let length = context.same("Sqrt", &sum, &[]);
    let smallest = context.floats("epsilon", &[], &[smallest as f32])?;
    let length = context.node("Max", &[&length.name, &smallest], "Max", &[]);
    let name = context.node("Div", &[&value.name, &length], "Div", &[]);
    Ok(value.named(name))
}

/// Where the largest or the smallest number is, int32 as Keras 3 counts or int64 as TensorFlow does.
fn position(context: &mut Context, value: &Value, op_type: &str) -> Result<Value, Stop> {
    let value = context.float(value);
    let (value, shape) = with_dims(context, &value)?;
    let is_keras3 = context.low.major >= 3;
    let axis = match context.config.axes("axis", if is_keras3 { &[] } else { &[0] })?.as_slice() {
        [axis] => axis_in(context, *axis, shape.len())?,
        _ => return unsupported("the position in a whole tensor"),
    };
    let keep = context.config.bool("keepdims", false)?;
    let attributes = [("axis", (axis as i64).into()), ("keepdims", i64::from(keep).into())];
    let name = context.node(op_type, &[&value.name], op_type, &attributes);
    let dims = shape.iter().enumerate().filter(|(at, _)| keep || *at != axis);
    let dims = dims.map(|(at, dim)| if at == axis { Some(1) } else { *dim }).collect();
    let found = Value { dtype: DType::Int64, ..Value::new(name, Some(dims), Layout::AsIs) };
    Ok(if is_keras3 { cast(context, &found, DType::Int32) } else { found })
}

/// Sums of everything up to each element.
fn cumulative(context: &mut Context, value: &Value) -> Result<Value, Stop> {
    let value = context.float(value);
    let (value, shape) = with_dims(context, &value)?;
    let axis = match context.config.axes("axis", if context.low.major >= 3 { &[] } else { &[0] })?.as_slice() {
        [axis] => axis_in(context, *axis, shape.len())?,
        _ => return unsupported("sums over a whole tensor"),
    };
    let mut attributes: Vec<(&str, Attr)> = Vec::new();
    for key in ["exclusive", "reverse"] {
        if context.config.bool(key, false)? {
            attributes.push((key, 1i64.into()));
        }
    }
    let at = Tensor::from_vec(Vec::new(), vec![axis as i64])?;
    let at = context.low.builder.initializer(&format!("{}/axis", context.path), &at);
    let name = context.node("CumSum", &[&value.name, &at], "CumSum", &attributes);
    Ok(value.named(name))
}
