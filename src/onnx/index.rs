//! Who makes and who reads each value, and an order in which the nodes can run.

use super::error::OnnxError;
use super::proto::GraphProto;
use std::collections::{BTreeSet, HashMap};

/// An input or output position of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// Position of the node in `GraphProto.node`.
    pub node: usize,
    /// Position among the node's inputs or outputs.
    pub position: usize,
}

/// The graph's links by value name. Names in here are never empty.
#[derive(Clone, Debug, Default)]
pub struct Index {
    producers: HashMap<String, Slot>,
    consumers: HashMap<String, Vec<Slot>>,
    initializers: HashMap<String, usize>,
    order: Vec<usize>,
}

impl Index {
    /// Reads the links of the top-level graph; fails on a value made twice, a value nobody makes, and a cycle.
    pub fn of(graph: &GraphProto) -> Result<Self, OnnxError> {
        let mut index = Index::default();
        for (position, tensor) in graph.initializer.iter().enumerate() {
            index.initializers.insert(tensor.name().to_owned(), position);
        }
        let sparse = graph.sparse_initializer.iter().filter_map(|s| s.values.as_ref()).map(|v| v.name());
        let known: BTreeSet<&str> = graph
            .input
            .iter()
            .map(|input| input.name())
            .chain(graph.initializer.iter().map(|t| t.name()))
            .chain(sparse)
            .collect();
        for (node, proto) in graph.node.iter().enumerate() {
            for (position, name) in proto.output.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
                let earlier = index.producers.insert(name.clone(), Slot { node, position });
                if earlier.is_some() || known.contains(name.as_str()) {
                    return Err(OnnxError::Invalid {
                        place: format!("node '{}' ({})", proto.name(), proto.op_type()),
                        found: format!("output '{name}', which is made elsewhere too"),
                        expected: "each value made once".to_owned(),
                    });
                }
            }
            for (position, name) in proto.input.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
                index.consumers.entry(name.clone()).or_default().push(Slot { node, position });
            }
        }
        for (node, proto) in graph.node.iter().enumerate() {
            let unmade = |name: &&String| {
                !name.is_empty() && !known.contains(name.as_str()) && !index.producers.contains_key(*name)
            };
            if let Some(name) = proto.input.iter().find(unmade) {
                return Err(OnnxError::Missing {
                    place: format!("node {node} '{}' ({})", proto.name(), proto.op_type()),
                    what: format!("the input '{name}' (no initializer, graph input or node makes it)"),
                });
            }
        }
        index.order = topological(graph, &index.producers)?;
        Ok(index)
    }

    /// The node output that makes this value; `None` for graph inputs and initializers.
    pub fn producer(&self, value: &str) -> Option<Slot> {
        self.producers.get(value).copied()
    }

    /// The node inputs that read this value, in graph order.
    pub fn consumers(&self, value: &str) -> &[Slot] {
        self.consumers.get(value).map_or(&[], Vec::as_slice)
    }

    /// Position of the initializer of this name.
    pub fn initializer(&self, value: &str) -> Option<usize> {
        self.initializers.get(value).copied()
    }

    /// Node positions, producers before consumers; file order wherever that already holds.
    pub fn order(&self) -> &[usize] {
        &self.order
    }
}

/// Kahn's algorithm, always taking the earliest ready node, so that a sorted file keeps its order.
fn topological(graph: &GraphProto, producers: &HashMap<String, Slot>) -> Result<Vec<usize>, OnnxError> {
    let mut waiting = vec![0usize; graph.node.len()];
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); graph.node.len()];
    for (node, proto) in graph.node.iter().enumerate() {
        for slot in proto.input.iter().filter_map(|name| producers.get(name)) {
            waiting[node] += 1;
            readers[slot.node].push(node);
        }
    }
    let mut ready: BTreeSet<usize> = (0..waiting.len()).filter(|&node| waiting[node] == 0).collect();
    let mut order = Vec::with_capacity(waiting.len());
    while let Some(node) = ready.pop_first() {
        order.push(node);
        for &reader in &readers[node] {
            waiting[reader] -= 1;
            if waiting[reader] == 0 {
                ready.insert(reader);
            }
        }
    }
    if let Some(stuck) = waiting.iter().position(|&count| count > 0) {
        let proto = &graph.node[stuck];
        return Err(OnnxError::Invalid {
            place: format!("node {stuck} '{}' ({})", proto.name(), proto.op_type()),
            found: "a cycle: the node waits for its own result".to_owned(),
            expected: "an acyclic graph".to_owned(),
        });
    }
    Ok(order)
}
