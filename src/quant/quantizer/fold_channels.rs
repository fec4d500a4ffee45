//! Batch normalization, and constant factors and summands of channels, folded into the layers beside them.

use super::clamp::node_label;
use super::fold::{Affine, Site, affine_of, batch_norm, fold_into, makers, real_tensor, site_of};
use super::graph::Graph;
use super::prepare::{Folded, Unfolded};
use crate::onnx::NodeExt;
use crate::onnx::proto::NodeProto;
use crate::tensor::Channels;
use std::collections::BTreeMap;

/// Folds what follows a layer, then batch normalizations in front of one, until nothing is left to fold.
pub(super) fn fold_channels(graph: &mut Graph, folded: &mut Vec<Folded>) {
    loop {
        let makers = makers(graph);
        let behind = (0..graph.nodes.len()).find_map(|at| {
            let (site, input, affine) = foldable(graph, &makers, at)?;
            let (node, into) = (graph.nodes.get(at)?.clone()?, graph.nodes.get(site.node)?.clone()?);
            fold_into(graph, &site, &affine, at, &input).map(|()| (node, into))
        });
        let found = behind.or_else(|| (0..graph.nodes.len()).find_map(|at| fold_forward(graph, at)));
        let Some((node, into)) = found else { break };
        folded.push(Folded { node: node_label(&node), op: node.op_type().to_owned(), into: node_label(&into) });
    }
}

/// The batch normalizations that are still there.
pub(super) fn left_unfolded(graph: &Graph) -> Vec<Unfolded> {
    let makers = makers(graph);
    let nodes = graph.nodes.iter().flatten();
    nodes
        .filter(|node| node.op_type() == "BatchNormalization" && node.domain_name().is_empty())
        .map(|node| Unfolded { node: node_label(node), why: reason(graph, &makers, node) })
        .collect()
}

fn reason(graph: &Graph, makers: &BTreeMap<String, usize>, node: &NodeProto) -> String {
    let input = node.input_name(0).unwrap_or_default();
    let maker = makers.get(input).and_then(|&at| graph.nodes.get(at)?.as_ref());
    if trains(node) {
        return "it is in training mode".to_owned();
    }
    if (1..=4).any(|at| node.input_name(at).and_then(|name| graph.constant(name)).is_none()) {
        return "its statistics are not constant".to_owned();
    }
    match maker {
        None => "an input of the model goes into it".to_owned(),
        Some(maker) if graph.readers(input) > 1 || graph.is_graph_output(input) => {
            format!("what {} ({}) makes has other readers", node_label(maker), maker.op_type())
        }
        Some(maker) => format!("{} ({}) stands before it", node_label(maker), maker.op_type()),
    }
}

/// More outputs than one: training.
fn trains(node: &NodeProto) -> bool {
    node.output.iter().skip(1).any(|output| !output.is_empty()) || node.int("training_mode").unwrap_or(0) != 0
}

/// What a node does to each channel, where it goes, and the value between.
fn foldable(graph: &Graph, makers: &BTreeMap<String, usize>, position: usize) -> Option<(Site, String, Affine)> {
    let node = graph.nodes.get(position)?.as_ref().filter(|node| node.domain_name().is_empty() && !trains(node))?;
    let candidates = match node.op_type() {
        "Mul" | "Add" => 2,
        "BatchNormalization" | "Sub" | "Div" => 1,
        _ => return None,
    };
    (0..candidates).find_map(|at| {
        let input = node.input_name(at)?;
        let site = site_of(graph, makers, input)?;
        let affine = affine_of(graph, node, at, &site)?;
        Some((site, input.to_owned(), affine))
    })
}

/// Folds the batch normalization at this position into the layer that alone reads it: a convolution that pads nothing,
/// or a `Gemm`. Gives both as they were.
fn fold_forward(graph: &mut Graph, position: usize) -> Option<(NodeProto, NodeProto)> {
    let node = graph.nodes.get(position)?.clone()?;
    let plain = node.op_type() == "BatchNormalization" && node.domain_name().is_empty() && !trains(&node);
    let (input, output) = (node.input_name(0)?, node.output_name(0).filter(|_| plain)?);
    if graph.readers(output) != 1 || graph.is_graph_output(output) {
        return None;
    }
    let reads = |next: &NodeProto| next.input_name(0) == Some(output) && next.domain_name().is_empty();
    let at = graph.nodes.iter().position(|next| next.as_ref().is_some_and(reads))?;
    let next = graph.nodes.get(at)?.clone()?;
    let weight = graph.tensor(next.input_name(1)?)?.ok()?;
    let transposed = next.int("transB").unwrap_or(0) != 0;
    let nothing_padded = || {
        let automatic = next.string("auto_pad").unwrap_or("NOTSET");
        matches!(automatic, "NOTSET" | "VALID") && next.ints("pads").iter().all(|&pad| pad == 0)
    };
    let beta = f64::from(next.float("beta").unwrap_or(1.0));
    // Axes of the weight: of the channels that go in, and of those that come out.
    let (from, to, product, beta) = match next.op_type() {
        "Conv" if next.int("group").unwrap_or(1) == 1 && nothing_padded() => (1, 0, 1.0, 1.0),
        "Gemm" if next.int("transA").unwrap_or(0) == 0 && beta != 0.0 => {
            let product = f64::from(next.float("alpha").unwrap_or(1.0));
            (usize::from(transposed), usize::from(!transposed), product, beta)
        }
        _ => return None,
    };
    let affine = batch_norm(graph, &node, *weight.shape().get(from)?)?;
    let count = *weight.shape().get(to)?;
    let along = |axis: usize| Channels::along(weight.shape(), i64::try_from(axis).ok()?);
    let (ins, outs) = (along(from)?, along(to)?);
    let values = weight.to_f64().ok()?;
    let mut added = vec![0.0; count];
    for (index, value) in values.iter().enumerate() {
        *added.get_mut(outs.of(index))? += product * value * affine.summand.get(ins.of(index))?;
    }
    let factor = |index: usize| affine.factor.get(ins.of(index)).unwrap_or(&1.0);
    let scaled = values.iter().enumerate().map(|(index, value)| value * factor(index));
    let scaled = real_tensor(weight.dtype(), weight.shape(), scaled)?;
    let old = match next.input_name(2) {
        Some(bias) => graph.constant(bias)?.to_f64().ok().filter(|bias| bias.len() == count)?,
        None => vec![0.0; count],
    };
    let new = old.iter().zip(&added).map(|(old, added)| old + added / beta);
    let new = real_tensor(weight.dtype(), &[count], new)?;
    let needed = next.input_name(2).is_some() || affine.adds();
    graph.set_input(at, 1, &scaled)?;
    if needed {
        graph.set_input(at, 2, &new)?;
    }
    *graph.nodes.get_mut(at)?.as_mut()?.input.first_mut()? = input.to_owned();
    graph.remove(position);
    Some((node, next))
}
