//! Operators that move elements and compute none.

use super::{activation, axis_in, common_layout, input, optional, options, output, unsupported};
use crate::import::ImportError;
use crate::import::tflite::convert::Converter;
use crate::import::tflite::model::{Operator, Subgraph};
use crate::import::tflite::values::{Activation, Layout, TO_FIRST, onnx};
use crate::onnx::Attr;

/// The shape that a RESHAPE gives, where the file tells it with at most one open dim (-1).
pub(in crate::import::tflite) fn known_shape(graph: &Subgraph, operator: &Operator) -> Option<Vec<i64>> {
    let given = optional(operator, 1).and_then(|at| graph.tensors.get(at)?.constant()?.ok()?.to_i64().ok());
    let made = || {
        let output = graph.tensors.get(*operator.outputs.first()?)?;
        let fixed = || output.shape.iter().map(|&dim| dim as i64).collect();
        Some(output.signature.clone().unwrap_or_else(fixed))
    };
    given.or_else(made).filter(|shape: &Vec<i64>| shape.iter().filter(|&&dim| dim < 0).count() <= 1)
}

pub(super) fn reshape(c: &mut Converter<'_>, operator: &Operator) -> Result<(), ImportError> {
    let (x, y) = (input(c, operator, 0)?, output(c, operator)?);
    let value = c.real(x, Layout::Last)?;
    let shape = match (known_shape(c.graph, operator), optional(operator, 1)) {
        (Some(shape), _) => c.builder.ints("shape", &shape).map_err(onnx)?,
        (None, Some(computed)) => {
            let computed = c.real(computed, Layout::Last)?;
            // Computed shapes are int32, Reshape wants int64.
            let wish = format!("{}_shape", c.short_name(y));
            c.builder.node("Cast", &[&computed], &wish, &[("to", 7.into())])
        }
        (None, None) => return Err(unsupported(c, operator, "a reshape to a shape that is not known")),
    };
    c.emit(y, Layout::Last, Activation::None, "Reshape", &[&value, &shape], &[])
}

/// Axes of size 1 that come or go.
pub(super) fn to_output_shape(c: &mut Converter<'_>, operator: &Operator) -> Result<(), ImportError> {
    let (x, y) = (input(c, operator, 0)?, output(c, operator)?);
    let value = c.real(x, Layout::Last)?;
    let (op_type, axes) = if operator.kind == "EXPAND_DIMS" {
        let rank = c.rank(x) as i64 + 1;
        let axes = c.integers(input(c, operator, 1)?)?;
        ("Unsqueeze", axes.into_iter().map(|axis| if axis < 0 { axis.saturating_add(rank) } else { axis }).collect())
    } else {
        let given = options(c, operator)?.map_or(Ok(Vec::new()), |table| table.ints(0))?;
        let ones = c.tensor(x)?.shape.iter().enumerate().filter(|(_, dim)| **dim == 1).map(|(axis, _)| axis as i64);
        let all: Vec<i64> = ones.collect();
        ("Squeeze", if given.is_empty() { all } else { given.into_iter().map(i64::from).collect() })
    };
    let axes: Vec<i64> = axes;
    let axes = c.builder.ints("axes", &axes).map_err(onnx)?;
    c.emit(y, Layout::Last, Activation::None, op_type, &[&value, &axes], &[])
}

pub(super) fn transpose(c: &mut Converter<'_>, operator: &Operator) -> Result<(), ImportError> {
    let (x, y) = (input(c, operator, 0)?, output(c, operator)?);
    let axes = c.integers(input(c, operator, 1)?)?;
    let value = c.real(x, Layout::Last)?;
    c.emit(y, Layout::Last, Activation::None, "Transpose", &[&value], &[("perm", axes.into())])
}

pub(super) fn pad(c: &mut Converter<'_>, operator: &Operator) -> Result<(), ImportError> {
    let (x, y) = (input(c, operator, 0)?, output(c, operator)?);
    let layout = c.layout_of(x);
    let pairs = c.integers(input(c, operator, 1)?)?;
    let rank = c.rank(x);
    if pairs.len() != 2 * rank {
        let found = format!("{} paddings for a tensor of rank {rank}", pairs.len());
        return Err(super::missing(c, operator, found));
    }
    let mut pairs: Vec<&[i64]> = pairs.chunks(2).collect();
    if layout == Layout::First && rank == 4 {
        pairs = TO_FIRST.iter().filter_map(|&axis| pairs.get(axis)).copied().collect();
    }
    let side = |at: usize| pairs.iter().filter_map(move |pair| pair.get(at)).copied();
    let pads: Vec<i64> = side(0).chain(side(1)).collect();
    let value = c.real(x, layout)?;
    let pads = c.builder.ints("pads", &pads).map_err(onnx)?;
    let mut inputs = vec![value, pads];
    let mut attributes: Vec<(&str, Attr)> = Vec::new();
    match operator.kind.as_str() {
        "MIRROR_PAD" => {
            let symmetric = options(c, operator)?.map_or(Ok(0), |table| table.i8(0, 0))? != 0;
            if symmetric {
                return Err(unsupported(c, operator, "a mirror that repeats the edge"));
            }
            attributes.push(("mode", "reflect".into()));
        }
        "PADV2" => inputs.push(c.real(input(c, operator, 2)?, Layout::Last)?),
        _ => {}
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    c.emit(y, layout, Activation::None, "Pad", &inputs, &attributes)
}

pub(super) fn concatenate(c: &mut Converter<'_>, operator: &Operator) -> Result<(), ImportError> {
    let y = output(c, operator)?;
    let parts: Vec<usize> = operator.inputs.iter().flatten().copied().collect();
    let axis = options(c, operator)?.map_or(Ok(0), |table| table.i32(0, 0))?;
    let activation = activation(c, operator, 1)?;
    let whole = parts.iter().all(|&at| c.rank(at) == 4);
    let layout = if whole { common_layout(c, &parts) } else { Layout::Last };
    let axis = axis_in(c, operator, y, axis.into(), layout)?;
    let parts = parts.iter().map(|&at| c.real(at, layout)).collect::<Result<Vec<_>, _>>()?;
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    c.emit(y, layout, activation, "Concat", &parts, &[("axis", axis.into())])
}

pub(super) fn pack(c: &mut Converter<'_>, operator: &Operator) -> Result<(), ImportError> {
    let y = output(c, operator)?;
    let axis = options(c, operator)?.map_or(Ok(0), |table| table.i32(1, 0))?;
    let axis = axis_in(c, operator, y, axis.into(), Layout::Last)?;
    let axes = c.builder.ints("axes", &[axis]).map_err(onnx)?;
    let mut parts = Vec::new();
    for &at in operator.inputs.iter().flatten() {
        let value = c.real(at, Layout::Last)?;
        let wish = format!("{}_unsqueezed", c.short_name(at));
        parts.push(c.builder.node("Unsqueeze", &[&value, &axes], &wish, &[]));
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    c.emit(y, Layout::Last, Activation::None, "Concat", &parts, &[("axis", axis.into())])
}

pub(super) fn split(c: &mut Converter<'_>, operator: &Operator) -> Result<(), ImportError> {
    let x = input(c, operator, 1)?;
    let axis = c.integers(input(c, operator, 0)?)?.first().copied().unwrap_or(0);
    let axis = axis_in(c, operator, x, axis, Layout::Last)?;
    let value = c.real(x, Layout::Last)?;
    let mut start = 0i64;
    for &y in &operator.outputs {
        let size = c.tensor(y)?.shape.get(axis as usize).map_or(0, |&dim| dim as i64);
        cut(c, y, &value, &[axis], &[start], &[start.saturating_add(size)], &[1])?;
        start = start.saturating_add(size);
    }
    Ok(())
}

fn cut(
    c: &mut Converter<'_>,
    y: usize,
    value: &str,
    axes: &[i64],
    starts: &[i64],
    ends: &[i64],
    steps: &[i64],
) -> Result<(), ImportError> {
    let mut list = |wish: &str, list: &[i64]| c.builder.ints(wish, list).map_err(onnx);
    let inputs = [list("starts", starts)?, list("ends", ends)?, list("axes", axes)?, list("steps", steps)?];
    let [starts, ends, axes, steps] = &inputs;
    c.emit(y, Layout::Last, Activation::None, "Slice", &[value, starts, ends, axes, steps], &[])
}

pub(super) fn slice(c: &mut Converter<'_>, operator: &Operator) -> Result<(), ImportError> {
    let (x, y) = (input(c, operator, 0)?, output(c, operator)?);
    let (starts, sizes) = (c.integers(input(c, operator, 1)?)?, c.integers(input(c, operator, 2)?)?);
    let end = |(start, size): (&i64, &i64)| if *size < 0 { i64::MAX } else { start.saturating_add(*size) };
    let ends: Vec<i64> = starts.iter().zip(&sizes).map(end).collect();
    let axes: Vec<i64> = (0..starts.len() as i64).collect();
    let steps = vec![1; starts.len()];
    let value = c.real(x, Layout::Last)?;
    cut(c, y, &value, &axes, &starts, &ends, &steps)
}

pub(super) fn strided_slice(c: &mut Converter<'_>, operator: &Operator) -> Result<(), ImportError> {
    let (x, y) = (input(c, operator, 0)?, output(c, operator)?);
    let list = |position| c.integers(input(c, operator, position)?);
    let (mut starts, mut ends, steps) = (list(1)?, list(2)?, list(3)?);
    let masks = match options(c, operator)? {
        Some(table) => [table.i32(0, 0)?, table.i32(1, 0)?, table.i32(2, 0)?, table.i32(3, 0)?, table.i32(4, 0)?],
        None => [0; 5],
    };
    let [begin_mask, end_mask, ellipsis, new_axis, shrink] = masks;
    if ellipsis != 0 || new_axis != 0 {
        return Err(unsupported(c, operator, "a slice with an ellipsis or a new axis"));
    }
    let is_set = |mask: i32, axis: usize| axis < 31 && mask >> axis & 1 == 1;
    for axis in 0..starts.len().min(ends.len()).min(steps.len()) {
        let forward = steps[axis] >= 0;
        if is_set(begin_mask, axis) {
            starts[axis] = if forward { 0 } else { i64::MAX };
        }
        if is_set(shrink, axis) {
            ends[axis] = if starts[axis] == -1 { i64::MAX } else { starts[axis].saturating_add(1) };
        } else if is_set(end_mask, axis) {
            ends[axis] = if forward { i64::MAX } else { i64::MIN };
        }
    }
    let axes: Vec<i64> = (0..starts.len() as i64).collect();
    let value = c.real(x, Layout::Last)?;
    let gone: Vec<i64> = axes.iter().copied().filter(|&axis| is_set(shrink, axis as usize)).collect();
    if gone.is_empty() {
        return cut(c, y, &value, &axes, &starts, &ends, &steps);
    }
    let name = c.short_name(y);
    let mut list = |wish: &str, list: &[i64]| c.builder.ints(wish, list).map_err(onnx);
    let inputs = [list("starts", &starts)?, list("ends", &ends)?, list("axes", &axes)?, list("steps", &steps)?];
    let gone = list("axes", &gone)?;
    let [starts, ends, axes, steps] = &inputs;
    let part = c.builder.node("Slice", &[&value, starts, ends, axes, steps], &format!("{name}_part"), &[]);
    c.emit(y, Layout::Last, Activation::None, "Squeeze", &[&part, &gone], &[])
}

pub(super) fn gather(c: &mut Converter<'_>, operator: &Operator) -> Result<(), ImportError> {
    let (x, indices, y) = (input(c, operator, 0)?, input(c, operator, 1)?, output(c, operator)?);
    let (axis, batch_dims) = match options(c, operator)? {
        Some(table) => (table.i32(0, 0)?, table.i32(1, 0)?),
        None => (0, 0),
    };
    if batch_dims != 0 {
        return Err(unsupported(c, operator, "a gather with batch dims"));
    }
    let axis = axis_in(c, operator, x, axis.into(), Layout::Last)?;
    let (value, indices) = (c.real(x, Layout::Last)?, c.real(indices, Layout::Last)?);
    c.emit(y, Layout::Last, Activation::None, "Gather", &[&value, &indices], &[("axis", axis.into())])
}

pub(super) fn shape(c: &mut Converter<'_>, operator: &Operator) -> Result<(), ImportError> {
    let (x, y) = (input(c, operator, 0)?, output(c, operator)?);
    let value = c.real(x, Layout::Last)?;
    let wish = format!("{}_int64", c.short_name(y));
    let shape = c.builder.node("Shape", &[&value], &wish, &[]);
    let dtype = c.tensor(y)?.dtype.map_or(7, |dtype| dtype.to_onnx());
    c.emit(y, Layout::Last, Activation::None, "Cast", &[&shape], &[("to", i64::from(dtype).into())])
}
