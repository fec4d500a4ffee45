//! A model in memory.

use super::attributes::NodeExt;
use super::error::OnnxError;
use super::external::{self, ExternalFiles, ExternalRef, for_each_tensor};
use super::facts::Facts;
use super::index::Index;
use super::operands::is_dequantize;
use super::payload::tensor_with;
use super::proto::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use super::schema::Message as SchemaMessage;
use super::unknown::UnknownFields;
use super::{rules, sniff, validate, wire};
use crate::tensor::Tensor;
use bytes::Bytes;
use prost::Message;
use std::sync::Arc;

/// A decoded `ModelProto` with an index over its main graph. It is immutable: an edit makes a new document. Clones
/// share everything.
///
/// It keeps the whole file: fields that the schema does not know, tensors' references to other files, and the order
/// of things. Unedited, it encodes to the very bytes it was decoded from.
#[derive(Clone, Debug)]
pub struct Document {
    proto: Arc<ModelProto>,
    index: Arc<Index>,
    issues: Arc<[OnnxError]>,
    unknown: Arc<UnknownFields>,
    files: Arc<ExternalFiles>,
    /// The file as it was opened; gone after an edit.
    source: Option<Bytes>,
}

impl Document {
    /// Decodes a model file; tensor payloads stay slices of `bytes`. Fails only where nothing can be shown: the bytes
    /// are no model, are cut short or damaged, or hold no graph. Everything else that is wrong is in [`Self::issues`].
    pub fn decode(bytes: Bytes) -> Result<Self, OnnxError> {
        Self::decode_with(bytes, &|_| None)
    }

    /// Decodes a model whose tensors may keep their data in other files: `find` gives the file for a path. It is
    /// asked with the path as the model writes it and then with ever shorter tails of it.
    pub fn decode_with(bytes: Bytes, find: &dyn Fn(&str) -> Option<Bytes>) -> Result<Self, OnnxError> {
        let refused = |error| match sniff::not_a_model(&bytes) {
            Some(found) => OnnxError::NotAModel { found },
            None => error,
        };
        let unknown = wire::scan(&bytes).map_err(refused)?;
        let proto = ModelProto::decode(bytes.clone()).map_err(|error| refused(OnnxError::Decode(error.to_string())))?;
        if proto.graph.is_none() {
            return Err(refused(no_graph()));
        }
        let files = Arc::new(ExternalFiles::collect(&proto, find));
        Self::build(proto, Arc::new(unknown), files, Some(bytes))
    }

    /// Takes a model that was built in memory.
    pub fn from_proto(proto: ModelProto) -> Result<Self, OnnxError> {
        Self::build(proto, Arc::default(), Arc::default(), None)
    }

    fn build(
        proto: ModelProto,
        unknown: Arc<UnknownFields>,
        files: Arc<ExternalFiles>,
        source: Option<Bytes>,
    ) -> Result<Self, OnnxError> {
        let Some(graph) = &proto.graph else { return Err(no_graph()) };
        let (index, mut issues) = Index::of(graph);
        issues.extend(validate::model(&proto, &files));
        let (proto, index) = (Arc::new(proto), Arc::new(index));
        let mut document = Document { proto, index, issues: Arc::default(), unknown, files, source };
        // Broken tensors and links would break rules too: their own messages are enough.
        if issues.is_empty() {
            issues.extend(rules::check(&document, &Facts::of(&document)));
        }
        document.issues = issues.into();
        Ok(document)
    }

    /// The same document with another message: unknown fields, and the other files at hand, stay with it.
    pub fn with_proto(&self, proto: ModelProto) -> Result<Self, OnnxError> {
        Self::build(proto, self.unknown.clone(), self.files.clone(), None)
    }

    /// The document after a change of its message.
    pub fn edit(&self, change: impl FnOnce(&mut ModelProto)) -> Result<Self, OnnxError> {
        let mut proto = ModelProto::clone(&self.proto);
        change(&mut proto);
        self.with_proto(proto)
    }

    /// The document with every tensor's data inside, still as slices of the other files; fails where a file is missing
    /// or too short.
    pub fn inlined(&self) -> Result<Self, OnnxError> {
        let mut proto = ModelProto::clone(&self.proto);
        external::inline(&mut proto, &self.files)?;
        self.with_proto(proto)
    }

    /// The model as a file's bytes: those it was decoded from where it was not edited.
    pub fn encode(&self) -> Vec<u8> {
        match &self.source {
            Some(source) => source.to_vec(),
            None => self.encode_message(),
        }
    }

    /// The message encoded anew, unknown fields put back. Equals [`Self::encode`] where the document is canonical.
    pub fn encode_message(&self) -> Vec<u8> {
        let encoded = self.proto.encode_to_vec();
        match self.unknown.is_empty() {
            true => encoded,
            false => self.unknown.merge(SchemaMessage::Model, &encoded),
        }
    }

    /// Whether encoding the message gives the source's bytes: fields in order of their numbers, shortest varints,
    /// packed where the schema packs. Other files lose that form (not their content) when they are edited.
    pub fn canonical(&self) -> bool {
        self.source.as_ref().is_none_or(|source| self.encode_message() == source[..])
    }

    /// Bytes of the file it was decoded from; `None` after an edit.
    pub fn source_bytes(&self) -> Option<usize> {
        self.source.as_ref().map(Bytes::len)
    }

    /// The whole message.
    pub fn proto(&self) -> &ModelProto {
        &self.proto
    }

    /// The main graph.
    pub fn graph(&self) -> &GraphProto {
        static EMPTY: std::sync::LazyLock<GraphProto> = std::sync::LazyLock::new(GraphProto::default);
        // `build` has seen that there is one.
        self.proto.graph.as_ref().unwrap_or(&EMPTY)
    }

    /// The links of the main graph.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// What is wrong with the model. It can be inspected; a model with issues cannot be run.
    pub fn issues(&self) -> &[OnnxError] {
        &self.issues
    }

    /// Tensor and file name of every tensor whose data is in a file that is not at hand. Such a model can be
    /// inspected, not run.
    pub fn missing_external(&self) -> Vec<(String, String)> {
        self.files.missing(&self.proto)
    }

    /// Whether no tensor keeps its data in another file, at hand or not.
    pub fn is_self_contained(&self) -> bool {
        let mut external = false;
        for_each_tensor(&self.proto, &mut |tensor| external |= ExternalRef::of(tensor).is_some());
        !external
    }

    /// The inputs that a run has to be given: graph inputs without an initializer.
    pub fn inputs(&self) -> impl Iterator<Item = &ValueInfoProto> {
        self.graph().input.iter().filter(|input| self.index.initializer(input.name()).is_none())
    }

    /// The version of an operator set the model imports; the empty string names `ai.onnx`.
    pub fn opset(&self, domain: &str) -> Option<i64> {
        let same = |other: &str| other == domain || (domain.is_empty() && other == "ai.onnx");
        self.proto.opset_import.iter().find(|import| same(import.domain())).map(|import| import.version())
    }

    /// The node at this position of `GraphProto.node`.
    pub fn node(&self, position: usize) -> Option<&NodeProto> {
        self.graph().node.get(position)
    }

    /// The node that makes a value.
    pub fn producer_node(&self, value: &str) -> Option<&NodeProto> {
        self.node(self.index.producer(value)?.node)
    }

    /// A tensor of this model, its data taken from the other file where it is external.
    pub fn tensor(&self, proto: &TensorProto) -> Result<Tensor, OnnxError> {
        tensor_with(proto, &self.files)
    }

    /// The message of a constant tensor: an initializer, or the `value` of a `Constant` node.
    pub fn constant_proto(&self, value: &str) -> Option<&TensorProto> {
        if let Some(position) = self.index.initializer(value) {
            return self.graph().initializer.get(position);
        }
        self.producer_node(value).filter(|node| is_constant(node))?.tensor("value")
    }

    /// The tensor behind a value that is constant: an initializer, or the output of a `Constant` node.
    /// `None` where the value is not constant.
    pub fn constant(&self, value: &str) -> Option<Result<Tensor, OnnxError>> {
        if let Some(proto) = self.constant_proto(value) {
            return Some(self.tensor(proto));
        }
        let node = self.producer_node(value).filter(|node| is_constant(node))?;
        let made = if let Some(number) = node.float("value_float") {
            Tensor::from_vec(vec![], vec![number])
        } else if let Some(number) = node.int("value_int") {
            Tensor::from_vec(vec![], vec![number])
        } else if let Some(list) = NodeExt::attribute(node, "value_floats") {
            Tensor::from_vec(vec![list.floats.len()], list.floats.clone())
        } else if let Some(list) = NodeExt::attribute(node, "value_ints") {
            Tensor::from_vec(vec![list.ints.len()], list.ints.clone())
        } else {
            return None;
        };
        Some(made.map_err(|source| OnnxError::Tensor { tensor: value.to_owned(), source }))
    }

    /// Whether there is no network, only weights: nothing goes in, and no node computes more than the real numbers that
    /// stored ones stand for. State dicts are that.
    pub fn is_weights_only(&self) -> bool {
        let graph = self.graph();
        let computed = graph.output.iter().all(|output| self.producer_node(output.name()).is_some());
        graph.input.is_empty() && computed && graph.node.iter().all(is_dequantize)
    }

    /// Whether a value is constant: an initializer or the output of a `Constant` node.
    pub fn is_constant(&self, value: &str) -> bool {
        self.index.initializer(value).is_some() || self.producer_node(value).is_some_and(is_constant)
    }
}

fn is_constant(node: &NodeProto) -> bool {
    node.op_type() == "Constant" && node.domain_name().is_empty()
}

fn no_graph() -> OnnxError {
    OnnxError::Missing { place: "the model".to_owned(), what: "a graph".to_owned() }
}
