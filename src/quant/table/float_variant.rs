//! What the float variant of a quantized model knows better.

use super::row::Clamp;
use crate::onnx::{Alignment, Document, NodeExt};
use crate::tensor::Tensor;
use std::collections::HashMap;

/// What is known of the float model that a quantized document was made from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FloatVariant {
    /// The float tensor behind a constant, by the name of the constant in the quantized document as it is stored.
    pub constants: HashMap<String, Tensor>,
    /// The float model's name of that tensor.
    pub constant_names: HashMap<String, String>,
    /// The activation function that stood behind an operation and has no node in the quantized document (`None`: there
    /// was none), by the value that the operation writes there.
    pub absorbed: HashMap<String, Option<Clamp>>,
}

impl FloatVariant {
    /// Reads it off an alignment in which the float model and the quantized one have these positions.
    pub fn of(
        alignment: &Alignment,
        (float_at, float): (usize, &Document),
        (quantized_at, quantized): (usize, &Document),
    ) -> FloatVariant {
        let mut variant = FloatVariant::default();
        for layer in &alignment.layers {
            let member = |at: usize| layer.members.get(at).and_then(Option::as_ref).filter(|member| !member.absorbed);
            let (Some(ours), Some(theirs)) = (member(float_at), member(quantized_at)) else { continue };
            for (role, constant) in &ours.weights {
                let counterpart = theirs.weights.iter().find(|(other, _)| other == role);
                let tensor = float.constant(constant).and_then(Result::ok);
                if let (Some((_, stored)), Some(tensor)) = (counterpart, tensor) {
                    variant.constant_names.insert(stored.clone(), constant.clone());
                    variant.constants.insert(stored.clone(), tensor);
                }
            }
            // An activation function behind the operation that the quantized model has a node for is not absorbed.
            let own = quantized.index().consumers(&theirs.output).iter();
            let mut own = own.filter_map(|slot| quantized.node(slot.node));
            let clamp = match own.any(|node| matches!(node.op_type(), "Relu" | "Clip")) {
                true => None,
                false => only_activation(float, &ours.output),
            };
            variant.absorbed.insert(theirs.output.clone(), clamp);
        }
        variant
    }
}

/// The bounds of the Relu or Clip that alone reads a value.
fn only_activation(document: &Document, value: &str) -> Option<Clamp> {
    let [slot] = document.index().consumers(value) else { return None };
    let node = document.node(slot.node)?;
    clamp_of(document, node)
}

/// The bounds of a Relu or Clip node.
pub(super) fn clamp_of(document: &Document, node: &crate::onnx::proto::NodeProto) -> Option<Clamp> {
    if !node.domain_name().is_empty() {
        return None;
    }
    let bound = |position: usize, attribute: &str, default: f32| match node.input_name(position) {
        Some(name) => document.constant(name)?.ok()?.to_f32().ok()?.first().copied(),
        None => Some(node.float(attribute).unwrap_or(default)),
    };
    match node.op_type() {
        "Relu" => Some(Clamp { low: 0.0, high: f32::INFINITY }),
        "Clip" => {
            let (low, high) = (bound(1, "min", f32::NEG_INFINITY)?, bound(2, "max", f32::INFINITY)?);
            Some(Clamp { low, high })
        }
        _ => None,
    }
}
