//! PyTorch's quantized operators in QDQ form: real numbers between DequantizeLinear and QuantizeLinear.

use super::convolution::{Window, linear_node, node, product_shape};
use super::elementwise::{binary_node, pair, unary};
use super::reshape::squeeze;
use super::{Args, Graph, Made, Refusal};
use crate::import::pytorch::dtype::TorchType;
use crate::import::pytorch::python::{Packed, Py, ValueId};
use crate::import::pytorch::tensor::Constant;
use crate::onnx::{Attr, Dim};
use crate::quant::{Granularity, QuantParams, quantize};
use crate::tensor::{DType, Tensor};
use std::rc::Rc;

/// One scale and zero point.
pub(super) fn per_tensor(scale: f64, zero_point: i64, dtype: DType) -> Made<QuantParams> {
    let zero_point = i32::try_from(zero_point).map_err(|_| Refusal::new(format!("the zero point {zero_point}")))?;
    let scale = scale as f32;
    if !(scale > 0.0 && scale.is_finite()) {
        return Err(Refusal::new(format!("the scale {scale}")));
    }
    Ok(QuantParams { scale: vec![scale], zero_point: vec![zero_point], dtype, granularity: Granularity::PerTensor })
}

/// The parameters of a result, given as two arguments.
fn result_params(args: &Args, scale: usize, zero_point: usize) -> Made<QuantParams> {
    let scale = args.float(scale, "scale")?.ok_or_else(|| Refusal::new("the scale is missing"))?;
    let zero_point = args.int_or(zero_point, "zero_point", 0)?;
    // Activations are quint8 under fbgemm, x86 and qnnpack.
    per_tensor(scale, zero_point, DType::Uint8)
}

/// A Relu before the rounding, where the saturation does not do its work already.
fn relu_if(graph: &mut Graph, id: ValueId, relu: bool, params: &QuantParams) -> Made<ValueId> {
    let low = params.dtype.int_range().map_or(0, |range| range.0);
    if !relu || params.zero_point.iter().all(|&zero_point| i64::from(zero_point) == low) {
        return Ok(id);
    }
    unary(graph, &Py::Value(id), "Relu", "relu", &[])
}

/// `quantize_per_tensor`: input, scale, zero point, type. A constant is rounded here.
pub(super) fn quantize_per_tensor(graph: &mut Graph, args: &Args) -> Made<Py> {
    let scale = args.float(1, "scale")?.ok_or_else(|| Refusal::new("the scale is missing"))?;
    let zero_point = args.int_or(2, "zero_point", 0)?;
    let params = per_tensor(scale, zero_point, stored_type(args, 3)?)?;
    let input = args.required(0, "input")?;
    let Py::Tensor(constant) = input else {
        let id = graph.operand(input)?;
        return graph.quantize(id, params, "quantize").map(Py::Value);
    };
    Ok(Py::Tensor(rounded(graph, constant, params)?))
}

/// `quantize_per_channel`: input, scales, zero points, axis, type.
pub(super) fn quantize_per_channel(graph: &mut Graph, args: &Args) -> Made<Py> {
    let (Py::Tensor(scales), Py::Tensor(zeros)) = (args.required(1, "scales")?, args.required(2, "zero_points")?)
    else {
        return Err(Refusal::new("scales that are computed"));
    };
    let axis = usize::try_from(args.int_or(3, "axis", 0)?).map_err(|_| Refusal::new("a negative axis"))?;
    let params = QuantParams {
        scale: scales.tensor.to_f32()?,
        zero_point: zeros.tensor.to_f64()?.into_iter().map(|zero_point| zero_point as i32).collect(),
        dtype: stored_type(args, 4)?,
        granularity: Granularity::PerChannel { axis },
    };
    let input = args.required(0, "input")?;
    let Py::Tensor(constant) = input else {
        let id = graph.operand(input)?;
        return graph.quantize(id, params, "quantize").map(Py::Value);
    };
    Ok(Py::Tensor(rounded(graph, constant, params)?))
}

fn stored_type(args: &Args, position: usize) -> Made<DType> {
    let found = match args.required(position, "dtype")? {
        Py::Name(name) => TorchType::of_name(name),
        other => other.as_int().and_then(TorchType::of_number),
    };
    found
        .filter(|found| found.quantized)
        .map(|found| found.dtype)
        .ok_or_else(|| Refusal::new("a quantization to an unknown type"))
}

/// A constant rounded once and for all.
fn rounded(graph: &mut Graph, constant: &Rc<Constant>, params: QuantParams) -> Made<Rc<Constant>> {
    let (low, high) = params.dtype.int_range().ok_or_else(|| Refusal::new("no integer type"))?;
    let shape = constant.tensor.shape();
    let axis = match params.granularity {
        Granularity::PerChannel { axis } => axis as i64,
        _ => 0,
    };
    let channels = match params.granularity {
        Granularity::PerChannel { .. } => crate::tensor::Channels::along(shape, axis)
            .filter(|channels| channels.count == params.scale.len() && params.zero_point.len() == params.scale.len())
            .ok_or_else(|| Refusal::new("scales that do not fit their axis"))?,
        _ => crate::tensor::Channels::whole(constant.tensor.len()),
    };
    let codes = constant.tensor.to_f32()?.into_iter().enumerate().map(|(at, value)| {
        let channel = channels.of(at);
        quantize(value, params.scale[channel], params.zero_point[channel], low as i32, high as i32)
    });
    let tensor = match params.dtype {
        DType::Int8 => Tensor::from_vec(shape.to_vec(), codes.map(|code| code as i8).collect())?,
        DType::Uint8 => Tensor::from_vec(shape.to_vec(), codes.map(|code| code as u8).collect())?,
        DType::Int32 => Tensor::from_vec(shape.to_vec(), codes.collect())?,
        other => return Err(Refusal::new(format!("constants of {other}"))),
    };
    let made = Rc::new(Constant {
        dtype: if params.dtype == DType::Int8 { "qint8" } else { "quint8" },
        tensor,
        quant: Some(params),
    });
    if let Some(name) = graph.names.get(&Rc::as_ptr(constant)).cloned() {
        graph.names.insert(Rc::as_ptr(&made), name);
        graph.kept.push(made.clone());
    }
    Ok(made)
}

/// `quantized.conv*d(_relu)`: input, packed weights, scale, zero point. `line` where it is called for one dim.
pub(super) fn conv(graph: &mut Graph, args: &Args, relu: bool, line: bool) -> Made<ValueId> {
    let mut input = graph.operand(args.required(0, "qx")?)?;
    let packed = packed(args)?;
    if packed.spatial == 0 {
        return Err(Refusal::new("a convolution with the weights of a linear layer"));
    }
    // Forms of old files repeat the strides before the scale.
    let (scale, zero_point) = if args.positional.len() > 6 { (6, 7) } else { (2, 3) };
    let params = result_params(args, scale, zero_point)?;
    let weight = graph.constant(&packed.weight, "weight")?;
    let bias = packed.bias.as_ref().map(|bias| graph.constant(bias, "bias")).transpose()?;
    let window = Window {
        stride: packed.stride.clone(),
        padding: packed.padding.iter().map(|&pad| (pad, pad)).collect(),
        dilation: packed.dilation.clone(),
        groups: packed.groups,
        transposed: packed.transposed,
        output_padding: packed.output_padding.clone(),
    };
    // PyTorch packs a convolution of one dim as one of two, the first of them 1.
    let raised = line && packed.spatial == 2;
    let across = |graph: &mut Graph, id: ValueId, insert: bool| {
        squeeze(graph, &Args::of(vec![Py::Value(id), Py::Int(2)]), insert)
    };
    if raised {
        let channels = graph.shape(weight).and_then(|shape| shape.get(1)?.known());
        let channels = channels.map_or(Dim::Unknown, |dim| Dim::Known(dim * packed.groups.max(1) as usize));
        graph.learn(input, &[Dim::Unknown, channels, Dim::Unknown]);
        input = across(graph, input, true)?;
    }
    let mut made = node(graph, input, weight, bias, &window)?;
    if raised {
        made = across(graph, made, false)?;
    }
    let made = relu_if(graph, made, relu, &params)?;
    graph.quantize(made, params, "conv")
}

/// `quantized.linear(_relu)`: input, packed weights, scale, zero point.
pub(super) fn linear(graph: &mut Graph, args: &Args, relu: bool) -> Made<ValueId> {
    let params = result_params(args, 2, 3)?;
    let made = linear_real(graph, args)?;
    let made = relu_if(graph, made, relu, &params)?;
    graph.quantize(made, params, "linear")
}

fn linear_real(graph: &mut Graph, args: &Args) -> Made<ValueId> {
    let input = graph.operand(args.required(0, "X")?)?;
    let packed = packed(args)?;
    let weight = graph.constant(&packed.weight, "weight")?;
    let bias = packed.bias.as_ref().map(|bias| graph.constant(bias, "bias")).transpose()?;
    linear_node(graph, input, weight, bias)
}

/// `quantized.linear_dynamic(_relu)`: the input is rounded by its own range in every run.
pub(super) fn linear_dynamic(graph: &mut Graph, args: &Args, relu: bool) -> Made<ValueId> {
    let input = graph.operand(args.required(0, "X")?)?;
    let name = graph.real(input);
    let base = graph.wish("input");
    let wishes = [format!("{base}_quantized"), format!("{base}_scale"), format!("{base}_zero_point")];
    let wishes: Vec<&str> = wishes.iter().map(String::as_str).collect();
    let made = graph.builder.node_of("", "DynamicQuantizeLinear", &[&name], &wishes, &[]);
    let made: Vec<&str> = made.iter().map(String::as_str).collect();
    let real = graph.emit_like("DequantizeLinear", &made, "dequantized", &[], input);
    if args.bool_or(2, "reduce_range", false)? {
        graph.note("Dynamic quantization is converted with 8 bits; the file asks for 7 (reduce_range).");
    }
    let mut all = args.clone();
    if let Some(first) = all.positional.first_mut() {
        *first = Py::Value(real);
    }
    let made = linear_real(graph, &all)?;
    if relu { unary(graph, &Py::Value(made), "Relu", "relu", &[]) } else { Ok(made) }
}

fn packed(args: &Args) -> Made<Rc<Packed>> {
    match args.required(1, "packed_weight")? {
        Py::Packed(packed) => Ok(packed.clone()),
        other => Err(Refusal::new(format!("{} where packed weights are expected", other.describe()))),
    }
}

/// `quantized.add/mul(_relu)` of two tensors: left, right, scale, zero point.
pub(super) fn binary(graph: &mut Graph, args: &Args, op: &str, relu: bool) -> Made<ValueId> {
    let right = args.required(1, "other")?;
    if !matches!(right, Py::Value(_) | Py::Tensor(_)) || args.positional.len() < 4 && args.get(2, "scale").is_none() {
        return with_number(graph, args, op, relu);
    }
    let params = result_params(args, 2, 3)?;
    let (left, right) = pair(graph, args.required(0, "input")?, right)?;
    let made = binary_node(graph, op, left, right, &op.to_lowercase());
    let made = relu_if(graph, made, relu, &params)?;
    graph.quantize(made, params, &op.to_lowercase())
}

/// `quantized.add_scalar` and `mul_scalar`: the codes stay, as far as they can, and the parameters move.
fn with_number(graph: &mut Graph, args: &Args, op: &str, relu: bool) -> Made<ValueId> {
    let input = args.required(0, "input")?;
    let id = graph.operand(input)?;
    let number = args.float(1, "other")?.ok_or_else(|| Refusal::new("the number is missing"))?;
    let params = graph.value(id).quant.as_ref().map(|quant| quant.params.clone());
    let params = params.ok_or_else(|| Refusal::new("a quantized operation on a tensor that is not quantized"))?;
    let (Some(&scale), Some(&zero_point)) = (params.scale.first(), params.zero_point.first()) else {
        return Err(Refusal::new("a quantized tensor without a scale"));
    };
    let moved = match op {
        "Mul" => scaled(scale, zero_point, number, params.dtype)?,
        _ => shifted(scale, zero_point, number, params.dtype)?,
    };
    let (left, right) = pair(graph, input, &Py::Float(number))?;
    let made = binary_node(graph, op, left, right, &op.to_lowercase());
    let made = if relu { unary(graph, &Py::Value(made), "Relu", "relu", &[])? } else { made };
    graph.quantize(made, moved, &op.to_lowercase())
}

/// The parameters after a factor: the scale grows by its magnitude; a negative one mirrors the range.
fn scaled(scale: f32, zero_point: i32, factor: f64, dtype: DType) -> Made<QuantParams> {
    let (low, high) = dtype.int_range().ok_or_else(|| Refusal::new("no integer type"))?;
    if factor == 0.0 {
        return per_tensor(1.0, 0, dtype);
    }
    let mirrored = low + high - i64::from(zero_point);
    let zero_point = if factor > 0.0 { i64::from(zero_point) } else { mirrored };
    per_tensor(f64::from(scale) * factor.abs(), zero_point, dtype)
}

/// The parameters after a summand, as ATen's `_add_scalar_out` chooses them: the zero point moves; where it would
/// leave the type's range, the scale grows so that the range still holds every value.
fn shifted(scale: f32, zero_point: i32, summand: f64, dtype: DType) -> Made<QuantParams> {
    let (low, high) = dtype.int_range().ok_or_else(|| Refusal::new("no integer type"))?;
    let scale = f64::from(scale);
    let steps = (summand / scale).round_ties_even() as i64;
    let zero_point = i64::from(zero_point);
    let moved = zero_point - steps;
    if moved < low {
        let grown = (high - moved) as f64 / (high - low) as f64 * scale;
        return per_tensor(grown, low, dtype);
    }
    if moved > high {
        let grown = (moved - low) as f64 / (high - low) as f64 * scale;
        return per_tensor(grown, high, dtype);
    }
    per_tensor(scale, moved, dtype)
}

/// `quantized.matmul`: left, right, scale, zero point.
pub(super) fn matmul(graph: &mut Graph, args: &Args) -> Made<ValueId> {
    let params = result_params(args, 2, 3)?;
    let left = graph.operand(args.required(0, "qa")?)?;
    let right = graph.operand(args.required(1, "qb")?)?;
    let shape = product_shape(graph, left, right);
    let names = (graph.real(left), graph.real(right));
    let made = graph.emit("MatMul", &[&names.0, &names.1], "matmul", &[], DType::Float32, shape);
    graph.quantize(made, params, "matmul")
}

/// `quantized.cat(_relu)`: tensors, dim, scale, zero point; without parameters those of the first tensor.
pub(super) fn cat(graph: &mut Graph, args: &Args, relu: bool) -> Made<ValueId> {
    let items = args.required(0, "qx")?.items().ok_or_else(|| Refusal::new("a join of something that is no list"))?;
    let params = match args.float(2, "scale")? {
        Some(_) => result_params(args, 2, 3)?,
        None => {
            let first = graph.operand(items.first().unwrap_or(&Py::None))?;
            let params = graph.value(first).quant.as_ref().map(|quant| quant.params.clone());
            params.ok_or_else(|| Refusal::new("a quantized join of tensors that are not quantized"))?
        }
    };
    let made = super::reshape::concat(graph, &items, args.int_or(1, "dim", 0)?, "cat")?;
    let made = relu_if(graph, made, relu, &params)?;
    graph.quantize(made, params, "cat")
}

/// Operations of one quantized tensor with parameters of their own for the result.
pub(super) fn unary_to(
    graph: &mut Graph,
    args: &Args,
    (op, wish): (&str, &str),
    attributes: &[(&str, Attr)],
    params: QuantParams,
) -> Made<ValueId> {
    let id = graph.operand(args.required(0, "input")?)?;
    let real = graph.dequantized(id);
    let name = graph.real(real);
    let made = graph.emit_like(op, &[&name], wish, attributes, real);
    graph.quantize(made, params, wish)
}

/// Reads the parameters of a result out of a call; for the dispatcher.
pub(super) fn params_at(args: &Args, scale: usize, zero_point: usize) -> Made<QuantParams> {
    result_params(args, scale, zero_point)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_move_with_a_number() {
        let params = shifted(0.5, 10, 2.0, DType::Uint8).unwrap();
        assert_eq!((params.scale[0], params.zero_point[0]), (0.5, 6));
        // 10 - 40 = -30 is below 0: the scale grows by 285 / 255.
        let params = shifted(0.5, 10, 20.0, DType::Uint8).unwrap();
        assert_eq!((params.scale[0], params.zero_point[0]), ((285.0f64 / 255.0 * 0.5) as f32, 0));
        let params = scaled(0.5, 10, -2.0, DType::Uint8).unwrap();
        assert_eq!((params.scale[0], params.zero_point[0]), (1.0, 245));
        assert!(per_tensor(0.0, 0, DType::Uint8).is_err() && per_tensor(f64::NAN, 0, DType::Uint8).is_err());
    }
}
