//! Functions between layers: `keras.ops` of Keras 3 and `TFOpLambda` of Keras 2, as `x + 1` and `tf.reduce_mean(x)` make them.
//!
//! Both write the same functions under other names and with other keywords; [`given`] makes one of them: the operands, and
//! the options under the names that `keras.ops` has for them. Axes count the batch, and missing axes are added in front.
//! Nothing here hands a mask on, as Keras does not.

mod elementwise;
mod given;
mod items;
mod reduce;
mod select;
mod shapes;

pub(super) use reduce::reduced;

use crate::import::keras::config::Config;
use crate::import::keras::context::Context;
use crate::import::keras::stop::{Stop, unsupported};
use crate::import::keras::value::Value;
use crate::tensor::DType;
use given::Operand;

/// The function's name without what is around it, in one spelling: `__operators__.getitem` and `GetItem` are `getitem`,
/// `math.reduce_mean` and `Mean` are `mean`.
fn function_name(context: &Context) -> String {
    let name = match context.layer.class.as_str() {
        "TFOpLambda" | "SlicingOpLambda" => context.config.text("function", "").unwrap_or_default(),
        class => class,
    };
    let name = name.rsplit('.').next().unwrap_or(name).to_ascii_lowercase().replace('_', "");
    let name = match name.as_str() {
        "reducemean" => "mean",
        "reducesum" => "sum",
        "reducemax" | "amax" => "max",
        "reducemin" | "amin" => "min",
        "reduceprod" => "prod",
        "reduceany" => "any",
        "reduceall" => "all",
        "reducestd" => "std",
        "reducevariance" => "var",
        "reducelogsumexp" => "logsumexp",
        "concat" => "concatenate",
        "clipbyvalue" => "clip",
        "divide" | "truediv" | "realdiv" | "div" => "truedivide",
        "sub" => "subtract",
        "mul" => "multiply",
        "pow" => "power",
        "neg" => "negative",
        "abs" => "absolute",
        "wherev2" => "where",
        "gatherv2" | "gather" => "take",
        "reverse" => "flip",
        "stopgradient" | "copy" => "identity",
        "swish" => "silu",
        "l2normalize" => "normalize",
        "resizeimages" | "resizeimagesv2" => "resize",
        "permutedimensions" => "transpose",
        _ => return name,
    };
    name.to_owned()
}

/// A function by its name.
pub(super) fn function(context: &mut Context) -> Result<Vec<Value>, Stop> {
    let name = function_name(context);
    let options = given::options(context);
    let mut context = Context {
        config: Config::new(&context.layer.name, &options),
        layer: context.layer,
        call: context.call,
        values: context.values,
        scope: context.scope.clone(),
        parts: Vec::new(),
        path: context.path.clone(),
        once: context.once,
        outputs: context.outputs,
        low: context.low,
    };
    let results = by_name(&mut context, &name)?;
    Ok(results.into_iter().map(|result| Value { mask: None, ..result }).collect())
}

fn by_name(context: &mut Context, name: &str) -> Result<Vec<Value>, Stop> {
    if name == "getitem" {
        return Ok(vec![items::item(context)?]);
    }
    let operands = given::operands(context)?;
    if let Some(result) = elementwise::function(context, name, &operands)? {
        return Ok(vec![result]);
    }
    let Some(Operand::Tensor(first)) = operands.first() else {
        return unsupported(format!("the function '{name}' of no tensor"));
    };
    if let Some(result) = reduce::function(context, name, first)? {
        return Ok(vec![result]);
    }
    Ok(match name {
        "split" => select::split(context, first)?,
        "unstack" => select::unstack(context, first)?,
        "take" => vec![select::take(context, first, &operands)?],
        "repeat" => vec![select::repeat(context, first)?],
        "flip" => vec![select::flip(context, first)?],
        "concatenate" => vec![shapes::concatenate(context, &operands)?],
        "stack" => vec![shapes::stack(context, &operands)?],
        "transpose" => vec![shapes::transpose(context, first)?],
        "swapaxes" => vec![shapes::swap_axes(context, first)?],
        "moveaxis" => vec![shapes::move_axis(context, first)?],
        "reshape" => vec![shapes::reshape(context, first)?],
        "expanddims" => vec![shapes::expand_dims(context, first)?],
        "squeeze" => vec![shapes::squeeze(context, first)?],
        "tile" => vec![shapes::tile(context, first)?],
        "pad" | "padv2" => vec![shapes::pad(context, first, &operands)?],
        "matmul" => vec![shapes::matmul(context, &operands)?],
        "einsum" => vec![shapes::einsum(context, &operands)?],
        "resize" => vec![resize(context, first)?],
        _ => return unsupported(format!("the function '{name}'")),
    })
}

/// A picture in another size.
fn resize(context: &mut Context, value: &Value) -> Result<Value, Stop> {
    let size = context.config.sizes("size", 2, 1, None)?;
    let [height, width] = size.as_slice() else { return Err(context.config.wrong("size", "a height and a width")) };
    super::resize::resized(context, value, *height, *width)
}

/// The same numbers in another type.
fn cast(context: &mut Context, value: &Value, dtype: DType) -> Value {
    if value.dtype == dtype {
        return value.clone();
    }
    let name = context.node("Cast", &[&value.name], "Cast", &[("to", i64::from(dtype.to_onnx()).into())]);
    Value { dtype, ..value.named(name) }
}

/// An axis of a tensor of this rank, from 0.
fn axis_in(context: &Context, axis: i64, rank: usize) -> Result<usize, Stop> {
    let rank = rank as i64;
    match (-rank..rank).contains(&axis) {
        true => Ok(axis.rem_euclid(rank) as usize),
        false => Err(context.config.wrong("axis", "an axis of the input")),
    }
}

/// The value in Keras's order, and its dims.
fn with_dims(context: &mut Context, value: &Value) -> Result<(Value, Vec<Option<usize>>), Stop> {
    let value = context.low.as_is(value);
    match value.shape.clone() {
        Some(shape) => Ok((value, shape)),
        None => unsupported("a tensor of unknown shape"),
    }
}
