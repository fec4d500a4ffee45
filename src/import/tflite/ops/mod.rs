//! One TensorFlow Lite operator after the other as ONNX nodes.

mod dilation;
mod elementwise;
mod linear;
mod reduce;
mod shape;
mod window;

pub(super) use dilation::Spread;
pub(super) use shape::known_shape;

use super::convert::Converter;
use super::model::Operator;
use super::table::Table;
use super::values::{Activation, Layout};
use crate::import::ImportError;

/// Adds the operator's nodes. What has no ONNX form is [`ImportError::Unsupported`].
pub(super) fn convert(c: &mut Converter<'_>, operator: &Operator) -> Result<(), ImportError> {
    if operator.custom {
        return Err(unsupported(c, operator, &format!("the custom operator '{}'", operator.kind)));
    }
    match operator.kind.as_str() {
        "CONV_2D" => window::conv(c, operator),
        "DEPTHWISE_CONV_2D" => window::depthwise(c, operator),
        "TRANSPOSE_CONV" => window::transpose_conv(c, operator),
        "SPACE_TO_BATCH_ND" => dilation::spread(c, operator),
        "BATCH_TO_SPACE_ND" => dilation::join(c, operator),
        "AVERAGE_POOL_2D" | "MAX_POOL_2D" => window::pool(c, operator),
        "RESIZE_BILINEAR" | "RESIZE_NEAREST_NEIGHBOR" => window::resize(c, operator),
        "FULLY_CONNECTED" => linear::fully_connected(c, operator),
        "BATCH_MATMUL" => linear::batch_matmul(c, operator),
        "ADD" | "SUB" | "MUL" | "DIV" | "MAXIMUM" | "MINIMUM" | "POW" | "SQUARED_DIFFERENCE" => {
            elementwise::binary(c, operator)
        }
        "PRELU" => elementwise::prelu(c, operator),
        "SOFTMAX" | "LOG_SOFTMAX" => elementwise::softmax(c, operator),
        "QUANTIZE" => elementwise::quantize(c, operator),
        "DEQUANTIZE" => elementwise::dequantize(c, operator),
        "CAST" => elementwise::cast(c, operator),
        "MEAN" | "SUM" | "REDUCE_MAX" | "REDUCE_MIN" | "REDUCE_PROD" => reduce::reduce(c, operator),
        "ARG_MAX" | "ARG_MIN" => reduce::arg(c, operator),
        "RESHAPE" => shape::reshape(c, operator),
        "SQUEEZE" | "EXPAND_DIMS" => shape::to_output_shape(c, operator),
        "TRANSPOSE" => shape::transpose(c, operator),
        "PAD" | "PADV2" | "MIRROR_PAD" => shape::pad(c, operator),
        "CONCATENATION" => shape::concatenate(c, operator),
        "PACK" => shape::pack(c, operator),
        "SPLIT" => shape::split(c, operator),
        "SLICE" => shape::slice(c, operator),
        "STRIDED_SLICE" => shape::strided_slice(c, operator),
        "GATHER" => shape::gather(c, operator),
        "SHAPE" => shape::shape(c, operator),
        _ => elementwise::unary(c, operator),
    }
}

/// The refusal of an operator, in words.
fn unsupported(c: &Converter<'_>, operator: &Operator, what: &str) -> ImportError {
    let advice = "The rest of the model can be inspected; run this part with TensorFlow Lite.";
    ImportError::unsupported(c.operator_place(operator), what.to_owned(), "an operator with an ONNX form", advice)
}

fn input(c: &Converter<'_>, operator: &Operator, position: usize) -> Result<usize, ImportError> {
    optional(operator, position).ok_or_else(|| missing(c, operator, format!("{position} inputs")))
}

fn optional(operator: &Operator, position: usize) -> Option<usize> {
    operator.inputs.get(position).copied().flatten()
}

fn output(c: &Converter<'_>, operator: &Operator) -> Result<usize, ImportError> {
    operator.outputs.first().copied().ok_or_else(|| missing(c, operator, "no output".to_owned()))
}

fn missing(c: &Converter<'_>, operator: &Operator, found: String) -> ImportError {
    let expected = "the inputs and outputs of the operator";
    ImportError::format(c.operator_place(operator), found, expected, "Convert the model again.")
}

/// The operator's options; left out they are all defaults, which is an empty closure's `None`.
fn options<'a>(c: &Converter<'a>, operator: &Operator) -> Result<Option<Table<'a>>, ImportError> {
    c.model.options(operator)
}

/// The fused activation in a field of the options.
fn activation(c: &Converter<'_>, operator: &Operator, field: u16) -> Result<Activation, ImportError> {
    let code = options(c, operator)?.map_or(Ok(0), |options| options.i8(field, 0))?;
    Activation::read(code).ok_or_else(|| unsupported(c, operator, &format!("the fused activation {code}")))
}

/// The layout in which operands meet: NCHW where one is there only as that and all can be.
fn common_layout(c: &Converter<'_>, operands: &[usize]) -> Layout {
    let first = operands.iter().any(|&at| c.layout_of(at) == Layout::First);
    let fits = |&at: &usize| {
        let one_channel_axis = c.is_constant(at) && matches!(c.rank(at), 0 | 1);
        c.rank(at) == 4 || one_channel_axis
    };
    if first && operands.iter().all(fits) { Layout::First } else { Layout::Last }
}

/// An operand in a layout; a constant per channel stands along the channels there.
fn operand(c: &mut Converter<'_>, at: usize, layout: Layout) -> Result<String, ImportError> {
    let shape = c.tensor(at)?.shape.clone();
    match (layout, shape.as_slice()) {
        (Layout::First, &[channels]) if channels != 1 => c.constant(at, None, Some(vec![1, channels, 1, 1])),
        _ => c.real(at, layout),
    }
}

/// Where an axis of the tensor, negative counted from the end, is in a layout.
fn axis_in(c: &Converter<'_>, operator: &Operator, at: usize, axis: i64, layout: Layout) -> Result<i64, ImportError> {
    let rank = c.rank(at) as i64;
    let axis = if axis < 0 { axis.saturating_add(rank) } else { axis };
    if !(0..rank).contains(&axis) {
        let found = format!("axis {axis}");
        return Err(ImportError::format(
            c.operator_place(operator),
            found,
            format!("an axis of a tensor of rank {rank}"),
            "Convert the model again.",
        ));
    }
    let moved = super::values::TO_FIRST.iter().position(|&from| from as i64 == axis);
    Ok(if layout == Layout::First && rank == 4 { moved.map_or(axis, |at| at as i64) } else { axis })
}
