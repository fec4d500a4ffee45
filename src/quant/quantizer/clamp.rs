//! Reading activation functions and constants off nodes.

use super::graph::Graph;
use crate::onnx::NodeExt;
use crate::onnx::proto::NodeProto;
use crate::quant::table::Clamp;
use crate::tensor::{DType, Tensor};
use half::f16;

/// The node's name, or its first output where it has none.
pub(super) fn node_label(node: &NodeProto) -> String {
    match node.name() {
        "" => node.output_name(0).unwrap_or_default().to_owned(),
        name => name.to_owned(),
    }
}

/// The bounds of a Relu or Clip; `None` where they are not constant.
pub(super) fn clamp_of(graph: &Graph, node: &NodeProto) -> Option<Clamp> {
    if node.op_type() == "Relu" {
        return Some(Clamp { low: 0.0, high: f32::INFINITY });
    }
    let bound = |position: usize, attribute: &str, open: f32| {
        if let Some(name) = node.input_name(position) {
            return graph.constant(name)?.to_f32().ok()?.first().copied();
        }
        Some(node.float(attribute).unwrap_or(open))
    };
    Some(Clamp { low: bound(1, "min", f32::NEG_INFINITY)?, high: bound(2, "max", f32::INFINITY)? })
}

/// A float tensor of the same type with every element changed; `None` for types that are not quantized.
pub(super) fn map_reals(tensor: &Tensor, change: impl Fn(f32) -> f32) -> Option<Tensor> {
    let changed: Vec<f32> = tensor.to_f32().ok()?.into_iter().map(change).collect();
    let shape = tensor.shape().to_vec();
    match tensor.dtype() {
        DType::Float32 => Tensor::from_vec(shape, changed).ok(),
        DType::Float16 => Tensor::from_vec(shape, changed.into_iter().map(f16::from_f32).collect()).ok(),
        _ => None,
    }
}
