//! Operations element by element.

use super::{Args, Graph, Made, Origin, Refusal};
use crate::import::pytorch::python::{Py, ValueId};
use crate::onnx::{Attr, Dim};
use crate::tensor::DType;

/// Dims after broadcasting; `None` where one side is not known.
pub(super) fn broadcast(left: Option<&[Dim]>, right: Option<&[Dim]>) -> Option<Vec<Dim>> {
    let (left, right) = (left?, right?);
    let rank = left.len().max(right.len());
    let at = |shape: &[Dim], axis: usize| match (axis + shape.len()).checked_sub(rank) {
        Some(axis) => shape.get(axis).cloned().unwrap_or(Dim::Known(1)),
        None => Dim::Known(1),
    };
    let dim = |axis| match (at(left, axis), at(right, axis)) {
        (Dim::Known(1), other) | (other, Dim::Known(1)) => other,
        (Dim::Known(known), _) | (_, Dim::Known(known)) => Dim::Known(known),
        (Dim::Unknown, other) => other,
        (other, _) => other,
    };
    Some((0..rank).map(dim).collect())
}

/// An operation of one tensor. A quantized one gets its result rounded to its own parameters, as PyTorch does.
pub(super) fn unary(graph: &mut Graph, value: &Py, op: &str, wish: &str, attributes: &[(&str, Attr)]) -> Made<ValueId> {
    let id = graph.operand(value)?;
    let name = graph.real(id);
    let made = graph.emit_like(op, &[&name], wish, attributes, id);
    requantized(graph, id, made, wish)
}

/// Rounds a result to the parameters of the quantized value it comes from.
pub(super) fn requantized(graph: &mut Graph, from: ValueId, made: ValueId, wish: &str) -> Made<ValueId> {
    match graph.value(from).quant.as_ref().map(|quant| quant.params.clone()) {
        Some(params) => graph.quantize(made, params, wish),
        None => Ok(made),
    }
}

/// The two operands of a binary operation; numbers take the type of the tensor beside them.
pub(super) fn pair(graph: &mut Graph, left: &Py, right: &Py) -> Made<(ValueId, ValueId)> {
    // A trace keeps numbers as tensors without dims; they do not change the type of what they are combined with.
    let number = |value: &Py| match value {
        Py::Int(_) | Py::Float(_) | Py::Bool(_) => value.as_float(),
        Py::Tensor(constant) if constant.tensor.shape().is_empty() => value.as_float(),
        _ => None,
    };
    Ok(match (number(left), number(right)) {
        (None, Some(number)) => {
            let first = graph.operand(left)?;
            with_number(graph, first, number)?
        }
        (Some(number), None) => {
            let second = graph.operand(right)?;
            let (second, first) = with_number(graph, second, number)?;
            (first, second)
        }
        _ => (graph.operand(left)?, graph.operand(right)?),
    })
}

/// A tensor and a number of one type: that of the tensor, but float32 where integers meet a fraction.
fn with_number(graph: &mut Graph, id: ValueId, number: f64) -> Made<(ValueId, ValueId)> {
    let dtype = graph.value(id).dtype;
    let (id, dtype) = match dtype.is_int() && number.fract() != 0.0 {
        true => (super::reshape::cast(graph, &Py::Value(id), DType::Float32)?, DType::Float32),
        false => (id, dtype),
    };
    Ok((id, graph.scalar(number, dtype)?))
}

/// A node of two operands.
pub(super) fn binary_node(graph: &mut Graph, op: &str, left: ValueId, right: ValueId, wish: &str) -> ValueId {
    let shape = broadcast(graph.shape(left), graph.shape(right));
    let dtype = graph.value(left).dtype;
    let names = (graph.real(left), graph.real(right));
    // A number or a tensor of the file beside a value changes its dims only where it has more of them.
    let beside = |graph: &Graph, of: ValueId, other: ValueId| {
        let fits = |rank: usize| graph.rank(of).is_none_or(|own| rank <= own);
        !graph.fixed.contains(&of) && graph.fixed.contains(&other) && graph.rank(other).is_some_and(fits)
    };
    let origin = match (beside(graph, left, right), beside(graph, right, left)) {
        (true, _) => Some(left),
        (_, true) => Some(right),
        _ => None,
    };
    let made = graph.emit(op, &[&names.0, &names.1], wish, &[], dtype, shape);
    graph.values[made.0].origin = origin.map(Origin::Same);
    made
}

pub(super) fn binary(graph: &mut Graph, args: &Args, op: &str, wish: &str) -> Made<ValueId> {
    let (left, right) = pair(graph, args.required(0, "input")?, args.required(1, "other")?)?;
    Ok(binary_node(graph, op, left, right, wish))
}

/// `add` and `sub`, whose second operand is taken `alpha` times.
pub(super) fn sum(graph: &mut Graph, args: &Args, op: &str, wish: &str) -> Made<ValueId> {
    let (left, mut right) = pair(graph, args.required(0, "input")?, args.required(1, "other")?)?;
    let alpha = args.float_or(2, "alpha", 1.0)?;
    if alpha != 1.0 {
        let dtype = graph.value(right).dtype;
        let factor = graph.scalar(alpha, dtype)?;
        right = binary_node(graph, "Mul", right, factor, "alpha");
    }
    Ok(binary_node(graph, op, left, right, wish))
}

/// `div` with its rounding modes.
pub(super) fn divide(graph: &mut Graph, args: &Args) -> Made<ValueId> {
    let quotient = binary(graph, args, "Div", "div")?;
    match args.text(2, "rounding_mode") {
        None => Ok(quotient),
        Some("floor") => unary(graph, &Py::Value(quotient), "Floor", "floor", &[]),
        Some(other) => Err(Refusal::new(format!("a division with rounding_mode '{other}'"))),
    }
}

/// `clamp`, `hardtanh`, `relu6`: Clip between bounds that may be missing.
pub(super) fn clip(graph: &mut Graph, value: &Py, low: Option<f64>, high: Option<f64>, wish: &str) -> Made<ValueId> {
    let id = graph.operand(value)?;
    let name = graph.real(id);
    let mut bound = |bound: Option<f64>| -> Made<String> {
        match bound {
            Some(bound) => {
                let id = graph.scalar(bound, DType::Float32)?;
                Ok(graph.real(id))
            }
            None => Ok(String::new()),
        }
    };
    let (low, high) = (bound(low)?, bound(high)?);
    let mut inputs = vec![name.as_str(), low.as_str(), high.as_str()];
    while inputs.last().is_some_and(|name| name.is_empty()) {
        inputs.pop();
    }
    let made = graph.emit_like("Clip", &inputs, wish, &[], id);
    requantized(graph, id, made, wish)
}

/// `gelu`: by the error function, or by tanh.
pub(super) fn gelu(graph: &mut Graph, args: &Args) -> Made<ValueId> {
    let id = graph.operand(args.required(0, "input")?)?;
    let x = graph.dequantized(id);
    let half = graph.scalar(0.5, DType::Float32)?;
    let one = graph.scalar(1.0, DType::Float32)?;
    let inner = if args.text(1, "approximate") == Some("tanh") {
        let three = graph.scalar(3.0, DType::Float32)?;
        let cube = binary_node(graph, "Pow", x, three, "gelu_cube");
        let factor = graph.scalar(0.044715, DType::Float32)?;
        let cube = binary_node(graph, "Mul", cube, factor, "gelu_term");
        let sum = binary_node(graph, "Add", x, cube, "gelu_sum");
        let factor = graph.scalar((2.0 / std::f64::consts::PI).sqrt(), DType::Float32)?;
        let scaled = binary_node(graph, "Mul", sum, factor, "gelu_scaled");
        unary(graph, &Py::Value(scaled), "Tanh", "gelu_tanh", &[])?
    } else {
        let factor = graph.scalar(std::f64::consts::FRAC_1_SQRT_2, DType::Float32)?;
        let scaled = binary_node(graph, "Mul", x, factor, "gelu_scaled");
        unary(graph, &Py::Value(scaled), "Erf", "gelu_erf", &[])?
    };
    let gate = binary_node(graph, "Add", inner, one, "gelu_gate");
    let product = binary_node(graph, "Mul", x, gate, "gelu_product");
    Ok(binary_node(graph, "Mul", product, half, "gelu"))
}

/// `silu` and `mish`: the value times a function of it.
pub(super) fn gated(graph: &mut Graph, value: &Py, gates: &[&str], wish: &str) -> Made<ValueId> {
    let id = graph.operand(value)?;
    let x = graph.dequantized(id);
    let mut gate = x;
    for op in gates {
        gate = unary(graph, &Py::Value(gate), op, &op.to_lowercase(), &[])?;
    }
    let made = binary_node(graph, "Mul", x, gate, wish);
    requantized(graph, id, made, wish)
}

/// `hardswish`: x times relu6(x + 3) / 6, as a node of its own from operator set 14 on.
pub(super) fn hardswish(graph: &mut Graph, value: &Py) -> Made<ValueId> {
    let id = graph.operand(value)?;
    let name = graph.real(id);
    let attributes = [("alpha", Attr::Float(1.0 / 6.0)), ("beta", Attr::Float(0.5))];
    let gate = graph.emit_like("HardSigmoid", &[&name], "hardsigmoid", &attributes, id);
    let x = graph.dequantized(id);
    let made = binary_node(graph, "Mul", x, gate, "hardswish");
    requantized(graph, id, made, "hardswish")
}

/// `prelu`: a slope per channel, or one for all.
pub(super) fn prelu(graph: &mut Graph, args: &Args) -> Made<ValueId> {
    let id = graph.operand(args.required(0, "input")?)?;
    let slope = graph.operand(args.required(1, "weight")?)?;
    let (x, mut slope_name) = (graph.real(id), graph.real(slope));
    let count = graph.shape(slope).and_then(|shape| shape.first()?.known()).unwrap_or(1);
    if count > 1 {
        let rank = graph.rank(id).ok_or_else(|| Refusal::new("a PReLU of an input whose rank is not known"))?;
        let mut dims = vec![1i64; rank.saturating_sub(1).max(1)];
        dims[0] = count as i64;
        let shape = graph.builder.ints("prelu_shape", &dims)?;
        slope_name = graph.builder.node("Reshape", &[&slope_name, &shape], "prelu_slope", &[]);
    }
    let made = graph.emit_like("PRelu", &[&x, &slope_name], "prelu", &[], id);
    requantized(graph, id, made, "prelu")
}
