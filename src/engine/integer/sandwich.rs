//! DequantizeLinear - operator - QuantizeLinear sandwiches of QDQ files, for `integer` semantics.
//!
//! A sandwich is complete where every input of the operator is a DequantizeLinear of an 8-bit tensor (the bias: of an
//! int32 one whose scale is the product of the factors' scales and whose zero point is 0) and the operator's result
//! is read by one QuantizeLinear only. Relu and Clip between operator and QuantizeLinear stay float: the saturation
//! absorbs them where the calibrator let it, and ORT's own QDQ files leave them out.
//!
//! The float values inside of a sandwich are still computed for viewing; only the codes come from the integer kernel.

use crate::engine::kernel::{self, Kernel};
use crate::engine::lower::FlatNode;
use crate::engine::terms::Semantics;
use crate::engine::value::{KernelError, Value};
use crate::onnx::NodeExt;
use crate::onnx::proto::{AttributeProto, NodeProto};
use crate::tensor::DType;
use std::collections::HashMap;

/// A QuantizeLinear node whose codes an integer kernel computes.
pub(crate) struct Sandwich {
    /// Position of the QuantizeLinear node in the flat list.
    pub quantize: usize,
    /// The QOperator node that stands for the sandwich.
    pub node: NodeProto,
    /// Its kernel.
    pub kernel: Box<dyn Kernel>,
}

/// Inputs of the float operator that have to be dequantized, in the order of the QOperator's parameter triplets.
fn operator(node: &NodeProto) -> Option<(&'static str, usize)> {
    if !node.domain_name().is_empty() {
        return None;
    }
    Some(match node.op_type() {
        "Conv" => ("QLinearConv", 2),
        "MatMul" => ("QLinearMatMul", 2),
        "Gemm" => ("QGemm", 2),
        "Add" => ("QLinearAdd", 2),
        "Mul" => ("QLinearMul", 2),
        "AveragePool" => ("QLinearAveragePool", 1),
        "GlobalAveragePool" => ("QLinearGlobalAveragePool", 1),
        "Sigmoid" => ("QLinearSigmoid", 1),
        "LeakyRelu" => ("QLinearLeakyRelu", 1),
        "Softmax" => ("QLinearSoftmax", 1),
        "Concat" => ("QLinearConcat", node.input.len()),
        _ => return None,
    })
}

struct Links<'a> {
    nodes: &'a [FlatNode],
    producer: HashMap<&'a str, usize>,
    readers: HashMap<&'a str, usize>,
    constant: &'a dyn Fn(&str) -> Option<Value>,
}

impl<'a> Links<'a> {
    fn of(nodes: &'a [FlatNode], constant: &'a dyn Fn(&str) -> Option<Value>, outputs: &'a [String]) -> Self {
        let mut links = Links { nodes, producer: HashMap::new(), readers: HashMap::new(), constant };
        for (position, flat) in nodes.iter().enumerate() {
            for name in flat.proto.output.iter().filter(|n| !n.is_empty()) {
                links.producer.insert(name, position);
            }
            for name in flat.proto.input.iter().chain(&flat.captured).filter(|n| !n.is_empty()) {
                *links.readers.entry(name).or_default() += 1;
            }
        }
        // A graph output is read from outside.
        outputs.iter().for_each(|name| *links.readers.entry(name).or_default() += 1);
        links
    }

    /// Whether a zero point is that of an 8-bit type.
    fn is_8_bit(&self, zero_point: &str) -> bool {
        (self.constant)(zero_point).is_some_and(|z| matches!(z.dtype(), DType::Int8 | DType::Uint8))
    }

    /// Whether the scales of a factor are one, or spread along the axis the QOperator spreads them along.
    fn spreads(&self, dq: &NodeProto, scale: &str, op_type: &str, position: usize, transposed: bool) -> bool {
        let Some(scales) = (self.constant)(scale) else { return false };
        let axis = NodeExt::int(dq, "axis").unwrap_or(1);
        let weight_axis = match op_type {
            "QLinearConv" => axis == 0,
            "QGemm" => axis == i64::from(!transposed) || axis == i64::from(!transposed) - 2,
            // Matrices; a batch of them would need the last axis.
            "QLinearMatMul" => matches!(axis, 1 | -1),
            _ => false,
        };
        scales.len() == 1 || (position == 1 && weight_axis)
    }

    /// Whether an int32 bias has the scale and zero point the integer kernel takes for granted.
    fn is_plain_bias(&self, dq: &NodeProto, scales: &[&str]) -> bool {
        let numbers = |name: &str| (self.constant)(name).and_then(|v| v.to_f32s().ok());
        let (Some(x), Some(w), Some(b)) = (
            scales.first().and_then(|s| numbers(s)),
            scales.get(1).and_then(|s| numbers(s)),
            dq.input_name(1).and_then(numbers),
        ) else {
            return false;
        };
        let zero = dq.input_name(2).is_none_or(|z| {
            (self.constant)(z)
                .is_some_and(|v| v.dtype() == DType::Int32 && v.to_i64s().is_ok_and(|n| n.iter().all(|&z| z == 0)))
        });
        let x = x.first().copied().unwrap_or(f32::NAN);
        // The exporter's product may be rounded differently in the last bit.
        let near = |(&b, &w): (&f32, &f32)| (b - x * w).abs() <= b.abs() * 1e-6;
        zero && (b.len() == w.len() || w.len() == 1) && b.iter().zip(w.iter().cycle()).all(near)
    }

    /// The DequantizeLinear that makes a value.
    fn dequantize(&self, value: Option<&str>) -> Option<&'a NodeProto> {
        let node = &self.nodes.get(*self.producer.get(value?)?)?.proto;
        let plain = node.op_type() == "DequantizeLinear" && NodeExt::int(node, "block_size").unwrap_or(0) == 0;
        plain.then_some(node)
    }

    fn try_sandwich(&self, quantize: usize) -> Option<NodeProto> {
        let q = &self.nodes.get(quantize)?.proto;
        if q.op_type() != "QuantizeLinear" || NodeExt::int(q, "block_size").unwrap_or(0) != 0 {
            return None;
        }
        let flat = self.nodes.get(*self.producer.get(q.input_name(0)?)?)?;
        let node = &flat.proto;
        let (op_type, factors) = operator(node)?;
        if self.readers.get(q.input_name(0)?) != Some(&1) {
            return None;
        }
        let (y_scale, y_zero) = (q.input_name(1)?, q.input_name(2)?);
        let one = |name: &str| (self.constant)(name).is_some_and(|v| v.len() == 1);
        if !self.is_8_bit(y_zero) || !one(y_scale) {
            return None;
        }
        let transposed = NodeExt::int(node, "transB").unwrap_or(0) != 0;
        let mut triplets: Vec<String> = Vec::new();
        let mut scales = Vec::new();
        for position in 0..factors {
            let dq = self.dequantize(node.input_name(position))?;
            let (x, scale, zero) = (dq.input_name(0)?, dq.input_name(1)?, dq.input_name(2)?);
            if !self.is_8_bit(zero) || !self.spreads(dq, scale, op_type, position, transposed) {
                return None;
            }
            scales.push(scale);
            triplets.extend([x.to_owned(), scale.to_owned(), zero.to_owned()]);
        }
        let bias = match (op_type, node.input_name(2)) {
            ("QLinearConv" | "QGemm", Some(bias)) => {
                let dq = self.dequantize(Some(bias))?;
                if !self.is_plain_bias(dq, &scales) {
                    return None;
                }
                Some(dq.input_name(0)?.to_owned())
            }
            _ => None,
        };
        let mut inputs =
            if op_type == "QLinearConcat" { vec![y_scale.to_owned(), y_zero.to_owned()] } else { Vec::new() };
        inputs.extend(triplets);
        if op_type == "QGemm" {
            inputs.push(bias.clone().unwrap_or_default());
        }
        if op_type != "QLinearConcat" {
            inputs.extend([y_scale.to_owned(), y_zero.to_owned()]);
        }
        if op_type == "QLinearConv" {
            inputs.extend(bias);
        }
        let mut attribute = node.attribute.clone();
        if op_type == "QGemm" {
            let unit = |name: &str| NodeExt::float(node, name).unwrap_or(1.0) == 1.0;
            if !unit("alpha") || !unit("beta") {
                return None;
            }
            attribute.retain(|a| a.name() != "beta");
        }
        if op_type == "QLinearSoftmax" {
            attribute.push(AttributeProto {
                name: Some("opset".to_owned()),
                i: Some(flat.opset),
                r#type: Some(crate::onnx::proto::attribute_proto::AttributeType::Int as i32),
                ..Default::default()
            });
        }
        let standard = matches!(op_type, "QLinearConv" | "QLinearMatMul");
        Some(NodeProto {
            op_type: Some(op_type.to_owned()),
            domain: (!standard).then(|| "com.microsoft".to_owned()),
            name: q.name.clone(),
            input: inputs,
            output: q.output.clone(),
            attribute,
            ..Default::default()
        })
    }
}

/// Finds the complete sandwiches of a graph. `constant` gives a constant's value by name.
pub(crate) fn find(
    nodes: &[FlatNode],
    constant: &dyn Fn(&str) -> Option<Value>,
    outputs: &[String],
) -> Result<Vec<Sandwich>, KernelError> {
    let links = Links::of(nodes, constant, outputs);
    let mut found = Vec::new();
    for (position, flat) in nodes.iter().enumerate() {
        if let Some(node) = links.try_sandwich(position) {
            let made = FlatNode { proto: node.clone(), opset: flat.opset, captured: Vec::new() };
            found.push(Sandwich { quantize: position, kernel: kernel::build(&made, Semantics::Integer)?, node });
        }
    }
    Ok(found)
}
