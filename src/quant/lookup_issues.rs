//! Quantization parameters that cannot work, as messages.

use super::lookup::{Parameters, QuantizedTensor};
use crate::onnx::{Document, OnnxError};

/// What is wrong with the parameters of these tensors: scales and zero points that do not fit the tensor or each
/// other, and scales that are not positive numbers (ONNX Runtime runs those and gives meaningless numbers).
pub fn parameter_issues(document: &Document, tensors: &[QuantizedTensor]) -> Vec<OnnxError> {
    tensors.iter().filter_map(|tensor| issue(document, tensor)).collect()
}

fn issue(document: &Document, tensor: &QuantizedTensor) -> Option<OnnxError> {
    let invalid = |found: String, expected: &str| {
        let node = tensor.nodes.first().and_then(|&position| document.node(position));
        let place = match node {
            Some(node) => format!("{} '{}', scale of '{}'", node.op_type(), node.name(), tensor.value),
            None => format!("scale of '{}'", tensor.value),
        };
        Some(OnnxError::Invalid { place, found, expected: expected.to_owned() })
    };
    match &tensor.params {
        Parameters::AtRunTime { .. } | Parameters::NoScale { .. } => None,
        Parameters::Unusable(why) => invalid(why.clone(), "a scale and a zero point that fit the tensor"),
        Parameters::Fixed(params) if params.dtype.is_float() && params.dtype.bits().is_some_and(|bits| bits > 8) => {
            invalid(format!("a zero point of type {}", params.dtype), "an integer or an 8 bit float")
        }
        Parameters::Fixed(params) => {
            let bad = |scale: &&f32| !(scale.is_finite() && **scale > 0.0);
            params.scale.iter().find(bad).and_then(|scale| invalid(format!("a scale of {scale}"), "scales above 0"))
        }
    }
}
