//! Sums, means and extremes over axes.

use super::{axis_in, input, options, output};
use crate::import::ImportError;
use crate::import::tflite::convert::Converter;
use crate::import::tflite::model::Operator;
use crate::import::tflite::values::{Activation, Layout, onnx};
use crate::onnx::Attr;

/// The first operator set whose reductions take their axes as an input, all of them.
const AXES_AS_INPUT: i64 = 18;

pub(super) fn reduce(c: &mut Converter<'_>, operator: &Operator) -> Result<(), ImportError> {
    let (x, y) = (input(c, operator, 0)?, output(c, operator)?);
    let op_type = match operator.kind.as_str() {
        "MEAN" => "ReduceMean",
        "SUM" => "ReduceSum",
        "REDUCE_MAX" => "ReduceMax",
        "REDUCE_MIN" => "ReduceMin",
        _ => "ReduceProd",
    };
    let keep = options(c, operator)?.map_or(Ok(false), |table| table.bool(0))?;
    let axes = c.integers(input(c, operator, 1)?)?;
    let wanted = axes.iter().map(|&axis| axis_in(c, operator, x, axis, Layout::Last)).collect::<Result<Vec<_>, _>>()?;
    // Without the reduced axes, what is left has to be in the file's order: batch and channels are, in both layouts.
    let images = c.rank(x) == 4 && wanted.contains(&1) && wanted.contains(&2);
    let layout = if keep || images { c.layout_of(x) } else { Layout::Last };
    let mut axes = axes.iter().map(|&axis| axis_in(c, operator, x, axis, layout)).collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    axes.dedup();
    let value = c.real(x, layout)?;
    let mut attributes: Vec<(&str, Attr)> = vec![("keepdims", keep.into())];
    let mut inputs = vec![value];
    if c.builder.opset() >= AXES_AS_INPUT || op_type == "ReduceSum" {
        inputs.push(c.builder.ints("axes", &axes).map_err(onnx)?);
    } else {
        attributes.push(("axes", axes.into()));
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    c.emit(y, layout, Activation::None, op_type, &inputs, &attributes)
}

pub(super) fn arg(c: &mut Converter<'_>, operator: &Operator) -> Result<(), ImportError> {
    let (x, y) = (input(c, operator, 0)?, output(c, operator)?);
    let op_type = if operator.kind == "ARG_MAX" { "ArgMax" } else { "ArgMin" };
    let axes = c.integers(input(c, operator, 1)?)?;
    let axis = axis_in(c, operator, x, axes.first().copied().unwrap_or(-1), Layout::Last)?;
    let value = c.real(x, Layout::Last)?;
    let dtype = c.tensor(y)?.dtype.map_or(7, |dtype| dtype.to_onnx());
    let wish = format!("{}_position", c.short_name(y));
    let attributes = [("axis", axis.into()), ("keepdims", 0.into())];
    let position = c.builder.node(op_type, &[&value], &wish, &attributes);
    c.emit(y, Layout::Last, Activation::None, "Cast", &[&position], &[("to", i64::from(dtype).into())])
}
