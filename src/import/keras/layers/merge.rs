//! Layers that join several tensors.

use crate::import::keras::context::Context;
use crate::import::keras::stop::{Stop, unsupported};
use crate::import::keras::value::{Layout, Value};

/// The inputs in one layout: channels first where one of them is, so that it need not be transposed.
fn aligned(context: &mut Context, inputs: &[Value]) -> Result<Vec<Value>, Stop> {
    context.input(inputs, 0)?;
    let floats: Vec<Value> = inputs.iter().map(|value| context.float(value)).collect();
    let ranks: Vec<Option<usize>> = floats.iter().map(Value::rank).collect();
    let same_rank = ranks.iter().all(|rank| rank.is_some() && *rank == ranks.first().copied().flatten());
    let any_first =
        floats.iter().any(|value| value.layout == Layout::ChannelsFirst && value.rank().is_some_and(|rank| rank > 2));
    let layout = if same_rank && any_first { Layout::ChannelsFirst } else { Layout::AsIs };
    let mut values: Vec<Value> = floats.iter().map(|value| context.low.laid_out(value, layout)).collect();
    if same_rank || ranks.iter().any(Option::is_none) {
        return Ok(values);
    }
    // Keras adds the missing axes behind the batch.
    let most = ranks.iter().flatten().copied().max().unwrap_or(0);
    for value in &mut values {
        let missing = most - value.rank().unwrap_or(most);
        if missing > 0 {
            let axes: Vec<i64> = (1..=missing as i64).collect();
            let axes = context.ints("axes", &axes)?;
            let name = context.node("Unsqueeze", &[&value.name, &axes], "Unsqueeze", &[]);
            let shape = value.shape.as_ref().map(|shape| {
                let (batch, rest) = shape.split_first().unwrap_or((&None, &[]));
                [*batch].into_iter().chain(vec![Some(1); missing]).chain(rest.iter().copied()).collect()
            });
            *value = Value::new(name, shape, Layout::AsIs);
        }
    }
    Ok(values)
}

/// The shape of an elementwise result.
pub(super) fn broadcast(context: &Context, values: &[Value]) -> Result<Option<Vec<Option<usize>>>, Stop> {
    let Some(shapes) = values.iter().map(|value| value.shape.as_ref()).collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    let rank = shapes.iter().map(|shape| shape.len()).max().unwrap_or(0);
    let mut result = Vec::with_capacity(rank);
    for axis in 0..rank {
        let dims =
            shapes.iter().filter_map(|shape| (axis + shape.len()).checked_sub(rank).and_then(|at| shape.get(at)));
        let mut joined = Some(1);
        for dim in dims {
            joined = match (joined, *dim) {
                (Some(1), dim) => dim,
                (joined, Some(1)) => joined,
                (Some(a), Some(b)) if a != b => {
                    return Err(Stop::Broken(crate::import::ImportError::format(
                        format!("layer '{}'", context.path),
                        format!("inputs of shapes {shapes:?}"),
                        "shapes that go together",
                        "The model's configuration is damaged: save the model again.",
                    )));
                }
                (known @ Some(_), _) => known,
                (None, dim) => dim,
            };
        }
        result.push(joined);
    }
    Ok(Some(result))
}

/// The mask of joined tensors: in Keras 3 a step counts where one tensor's does, and everywhere where one has no mask; in
/// Keras 2 where all masks say so.
fn joined_mask(context: &mut Context, values: &[Value]) -> Option<String> {
    let mut masks: Vec<String> = values.iter().filter_map(|value| value.mask.clone()).collect();
    if context.low.major >= 3 && masks.len() < values.len() {
        return None;
    }
    masks.dedup();
    let mut masks = masks.into_iter();
    let mut joined = masks.next()?;
    let op_type = if context.low.major >= 3 { "Or" } else { "And" };
    for mask in masks {
        joined = context.node(op_type, &[&joined, &mask], "mask", &[]);
    }
    Some(joined)
}

/// `Add`, `Multiply`, `Average`, `Maximum`, `Minimum`: one node per further tensor.
pub(super) fn elementwise(context: &mut Context, inputs: &[Value], op_type: &str) -> Result<Vec<Value>, Stop> {
    let values = aligned(context, inputs)?;
    let shape = broadcast(context, &values)?;
    let (first, rest) = values.split_first().ok_or_else(|| Stop::Unsupported("a call without a tensor".to_owned()))?;
    let mut name = first.name.clone();
    let node = if op_type == "Average" { "Add" } else { op_type };
    for value in rest {
        name = context.node(node, &[&name, &value.name], node, &[]);
    }
    if op_type == "Average" {
        let count = context.floats("count", &[], &[values.len() as f32])?;
        name = context.node("Div", &[&name, &count], "Div", &[]);
    }
    let mask = joined_mask(context, &values);
    Ok(vec![Value { mask, ..Value::new(name, shape, first.layout) }])
}

/// `Subtract`: the first minus the second.
pub(super) fn subtract(context: &mut Context, inputs: &[Value]) -> Result<Vec<Value>, Stop> {
    context.input(inputs, 1)?;
    if inputs.len() != 2 {
        return unsupported(format!("a difference of {} tensors", inputs.len()));
    }
    elementwise(context, inputs, "Sub")
}

/// `Concatenate` along an axis of Keras's order.
pub(super) fn concatenate(context: &mut Context, inputs: &[Value]) -> Result<Vec<Value>, Stop> {
    let axis = context.config.int("axis", -1)?;
    concatenate_along(context, inputs, axis)
}

pub(super) fn concatenate_along(context: &mut Context, inputs: &[Value], axis: i64) -> Result<Vec<Value>, Stop> {
    let values = aligned(context, inputs)?;
    let first = context.input(&values, 0)?.clone();
    let rank = first.rank().map(|rank| rank as i64);
    let Some(physical) = first.physical_axis(axis) else {
        return Err(context.config.wrong("axis", "an axis of the inputs"));
    };
    let names: Vec<&str> = values.iter().map(|value| value.name.as_str()).collect();
    let name = context.node("Concat", &names, "Concat", &[("axis", physical.into())]);
    let at = rank.map(|rank| axis.rem_euclid(rank.max(1)) as usize);
    let shape = match (first.shape.clone(), at) {
        (Some(mut shape), Some(at)) => {
            let dims = values.iter().map(|value| value.shape.as_ref()?.get(at).copied().flatten());
            if let Some(dim) = shape.get_mut(at) {
                *dim = dims.sum();
            }
            Some(shape)
        }
        _ => None,
    };
    // Steps that are put behind each other would need their masks there too.
    let mask =
        if at.is_some() && at == rank.map(|rank| rank as usize - 1) { joined_mask(context, &values) } else { None };
    Ok(vec![Value { mask, ..Value::new(name, shape, first.layout) }])
}

/// `Dot`: the product of two tensors along one axis of each, of up to three axes.
pub(super) fn dot(context: &mut Context, inputs: &[Value]) -> Result<Vec<Value>, Stop> {
    context.input(inputs, 1)?;
    let values: Vec<Value> = inputs
        .iter()
        .map(|value| {
            let value = context.float(value);
            context.low.as_is(&value)
        })
        .collect();
    let [left, right] = values.as_slice() else { return unsupported(format!("a product of {} tensors", values.len())) };
    if context.config.bool("normalize", false)? {
        return unsupported("a normalized product");
    }
    let (Some(left_shape), Some(right_shape)) = (&left.shape, &right.shape) else {
        return unsupported("a product of tensors of unknown shape");
    };
    let axes = context.config.axes("axes", &[-1])?;
    let of = |position: usize, rank: usize| {
        let axis = axes.get(position).or(axes.first()).copied().unwrap_or(-1);
        let rank = rank as i64;
        (-rank..rank).contains(&axis).then(|| axis.rem_euclid(rank) as usize)
    };
    let (left_axis, right_axis) = (of(0, left_shape.len()), of(1, right_shape.len()));
    match (left_shape.as_slice(), right_shape.as_slice(), left_axis, right_axis) {
        ([batch, _], [_, _], Some(1), Some(1)) => {
            let product = context.node("Mul", &[&left.name, &right.name], "Mul", &[]);
            let axes = context.ints("axes", &[1])?;
            let name = context.node("ReduceSum", &[&product, &axes], "ReduceSum", &[("keepdims", 1i64.into())]);
            Ok(vec![Value::new(name, Some(vec![*batch, Some(1)]), Layout::AsIs)])
        }
        ([batch, a, b], [_, c, d], Some(left_axis @ 1..=2), Some(right_axis @ 1..=2)) => {
            let perm: [(&str, crate::onnx::Attr); 1] = [("perm", vec![0i64, 2, 1].into())];
            let (mut first, mut second) = (left.name.clone(), right.name.clone());
            let mut shape = vec![*batch, *a, *d];
            if left_axis == 1 {
                first = context.node("Transpose", &[&first], "Transpose", &perm);
                shape = vec![*batch, *b, *d];
            }
            if right_axis == 2 {
                second = context.node("Transpose", &[&second], "Transpose", &perm);
                if let Some(last) = shape.last_mut() {
                    *last = *c;
                }
            }
            let name = context.node("MatMul", &[&first, &second], "MatMul", &[]);
            Ok(vec![Value::new(name, Some(shape), Layout::AsIs)])
        }
        _ => unsupported("a product along these axes"),
    }
}
