//! Graphs inside nodes: the bodies of `If`, `Loop` and `Scan`, which may read values of the graph around them.

use super::proto::{GraphProto, NodeProto};
use std::collections::HashSet;

/// The graphs that a node's attributes hold.
pub fn subgraphs(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs))
}

/// The outer values that a node's subgraphs read, each once, in order of appearance.
pub(super) fn captured(node: &NodeProto) -> Vec<String> {
    let mut seen = HashSet::new();
    let mut names: Vec<String> = subgraphs(node).flat_map(free_names).collect();
    names.retain(|name| seen.insert(name.clone()));
    names
}

/// The values a graph reads and does not make, those of graphs inside it included.
fn free_names(graph: &GraphProto) -> Vec<String> {
    let inputs = graph.input.iter().map(|input| input.name());
    let initializers = graph.initializer.iter().map(|tensor| tensor.name());
    let sparse =
        graph.sparse_initializer.iter().filter_map(|sparse| sparse.values.as_ref()).map(|values| values.name());
    let outputs = graph.node.iter().flat_map(|node| &node.output).map(String::as_str);
    let own: HashSet<&str> = inputs.chain(initializers).chain(sparse).chain(outputs).collect();
    let mut read: Vec<String> = Vec::new();
    for node in &graph.node {
        read.extend(node.input.iter().cloned());
        read.extend(subgraphs(node).flat_map(free_names));
    }
    read.extend(graph.output.iter().map(|output| output.name().to_owned()));
    read.retain(|name| !name.is_empty() && !own.contains(name.as_str()));
    read
}
