//! Functions of `keras.ops` with options: reductions, slices and changes of shape. Their axes count the batch.

use super::activation::{self, Function};
use super::merge;
use super::shape::product;
use crate::import::keras::context::Context;
use crate::import::keras::stop::{Stop, unsupported};
use crate::import::keras::topology::Arg;
use crate::import::keras::value::{Layout, Value};
use crate::onnx::Attr;
use crate::tensor::DType;
use serde_json::Value as Json;

type Dims = Vec<Option<usize>>;

/// The results of such a function; `None` where the name is not one of theirs.
pub(super) fn with_options(context: &mut Context, name: &str) -> Result<Option<Vec<Value>>, Stop> {
    let tensors = context.call.tensors();
    let given: Option<Vec<Value>> = tensors
        .into_iter()
        .map(|(tensor, shape)| Some(context.values.get(tensor)?.with_declared_shape(shape)))
        .collect();
    let Some(given) = given else { return Ok(None) };
    let Some(first) = given.first() else { return Ok(None) };
    let result = match name.to_ascii_lowercase().as_str() {
        "any" => truth(context, first, "ReduceMax")?,
        "all" => truth(context, first, "ReduceMin")?,
        "mean" => number(context, first, "ReduceMean")?,
        "sum" => number(context, first, "ReduceSum")?,
        "max" | "amax" => number(context, first, "ReduceMax")?,
        "min" | "amin" => number(context, first, "ReduceMin")?,
        "prod" => number(context, first, "ReduceProd")?,
        "softmax" => {
            let axis = context.config.int("axis", -1)?;
            activation::apply(context, first, Some(Function::Softmax { axis }))?
        }
        "clip" => clip(context, first)?,
        "concatenate" => {
            let axis = context.config.int("axis", -1)?;
            return Ok(Some(merge::concatenate_along(context, &given, axis)?));
        }
        "transpose" => transpose(context, first)?,
        "reshape" => reshape(context, first)?,
        "getitem" => item(context, first)?,
        _ => return Ok(None),
    };
    Ok(Some(vec![Value { mask: None, ..result }]))
}

/// A reduction over axes of the tensor as it is.
pub(super) fn reduced(
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

/// The axes of a reduction, none for all, and the shape of its result.
fn reduce(context: &mut Context, value: &Value, op_type: &str) -> Result<Value, Stop> {
    let axes = context.config.axes("axis", &[])?;
    let keep = context.config.bool("keepdims", false)?;
    let value = context.low.as_is(value);
    let shape = match &value.shape {
        None => None,
        Some(shape) => {
            let rank = shape.len() as i64;
            if axes.iter().any(|axis| !(-rank..rank).contains(axis)) {
                return Err(context.config.wrong("axis", "axes of the input"));
            }
            let gone = |at: usize| axes.is_empty() || axes.iter().any(|axis| axis.rem_euclid(rank) == at as i64);
            let dims = shape.iter().enumerate().filter(|(at, _)| keep || !gone(*at));
            Some(dims.map(|(at, dim)| if gone(at) { Some(1) } else { *dim }).collect::<Dims>())
        }
    };
    let name = reduced(context, op_type, &value.name, &axes, keep, op_type)?;
    Ok(Value::new(name, shape, Layout::AsIs))
}

fn number(context: &mut Context, value: &Value, op_type: &str) -> Result<Value, Stop> {
    let value = context.float(value);
    reduce(context, &value, op_type)
}

fn cast(context: &mut Context, value: &Value, dtype: DType) -> Value {
    let name = context.node("Cast", &[&value.name], "Cast", &[("to", i64::from(dtype.to_onnx()).into())]);
    Value { dtype, ..value.named(name) }
}

/// `any` and `all`, which ONNX has for numbers only. What the file does not say is what `Masking` makes: the last axis.
fn truth(context: &mut Context, value: &Value, op_type: &str) -> Result<Value, Stop> {
    let truth = if value.dtype == DType::Bool { value.clone() } else { cast(context, value, DType::Bool) };
    let number = cast(context, &truth, DType::Float32);
    let result = if context.config.map().contains_key("axis") {
        reduce(context, &number, op_type)?
    } else {
        let number = context.low.as_is(&number);
        let shape = number.shape.as_ref().and_then(|shape| Some(shape.split_last()?.1.to_vec()));
        let name = reduced(context, op_type, &number.name, &[-1], false, op_type)?;
        Value::new(name, shape, Layout::AsIs)
    };
    Ok(cast(context, &result, DType::Bool))
}

fn clip(context: &mut Context, value: &Value) -> Result<Value, Stop> {
    let bounds = ["x_min", "x_max"].map(|key| context.config.get(key).and_then(crate::import::keras::config::number));
    let [Some(low), Some(high)] = bounds else { return unsupported("bounds that are no numbers") };
    let value = context.float(value);
    let low = context.floats("x_min", &[], &[low as f32])?;
    let high = context.floats("x_max", &[], &[high as f32])?;
    let name = context.node("Clip", &[&value.name, &low, &high], "Clip", &[]);
    Ok(value.named(name))
}

fn transpose(context: &mut Context, value: &Value) -> Result<Value, Stop> {
    let value = context.low.as_is(value);
    let Some(shape) = value.shape.clone() else { return unsupported("a tensor of unknown shape") };
    let rank = shape.len() as i64;
    let backwards: Vec<i64> = (0..rank).rev().collect();
    let axes = context.config.axes("axes", &backwards)?;
    let axes: Vec<i64> = axes.into_iter().map(|axis| if axis < 0 { axis + rank } else { axis }).collect();
    let mut sorted = axes.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..rank) {
        return Err(context.config.wrong("axes", "each axis of the input once"));
    }
    let dims = axes.iter().filter_map(|&axis| shape.get(axis as usize).copied()).collect();
    let name = context.node("Transpose", &[&value.name], "Transpose", &[("perm", axes.into())]);
    Ok(Value { dtype: value.dtype, ..Value::new(name, Some(dims), Layout::AsIs) })
}

fn reshape(context: &mut Context, value: &Value) -> Result<Value, Stop> {
    let target = context.config.axes("newshape", &[])?;
    let open = target.iter().filter(|&&dim| dim == -1).count();
    if open > 1 || target.iter().any(|&dim| dim < -1 || dim == 0) {
        return unsupported(format!("the shape {target:?}"));
    }
    let value = context.low.as_is(value);
    let known = value.shape.as_deref().and_then(product);
    let fixed: Dims = target.iter().filter(|&&dim| dim > 0).map(|&dim| usize::try_from(dim).ok()).collect();
    let fixed = product(&fixed);
    let left = known.zip(fixed).map(|(known, fixed)| (known / fixed.max(1), known % fixed.max(1)));
    if left.is_some_and(|(times, rest)| rest != 0 || (open == 0 && times != 1)) {
        return Err(context.config.wrong("newshape", "a shape of as many elements as the input has"));
    }
    let dim = |&dim: &i64| if dim == -1 { left.map(|(times, _)| times) } else { usize::try_from(dim).ok() };
    let dims: Dims = target.iter().map(dim).collect();
    let shape = context.ints("shape", &target)?;
    let name = context.node("Reshape", &[&value.name, &shape], "Reshape", &[]);
    Ok(Value { dtype: value.dtype, ..Value::new(name, Some(dims), Layout::AsIs) })
}

/// What one entry between square brackets takes.
enum Taken {
    /// From, to, step.
    Slice(Option<i64>, Option<i64>, i64),
    One(i64),
}

fn taken(arg: &Arg) -> Option<Taken> {
    let Arg::Plain(json) = arg else { return None };
    if let Some(at) = json.as_i64() {
        return Some(Taken::One(at));
    }
    if json.get("class_name").and_then(Json::as_str) != Some("__slice__") {
        return None;
    }
    let end = |key: &str| match json.get("config")?.get(key) {
        None | Some(Json::Null) => Some(None),
        Some(end) => Some(Some(end.as_i64()?)),
    };
    Some(Taken::Slice(end("start")?, end("stop")?, end("step")?.unwrap_or(1)))
}

/// `x[...]` with slices forwards and whole numbers.
fn item(context: &mut Context, value: &Value) -> Result<Value, Stop> {
    let entries: Option<Vec<Taken>> = match context.call.args.get(1) {
        Some(Arg::List(list)) => list.iter().map(taken).collect(),
        Some(one) => taken(one).map(|one| vec![one]),
        None => None,
    };
    let Some(entries) = entries else { return unsupported("an index that is neither slices nor whole numbers") };
    let value = context.low.as_is(value);
    let Some(shape) = value.shape.clone().filter(|shape| shape.len() >= entries.len()) else {
        return unsupported("an index into a tensor of unknown shape");
    };
    let (mut starts, mut ends, mut steps, mut axes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut gone, mut dims) = (Vec::new(), Vec::new());
    for (axis, (entry, dim)) in entries.iter().zip(&shape).enumerate() {
        let (start, end, step) = match *entry {
            Taken::Slice(None, None, 1) => {
                dims.push(*dim);
                continue;
            }
            Taken::Slice(start, end, step) if step > 0 => {
                let (start, end) = (start.unwrap_or(0), end.unwrap_or(i64::MAX));
                dims.push(dim.map(|dim| {
                    let dim = dim as i64;
                    let place = |end: i64| if end < 0 { (end + dim).max(0) } else { end.min(dim) };
                    let count = (place(end) - place(start)).max(0);
                    ((count + step - 1) / step) as usize
                }));
                (start, end, step)
            }
            Taken::One(at) => {
                gone.push(axis as i64);
                (at, if at == -1 { i64::MAX } else { at.saturating_add(1) }, 1)
            }
            Taken::Slice(..) => return unsupported("a slice backwards"),
        };
        starts.push(start);
        ends.push(end);
        steps.push(step);
        axes.push(axis as i64);
    }
    dims.extend(shape.iter().skip(entries.len()));
    let mut name = value.name.clone();
    if !axes.is_empty() {
        let lists = [("starts", starts), ("ends", ends), ("axes", axes), ("steps", steps)];
        let mut inputs = vec![name];
        for (suffix, list) in lists {
            inputs.push(context.ints(suffix, &list)?);
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        name = context.node("Slice", &inputs, "Slice", &[]);
    }
    if !gone.is_empty() {
        let axes = context.ints("axes", &gone)?;
        name = context.node("Squeeze", &[&name, &axes], "Squeeze", &[]);
    }
    Ok(Value { dtype: value.dtype, ..Value::new(name, Some(dims), Layout::AsIs) })
}

/// A tensor of numbers written into the configuration; `None` where the argument is none.
pub(super) fn constant(context: &mut Context, json: &Json) -> Result<Option<Value>, Stop> {
    let class = json.get("class_name").and_then(Json::as_str);
    let Some(list) = json.get("config").and_then(|config| config.get("value")) else { return Ok(None) };
    if !matches!(class, Some("__numpy__" | "__tensor__")) {
        return Ok(None);
    }
    let (mut shape, mut values, mut at) = (Vec::new(), Vec::new(), list);
    while let Json::Array(inner) = at {
        shape.push(inner.len());
        let Some(first) = inner.first() else { break };
        at = first;
    }
    fn collect(json: &Json, into: &mut Vec<f32>) -> Option<()> {
        match json {
            Json::Array(list) => list.iter().try_for_each(|json| collect(json, into)),
            number => {
                into.push(number.as_f64()? as f32);
                Some(())
            }
        }
    }
    if collect(list, &mut values).is_none() || values.len() != shape.iter().product::<usize>() {
        return unsupported("a constant that is no tensor of numbers");
    }
    let name = context.floats("operand", &shape, &values)?;
    let shape = shape.into_iter().map(Some).collect();
    Ok(Some(Value::new(name, Some(shape), Layout::AsIs)))
}

/// Two operands of as many axes: `keras.ops` adds missing ones in front, where merging layers add them behind the batch.
pub(super) fn same_rank(context: &mut Context, first: Value, second: Value) -> Result<(Value, Value), Stop> {
    let (Some(left), Some(right)) = (first.rank(), second.rank()) else { return Ok((first, second)) };
    if !context.layer.is_function || left == right {
        return Ok((first, second));
    }
    let mut raise = |value: &Value, missing: usize| {
        let value = context.low.as_is(value);
        let axes = context.ints("axes", &(0..missing as i64).collect::<Vec<_>>())?;
        let name = context.node("Unsqueeze", &[&value.name, &axes], "Unsqueeze", &[]);
        let dims = vec![Some(1); missing].into_iter().chain(value.shape.iter().flatten().copied()).collect();
        Ok::<_, Stop>(Value { dtype: value.dtype, ..Value::new(name, Some(dims), Layout::AsIs) })
    };
    Ok(match left < right {
        true => (raise(&first, right - left)?, second),
        false => (first, raise(&second, left - right)?),
    })
}
