//! Element by element: arithmetic, activations, quantizers.

use super::{activation, common_layout, input, operand, options, output, unsupported};
use crate::import::ImportError;
use crate::import::tflite::convert::Converter;
use crate::import::tflite::model::Operator;
use crate::import::tflite::values::{Activation, Layout, onnx, stored_type};

pub(super) fn binary(c: &mut Converter<'_>, operator: &Operator) -> Result<(), ImportError> {
    let (a, b, y) = (input(c, operator, 0)?, input(c, operator, 1)?, output(c, operator)?);
    let (op_type, fused) = match operator.kind.as_str() {
        "ADD" => ("Add", true),
        "SUB" | "SQUARED_DIFFERENCE" => ("Sub", operator.kind == "SUB"),
        "MUL" => ("Mul", true),
        "DIV" => ("Div", true),
        "MAXIMUM" => ("Max", false),
        "MINIMUM" => ("Min", false),
        _ => ("Pow", false),
    };
    let activation = if fused { activation(c, operator, 0)? } else { Activation::None };
    let layout = common_layout(c, &[a, b]);
    let (left, right) = (operand(c, a, layout)?, operand(c, b, layout)?);
    if operator.kind == "SQUARED_DIFFERENCE" {
        let wish = format!("{}_difference", c.short_name(y));
        let difference = c.builder.node("Sub", &[&left, &right], &wish, &[]);
        return c.emit(y, layout, activation, "Mul", &[&difference, &difference], &[]);
    }
    c.emit(y, layout, activation, op_type, &[&left, &right], &[])
}

pub(super) fn unary(c: &mut Converter<'_>, operator: &Operator) -> Result<(), ImportError> {
    let plain = match operator.kind.as_str() {
        "LOGISTIC" => "Sigmoid",
        "TANH" => "Tanh",
        "EXP" => "Exp",
        "LOG" => "Log",
        "SQRT" => "Sqrt",
        "ABS" => "Abs",
        "NEG" => "Neg",
        "FLOOR" => "Floor",
        "CEIL" => "Ceil",
        "ROUND" => "Round",
        "SIN" => "Sin",
        "COS" => "Cos",
        "ELU" => "Elu",
        "RELU" | "RELU6" | "RELU_N1_TO_1" | "LEAKY_RELU" | "HARD_SWISH" | "RSQRT" | "SQUARE" => "",
        kind => return Err(unsupported(c, operator, &format!("the operator {kind}"))),
    };
    let (x, y) = (input(c, operator, 0)?, output(c, operator)?);
    let layout = c.layout_of(x);
    let value = c.real(x, layout)?;
    let name = c.short_name(y);
    match operator.kind.as_str() {
        "RELU" => c.emit(y, layout, Activation::None, "Relu", &[&value], &[]),
        "RELU6" | "RELU_N1_TO_1" => {
            let low = if operator.kind == "RELU6" { 0.0 } else { -1.0 };
            let high = if operator.kind == "RELU6" { 6.0 } else { 1.0 };
            let mut bound = |wish: &str, number: f32| c.builder.floats(wish, &[], &[number]).map_err(onnx);
            let (low, high) = (bound("clip_low", low)?, bound("clip_high", high)?);
            c.emit(y, layout, Activation::None, "Clip", &[&value, &low, &high], &[])
        }
        "LEAKY_RELU" => {
            let alpha = options(c, operator)?.map_or(Ok(0.0), |table| table.f32(0, 0.0))?;
            c.emit(y, layout, Activation::None, "LeakyRelu", &[&value], &[("alpha", alpha.into())])
        }
        "SQUARE" => c.emit(y, layout, Activation::None, "Mul", &[&value, &value], &[]),
        "RSQRT" => {
            let root = c.builder.node("Sqrt", &[&value], &format!("{name}_root"), &[]);
            c.emit(y, layout, Activation::None, "Reciprocal", &[&root], &[])
        }
        // x x clip(x + 3, 0, 6) / 6, which ONNX has as one operator from operator set 14 on.
        "HARD_SWISH" => {
            let gate = [("alpha", (1.0f32 / 6.0).into()), ("beta", 0.5f32.into())];
            let gate = c.builder.node("HardSigmoid", &[&value], &format!("{name}_gate"), &gate);
            c.emit(y, layout, Activation::None, "Mul", &[&value, &gate], &[])
        }
        _ => c.emit(y, layout, Activation::None, plain, &[&value], &[]),
    }
}

pub(super) fn prelu(c: &mut Converter<'_>, operator: &Operator) -> Result<(), ImportError> {
    let (x, alpha, y) = (input(c, operator, 0)?, input(c, operator, 1)?, output(c, operator)?);
    let mut layout = c.layout_of(x);
    let shape = c.tensor(alpha)?.shape.clone();
    let slope = match (layout, shape.as_slice()) {
        (Layout::First, &[.., channels]) if c.is_constant(alpha) && shape.iter().product::<usize>() == channels => {
            c.constant(alpha, None, Some(vec![channels, 1, 1]))?
        }
        _ => {
            layout = Layout::Last;
            c.real(alpha, layout)?
        }
    };
    let value = c.real(x, layout)?;
    c.emit(y, layout, Activation::None, "PRelu", &[&value, &slope], &[])
}

pub(super) fn softmax(c: &mut Converter<'_>, operator: &Operator) -> Result<(), ImportError> {
    let (x, y) = (input(c, operator, 0)?, output(c, operator)?);
    let layout = c.layout_of(x);
    let axis = super::axis_in(c, operator, x, -1, layout)?;
    let mut value = c.real(x, layout)?;
    let log = operator.kind == "LOG_SOFTMAX";
    let beta = match options(c, operator)? {
        Some(table) if !log => table.f32(0, 0.0)?,
        _ => 1.0,
    };
    if beta != 1.0 {
        let factor = c.builder.floats("beta", &[], &[beta]).map_err(onnx)?;
        let wish = format!("{}_scaled", c.short_name(y));
        value = c.builder.node("Mul", &[&value, &factor], &wish, &[]);
    }
    let op_type = if log { "LogSoftmax" } else { "Softmax" };
    c.emit(y, layout, Activation::None, op_type, &[&value], &[("axis", axis.into())])
}

/// Real numbers, or other integers, to integers: the quantizer of the output tensor.
pub(super) fn quantize(c: &mut Converter<'_>, operator: &Operator) -> Result<(), ImportError> {
    let (x, y) = (input(c, operator, 0)?, output(c, operator)?);
    let layout = c.layout_of(x);
    let value = c.real(x, layout)?;
    let name = c.short_name(y);
    let wish = if c.is_output(y) && layout == Layout::Last { name } else { format!("{name}_dequantized") };
    let value = c.quantized(y, &value, layout, &wish)?;
    c.values.insert((y, layout), value);
    Ok(())
}

/// Integers to real numbers, which is what their value is here already.
pub(super) fn dequantize(c: &mut Converter<'_>, operator: &Operator) -> Result<(), ImportError> {
    let (x, y) = (input(c, operator, 0)?, output(c, operator)?);
    let layout = c.layout_of(x);
    let value = c.real(x, layout)?;
    // A model's output deserves its name: the same integers dequantized once more.
    let stored = c.stored.get(&(x, layout)).cloned().filter(|_| c.is_output(y) && layout == Layout::Last);
    let tensor = c.tensor(x)?.clone();
    let value = match (stored, stored_type(&tensor)) {
        (Some(stored), Some(dtype)) => {
            let (axis, name) = (tensor.quantization.as_ref().map_or(0, |q| q.dimension), c.short_name(y));
            c.dequantize(&tensor, &stored, dtype, axis, &name)?
        }
        _ => value,
    };
    c.values.insert((y, layout), value);
    Ok(())
}

pub(super) fn cast(c: &mut Converter<'_>, operator: &Operator) -> Result<(), ImportError> {
    let (x, y) = (input(c, operator, 0)?, output(c, operator)?);
    let layout = c.layout_of(x);
    let value = c.real(x, layout)?;
    let Some(dtype) = c.tensor(y)?.dtype else {
        return Err(unsupported(c, operator, "a cast to something else than numbers"));
    };
    c.emit(y, layout, Activation::None, "Cast", &[&value], &[("to", i64::from(dtype.to_onnx()).into())])
}
