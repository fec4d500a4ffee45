//! Model to a flat list of nodes: local functions inlined, operator set versions settled.

use super::error::EngineError;
use crate::onnx::proto::{AttributeProto, FunctionProto, GraphProto, NodeProto, OperatorSetIdProto};
use crate::onnx::{Document, NodeExt};
use std::collections::{HashMap, HashSet};

/// A node whose operator is not a function of the model.
#[derive(Clone, Debug)]
pub(crate) struct FlatNode {
    /// The node; value names are unique in the flat list.
    pub proto: NodeProto,
    /// The version of `ai.onnx` its attributes are to be read by.
    pub opset: i64,
    /// Values of the outer graph that its subgraphs read.
    pub captured: Vec<String>,
}

/// Functions that call functions end at this depth: they may not recurse, but a damaged file can.
const MAX_DEPTH: usize = 32;
/// Nodes after inlining; functions that call each other twice at every level grow without a bound.
const MAX_NODES: usize = 200_000;

/// How a node is called in messages: its name, or the name of its first output.
pub(crate) fn label(node: &NodeProto) -> &str {
    match node.name() {
        "" => node.output.iter().map(String::as_str).find(|o| !o.is_empty()).unwrap_or("(without a name)"),
        name => name,
    }
}

/// The nodes of the main graph in an order in which they can run.
pub(crate) fn flatten(document: &Document) -> Result<Vec<FlatNode>, EngineError> {
    let proto = document.proto();
    let mut flat = Flattener { functions: HashMap::new(), nodes: Vec::new(), inlined: 0 };
    for function in &proto.functions {
        flat.functions.insert((function.domain().to_owned(), function.name().to_owned()), function);
    }
    let opset = opset_of(&proto.opset_import).unwrap_or(1);
    for &position in document.index().order() {
        if let Some(node) = document.node(position) {
            flat.add(node.clone(), opset, 0)?;
        }
    }
    Ok(flat.nodes)
}

fn opset_of(imports: &[OperatorSetIdProto]) -> Option<i64> {
    imports.iter().find(|i| matches!(i.domain(), "" | "ai.onnx")).map(|i| i.version())
}

struct Flattener<'a> {
    functions: HashMap<(String, String), &'a FunctionProto>,
    nodes: Vec<FlatNode>,
    inlined: usize,
}

impl Flattener<'_> {
    fn add(&mut self, node: NodeProto, opset: i64, depth: usize) -> Result<(), EngineError> {
        let too_deep = |message: &str| EngineError::Graph {
            place: format!("node '{}' ({})", label(&node), node.op_type()),
            message: message.to_owned(),
        };
        if self.nodes.len() >= MAX_NODES {
            return Err(too_deep("the model's functions expand to too many nodes"));
        }
        let key = (node.domain().to_owned(), node.op_type().to_owned());
        let Some(function) = self.functions.get(&key).copied() else {
            let mut captured = Vec::new();
            for graph in node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs)) {
                free_names(graph, &mut captured);
            }
            self.nodes.push(FlatNode { proto: node, opset, captured });
            return Ok(());
        };
        if depth >= MAX_DEPTH {
            return Err(too_deep("a function of the model calls itself"));
        }
        self.inlined += 1;
        let prefix = format!("\u{1}{}/", self.inlined);
        let mut names: HashMap<String, String> = HashMap::new();
        for (position, formal) in function.input.iter().enumerate() {
            names.insert(formal.clone(), node.input.get(position).cloned().unwrap_or_default());
        }
        for (position, formal) in function.output.iter().enumerate() {
            if let Some(actual) = node.output_name(position) {
                // An output that is an input passed through needs a node of its own.
                if let Some(source) = names.get(formal).cloned() {
                    self.nodes.push(identity(&source, actual, opset));
                } else {
                    names.insert(formal.clone(), actual.to_owned());
                }
            }
        }
        let inner_opset = opset_of(&function.opset_import).unwrap_or(opset);
        for inner in &function.node {
            let mut inner = inner.clone();
            inner.name = Some(format!("{}/{}", label(&node), label(&inner)));
            bind_attributes(&mut inner, &node, function);
            rename_node(&mut inner, &names, &prefix);
            self.add(inner, inner_opset, depth + 1)?;
        }
        Ok(())
    }
}

fn identity(source: &str, target: &str, opset: i64) -> FlatNode {
    let proto = NodeProto {
        op_type: Some("Identity".to_owned()),
        input: vec![source.to_owned()],
        output: vec![target.to_owned()],
        ..Default::default()
    };
    FlatNode { proto, opset, captured: Vec::new() }
}

/// Replaces references to the function's attributes by the caller's values or the declared defaults.
fn bind_attributes(inner: &mut NodeProto, caller: &NodeProto, function: &FunctionProto) {
    let bind = |attribute: AttributeProto| -> Option<AttributeProto> {
        if attribute.ref_attr_name().is_empty() {
            return Some(attribute);
        }
        let wanted = attribute.ref_attr_name();
        let given = NodeExt::attribute(caller, wanted);
        let mut bound = given.or_else(|| function.attribute_proto.iter().find(|a| a.name() == wanted))?.clone();
        bound.name = attribute.name.clone();
        bound.ref_attr_name = None;
        Some(bound)
    };
    inner.attribute = std::mem::take(&mut inner.attribute).into_iter().filter_map(bind).collect();
    for graph in inner.attribute.iter_mut().flat_map(|a| a.g.iter_mut().chain(&mut a.graphs)) {
        for node in &mut graph.node {
            bind_attributes(node, caller, function);
        }
    }
}

fn rename(name: &mut String, names: &HashMap<String, String>, prefix: &str) {
    if !name.is_empty() {
        *name = names.get(name.as_str()).cloned().unwrap_or_else(|| format!("{prefix}{name}"));
    }
}

fn rename_node(node: &mut NodeProto, names: &HashMap<String, String>, prefix: &str) {
    for name in node.input.iter_mut().chain(&mut node.output) {
        rename(name, names, prefix);
    }
    for graph in node.attribute.iter_mut().flat_map(|a| a.g.iter_mut().chain(&mut a.graphs)) {
        let mut free = Vec::new();
        free_names(graph, &mut free);
        let free: HashSet<String> = free.into_iter().collect();
        rename_free(graph, &free, names, prefix);
    }
}

fn rename_free(graph: &mut GraphProto, free: &HashSet<String>, names: &HashMap<String, String>, prefix: &str) {
    for output in &mut graph.output {
        if let Some(name) = output.name.as_mut().filter(|n| free.contains(n.as_str())) {
            rename(name, names, prefix);
        }
    }
    for node in &mut graph.node {
        node.input.iter_mut().filter(|n| free.contains(n.as_str())).for_each(|n| rename(n, names, prefix));
        for inner in node.attribute.iter_mut().flat_map(|a| a.g.iter_mut().chain(&mut a.graphs)) {
            rename_free(inner, free, names, prefix);
        }
    }
}

/// Adds the names that a graph reads and does not make.
fn free_names(graph: &GraphProto, found: &mut Vec<String>) {
    let mut made: HashSet<&str> = graph.input.iter().map(|i| i.name()).collect();
    made.extend(graph.initializer.iter().map(|i| i.name()));
    made.extend(graph.node.iter().flat_map(|n| n.output.iter().map(String::as_str)));
    let mut inner = Vec::new();
    for node in &graph.node {
        inner.extend(node.input.iter().cloned());
        for graph in node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs)) {
            free_names(graph, &mut inner);
        }
    }
    inner.extend(graph.output.iter().map(|o| o.name().to_owned()));
    for name in inner {
        if !name.is_empty() && !made.contains(name.as_str()) && !found.contains(&name) {
            found.push(name);
        }
    }
}
