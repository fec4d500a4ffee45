//! Functions that move elements, and products of tensors.

use super::given::{Operand, tensors};
use super::{axis_in, with_dims};
use crate::import::keras::config::number;
use crate::import::keras::context::Context;
use crate::import::keras::layers::merge;
use crate::import::keras::layers::shape::product;
use crate::import::keras::stop::{Stop, unsupported};
use crate::import::keras::value::{Layout, Value};
use std::collections::HashMap;

type Dims = Vec<Option<usize>>;

/// Tensors of as many axes each: missing ones are added in front.
pub(super) fn same_rank(context: &mut Context, values: &[Value]) -> Result<Vec<Value>, Stop> {
    let ranks: Option<Vec<usize>> = values.iter().map(Value::rank).collect();
    let Some(most) = ranks.as_ref().and_then(|ranks| ranks.iter().copied().max()) else { return Ok(values.to_vec()) };
    let mut raised = Vec::new();
    for value in values {
        let missing = most - value.rank().unwrap_or(most);
        raised.push(if missing == 0 {
            value.clone()
        } else {
            with_axes(context, value, &(0..missing).collect::<Vec<_>>())?
        });
    }
    Ok(raised)
}

/// The value with axes of 1 at these positions of the result, which are sorted.
pub(super) fn with_axes(context: &mut Context, value: &Value, at: &[usize]) -> Result<Value, Stop> {
    let (value, mut dims) = with_dims(context, value)?;
    for &position in at {
        dims.insert(position.min(dims.len()), Some(1));
    }
    let axes = context.ints("axes", &at.iter().map(|&axis| axis as i64).collect::<Vec<_>>())?;
    let name = context.node("Unsqueeze", &[&value.name, &axes], "Unsqueeze", &[]);
    Ok(Value { dtype: value.dtype, ..Value::new(name, Some(dims), Layout::AsIs) })
}

/// The value without these axes.
pub(super) fn without_axes(context: &mut Context, value: &Value, gone: &[usize]) -> Result<Value, Stop> {
    let (value, dims) = with_dims(context, value)?;
    let axes = context.ints("axes", &gone.iter().map(|&axis| axis as i64).collect::<Vec<_>>())?;
    let name = context.node("Squeeze", &[&value.name, &axes], "Squeeze", &[]);
    let dims = dims.iter().enumerate().filter(|(axis, _)| !gone.contains(axis)).map(|(_, dim)| *dim).collect();
    Ok(Value { dtype: value.dtype, ..Value::new(name, Some(dims), Layout::AsIs) })
}

pub(super) fn expand_dims(context: &mut Context, value: &Value) -> Result<Value, Stop> {
    let axes = context.config.axes("axis", &[])?;
    let Some(rank) = value.rank() else { return unsupported("a tensor of unknown shape") };
    let mut at: Vec<usize> =
        axes.iter().map(|&axis| axis_in(context, axis, rank + axes.len())).collect::<Result<_, _>>()?;
    at.sort_unstable();
    at.dedup();
    with_axes(context, value, &at)
}

pub(super) fn squeeze(context: &mut Context, value: &Value) -> Result<Value, Stop> {
    let (value, dims) = with_dims(context, value)?;
    let axes = context.config.axes("axis", &[])?;
    let mut gone: Vec<usize> = axes.iter().map(|&axis| axis_in(context, axis, dims.len())).collect::<Result<_, _>>()?;
    if axes.is_empty() {
        if dims.iter().skip(1).any(Option::is_none) {
            return unsupported("axes of 1 that are to be found in open dims");
        }
        gone = (0..dims.len()).filter(|&axis| dims.get(axis) == Some(&Some(1))).collect();
    }
    if gone.iter().any(|&axis| !matches!(dims.get(axis), Some(None | Some(1)))) {
        return Err(context.config.wrong("axis", "axes of 1"));
    }
    if gone.is_empty() { Ok(value) } else { without_axes(context, &value, &gone) }
}

fn permuted(context: &mut Context, value: &Value, axes: &[usize]) -> Result<Value, Stop> {
    let (value, dims) = with_dims(context, value)?;
    let moved = axes.iter().filter_map(|&axis| dims.get(axis).copied()).collect();
    let perm: Vec<i64> = axes.iter().map(|&axis| axis as i64).collect();
    let name = context.node("Transpose", &[&value.name], "Transpose", &[("perm", perm.into())]);
    Ok(Value { dtype: value.dtype, ..Value::new(name, Some(moved), Layout::AsIs) })
}

pub(super) fn transpose(context: &mut Context, value: &Value) -> Result<Value, Stop> {
    let (value, dims) = with_dims(context, value)?;
    let backwards: Vec<i64> = (0..dims.len() as i64).rev().collect();
    let axes = context.config.axes("axes", &backwards)?;
    let axes: Vec<usize> = axes.iter().map(|&axis| axis_in(context, axis, dims.len())).collect::<Result<_, _>>()?;
    let mut sorted = axes.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..dims.len()) {
        return Err(context.config.wrong("axes", "each axis of the input once"));
    }
    permuted(context, &value, &axes)
}

pub(super) fn swap_axes(context: &mut Context, value: &Value) -> Result<Value, Stop> {
    let (value, dims) = with_dims(context, value)?;
    let first = axis_in(context, context.config.int("axis1", 0)?, dims.len())?;
    let second = axis_in(context, context.config.int("axis2", 0)?, dims.len())?;
    let mut axes: Vec<usize> = (0..dims.len()).collect();
    axes.swap(first, second);
    permuted(context, &value, &axes)
}

pub(super) fn move_axis(context: &mut Context, value: &Value) -> Result<Value, Stop> {
    let (value, dims) = with_dims(context, value)?;
    let read = |context: &Context, key: &str| {
        let axes = context.config.axes(key, &[])?;
        axes.iter().map(|&axis| axis_in(context, axis, dims.len())).collect::<Result<Vec<_>, _>>()
    };
    let (from, to) = (read(context, "source")?, read(context, "destination")?);
    let mut pairs: Vec<(usize, usize)> = to.iter().copied().zip(from.iter().copied()).collect();
    pairs.sort_unstable();
    let mut axes: Vec<usize> = (0..dims.len()).filter(|axis| !from.contains(axis)).collect();
    for (to, from) in pairs {
        axes.insert(to.min(axes.len()), from);
    }
    if from.len() != to.len() || axes.len() != dims.len() {
        return Err(context.config.wrong("destination", "a place for each axis that moves"));
    }
    permuted(context, &value, &axes)
}

pub(super) fn reshape(context: &mut Context, value: &Value) -> Result<Value, Stop> {
    if context.config.get("newshape").is_none() {
        return unsupported("a shape that is computed");
    }
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

pub(super) fn concatenate(context: &mut Context, operands: &[Operand]) -> Result<Value, Stop> {
    let axis = context.config.int("axis", if context.low.major >= 3 { -1 } else { 0 })?;
    let results = merge::concatenate_along(context, &tensors(operands)?, axis)?;
    results.into_iter().next().ok_or_else(|| Stop::Unsupported("nothing to put side by side".to_owned()))
}

/// Tensors along a new axis.
pub(super) fn stack(context: &mut Context, operands: &[Operand]) -> Result<Value, Stop> {
    let values = tensors(operands)?;
    let axis = context.config.int("axis", 0)?;
    let Some(rank) = values.first().and_then(Value::rank) else { return unsupported("a tensor of unknown shape") };
    let at = axis_in(context, axis, rank + 1)?;
    let mut raised = Vec::new();
    for value in &values {
        raised.push(with_axes(context, value, &[at])?);
    }
    let results = merge::concatenate_along(context, &raised, at as i64)?;
    results.into_iter().next().ok_or_else(|| Stop::Unsupported("nothing to stack".to_owned()))
}

pub(super) fn tile(context: &mut Context, value: &Value) -> Result<Value, Stop> {
    let (value, dims) = with_dims(context, value)?;
    let mut repeats = context.config.axes("repeats", &[])?;
    let missing = dims.len().saturating_sub(repeats.len());
    repeats.splice(0..0, std::iter::repeat_n(1, missing));
    if repeats.len() != dims.len() || repeats.iter().any(|&count| !(1..1 << 31).contains(&count)) {
        return unsupported(format!("a tensor repeated {repeats:?} times"));
    }
    let tiled = dims.iter().zip(&repeats).map(|(dim, &count)| dim.map(|dim| dim.saturating_mul(count as usize)));
    let tiled = tiled.collect();
    let repeats = context.ints("repeats", &repeats)?;
    let name = context.node("Tile", &[&value.name, &repeats], "Tile", &[]);
    Ok(Value { dtype: value.dtype, ..Value::new(name, Some(tiled), Layout::AsIs) })
}

pub(super) fn pad(context: &mut Context, value: &Value, operands: &[Operand]) -> Result<Value, Stop> {
    let value = context.float(value);
    let (value, dims) = with_dims(context, &value)?;
    let pairs = context.config.size_pairs("pad_width", dims.len(), 0)?;
    let mode = match context.config.text("mode", "constant")?.to_ascii_lowercase().as_str() {
        "constant" => "constant",
        "reflect" => "reflect",
        "edge" => "edge",
        other => return unsupported(format!("the padding '{other}'")),
    };
    let before = pairs.iter().map(|pair| pair.0 as i64);
    let pads: Vec<i64> = before.chain(pairs.iter().map(|pair| pair.1 as i64)).collect();
    let mut inputs = vec![value.name.clone(), context.ints("pads", &pads)?];
    let given = match operands.get(1) {
        Some(Operand::Number(number)) => Some(*number),
        Some(Operand::Tensor(_)) => return unsupported("padding with a tensor"),
        None => context.config.get("constant_values").and_then(number),
    };
    if let Some(number) = given.filter(|number| mode == "constant" && *number != 0.0) {
        inputs.push(context.floats("padding", &[], &[number as f32])?);
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let name = context.node("Pad", &inputs, "Pad", &[("mode", mode.into())]);
    let padded =
        dims.iter().zip(&pairs).map(|(dim, pair)| dim.map(|dim| dim.saturating_add(pair.0).saturating_add(pair.1)));
    Ok(Value::new(name, Some(padded.collect()), Layout::AsIs))
}

/// The product of matrices, or of stacks of them.
pub(super) fn matmul(context: &mut Context, operands: &[Operand]) -> Result<Value, Stop> {
    let mut values = Vec::new();
    for (value, key) in tensors(operands)?.iter().zip(["transpose_a", "transpose_b"]) {
        let value = context.float(value);
        let (value, dims) = with_dims(context, &value)?;
        if dims.len() < 2 {
            return unsupported("a product with a vector");
        }
        values.push(match context.config.bool(key, false)? {
            true => {
                let mut axes: Vec<usize> = (0..dims.len()).collect();
                axes.swap(dims.len() - 1, dims.len() - 2);
                permuted(context, &value, &axes)?
            }
            false => value,
        });
    }
    let [left, right] = values.as_slice() else { return unsupported("a product of other than two tensors") };
    let ends = |value: &Value| {
        let dims = value.shape.clone().unwrap_or_default();
        let (stack, matrix) = dims.split_at(dims.len().saturating_sub(2));
        (Value { shape: Some(stack.to_vec()), ..value.clone() }, matrix.to_vec())
    };
    let ((left_stack, left_dims), (right_stack, right_dims)) = (ends(left), ends(right));
    let stack = merge::broadcast(context, &[left_stack, right_stack])?.unwrap_or_default();
    let dims = stack.into_iter().chain([left_dims.first().copied().flatten(), right_dims.last().copied().flatten()]);
    let name = context.node("MatMul", &[&left.name, &right.name], "MatMul", &[]);
    Ok(Value::new(name, Some(dims.collect()), Layout::AsIs))
}

/// Sums of products by their letters: `abc,cd->abd`.
pub(super) fn einsum(context: &mut Context, operands: &[Operand]) -> Result<Value, Stop> {
    // TensorFlow's first argument is the equation, which no operand is.
    let equation = context.config.first(&["subscripts", "equation"]).and_then(serde_json::Value::as_str);
    let Some(equation) = equation.map(|equation| equation.replace(' ', "")) else {
        return unsupported("an equation that is not in the file");
    };
    let Some((inputs, output)) = equation.split_once("->") else {
        return unsupported("an equation that does not say its result");
    };
    let terms: Vec<&str> = inputs.split(',').collect();
    let mut values = Vec::new();
    let mut sizes: HashMap<char, Option<usize>> = HashMap::new();
    for value in tensors(operands)? {
        let value = context.float(&value);
        let (value, dims) = with_dims(context, &value)?;
        let fits = terms.get(values.len()).filter(|term| term.chars().count() == dims.len());
        let Some(term) = fits.filter(|term| term.chars().all(|c| c.is_ascii_alphabetic())) else {
            return unsupported(format!("the equation '{equation}'"));
        };
        sizes.extend(term.chars().zip(dims));
        values.push(value);
    }
    let dims: Option<Dims> = output.chars().map(|letter| sizes.get(&letter).copied()).collect();
    let Some(dims) = dims.filter(|_| terms.len() == values.len()) else {
        return unsupported(format!("the equation '{equation}'"));
    };
    let names: Vec<&str> = values.iter().map(|value| value.name.as_str()).collect();
    let name = context.node("Einsum", &names, "Einsum", &[("equation", equation.as_str().into())]);
    Ok(Value::new(name, Some(dims), Layout::AsIs))
}
