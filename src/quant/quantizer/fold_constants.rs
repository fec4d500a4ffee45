//! What is the same in every run becomes an initializer.

use super::clamp::node_label;
use super::graph::Graph;
use super::prepare::Folded;
use crate::onnx::proto::NodeProto;
use crate::onnx::{NodeExt, tensor_to_proto};
use crate::tensor::{DType, Tensor};
use std::collections::BTreeMap;

/// Elements that a computed constant may have beyond what it was computed from: an `Expand` of one number to a large
/// tensor is no gain.
const MOST_NEW_ELEMENTS: usize = 1 << 16;

/// Folds what needs no arithmetic, in node order, so that what follows a folded node can be folded too: `Constant`
/// nodes, what gives a constant another shape, and the `Shape` of a value whose dims are all known.
pub(super) fn fold_known(graph: &mut Graph, folded: &mut Vec<Folded>) {
    for position in 0..graph.nodes.len() {
        let Some(node) = graph.nodes.get(position).cloned().flatten() else { continue };
        let (true, Some(output)) = (node.domain_name().is_empty(), node.output_name(0)) else { continue };
        if graph.is_graph_output(output) {
            continue;
        }
        if let Some(tensor) = constant_result(graph, &node) {
            graph.add_initializer(tensor_to_proto(output, &tensor));
            graph.remove(position);
            folded.push(gone(&node));
        }
    }
}

/// Folds the nodes all of whose outputs are among the computed values.
pub(super) fn fold_computed(graph: &mut Graph, computed: &BTreeMap<String, Tensor>, folded: &mut Vec<Folded>) {
    for position in 0..graph.nodes.len() {
        let Some(node) = graph.nodes.get(position).cloned().flatten() else { continue };
        let made = || node.output.iter().filter(|output| !output.is_empty());
        if made().next().is_none() || made().any(|output| graph.is_graph_output(output)) {
            continue;
        }
        let Some(values) = made().map(|output| computed.get(output)).collect::<Option<Vec<&Tensor>>>() else {
            continue;
        };
        let read = node.input.iter().filter_map(|input| graph.initializer(input));
        let read: i64 = read.map(|tensor| tensor.dims.iter().product::<i64>()).sum();
        let limit = usize::try_from(read).unwrap_or(0).saturating_add(MOST_NEW_ELEMENTS);
        if values.iter().map(|value| value.len()).sum::<usize>() > limit {
            continue;
        }
        for (output, value) in made().zip(values) {
            graph.add_initializer(tensor_to_proto(output, value));
        }
        graph.remove(position);
        folded.push(gone(&node));
    }
}

fn gone(node: &NodeProto) -> Folded {
    Folded { node: node_label(node), op: node.op_type().to_owned(), into: String::new() }
}

/// The tensor that a `Constant` node, an operator that only gives a constant another shape, or a `Shape` makes.
fn constant_result(graph: &Graph, node: &NodeProto) -> Option<Tensor> {
    match node.op_type() {
        "Constant" => constant(node),
        "Identity" => graph.tensor(node.input_name(0)?)?.ok(),
        "Shape" => shape(graph, node),
        "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten" => {
            let data = graph.tensor(node.input_name(0)?)?.ok()?;
            // What the shape inference says, if it says all of it.
            data.reshaped(graph.known_shape(node.output_name(0)?)?).ok()
        }
        _ => None,
    }
}

fn constant(node: &NodeProto) -> Option<Tensor> {
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
    Tensor::from_vec(vec![], vec![node.int("value_int")?]).ok()
}

/// The dims from `start` to before `end`; negative ones count from the end, and both are cut to the rank.
fn shape(graph: &Graph, node: &NodeProto) -> Option<Tensor> {
    let dims: Vec<i64> =
        graph.known_shape(node.input_name(0)?)?.into_iter().map(i64::try_from).collect::<Result<_, _>>().ok()?;
    let rank = i64::try_from(dims.len()).ok()?;
    let place = |at: i64| usize::try_from((if at < 0 { at + rank } else { at }).clamp(0, rank)).ok();
    let (start, end) = (place(node.int("start").unwrap_or(0))?, place(node.int("end").unwrap_or(rank))?);
    let part = dims.get(start..end.max(start))?.to_vec();
    Tensor::from_vec(vec![part.len()], part).ok().filter(|tensor| tensor.dtype() == DType::Int64)
}
