//! What is done to a float model before it is quantized: constants and batch normalization folded, shapes inferred.
//!
//! As ONNX Runtime's `quant_pre_process` does with its basic optimizations, in so far as it matters to quantization: each
//! fold takes a tensor away that would get a scale of its own.

use super::clamp::node_label;
use super::error::QuantizeError;
use super::fold::{Affine, affine_of, fold_into};
use super::graph::Graph;
use crate::onnx::proto::NodeProto;
use crate::onnx::{Document, Facts, NodeExt, tensor_to_proto, value_info};
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PrepareOptions {
    /// Make initializers of `Constant` nodes and of what only reshapes constants.
    pub fold_constants: bool,
    /// Multiply batch normalization, and constant factors and summands of channels, into the convolution before.
    pub fold_batch_norm: bool,
    /// Write the shapes that can be inferred into the model.
    pub infer_shapes: bool,
}

impl Default for PrepareOptions {
    fn default() -> Self {
        PrepareOptions { fold_constants: true, fold_batch_norm: true, infer_shapes: true }
    }
}

/// Something that was folded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folded {
    /// The node that is gone.
    pub node: String,
    /// Its operator.
    pub op: String,
    /// The node it went into; empty for a node that became a constant.
    pub into: String,
}

/// A prepared model.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The model; tensors that are still there keep their names, and what a folded node made is made by the node it
    /// went into.
    pub document: Document,
    /// What was folded, in order.
    pub folded: Vec<Folded>,
    /// How many values have got a shape that the file does not declare.
    pub inferred: usize,
}

/// Prepares a float model. The result computes the same up to the rounding of products.
pub fn prepare(document: &Document, options: &PrepareOptions) -> Result<Prepared, QuantizeError> {
    let inlined = match document.is_self_contained() {
        true => document.clone(),
        false => document.inlined()?,
    };
    let mut graph = Graph::of(&inlined);
    let mut folded = Vec::new();
    if options.fold_constants {
        fold_constants(&mut graph, &mut folded);
    }
    if options.fold_batch_norm {
        fold_channels(&mut graph, &mut folded);
    }
    let mut document = if folded.is_empty() { inlined } else { graph.finish(&inlined)? };
    let mut inferred = 0;
    if options.infer_shapes {
        (document, inferred) = with_shapes(&document)?;
    }
    Ok(Prepared { document, folded, inferred })
}

/// Makes initializers, in node order, so that what follows a folded node can be folded too.
fn fold_constants(graph: &mut Graph, folded: &mut Vec<Folded>) {
    for position in 0..graph.nodes.len() {
        let Some(node) = graph.nodes.get(position).cloned().flatten() else { continue };
        let (true, Some(output)) = (node.domain_name().is_empty(), node.output_name(0)) else { continue };
        if graph.is_graph_output(output) {
            continue;
        }
        if let Some(tensor) = constant_result(graph, &node) {
            graph.add_initializer(tensor_to_proto(output, &tensor));
            graph.remove(position);
            folded.push(Folded { node: node_label(&node), op: node.op_type().to_owned(), into: String::new() });
        }
    }
}

/// The tensor that a `Constant` node, or an operator that only gives a constant another shape, makes.
fn constant_result(graph: &Graph, node: &NodeProto) -> Option<Tensor> {
    if node.op_type() == "Constant" {
        if let Some(value) = node.tensor("value") {
            return crate::onnx::tensor_from_proto(value).ok();
        }
        if let Some(list) = NodeExt::attribute(node, "value_floats") {
            return Tensor::from_vec(vec![list.floats.len()], list.floats.clone()).ok();
        }
        if let Some(list) = NodeExt::attribute(node, "value_ints") {
            return Tensor::from_vec(vec![list.ints.len()], list.ints.clone()).ok();
        }
        if let Some(value) = node.float("value_float") {
            return Tensor::from_vec(vec![], vec![value]).ok();
        }
        return Tensor::from_vec(vec![], vec![node.int("value_int")?]).ok();
    }
    if !matches!(node.op_type(), "Identity" | "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten") {
        return None;
    }
    let data = graph.tensor(node.input_name(0)?)?.ok()?;
    if node.op_type() == "Identity" {
        return Some(data);
    }
    // What the shape inference says, if it says all of it.
    let shape = graph.known_shape(node.output_name(0)?)?;
    data.reshaped(shape).ok()
}

/// Folds what follows a convolution until nothing is left to fold.
fn fold_channels(graph: &mut Graph, folded: &mut Vec<Folded>) {
    loop {
        let makers: BTreeMap<String, usize> = graph
            .nodes
            .iter()
            .enumerate()
            .filter_map(|(at, node)| Some((node.as_ref()?.output_name(0)?.to_owned(), at)))
            .collect();
        let found = (0..graph.nodes.len()).find_map(|at| foldable(graph, &makers, at));
        let Some((position, conv, input, output, affine)) = found else { break };
        let (Some(Some(node)), Some(Some(into))) = (graph.nodes.get(position).cloned(), graph.nodes.get(conv).cloned())
        else {
            break;
        };
        if fold_into(graph, conv, &affine).is_none() {
            break;
        }
        graph.absorb(position, &input, &output);
        let (op, into) = (node.op_type().to_owned(), node_label(&into));
        folded.push(Folded { node: node_label(&node), op, into });
    }
}

/// Position of a node that can be folded, of the convolution before it, the value between, the value behind, and what
/// the node does to each channel.
fn foldable(
    graph: &Graph,
    makers: &BTreeMap<String, usize>,
    position: usize,
) -> Option<(usize, usize, String, String, Affine)> {
    let node = graph.nodes.get(position)?.as_ref()?;
    if !node.domain_name().is_empty() || !matches!(node.op_type(), "BatchNormalization" | "Mul" | "Add" | "Sub" | "Div")
    {
        return None;
    }
    // More outputs than one: training.
    if node.output.iter().skip(1).any(|output| !output.is_empty()) {
        return None;
    }
    let output = node.output_name(0)?;
    let candidates = if matches!(node.op_type(), "Mul" | "Add") { 2 } else { 1 };
    (0..candidates).find_map(|at| {
        let input = node.input_name(at)?;
        let conv = *makers.get(input)?;
        let free = graph.readers(input) == 1 && !graph.is_graph_output(input);
        let maker = graph.nodes.get(conv)?.as_ref().filter(|_| free)?;
        let affine = affine_of(graph, node, at, maker)?;
        Some((position, conv, input.to_owned(), output.to_owned(), affine))
    })
}

/// The model with a declaration for every value whose type and shape are known.
fn with_shapes(document: &Document) -> Result<(Document, usize), QuantizeError> {
    let facts = Facts::of(document);
    let graph = document.graph();
    let declared: HashSet<&str> =
        graph.value_info.iter().chain(&graph.input).chain(&graph.output).map(|info| info.name()).collect();
    let outputs = graph.node.iter().flat_map(|node| &node.output).filter(|name| !name.is_empty());
    let new: Vec<_> = outputs
        .filter(|name| !declared.contains(name.as_str()))
        .filter_map(|name| Some(value_info(name, facts.dtype(name)?, Some(facts.shape(name)?))))
        .collect();
    let count = new.len();
    if count == 0 {
        return Ok((document.clone(), 0));
    }
    let document = document.edit(|model| {
        if let Some(graph) = &mut model.graph {
            graph.value_info.extend(new);
        }
    })?;
    Ok((document, count))
}
