//! Which boxes a network has and what links them, before anything has a place.

use crate::onnx::{Document, NodeExt, is_plumbing};
use crate::worker::protocol::{GraphNode, GraphNodeKind, PortSummary};
use crate::worker::service::card::port_of;
use crate::worker::service::model::OpenModel;
use std::collections::{HashMap, HashSet};

/// The tree's row (position and name) of the layer that a node computes.
pub type Rows<'a> = HashMap<usize, (usize, &'a str)>;

/// A value that goes from one box to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    pub from: usize,
    pub to: usize,
    /// The value as it is read.
    pub value: String,
}

/// Boxes, makers before readers as far as the file allows it, and their links, each pair once.
#[derive(Debug, Default)]
pub struct Network {
    pub boxes: Vec<GraphNode>,
    pub links: Vec<Link>,
}

impl Network {
    /// The layers as the tree has them, between the graph's inputs and outputs.
    pub fn folded(model: &OpenModel, rows: &Rows) -> Self {
        let document = &model.document;
        let ops = document.core_ops();
        let layers: HashMap<usize, &crate::onnx::Layer> =
            model.layers.iter().map(|layer| (layer.node, layer)).collect();
        let mut draft = Draft::new(model);
        for op in &ops {
            let Some(node) = document.node(op.node) else { continue };
            let row = rows.get(&op.node);
            let own = layers.get(&op.node).map_or(op.output.as_str(), |layer| layer.name.as_str());
            let own_box = draft.network.boxes.len();
            draft.owner.insert(op.node, own_box);
            draft.owner.extend(op.absorbed.iter().map(|&node| (node, own_box)));
            let mut outputs = op.outputs.clone();
            outputs.extend(op.dequantized.clone().filter(|value| !outputs.contains(value)));
            draft.push(GraphNode {
                kind: GraphNodeKind::Operation,
                op: operator(node),
                name: row.map_or(own, |(_, name)| name).to_owned(),
                layer: row.map(|(place, _)| *place),
                quantized: op.quantized,
                inputs: present(&node.input),
                outputs: outputs.iter().map(|value| draft.port(value)).collect(),
                ..blank()
            });
        }
        let mut reads: Vec<(usize, String)> = Vec::new();
        for op in &ops {
            let Some(&to) = draft.owner.get(&op.node) else { continue };
            for node in std::iter::once(op.node).chain(op.absorbed.iter().copied()) {
                let inputs = document.node(node).map_or(&[][..], |node| node.input.as_slice());
                let captured = document.index().captured(node);
                reads.extend(inputs.iter().chain(captured).map(|value| (to, value.clone())));
            }
        }
        draft.finish(reads)
    }

    /// Every node of the main graph, in an order in which they can run.
    pub fn whole(model: &OpenModel, rows: &Rows) -> Self {
        let document = &model.document;
        let belongs = belongings(document, rows);
        let quantized: HashSet<usize> =
            model.layers.iter().filter(|layer| layer.quantized).map(|layer| layer.node).collect();
        let mut draft = Draft::new(model);
        let mut reads: Vec<(usize, String)> = Vec::new();
        for &position in document.index().order() {
            let Some(node) = document.node(position) else { continue };
            let own_box = draft.network.boxes.len();
            draft.owner.insert(position, own_box);
            let made = present(&node.output);
            let own =
                if node.name().is_empty() { made.first().cloned().unwrap_or_default() } else { node.name().to_owned() };
            let row = rows.get(&position);
            draft.push(GraphNode {
                kind: if is_plumbing(node) { GraphNodeKind::Plumbing } else { GraphNodeKind::Operation },
                op: operator(node),
                name: row.map_or(own, |(_, name)| (*name).to_owned()),
                layer: row.map(|(place, _)| *place).or_else(|| belongs.get(&position).copied()),
                quantized: quantized.contains(&position),
                inputs: present(&node.input),
                outputs: made.iter().map(|value| draft.port(value)).collect(),
                ..blank()
            });
            let captured = document.index().captured(position);
            reads.extend(node.input.iter().chain(captured).map(|value| (own_box, value.clone())));
        }
        draft.finish(reads)
    }
}

/// A network that is being made.
struct Draft<'a> {
    model: &'a OpenModel,
    network: Network,
    /// The box of every node that has one, or is part of one.
    owner: HashMap<usize, usize>,
    /// The boxes of the graph's inputs by name.
    inputs: HashMap<String, usize>,
}

impl<'a> Draft<'a> {
    /// The inputs of the graph come first.
    fn new(model: &'a OpenModel) -> Self {
        let mut draft = Draft { model, network: Network::default(), owner: HashMap::new(), inputs: HashMap::new() };
        for input in model.document.inputs() {
            draft.inputs.insert(input.name().to_owned(), draft.network.boxes.len());
            draft.push(GraphNode {
                kind: GraphNodeKind::Input,
                op: "Input".to_owned(),
                name: input.name().to_owned(),
                outputs: vec![draft.port(input.name())],
                ..blank()
            });
        }
        draft
    }

    fn push(&mut self, node: GraphNode) {
        self.network.boxes.push(node);
    }

    fn port(&self, value: &str) -> PortSummary {
        port_of(value, self.model.facts.dtype(value), self.model.facts.shape(value))
    }

    /// The box that a value comes from, back through nodes that have none; `None` for a constant.
    fn source(&self, value: &str) -> Option<usize> {
        let document = &self.model.document;
        let mut value = value;
        // A cycle of such nodes is a broken file; as many steps as nodes are enough for any other.
        for _ in 0..=document.graph().node.len() {
            if let Some(&input) = self.inputs.get(value) {
                return Some(input);
            }
            let slot = document.index().producer(value)?;
            if let Some(&owner) = self.owner.get(&slot.node) {
                return Some(owner);
            }
            value = document.node(slot.node)?.input_name(0)?;
        }
        None
    }

    /// The outputs of the graph come last; then everything that is read is linked with what makes it.
    fn finish(mut self, mut reads: Vec<(usize, String)>) -> Network {
        for output in &self.model.document.graph().output {
            reads.push((self.network.boxes.len(), output.name().to_owned()));
            let port = self.port(output.name());
            self.push(GraphNode {
                kind: GraphNodeKind::Output,
                op: "Output".to_owned(),
                name: output.name().to_owned(),
                inputs: vec![output.name().to_owned()],
                outputs: vec![port],
                ..blank()
            });
        }
        let mut linked = HashSet::new();
        for (to, value) in reads.into_iter().filter(|(_, value)| !value.is_empty()) {
            if let Some(from) = self.source(&value).filter(|&from| from != to && linked.insert((from, to))) {
                self.network.links.push(Link { from, to, value });
            }
        }
        self.network
    }
}

/// The row of every node that is no layer itself: that of the layer whose result it hands on or, where it hands on a
/// constant, of the layer that reads it.
fn belongings(document: &Document, rows: &Rows) -> HashMap<usize, usize> {
    let mut belongs = HashMap::new();
    let place = |node: usize| rows.get(&node).map(|(place, _)| *place);
    for op in document.core_ops() {
        let Some(row) = place(op.node) else { continue };
        belongs.extend(op.absorbed.iter().map(|&node| (node, row)));
        for operand in op.operands.iter().filter(|operand| operand.constant) {
            let mut value = operand.read.as_str();
            for _ in 0..=document.graph().node.len() {
                let Some(slot) = document.index().producer(value) else { break };
                belongs.entry(slot.node).or_insert(row);
                let Some(input) = document.node(slot.node).and_then(|node| node.input_name(0)) else { break };
                value = input;
            }
        }
    }
    // Makers come before what hands their results on.
    for &position in document.index().order() {
        let Some(node) = document.node(position).filter(|node| is_plumbing(node)) else { continue };
        let maker = node.input_name(0).and_then(|value| document.index().producer(value));
        let row = maker.and_then(|slot| place(slot.node).or_else(|| belongs.get(&slot.node).copied()));
        if let Some(row) = row {
            belongs.entry(position).or_insert(row);
        }
    }
    belongs
}

/// The operator with its domain, where that is not the default one.
fn operator(node: &crate::onnx::proto::NodeProto) -> String {
    match node.domain_name() {
        "" => node.op_type().to_owned(),
        domain => format!("{domain}.{}", node.op_type()),
    }
}

fn present(names: &[String]) -> Vec<String> {
    names.iter().filter(|name| !name.is_empty()).cloned().collect()
}

/// A box without a name, a place and a size.
fn blank() -> GraphNode {
    GraphNode {
        kind: GraphNodeKind::Operation,
        op: String::new(),
        name: String::new(),
        layer: None,
        quantized: false,
        inputs: Vec::new(),
        outputs: Vec::new(),
        x: 0.0,
        y: 0.0,
        width: 0.0,
        height: 0.0,
    }
}
