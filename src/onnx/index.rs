//! Who makes and who reads each value, and an order in which the nodes can run.

use super::error::OnnxError;
use super::proto::{GraphProto, NodeProto};
use super::subgraph;
use std::collections::{BTreeSet, HashMap, HashSet};

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
    /// Outer values that a node's subgraphs read, by node.
    captured: HashMap<usize, Vec<String>>,
    captors: HashMap<String, Vec<usize>>,
    initializers: HashMap<String, usize>,
    order: Vec<usize>,
}

/// A node as messages name it.
pub(super) fn node_place(position: usize, node: &NodeProto) -> String {
    match node.name() {
        "" => format!("node {position} ({})", node.op_type()),
        name => format!("node {position} '{name}' ({})", node.op_type()),
    }
}

impl Index {
    /// Reads the links of the top-level graph and says what is wrong with them: a value made twice, a value that
    /// nobody makes, a cycle. A value made twice counts as made by the first of its makers.
    pub fn of(graph: &GraphProto) -> (Self, Vec<OnnxError>) {
        let mut index = Index::default();
        let mut issues = Vec::new();
        for (position, tensor) in graph.initializer.iter().enumerate().filter(|(_, tensor)| !tensor.name().is_empty()) {
            match index.initializers.entry(tensor.name().to_owned()) {
                std::collections::hash_map::Entry::Vacant(free) => {
                    free.insert(position);
                }
                std::collections::hash_map::Entry::Occupied(_) => issues.push(OnnxError::Invalid {
                    place: format!("graph.initializer[{position}]"),
                    found: format!("a second initializer named '{}'", tensor.name()),
                    expected: "each name once".to_owned(),
                }),
            }
        }
        let given = given_names(graph);
        for (node, proto) in graph.node.iter().enumerate() {
            for (position, name) in proto.output.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
                let taken = given.contains(name.as_str()) || index.producers.contains_key(name);
                if taken {
                    issues.push(OnnxError::Invalid {
                        place: node_place(node, proto),
                        found: format!("output '{name}', which is made elsewhere too"),
                        expected: "each value made once".to_owned(),
                    });
                }
                index.producers.entry(name.clone()).or_insert(Slot { node, position });
            }
            for (position, name) in proto.input.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
                index.consumers.entry(name.clone()).or_default().push(Slot { node, position });
            }
            let captured = subgraph::captured(proto);
            for name in &captured {
                index.captors.entry(name.clone()).or_default().push(node);
            }
            if !captured.is_empty() {
                index.captured.insert(node, captured);
            }
        }
        index.report_unmade(graph, &given, &mut issues);
        index.order = index.topological(graph, &mut issues);
        (index, issues)
    }

    fn report_unmade(&self, graph: &GraphProto, given: &HashSet<&str>, issues: &mut Vec<OnnxError>) {
        let made = |name: &str| name.is_empty() || given.contains(name) || self.producers.contains_key(name);
        for (node, proto) in graph.node.iter().enumerate() {
            let captured = self.captured.get(&node).map_or(&[][..], Vec::as_slice);
            for name in proto.input.iter().chain(captured).filter(|name| !made(name)) {
                issues.push(OnnxError::Missing {
                    place: node_place(node, proto),
                    what: format!("the input '{name}' (no initializer, graph input or node makes it)"),
                });
            }
        }
        for output in graph.output.iter().filter(|output| !made(output.name())) {
            issues.push(OnnxError::Missing {
                place: format!("graph output '{}'", output.name()),
                what: "the node that makes it".to_owned(),
            });
        }
    }

    /// The node output that makes this value; `None` for graph inputs and initializers.
    pub fn producer(&self, value: &str) -> Option<Slot> {
        self.producers.get(value).copied()
    }

    /// The node inputs that read this value, in graph order.
    pub fn consumers(&self, value: &str) -> &[Slot] {
        self.consumers.get(value).map_or(&[], Vec::as_slice)
    }

    /// The nodes whose subgraphs (`If`, `Loop`, `Scan`) read this value without it being an input of theirs.
    pub fn captors(&self, value: &str) -> &[usize] {
        self.captors.get(value).map_or(&[], Vec::as_slice)
    }

    /// The outer values that the subgraphs of a node read.
    pub fn captured(&self, node: usize) -> &[String] {
        self.captured.get(&node).map_or(&[], Vec::as_slice)
    }

    /// Position of the initializer of this name.
    pub fn initializer(&self, value: &str) -> Option<usize> {
        self.initializers.get(value).copied()
    }

    /// Node positions, producers before consumers; file order wherever that already holds. The nodes of a cycle, and
    /// those behind one, come last.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// The nodes that must run before `node`.
    fn needs<'a>(&'a self, node: usize, proto: &'a NodeProto) -> impl Iterator<Item = usize> + 'a {
        let names = proto.input.iter().chain(self.captured(node));
        names.filter_map(|name| self.producers.get(name)).map(|slot| slot.node)
    }

    /// Kahn's algorithm, always taking the earliest ready node, so that a sorted file keeps its order.
    fn topological(&self, graph: &GraphProto, issues: &mut Vec<OnnxError>) -> Vec<usize> {
        let mut waiting = vec![0usize; graph.node.len()];
        let mut readers: Vec<Vec<usize>> = vec![Vec::new(); graph.node.len()];
        for (node, proto) in graph.node.iter().enumerate() {
            for maker in self.needs(node, proto) {
                waiting[node] += 1;
                readers[maker].push(node);
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
            let node = self.on_cycle(graph, stuck, &waiting);
            issues.push(OnnxError::Invalid {
                place: node_place(node, &graph.node[node]),
                found: "a cycle: the node waits for its own result".to_owned(),
                expected: "an acyclic graph".to_owned(),
            });
            order.extend((0..waiting.len()).filter(|&node| waiting[node] > 0));
        }
        order
    }

    /// A node on the cycle that `stuck` waits for: the walk over waiting makers has to come back to one.
    fn on_cycle(&self, graph: &GraphProto, stuck: usize, waiting: &[usize]) -> usize {
        let mut seen = HashSet::new();
        let mut node = stuck;
        while seen.insert(node) {
            let next = graph.node.get(node).and_then(|proto| self.needs(node, proto).find(|&maker| waiting[maker] > 0));
            node = next.unwrap_or(node);
        }
        node
    }
}

/// The names a graph has without a node making them.
fn given_names(graph: &GraphProto) -> HashSet<&str> {
    let inputs = graph.input.iter().map(|input| input.name());
    let initializers = graph.initializer.iter().map(|tensor| tensor.name());
    let sparse =
        graph.sparse_initializer.iter().filter_map(|sparse| sparse.values.as_ref()).map(|values| values.name());
    inputs.chain(initializers).chain(sparse).collect()
}
