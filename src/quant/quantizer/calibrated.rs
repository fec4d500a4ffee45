//! Which tensors are calibrated, and how their ranges are adjusted.

use super::Ranges;
use super::graph::Graph;
use super::options::QuantizeOptions;
use crate::onnx::{Document, Facts, NodeExt};
use crate::tensor::DType;
use std::collections::BTreeSet;

/// The tensors whose values are to be collected: float inputs and outputs of all nodes of the types that are
/// quantized, constants that are initializers left out. In the order in which the nodes run.
pub fn calibration_tensors(document: &Document, options: &QuantizeOptions) -> Vec<String> {
    let facts = Facts::of(document);
    let is_float = |value: &str| matches!(facts.dtype(value), Some(DType::Float32 | DType::Float16));
    let mut seen = BTreeSet::new();
    let mut tensors = Vec::new();
    for &position in document.index().order() {
        let Some(node) = document.node(position) else { continue };
        if !options.quantizes_op(node.op_type()) {
            continue;
        }
        for value in node.input.iter().chain(&node.output) {
            let wanted = !value.is_empty() && document.index().initializer(value).is_none() && is_float(value);
            if wanted && seen.insert(value.clone()) {
                tensors.push(value.clone());
            }
        }
    }
    tensors
}

/// What a quantized Relu, Clip or Softmax says about ranges: what goes into a Relu or Clip and nowhere else has the
/// range that comes out of it, and a Softmax gives 0 to 1.
pub(super) fn prepared_ranges(graph: &Graph, ranges: &Ranges, options: &QuantizeOptions) -> Ranges {
    let mut ranges = ranges.clone();
    for node in graph.nodes.iter().flatten() {
        let (Some(input), Some(output)) = (node.input_name(0), node.output_name(0)) else { continue };
        if !options.quantizes_node(node.op_type(), node.name()) {
            continue;
        }
        match node.op_type() {
            "Relu" | "Clip" if graph.readers(input) == 1 && ranges.contains_key(input) => {
                if let Some(&range) = ranges.get(output) {
                    ranges.insert(input.to_owned(), range);
                }
            }
            "Softmax" => {
                ranges.insert(output.to_owned(), (0.0, 1.0));
            }
            _ => {}
        }
    }
    ranges
}

/// The ranges as [`super::quantize`] uses them: what goes into a quantized Relu or Clip alone has the range that comes
/// out, and a Softmax gives 0 to 1.
pub fn adjusted_ranges(document: &Document, ranges: &Ranges, options: &QuantizeOptions) -> Ranges {
    prepared_ranges(&Graph::of(document), ranges, options)
}
