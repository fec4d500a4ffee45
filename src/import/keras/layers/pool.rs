//! Pooling over windows and over whole planes.

use super::conv::{Attributes, Window, padding};
use crate::import::keras::context::Context;
use crate::import::keras::stop::{Stop, unsupported};
use crate::import::keras::value::{Layout, Value};
use crate::import::keras::window::Padding;

/// `MaxPooling` and `AveragePooling` of one to three axes.
pub(super) fn window(context: &mut Context, inputs: &[Value], axes: usize, op_type: &str) -> Result<Vec<Value>, Stop> {
    let config = context.config;
    let kernel =
        config.sizes(if config.get("pool_size").is_some() { "pool_size" } else { "pool_length" }, axes, 1, None)?;
    let stride_key = if config.get("stride").is_some() { "stride" } else { "strides" };
    let strides = match config.get(stride_key) {
        Some(_) => config.sizes(stride_key, axes, 1, None)?,
        None => kernel.clone(),
    };
    let window = Window { kernel, strides, dilations: vec![1; axes], padding: padding(context)? };
    if window.padding == Padding::Causal {
        return unsupported("causal padding of a pooling");
    }
    let input = context.single(inputs)?;
    let input = context.spatial(input, axes)?;
    let (dims, mut attributes) = window.place(context, &input.dims)?;
    // Older operator sets have no dilations here, and padding of a valid window is nothing to write.
    attributes.retain(|(name, _)| *name != "dilations" && (*name != "pads" || window.padding == Padding::Same));
    let name = context.node(op_type, &[&input.name], op_type, &attributes);
    Ok(vec![input.result(name, dims, input.channels)])
}

/// `GlobalMaxPooling` and `GlobalAveragePooling`.
pub(super) fn global(context: &mut Context, inputs: &[Value], axes: usize, op_type: &str) -> Result<Vec<Value>, Stop> {
    let input = context.single(inputs)?;
    let mask = if op_type == "GlobalAveragePool" && axes == 1 { context.mask("mask", input) } else { None };
    if let Some(mask) = mask {
        return masked_average(context, input, &mask);
    }
    let input = context.spatial(input, axes)?;
    let keep = context.config.bool("keepdims", false)?;
    let name = context.node(op_type, &[&input.name], op_type, &[]);
    if keep {
        return Ok(vec![input.result(name, vec![Some(1); axes], input.channels)]);
    }
    let reduced: Vec<i64> = (2..axes as i64 + 2).collect();
    let reduced = context.ints("axes", &reduced)?;
    let name = context.node("Squeeze", &[&name, &reduced], "Squeeze", &[]);
    Ok(vec![Value::new(name, Some(vec![input.batch, input.channels]), Layout::AsIs)])
}

/// `GlobalAveragePooling1D` behind a mask: the sum of the steps that count, over their number.
fn masked_average(context: &mut Context, input: &Value, mask: &str) -> Result<Vec<Value>, Stop> {
    let input = context.float(input);
    let input = context.low.as_is(&input);
    let Some([batch, _, channels]) = input.shape.as_deref() else {
        return unsupported("a mask over other data than (batch, time, channels)");
    };
    if context.is_channels_first()? {
        return unsupported("a mask with channels first");
    }
    let keep = context.config.bool("keepdims", false)?;
    let to: Attributes = vec![("to", 1i64.into())];
    let mask = context.node("Cast", &[mask], "mask", &to);
    let last = context.ints("last", &[2])?;
    let time = context.ints("time", &[1])?;
    let mask = context.node("Unsqueeze", &[&mask, &last], "mask", &[]);
    let kept = context.node("Mul", &[&input.name, &mask], "Mul", &[]);
    let keep_attribute = [("keepdims", i64::from(keep).into())];
    let sum = context.node("ReduceSum", &[&kept, &time], "sum", &keep_attribute);
    let count = context.node("ReduceSum", &[&mask, &time], "count", &keep_attribute);
    let name = context.node("Div", &[&sum, &count], "Div", &[]);
    let shape = if keep { vec![*batch, Some(1), *channels] } else { vec![*batch, *channels] };
    Ok(vec![Value::new(name, Some(shape), Layout::AsIs)])
}
