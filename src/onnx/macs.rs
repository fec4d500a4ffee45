//! Multiply-accumulate operations.

use super::attributes::NodeExt;
use super::document::Document;
use super::facts::{Dim, Facts};
use super::operands::Signature;

/// Multiply-accumulates of one node for one batch item; `None` where the node does none, or its shapes are not known.
///
/// * `Conv` and its quantized forms: output elements x (input channels / group) x kernel elements
/// * `ConvTranspose`: input elements x (output channels / group) x kernel elements
/// * `MatMul`, `Gemm` and their quantized forms: output elements x the dim that is summed over
///
/// Bias additions, elementwise operations and pooling are not counted, as is usual. The batch is the leading dim of
/// the data, taken as 1; where the data of a product is a constant, nothing is a batch. Other symbolic dims leave the
/// count open.
pub fn macs(document: &Document, facts: &Facts, node: usize) -> Option<u64> {
    let node = document.node(node)?;
    if !matches!(node.domain_name(), "" | "com.microsoft") {
        return None;
    }
    let signature = Signature::of(node);
    let position = |operand: usize| signature.operands.get(operand).map(|operand| operand.position);
    let shape = |position: usize| facts.shape(node.input_name(position)?);
    let output = || facts.shape(node.output_name(0)?);
    match signature.op.as_str() {
        "Conv" => {
            // W is [M, C / group, kernel...], so a weight's elements per output channel are the terms of one output.
            let terms = elements(shape(position(1)?)?.get(1..)?)?;
            elements(output()?.get(1..)?)?.checked_mul(terms)
        }
        "ConvTranspose" => {
            // W is [C, M / group, kernel...].
            let terms = elements(shape(position(1)?)?.get(1..)?)?;
            elements(shape(position(0)?)?.get(1..)?)?.checked_mul(terms)
        }
        "MatMul" | "Gemm" => {
            let data = shape(position(0)?)?;
            let transposed = node.int("transA").unwrap_or(0) != 0 && signature.op == "Gemm";
            let terms = if transposed { data.first()? } else { data.last()? }.known()?;
            let result = output()?;
            let constant = document.is_constant(&document.origin(node.input_name(position(0)?)?));
            let counted = if constant || data.len() < 2 || result.is_empty() { result } else { result.get(1..)? };
            elements(counted)?.checked_mul(u64::try_from(terms).ok()?)
        }
        _ => None,
    }
}

fn elements(dims: &[Dim]) -> Option<u64> {
    dims.iter().try_fold(1u64, |product, dim| product.checked_mul(u64::try_from(dim.known()?).ok()?))
}
