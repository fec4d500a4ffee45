//! The float graph while it is changed.

use crate::onnx::proto::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use crate::onnx::{Dim, Document, Facts, NodeExt, OnnxError, subgraphs, tensor_from_proto, tensor_to_proto};
use crate::tensor::{DType, Tensor};
use std::collections::{HashMap, HashSet};

/// A model with what the quantizers ask of it. Nodes keep their order; a removed node leaves a gap until the end.
pub(super) struct Graph {
    model: ModelProto,
    pub nodes: Vec<Option<NodeProto>>,
    facts: Facts,
    initializers: HashMap<String, usize>,
    inputs: HashSet<String>,
    outputs: HashSet<String>,
    pub opset: i64,
}

impl Graph {
    /// Takes a document whose data is inside.
    pub fn of(document: &Document) -> Self {
        let mut model = document.proto().clone();
        let graph = model.graph.get_or_insert_with(GraphProto::default);
        let nodes = std::mem::take(&mut graph.node).into_iter().map(Some).collect();
        let names = |infos: &[ValueInfoProto]| infos.iter().map(|i| i.name().to_owned()).collect();
        Graph {
            facts: Facts::of(document),
            inputs: names(&graph.input),
            outputs: names(&graph.output),
            initializers: graph.initializer.iter().enumerate().map(|(at, t)| (t.name().to_owned(), at)).collect(),
            opset: document.opset("").unwrap_or(1),
            nodes,
            model,
        }
    }

    fn graph(&self) -> Option<&GraphProto> {
        self.model.graph.as_ref()
    }

    /// The element type of a value, where known.
    pub fn dtype(&self, value: &str) -> Option<DType> {
        self.initializer(value).map_or_else(|| self.facts.dtype(value), |t| DType::from_onnx(t.data_type()))
    }

    /// Whether a value holds float32 or float16, which alone are quantized.
    pub fn is_float(&self, value: &str) -> bool {
        matches!(self.dtype(value), Some(DType::Float32 | DType::Float16))
    }

    /// The message of an initializer.
    pub fn initializer(&self, name: &str) -> Option<&TensorProto> {
        self.graph()?.initializer.get(*self.initializers.get(name)?)
    }

    /// The data of an initializer.
    pub fn tensor(&self, name: &str) -> Option<Result<Tensor, OnnxError>> {
        self.initializer(name).map(tensor_from_proto)
    }

    /// The data of an initializer or of a `Constant` node's `value`.
    pub fn constant(&self, name: &str) -> Option<Tensor> {
        if let Some(tensor) = self.tensor(name) {
            return tensor.ok();
        }
        let producer = self.nodes.iter().flatten().find(|node| node.output_name(0) == Some(name))?;
        let value = (producer.op_type() == "Constant").then(|| producer.tensor("value")).flatten()?;
        tensor_from_proto(value).ok()
    }

    pub fn is_graph_input(&self, value: &str) -> bool {
        self.inputs.contains(value)
    }

    pub fn is_graph_output(&self, value: &str) -> bool {
        self.outputs.contains(value)
    }

    /// How many inputs of nodes read a value; subgraphs count once for each node that captures it.
    pub fn readers(&self, value: &str) -> usize {
        let in_node = |node: &NodeProto| node.input.iter().filter(|input| *input == value).count();
        let captured = |node: &NodeProto| usize::from(captures(node, value));
        self.nodes.iter().flatten().map(|node| in_node(node) + captured(node)).sum()
    }

    /// Removes a node whose output takes the place of its first input: the input's maker makes the output.
    pub fn absorb(&mut self, position: usize, input: &str, output: &str) {
        if let Some(node) = self.nodes.get_mut(position) {
            *node = None;
        }
        for made in self.nodes.iter_mut().flatten().flat_map(|node| &mut node.output).filter(|name| *name == input) {
            *made = output.to_owned();
        }
    }

    /// Removes a node whose readers read its first input instead; whether that could be done, which it cannot where the
    /// outside or a subgraph reads it.
    pub fn bypass(&mut self, position: usize) -> bool {
        let node = self.nodes.get(position).cloned().flatten();
        let ends = node.as_ref().and_then(|node| Some((node.input_name(0)?, node.output_name(0)?)));
        let Some((input, output)) = ends else { return false };
        if self.is_graph_output(output) || self.nodes.iter().flatten().any(|node| captures(node, output)) {
            return false;
        }
        self.remove(position);
        let inputs = self.nodes.iter_mut().flatten().flat_map(|node| &mut node.input);
        inputs.filter(|name| *name == output).for_each(|name| input.clone_into(name));
        true
    }

    /// Gives a node an initializer of its own: a copy of `name` under a new name, which is returned.
    pub fn own_copy(&mut self, position: usize, name: &str) -> Option<String> {
        let mut copy = self.initializer(name)?.clone();
        let graph = self.model.graph.as_mut()?;
        // ONNX Runtime counts on from the largest number that follows the name anywhere.
        let numbers = graph.initializer.iter().filter_map(|t| t.name().strip_prefix(name)?.parse::<i64>().ok());
        let new_name = format!("{name}{}", numbers.max().unwrap_or(-1).saturating_add(1));
        copy.name = Some(new_name.clone());
        self.initializers.insert(new_name.clone(), graph.initializer.len());
        graph.initializer.push(copy);
        for input in self.nodes.get_mut(position)?.as_mut()?.input.iter_mut().filter(|input| *input == name) {
            *input = new_name.clone();
        }
        Some(new_name)
    }

    /// Makes a copy of a value in front of the first of these nodes, which read the copy from then on. Returns its name.
    pub fn copy_for(&mut self, value: &str, readers: &[usize]) -> Option<String> {
        let first = *readers.iter().min()?;
        let copy = self.unused(&format!("{value}_copy"));
        for &reader in readers {
            let inputs = self.nodes.get_mut(reader)?.as_mut()?.input.iter_mut();
            inputs.filter(|input| *input == value).for_each(|input| input.clone_from(&copy));
        }
        let identity = NodeProto {
            input: vec![value.to_owned()],
            output: vec![copy.clone()],
            name: Some(format!("{copy}_Identity")),
            op_type: Some("Identity".to_owned()),
            ..Default::default()
        };
        self.nodes.insert(first, Some(identity));
        Some(copy)
    }

    /// Takes a node out.
    pub fn remove(&mut self, position: usize) {
        if let Some(node) = self.nodes.get_mut(position) {
            *node = None;
        }
    }

    /// Adds an initializer under a name that nothing else has.
    pub fn add_initializer(&mut self, tensor: TensorProto) {
        let Some(graph) = self.model.graph.as_mut() else { return };
        self.initializers.insert(tensor.name().to_owned(), graph.initializer.len());
        graph.initializer.push(tensor);
    }

    /// A name that no value has: the wish, or the wish with a number behind it.
    pub fn unused(&self, wish: &str) -> String {
        let made = |name: &str| self.nodes.iter().flatten().any(|node| node.output.iter().any(|output| output == name));
        let taken = |name: &str| self.initializers.contains_key(name) || self.inputs.contains(name) || made(name);
        let numbered = (1usize..).map(|number| format!("{wish}_{number}"));
        std::iter::once(wish.to_owned()).chain(numbered).find(|name| !taken(name)).unwrap_or_default()
    }

    /// The number of dims of a value, where it is known.
    pub fn rank(&self, value: &str) -> Option<usize> {
        self.facts.shape(value).map(<[_]>::len)
    }

    /// The dims of a value, where all are known.
    pub fn known_shape(&self, value: &str) -> Option<Vec<usize>> {
        self.facts.shape(value)?.iter().map(Dim::known).collect()
    }

    /// Replaces the data of an initializer.
    pub fn replace(&mut self, name: &str, tensor: &Tensor) {
        let Some(&at) = self.initializers.get(name) else { return };
        if let Some(old) = self.model.graph.as_mut().and_then(|graph| graph.initializer.get_mut(at)) {
            *old = tensor_to_proto(name, tensor);
        }
    }

    /// The changed model, without initializers that nobody reads any more.
    pub fn finish(self, document: &Document) -> Result<Document, OnnxError> {
        let mut model = self.model;
        if let Some(graph) = &mut model.graph {
            graph.node = self.nodes.into_iter().flatten().collect();
            drop_unread(graph);
        }
        document.with_proto(model)
    }
}

/// Whether a subgraph of the node reads a value of that name from outside.
fn captures(node: &NodeProto, value: &str) -> bool {
    subgraphs(node).any(|graph| {
        graph.node.iter().any(|node| node.input.iter().any(|input| input == value) || captures(node, value))
            || graph.output.iter().any(|output| output.name() == value)
    })
}

/// Removes initializers that no node, subgraph or output reads, with their graph inputs and value_info.
pub(super) fn drop_unread(graph: &mut GraphProto) {
    let mut read: HashSet<String> = graph.output.iter().map(|output| output.name().to_owned()).collect();
    fn collect(nodes: &[NodeProto], read: &mut HashSet<String>) {
        for node in nodes {
            read.extend(node.input.iter().cloned());
            for graph in subgraphs(node) {
                collect(&graph.node, read);
                read.extend(graph.output.iter().map(|output| output.name().to_owned()));
            }
        }
    }
    collect(&graph.node, &mut read);
    let unread: HashSet<String> =
        graph.initializer.iter().map(|t| t.name().to_owned()).filter(|name| !read.contains(name)).collect();
    graph.initializer.retain(|tensor| !unread.contains(tensor.name()));
    graph.input.retain(|input| !unread.contains(input.name()));
    graph.value_info.retain(|info| !unread.contains(info.name()));
}
