//! Functions that choose elements along an axis.

use super::given::Operand;
use super::{axis_in, cast, shapes, with_dims};
use crate::import::keras::context::Context;
use crate::import::keras::stop::{Stop, unsupported};
use crate::import::keras::value::{Layout, Value};
use crate::tensor::{DType, Tensor};

/// Longest list of positions that is written out.
const MOST_POSITIONS: usize = 1 << 20;

/// The elements at these positions of an axis, in their order.
pub(super) fn gathered(context: &mut Context, value: &Value, axis: usize, positions: &[i64]) -> Result<Value, Stop> {
    let (value, mut dims) = with_dims(context, value)?;
    let count = positions.len();
    let positions = context.ints("positions", positions)?;
    let name = context.node("Gather", &[&value.name, &positions], "Gather", &[("axis", (axis as i64).into())]);
    if let Some(dim) = dims.get_mut(axis) {
        *dim = Some(count);
    }
    Ok(Value { dtype: value.dtype, ..Value::new(name, Some(dims), Layout::AsIs) })
}

/// The size of an axis, which has to be known.
fn size(dims: &[Option<usize>], axis: usize) -> Result<usize, Stop> {
    match dims.get(axis).copied().flatten() {
        Some(size) if size <= MOST_POSITIONS => Ok(size),
        Some(size) => unsupported(format!("an axis of {size}")),
        None => unsupported("an axis of open size"),
    }
}

/// Parts side by side: so many equal ones, of these sizes (TensorFlow), or cut at these places (Keras 3).
pub(super) fn split(context: &mut Context, value: &Value) -> Result<Vec<Value>, Stop> {
    let (value, dims) = with_dims(context, value)?;
    let axis = axis_in(context, context.config.int("axis", 0)?, dims.len())?;
    let whole = size(&dims, axis)?;
    let is_keras3 = context.config.get("indices_or_sections").is_some();
    let key = if is_keras3 { "indices_or_sections" } else { "sections" };
    let wrong = |context: &Context| context.config.wrong(key, &format!("parts of an axis of {whole}"));
    let given = context.config.axes(key, &[])?;
    let sizes: Vec<usize> = match context.config.get(key) {
        Some(serde_json::Value::Array(_)) => {
            let numbers: Option<Vec<usize>> = given.iter().map(|&number| usize::try_from(number).ok()).collect();
            let Some(numbers) = numbers else { return unsupported("parts of sizes that are to be found") };
            if is_keras3 {
                let ends = numbers.iter().copied().chain([whole]);
                let starts = [0].into_iter().chain(numbers.iter().copied());
                let sizes: Option<Vec<usize>> = starts.zip(ends).map(|(start, end)| end.checked_sub(start)).collect();
                sizes.ok_or_else(|| wrong(context))?
            } else {
                numbers
            }
        }
        _ => match given.as_slice() {
            [count] if *count > 0 && whole % *count as usize == 0 => {
                vec![whole / *count as usize; (*count as usize).min(whole)]
            }
            _ => return Err(wrong(context)),
        },
    };
    if sizes.iter().try_fold(0usize, |sum, &size| sum.checked_add(size)) != Some(whole) {
        return Err(wrong(context));
    }
    let list: Vec<i64> = sizes.iter().map(|&size| size as i64).collect();
    let list = context.ints("sizes", &list)?;
    let wishes: Vec<String> = (0..sizes.len()).map(|part| format!("{}/part_{part}", context.path)).collect();
    let wishes: Vec<&str> = wishes.iter().map(String::as_str).collect();
    let attributes = [("axis", (axis as i64).into())];
    let names = context.low.builder.node_of("", "Split", &[&value.name, &list], &wishes, &attributes);
    let part = |(name, size): (String, usize)| {
        let dims = dims.iter().enumerate().map(|(at, dim)| if at == axis { Some(size) } else { *dim }).collect();
        Value { dtype: value.dtype, ..Value::new(name, Some(dims), Layout::AsIs) }
    };
    Ok(names.into_iter().zip(sizes).map(part).collect())
}

/// Every element along an axis as a tensor without it.
pub(super) fn unstack(context: &mut Context, value: &Value) -> Result<Vec<Value>, Stop> {
    let (value, dims) = with_dims(context, value)?;
    let axis = axis_in(context, context.config.int("axis", 0)?, dims.len())?;
    let count = size(&dims, axis)?;
    if count > 1 << 12 {
        return unsupported(format!("{count} results"));
    }
    (0..count as i64)
        .map(|at| {
            let one = gathered(context, &value, axis, &[at])?;
            shapes::without_axes(context, &one, &[axis])
        })
        .collect()
}

/// The elements that the second operand names.
pub(super) fn take(context: &mut Context, value: &Value, operands: &[Operand]) -> Result<Value, Stop> {
    let (value, dims) = with_dims(context, value)?;
    if context.config.int("batch_dims", 0)? != 0 || (context.low.major >= 3 && context.config.get("axis").is_none()) {
        return unsupported("elements of a whole tensor, or of each example its own");
    }
    let axis = axis_in(context, context.config.int("axis", 0)?, dims.len())?;
    let (index, index_dims) = match operands.get(1) {
        Some(Operand::Tensor(index)) => {
            let (index, dims) = with_dims(context, index)?;
            let index = if index.dtype == DType::Int32 { index } else { cast(context, &index, DType::Int64) };
            (index.name, dims)
        }
        Some(Operand::Number(number)) if number.fract() == 0.0 => {
            let index = Tensor::from_vec(Vec::new(), vec![*number as i64])?;
            (context.low.builder.initializer(&format!("{}/index", context.path), &index), Vec::new())
        }
        _ => return unsupported("positions that are not in the file"),
    };
    let name = context.node("Gather", &[&value.name, &index], "Gather", &[("axis", (axis as i64).into())]);
    let (before, behind) = dims.split_at(axis);
    let dims = before.iter().chain(&index_dims).chain(behind.iter().skip(1)).copied().collect();
    Ok(Value { dtype: value.dtype, ..Value::new(name, Some(dims), Layout::AsIs) })
}

/// Every element so many times in a row.
pub(super) fn repeat(context: &mut Context, value: &Value) -> Result<Value, Stop> {
    let (value, dims) = with_dims(context, value)?;
    if context.config.get("axis").is_none() {
        return unsupported("the elements of a whole tensor repeated");
    }
    let axis = axis_in(context, context.config.int("axis", 0)?, dims.len())?;
    let count = size(&dims, axis)?;
    let times: Vec<usize> = match context.config.axes("repeats", &[])?.as_slice() {
        [one] => vec![usize::try_from(*one).unwrap_or(usize::MAX); count],
        list => list.iter().map(|&times| usize::try_from(times).unwrap_or(usize::MAX)).collect(),
    };
    let all = times.iter().try_fold(0usize, |sum, &times| sum.checked_add(times));
    if times.len() != count || all.is_none_or(|all| all > MOST_POSITIONS) {
        return Err(context.config.wrong("repeats", "a count for each element"));
    }
    let positions = times.iter().enumerate().flat_map(|(at, &times)| std::iter::repeat_n(at as i64, times));
    gathered(context, &value, axis, &positions.collect::<Vec<_>>())
}

/// Axes backwards, all where none is named.
pub(super) fn flip(context: &mut Context, value: &Value) -> Result<Value, Stop> {
    let (mut value, dims) = with_dims(context, value)?;
    let axes = context.config.axes("axis", &(0..dims.len() as i64).collect::<Vec<_>>())?;
    for axis in axes {
        let axis = axis_in(context, axis, dims.len())?;
        let backwards: Vec<i64> = (0..size(&dims, axis)? as i64).rev().collect();
        value = gathered(context, &value, axis, &backwards)?;
    }
    Ok(value)
}
