//! One node after the other as modules and lines.

mod activation;
mod elementwise;
mod layer;
mod norm;
mod pool;
mod recurrent;
mod reduce;
mod resize;
mod scan;
mod shape;

use super::emit::Emitter;
use super::error::Refusal;
use super::quantized;
use crate::onnx::NodeExt;
use crate::onnx::proto::NodeProto;

/// Adds a node. The operators are tried group by group; `false` of a group means that it has none of this name.
pub(super) fn node(emitter: &mut Emitter<'_>, position: usize, node: &NodeProto) -> Result<(), Refusal> {
    let contrib = node.domain_name() == "com.microsoft"
        && matches!(node.op_type(), "QuantizeLinear" | "DequantizeLinear" | "Gelu");
    if !node.domain_name().is_empty() && !contrib {
        return Err("an operator of this domain has no form in PyTorch here".into());
    }
    match node.op_type() {
        "Constant" => return constant(emitter, node),
        "QuantizeLinear" | "DequantizeLinear" => return quantized::quantizer(emitter, node),
        "QLinearConv" | "QLinearMatMul" | "ConvInteger" | "MatMulInteger" | "DynamicQuantizeLinear" => {
            let why = "it stays an integer operator, which has no form in PyTorch here: what it reads is made in \
                       integers, or its scale is found in each run. Quantize the float model as QDQ on the Quantize \
                       page, and export that";
            return Err(why.into());
        }
        _ => {}
    }
    let done = layer::node(emitter, node)?
        || norm::node(emitter, node)?
        || activation::node(emitter, node)?
        || elementwise::node(emitter, node)?
        || pool::node(emitter, node)?
        || reduce::node(emitter, node)?
        || resize::node(emitter, node)?
        || recurrent::node(emitter, node)?
        || scan::node(emitter, node)?
        || shape::node(emitter, node)?;
    let _ = position;
    if done { Ok(()) } else { Err("this operator has no form in PyTorch here".into()) }
}

/// Constants become buffers where something reads them as a tensor.
fn constant(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<(), Refusal> {
    let output = node.output_name(0).unwrap_or_default();
    match emitter.document.constant(output) {
        Some(Ok(_)) => Ok(()),
        Some(Err(error)) => Err(error.into()),
        None => Err("a constant that is no dense tensor of numbers".into()),
    }
}

/// The arguments of a call.
fn arguments(parts: &[(&str, String)]) -> String {
    parts.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
}
