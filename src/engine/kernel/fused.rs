//! com.microsoft operators that are short forms of standard ones; ONNX Runtime writes them when it saves an
//! optimized model.

use super::conv::Convolution;
use super::dynamic::dynamic_params;
use super::{Input, Inputs, Kernel, Layout, optional, quantize_value, required};
use crate::engine::integer::matmul_integers;
use crate::engine::lower::FlatNode;
use crate::engine::tract_node::TractNode;
use crate::engine::value::{KernelError, Value};
use crate::onnx::NodeExt;
use crate::onnx::proto::{AttributeProto, NodeProto};
use crate::tensor::DType;

pub(super) fn build(flat: &FlatNode) -> Result<Box<dyn Kernel>, KernelError> {
    match flat.proto.op_type() {
        "Gelu" | "BiasGelu" | "FastGelu" | "QuickGelu" => Ok(Box::new(TractNode::new(flat)?)),
        "FusedConv" => fused_conv(flat),
        "DynamicQuantizeMatMul" => {
            let mut product = TractNode::made("MatMul", 2, &[], flat.opset)?;
            Ok(Box::new(move |inputs: Inputs<'_>| dynamic_quantize_matmul(inputs, &mut product)))
        }
        "MatMulIntegerToFloat" => {
            let mut product = TractNode::made("MatMul", 2, &[], flat.opset)?;
            Ok(Box::new(move |inputs: Inputs<'_>| {
                let side = |at: usize| Side { x: at, scale: at + 2, zero_point: at + 4 };
                scaled_product(inputs, side(0), side(1), optional(inputs, 6), &mut product)
            }))
        }
        _ => Err("the operator is not known to the engine".to_owned()),
    }
}

/// `Conv` followed by an activation, with an optional tensor added before it.
fn fused_conv(flat: &FlatNode) -> Result<Box<dyn Kernel>, KernelError> {
    let keep = |a: &&AttributeProto| !a.name().starts_with("activation");
    let mut conv = NodeProto { op_type: Some("Conv".to_owned()), domain: None, ..flat.proto.clone() };
    conv.attribute = flat.proto.attribute.iter().filter(keep).cloned().collect();
    conv.input.truncate(3);
    let mut conv = Convolution::new(&FlatNode { proto: conv, opset: flat.opset, captured: Vec::new() })?;
    let parameters = NodeExt::attribute(&flat.proto, "activation_params").map_or(&[][..], |a| &a.floats).to_vec();
    let parameter = |at: usize, default: f32| parameters.get(at).copied().unwrap_or(default);
    let activation: Box<dyn Fn(f32) -> f32 + Send> = match NodeExt::string(&flat.proto, "activation").unwrap_or("") {
        "" => Box::new(|v| v),
        "Relu" => Box::new(|v: f32| v.max(0.0)),
        "Tanh" => Box::new(f32::tanh),
        "Sigmoid" => Box::new(|v: f32| 1.0 / (1.0 + (-v).exp())),
        "LeakyRelu" => {
            let alpha = parameter(0, 0.01);
            Box::new(move |v| if v < 0.0 { alpha * v } else { v })
        }
        "Clip" => {
            let (low, high) = (parameter(0, f32::MIN), parameter(1, f32::MAX));
            Box::new(move |v: f32| v.max(low).min(high))
        }
        "HardSigmoid" => {
            let (alpha, beta) = (parameter(0, 0.2), parameter(1, 0.5));
            Box::new(move |v: f32| (alpha * v + beta).clamp(0.0, 1.0))
        }
        other => return Err(format!("the activation '{other}' is not known to the engine")),
    };
    Ok(Box::new(move |inputs: Inputs<'_>| {
        let result = conv.run(inputs.get(..inputs.len().min(3)).unwrap_or(inputs))?.into_iter().next();
        let result = result.ok_or("the convolution gave no result")?;
        let mut numbers = result.f32s()?.to_vec();
        if let Some(sum) = optional(inputs, 3) {
            if sum.shape() != result.shape() {
                return Err(format!("a sum of shape {:?} was found for {:?}", sum.shape(), result.shape()));
            }
            numbers.iter_mut().zip(sum.f32s()?).for_each(|(n, &s)| *n += s);
        }
        numbers.iter_mut().for_each(|n| *n = activation(*n));
        Ok(vec![Value::from_vec(result.dtype(), result.shape(), numbers)?])
    }))
}

/// Input positions of one factor.
struct Side {
    x: usize,
    scale: usize,
    zero_point: usize,
}

/// `(a - za) x (b - zb) x scale_a x scale_b + bias`; the weights' scale is one number or one per column.
fn scaled_product(
    inputs: Inputs<'_>,
    a: Side,
    b: Side,
    bias: Option<&Value>,
    product: &mut TractNode,
) -> Result<Vec<Value>, KernelError> {
    let (a_scale, b_scale) = (required(inputs, a.scale)?.to_f32s()?, required(inputs, b.scale)?.to_f32s()?);
    let positions = [a.x, b.x, a.zero_point, b.zero_point];
    let picked: Vec<Option<Input>> = positions.iter().map(|&p| inputs.get(p).cloned().flatten()).collect();
    let sums = matmul_integers(&picked, product)?;
    let columns = sums.shape().last().copied().unwrap_or(1).max(1);
    let &[a_scale] = a_scale.as_slice() else { return Err("one scale is needed for the left factor".to_owned()) };
    let bias = bias.map(Value::to_f32s).transpose()?;
    let scale = |column: usize| b_scale.get(if b_scale.len() == 1 { 0 } else { column }).copied().unwrap_or(f32::NAN);
    let numbers = sums.slice::<i32>()?.iter().enumerate().map(|(index, &sum)| {
        let column = index % columns;
        let offset = bias.as_ref().and_then(|b| b.get(if b.len() == 1 { 0 } else { column })).copied().unwrap_or(0.0);
        sum as f32 * (a_scale * scale(column)) + offset
    });
    Ok(vec![Value::from_vec(DType::Float32, sums.shape(), numbers.collect())?])
}

/// Inputs: A (float), B (8 bit), its scale, its zero point, bias.
fn dynamic_quantize_matmul(inputs: Inputs<'_>, product: &mut TractNode) -> Result<Vec<Value>, KernelError> {
    let a = required(inputs, 0)?;
    let numbers = a.f32s()?;
    let (scale, zero_point) = dynamic_params(numbers);
    let live = |value: Value| Some(Input { value, constant: false });
    let quantized = quantize_value(numbers, a.shape(), &[scale], &[zero_point.into()], Layout::Whole, DType::Uint8)?;
    let at = |position: usize| inputs.get(position).cloned().flatten();
    let full = [
        live(quantized),
        at(1),
        live(Value::from_vec(DType::Float32, &[], vec![scale])?),
        at(2),
        live(Value::from_vec(DType::Uint8, &[], vec![zero_point])?),
        at(3),
    ];
    let side = |at: usize| Side { x: at, scale: at + 2, zero_point: at + 4 };
    scaled_product(&full, side(0), side(1), optional(inputs, 4), product)
}
