//! What the model card counts.

use super::attributes::NodeExt;
use super::document::Document;
use super::facts::Facts;
use super::macs::macs;
use super::operands::{is_dequantize, is_quantize};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Counts over the main graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Nodes.
    pub nodes: usize,
    /// Nodes by domain (empty for `ai.onnx`) and operator.
    pub ops: BTreeMap<(String, String), usize>,
    /// `QuantizeLinear` nodes.
    pub quantize: usize,
    /// `DequantizeLinear` nodes.
    pub dequantize: usize,
    /// Elements of the parameters, see [`parameters`].
    pub parameters: u64,
    /// Multiply-accumulates for one batch item, see [`macs`].
    pub macs: u64,
    /// Nodes that multiply and accumulate whose shapes are not known, so that `macs` is too small.
    pub macs_unknown: usize,
}

impl Counts {
    /// Counts a document.
    pub fn of(document: &Document, facts: &Facts) -> Self {
        let nodes = &document.graph().node;
        let mut ops = BTreeMap::new();
        let (mut total_macs, mut macs_unknown) = (0u64, 0);
        for (position, node) in nodes.iter().enumerate() {
            *ops.entry((node.domain_name().to_owned(), node.op_type().to_owned())).or_default() += 1;
            let op = super::operands::Signature::of(node).op;
            match macs(document, facts, position) {
                Some(count) => total_macs = total_macs.saturating_add(count),
                None if matches!(op.as_str(), "Conv" | "ConvTranspose" | "MatMul" | "Gemm") => macs_unknown += 1,
                None => {}
            }
        }
        Counts {
            nodes: nodes.len(),
            ops,
            quantize: nodes.iter().filter(|node| is_quantize(node)).count(),
            dequantize: nodes.iter().filter(|node| is_dequantize(node)).count(),
            parameters: parameters(document),
            macs: total_macs,
            macs_unknown,
        }
    }

    /// `QuantizeLinear` and `DequantizeLinear` as a share of all nodes, 0 to 1; 0 for an empty graph.
    pub fn quantize_share(&self) -> f64 {
        (self.quantize + self.dequantize) as f64 / self.nodes.max(1) as f64
    }
}

/// Elements of the model's parameters: of every initializer and `Constant` that an operation reads as data, each
/// counted once, through `DequantizeLinear` and reshapes. Scales and zero points are not parameters, neither are
/// shapes, axes, indices and bounds.
///
/// A BatchNormalization that an exporter folded into a product and a sum counts with two elements per channel, one
/// folded into a convolution with none, where Keras counts four.
///
/// Where there is no network, every initializer counts but scales and zero points.
pub fn parameters(document: &Document) -> u64 {
    let mut seen = BTreeSet::new();
    if document.is_weights_only() {
        let nodes = document.graph().node.iter();
        let about: BTreeSet<&String> = nodes.flat_map(|node| node.input.iter().skip(1)).collect();
        let initializers = document.graph().initializer.iter().map(|tensor| tensor.name().to_owned());
        seen.extend(initializers.filter(|name| !about.contains(name)));
    }
    for op in document.core_ops() {
        let data = op.operands.into_iter().filter(|operand| operand.constant && operand.role != "indices");
        seen.extend(data.map(|operand| operand.value));
    }
    let elements = |value: &String| match document.constant_proto(value) {
        Some(proto) => proto.dims.iter().try_fold(1u64, |product, &dim| product.checked_mul(u64::try_from(dim).ok()?)),
        None => document.constant(value)?.ok().map(|tensor| tensor.len() as u64),
    };
    seen.iter().filter_map(elements).fold(0, u64::saturating_add)
}
