//! Building a document from nothing, as every importer of another format does.

use super::document::Document;
use super::error::OnnxError;
use super::facts::Dim;
use super::proto::attribute_proto::AttributeType;
use super::proto::tensor_shape_proto::{Dimension, dimension};
use super::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};
use crate::tensor::{DType, Tensor, TensorError};
use bytes::Bytes;
use std::collections::{HashMap, HashSet};

/// The value of a node's attribute. `From` makes one of a plain value: `("axis", 1.into())`.
#[derive(Clone, Debug, PartialEq)]
pub enum Attr {
    /// `INT`
    Int(i64),
    /// `FLOAT`
    Float(f32),
    /// `STRING`
    Text(String),
    /// `TENSOR`
    Tensor(Tensor),
    /// `INTS`
    Ints(Vec<i64>),
    /// `FLOATS`
    Floats(Vec<f32>),
    /// `STRINGS`
    Texts(Vec<String>),
    /// `GRAPH`: the body of `Scan`, `Loop` or `If`.
    Graph(Box<GraphProto>),
}

macro_rules! attr_from {
    ($($from:ty => |$value:ident| $make:expr),* $(,)?) => {
        $(impl From<$from> for Attr { fn from($value: $from) -> Self { $make } })*
    };
}
attr_from!(
    i64 => |value| Attr::Int(value),
    bool => |value| Attr::Int(value.into()),
    f32 => |value| Attr::Float(value),
    &str => |value| Attr::Text(value.to_owned()),
    Tensor => |value| Attr::Tensor(value),
    Vec<i64> => |value| Attr::Ints(value),
    &[i64] => |value| Attr::Ints(value.to_vec()),
    Vec<f32> => |value| Attr::Floats(value),
    Vec<String> => |value| Attr::Texts(value),
);

impl Attr {
    /// The attribute as a message.
    pub fn into_proto(self, name: &str) -> AttributeProto {
        let mut proto = AttributeProto { name: Some(name.to_owned()), ..Default::default() };
        let text = |text: String| Bytes::from(text.into_bytes());
        let kind = match self {
            Attr::Int(value) => (proto.i = Some(value), AttributeType::Int).1,
            Attr::Float(value) => (proto.f = Some(value), AttributeType::Float).1,
            Attr::Text(value) => (proto.s = Some(text(value)), AttributeType::String).1,
            Attr::Tensor(value) => (proto.t = Some(tensor_to_proto("", &value)), AttributeType::Tensor).1,
            Attr::Ints(values) => (proto.ints = values, AttributeType::Ints).1,
            Attr::Floats(values) => (proto.floats = values, AttributeType::Floats).1,
            Attr::Graph(graph) => (proto.g = Some(*graph), AttributeType::Graph).1,
            Attr::Texts(values) => (proto.strings = values.into_iter().map(text).collect(), AttributeType::Strings).1,
        };
        proto.r#type = Some(kind as i32);
        proto
    }
}

/// A tensor as a message; its bytes are shared, not copied.
pub fn tensor_to_proto(name: &str, tensor: &Tensor) -> TensorProto {
    TensorProto {
        name: (!name.is_empty()).then(|| name.to_owned()),
        // A tensor in memory has no dim beyond the address space.
        dims: tensor.shape().iter().map(|&dim| dim as i64).collect(),
        data_type: Some(tensor.dtype().to_onnx()),
        raw_data: Some(tensor.bytes().clone()),
        ..Default::default()
    }
}

/// The declaration of a value; without `shape` not even its rank is declared.
pub fn value_info(name: &str, dtype: DType, shape: Option<&[Dim]>) -> ValueInfoProto {
    let dim = |dim: &Dim| Dimension {
        denotation: None,
        value: match dim {
            Dim::Known(dim) => Some(dimension::Value::DimValue(*dim as i64)),
            Dim::Symbol(name) => Some(dimension::Value::DimParam(name.clone())),
            Dim::Unknown => None,
        },
    };
    let shape = shape.map(|dims| TensorShapeProto { dim: dims.iter().map(dim).collect() });
    let tensor = type_proto::Tensor { elem_type: Some(dtype.to_onnx()), shape };
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() }),
        ..Default::default()
    }
}

/// The IR version that the release of an `ai.onnx` operator set came with (onnx's own `VERSION_TABLE`).
pub fn ir_version_for(opset: i64) -> i64 {
    match opset {
        ..=8 => 3,
        9 => 4,
        10 => 5,
        11 => 6,
        12..=14 => 7,
        15..=18 => 8,
        19..=20 => 9,
        21..=22 => 10,
        23 => 11,
        24 => 12,
        _ => 13,
    }
}

/// How many nodes and constants a graph had at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuilderMark {
    nodes: usize,
    constants: usize,
}

/// Collects a graph node by node. Names that a caller wishes for are made unique: the returned name is the one to
/// use. Nodes are written in the order they are added, so that makers have to come before readers.
#[derive(Clone, Debug)]
pub struct GraphBuilder {
    model: ModelProto,
    graph: GraphProto,
    opset: i64,
    value_names: HashSet<String>,
    node_names: HashSet<String>,
    /// The next number to try behind a taken name.
    next_number: HashMap<String, usize>,
}

impl GraphBuilder {
    /// An empty graph of this name for an `ai.onnx` operator set.
    pub fn new(graph_name: &str, opset: i64) -> Self {
        let model = ModelProto {
            ir_version: Some(ir_version_for(opset)),
            producer_name: Some("quantscope".to_owned()),
            producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(opset) }],
            ..Default::default()
        };
        let graph = GraphProto { name: Some(graph_name.to_owned()), ..Default::default() };
        GraphBuilder {
            model,
            graph,
            opset,
            value_names: HashSet::new(),
            node_names: HashSet::new(),
            next_number: HashMap::new(),
        }
    }

    /// The version of the `ai.onnx` operator set.
    pub fn opset(&self) -> i64 {
        self.opset
    }

    /// Imports another operator set; a domain that is imported already keeps its version.
    pub fn import(&mut self, domain: &str, version: i64) {
        if self.model.opset_import.iter().all(|import| import.domain() != domain) {
            let import = OperatorSetIdProto { domain: Some(domain.to_owned()), version: Some(version) };
            self.model.opset_import.push(import);
        }
    }

    /// Adds an entry to the model's metadata.
    pub fn metadata(&mut self, key: &str, value: &str) {
        let entry = StringStringEntryProto { key: Some(key.to_owned()), value: Some(value.to_owned()) };
        self.model.metadata_props.push(entry);
    }

    /// A value name that nothing has yet, taken from now on: the wish itself, or the wish with a number behind it.
    pub fn unique(&mut self, wish: &str) -> String {
        Self::take(&mut self.value_names, &mut self.next_number, if wish.is_empty() { "value" } else { wish })
    }

    fn take(taken: &mut HashSet<String>, next_number: &mut HashMap<String, usize>, wish: &str) -> String {
        let mut name = wish.to_owned();
        while !taken.insert(name.clone()) {
            let number = next_number.entry(wish.to_owned()).or_insert(0);
            *number += 1;
            name = format!("{wish}_{number}");
        }
        name
    }

    /// Adds a graph input. Every dim may be a number, a name or open.
    pub fn input(&mut self, wish: &str, dtype: DType, shape: Option<&[Dim]>) -> String {
        let name = self.unique(wish);
        self.graph.input.push(value_info(&name, dtype, shape));
        name
    }

    /// Makes a value a graph output. The same value may be an output only once: add an `Identity` where it is more.
    pub fn output(&mut self, value: &str, dtype: DType, shape: Option<&[Dim]>) {
        self.graph.output.push(value_info(value, dtype, shape));
    }

    /// Declares type and shape of an inner value.
    pub fn declare(&mut self, value: &str, dtype: DType, shape: &[Dim]) {
        self.graph.value_info.push(value_info(value, dtype, Some(shape)));
    }

    /// Adds a constant.
    pub fn initializer(&mut self, wish: &str, tensor: &Tensor) -> String {
        let name = self.unique(wish);
        self.graph.initializer.push(tensor_to_proto(&name, tensor));
        name
    }

    /// Adds a list of int64 as a constant: a shape, axes, sizes.
    pub fn ints(&mut self, wish: &str, values: &[i64]) -> Result<String, OnnxError> {
        let tensor = Tensor::from_vec(vec![values.len()], values.to_vec()).map_err(|error| bad_tensor(wish, error))?;
        Ok(self.initializer(wish, &tensor))
    }

    /// Adds a float constant of this shape.
    pub fn floats(&mut self, wish: &str, shape: &[usize], values: &[f32]) -> Result<String, OnnxError> {
        let tensor = Tensor::from_vec(shape.to_vec(), values.to_vec()).map_err(|error| bad_tensor(wish, error))?;
        Ok(self.initializer(wish, &tensor))
    }

    /// Adds a node of `ai.onnx` with one output and returns the output's name. An empty input name leaves an optional
    /// input out. The node is named after its output.
    pub fn node(&mut self, op_type: &str, inputs: &[&str], output_wish: &str, attributes: &[(&str, Attr)]) -> String {
        let outputs = self.node_of("", op_type, inputs, &[output_wish], attributes);
        outputs.into_iter().next().unwrap_or_default()
    }

    /// Adds a node of any domain with any number of outputs; an empty wish leaves an optional output out. A domain
    /// that is not imported yet is imported at version 1.
    pub fn node_of(
        &mut self,
        domain: &str,
        op_type: &str,
        inputs: &[&str],
        output_wishes: &[&str],
        attributes: &[(&str, Attr)],
    ) -> Vec<String> {
        self.import(domain, 1);
        let name_of = |wish: &&str| if wish.is_empty() { String::new() } else { self.unique(wish) };
        let outputs: Vec<String> = output_wishes.iter().map(name_of).collect();
        let wish = outputs.iter().find(|name| !name.is_empty()).map_or(op_type, String::as_str);
        let name = Self::take(&mut self.node_names, &mut self.next_number, wish);
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: outputs.clone(),
            name: Some(name),
            op_type: Some(op_type.to_owned()),
            domain: (!domain.is_empty()).then(|| domain.to_owned()),
            attribute: attributes.iter().map(|(name, value)| value.clone().into_proto(name)).collect(),
            ..Default::default()
        });
        outputs
    }

    /// How far the graph has come, for [`Self::undo`].
    pub fn mark(&self) -> BuilderMark {
        BuilderMark { nodes: self.graph.node.len(), constants: self.graph.initializer.len() }
    }

    /// Takes back every node and constant that was added since the mark. Their names are free again; those of the values
    /// are returned.
    pub fn undo(&mut self, mark: BuilderMark) -> HashSet<String> {
        let nodes = self.graph.node.split_off(mark.nodes.min(self.graph.node.len()));
        let constants = self.graph.initializer.split_off(mark.constants.min(self.graph.initializer.len()));
        for node in &nodes {
            self.node_names.remove(node.name());
        }
        let made = nodes.into_iter().flat_map(|node| node.output);
        let gone: HashSet<String> = made.chain(constants.into_iter().filter_map(|tensor| tensor.name)).collect();
        gone.iter().for_each(|name| {
            self.value_names.remove(name);
        });
        gone
    }

    /// The graph as it stands.
    pub fn graph(&self) -> &GraphProto {
        &self.graph
    }

    /// The graph as it stands, to change what is there: names taken in it are not noticed.
    pub fn graph_mut(&mut self) -> &mut GraphProto {
        &mut self.graph
    }

    /// The finished document; fails only as [`Document::from_proto`] does. What breaks the specification is in
    /// [`Document::issues`].
    pub fn finish(mut self) -> Result<Document, OnnxError> {
        self.model.graph = Some(self.graph);
        Document::from_proto(self.model)
    }
}

fn bad_tensor(name: &str, source: TensorError) -> OnnxError {
    OnnxError::Tensor { tensor: name.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::{Facts, NodeExt};

    #[test]
    fn a_built_model_is_a_document() {
        let mut builder = GraphBuilder::new("net", 15);
        let batch = [Dim::Symbol("N".to_owned()), Dim::Known(3)];
        let x = builder.input("x", DType::Float32, Some(&batch));
        let weight = builder.floats("w", &[3, 2], &[1.0; 6]).unwrap();
        let shape = builder.ints("w", &[-1, 2]).unwrap();
        let product = builder.node("MatMul", &[&x, &weight], "y", &[]);
        let flat = builder.node("Reshape", &[&product, &shape], "y", &[]);
        let soft = builder.node("Softmax", &[&flat], "p", &[("axis", 1.into())]);
        let odd = builder.node_of("my.domain", "Odd", &[&soft, ""], &["a", "", "b"], &[("mode", "wild".into())]);
        builder.output(&soft, DType::Float32, Some(&[Dim::Unknown, Dim::Known(2)]));
        builder.output(&odd[0], DType::Float32, None);
        builder.metadata("source", "nothing");
        assert_eq!((shape.as_str(), flat.as_str(), odd[1].as_str()), ("w_1", "y_1", ""));
        let document = builder.finish().unwrap();
        assert!(document.issues().is_empty(), "{:?}", document.issues());
        assert_eq!((document.opset(""), document.opset("my.domain")), (Some(15), Some(1)));
        assert_eq!(document.proto().ir_version(), 8);
        let facts = Facts::of(&document);
        assert_eq!(facts.shape(&product), Some([Dim::Symbol("N".to_owned()), Dim::Known(2)].as_slice()));
        let node = document.producer_node(&odd[0]).unwrap();
        assert_eq!((node.string("mode"), node.output_name(2)), (Some("wild"), Some("b")));
        let again = Document::decode(document.encode().into()).unwrap();
        assert_eq!(again.proto(), document.proto());
    }

    #[test]
    fn what_is_undone_leaves_no_trace() {
        let mut builder = GraphBuilder::new("net", 15);
        let x = builder.input("x", DType::Float32, None);
        let kept = builder.node("Relu", &[&x], "y", &[]);
        let before = builder.graph().clone();
        let mark = builder.mark();
        let weight = builder.floats("w", &[1], &[2.0]).unwrap();
        let product = builder.node("Mul", &[&kept, &weight], "y", &[]);
        let gone = builder.undo(mark);
        assert_eq!(gone, [weight, product].into_iter().collect());
        assert_eq!(builder.graph(), &before);
        assert_eq!(builder.floats("w", &[1], &[2.0]).unwrap(), "w");
        assert_eq!(builder.unique("y"), "y_2", "numbers are not given twice");
    }

    #[test]
    fn attributes_keep_their_kind() {
        let proto = Attr::from(vec![1i64, 2]).into_proto("pads");
        assert_eq!((proto.r#type(), proto.ints.as_slice()), (AttributeType::Ints, [1, 2].as_slice()));
        let tensor = Tensor::from_vec(vec![2], vec![1u8, 2]).unwrap();
        let proto = Attr::from(tensor.clone()).into_proto("value");
        assert_eq!(crate::onnx::tensor_from_proto(&proto.t.unwrap()).unwrap(), tensor);
        assert_eq!(Attr::from(0.5f32).into_proto("alpha").f(), 0.5);
    }
}
