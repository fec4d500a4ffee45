//! What a function is given: operands, and options under one name each.

use crate::import::keras::config::number;
use crate::import::keras::context::Context;
use crate::import::keras::stop::{Stop, unsupported};
use crate::import::keras::topology::Arg;
use crate::import::keras::value::{Layout, Value};
use serde_json::{Map, Value as Json};

/// A tensor or a number.
#[derive(Clone, Debug)]
pub(super) enum Operand {
    Tensor(Value),
    Number(f64),
}

/// Keywords that have operands in the functions of more than one, in their order.
const OPERANDS: [&str; 9] = ["x", "x1", "y", "x2", "a", "b", "indices", "values", "tensor"];

/// Names of TensorFlow's for the options of `keras.ops`.
const RENAMED: [(&str, &str); 9] = [
    ("perm", "axes"),
    ("shape", "newshape"),
    ("paddings", "pad_width"),
    ("num_or_size_splits", "sections"),
    ("multiples", "repeats"),
    ("clip_value_min", "x_min"),
    ("clip_value_max", "x_max"),
    ("keep_dims", "keepdims"),
    ("method", "interpolation"),
];

/// The layer's configuration and the call's keywords together.
pub(super) fn options(context: &Context) -> Map<String, Json> {
    let mut options = context.config.map().clone();
    for (key, arg) in &context.call.keywords {
        if let Some(json) = plain(arg) {
            options.insert(key.clone(), json);
        }
    }
    for (old, new) in RENAMED {
        if !options.contains_key(new)
            && let Some(value) = options.remove(old)
        {
            options.insert(new.to_owned(), value);
        }
    }
    options
}

/// An argument without a tensor in it, as it was written.
pub(super) fn plain(arg: &Arg) -> Option<Json> {
    match arg {
        Arg::Plain(json) => Some(json.clone()),
        Arg::List(list) => list.iter().map(plain).collect::<Option<Vec<_>>>().map(Json::Array),
        Arg::Tensor(..) => None,
    }
}

/// The arguments in order, lists of tensors as their tensors, then the keywords that functions have operands in.
pub(super) fn operands(context: &mut Context) -> Result<Vec<Operand>, Stop> {
    let call = context.call;
    let keywords = OPERANDS.iter().filter_map(|name| call.keyword(name));
    let mut found = Vec::new();
    for arg in call.args.iter().chain(keywords) {
        operand(context, arg, &mut found)?;
    }
    Ok(found)
}

fn operand(context: &mut Context, arg: &Arg, found: &mut Vec<Operand>) -> Result<(), Stop> {
    match (arg, plain(arg)) {
        (_, Some(Json::Null)) => {}
        (Arg::Tensor(tensor, shape), _) => match context.values.get(tensor) {
            Some(value) => found.push(Operand::Tensor(value.with_declared_shape(shape.as_deref()))),
            None => return unsupported("an argument that nothing makes"),
        },
        (Arg::List(list), None) => list.iter().try_for_each(|arg| operand(context, arg, found))?,
        (_, Some(json)) => found.push(match number(&json) {
            Some(number) => Operand::Number(number),
            None => Operand::Tensor(constant(context, &json)?),
        }),
        (Arg::Plain(_), None) => {}
    }
    Ok(())
}

/// A tensor of numbers that is written into the file: as a list, or as Keras 3 writes an array.
fn constant(context: &mut Context, json: &Json) -> Result<Value, Stop> {
    let class = json.get("class_name").and_then(Json::as_str);
    let list = match json.get("config").and_then(|config| config.get("value")) {
        Some(list) if matches!(class, Some("__numpy__" | "__tensor__")) => list,
        _ if json.is_array() => json,
        _ => return unsupported("an argument that is no number"),
    };
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
    let count = shape.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim));
    if collect(list, &mut values).is_none() || count != Some(values.len()) {
        return unsupported("a constant that is no tensor of numbers");
    }
    let name = context.floats("operand", &shape, &values)?;
    Ok(Value::new(name, Some(shape.into_iter().map(Some).collect()), Layout::AsIs))
}

/// Every operand as a tensor.
pub(super) fn tensors(operands: &[Operand]) -> Result<Vec<Value>, Stop> {
    let tensor = |operand: &Operand| match operand {
        Operand::Tensor(value) => Ok(value.clone()),
        Operand::Number(_) => unsupported("a number where a tensor is expected"),
    };
    operands.iter().map(tensor).collect()
}
