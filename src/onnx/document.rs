//! A model in memory.

use super::attributes::NodeExt;
use super::error::OnnxError;
use super::index::Index;
use super::payload::tensor_from_proto;
use super::proto::{GraphProto, ModelProto, NodeProto};
use crate::tensor::Tensor;
use bytes::Bytes;
use prost::Message;

/// A decoded `ModelProto` with an index over its main graph. It is immutable: an edit makes a new document.
#[derive(Clone, Debug)]
pub struct Document {
    proto: ModelProto,
    index: Index,
}

impl Document {
    /// Decodes a model file; tensor payloads stay slices of `bytes`.
    pub fn decode(bytes: Bytes) -> Result<Self, OnnxError> {
        let proto = ModelProto::decode(bytes).map_err(|error| OnnxError::Decode(error.to_string()))?;
        Self::from_proto(proto)
    }

    /// Takes a model that was built in memory.
    pub fn from_proto(proto: ModelProto) -> Result<Self, OnnxError> {
        let Some(graph) = &proto.graph else {
            return Err(OnnxError::Missing { place: "the model".to_owned(), what: "a graph".to_owned() });
        };
        let index = Index::of(graph)?;
        Ok(Document { proto, index })
    }

    /// The model as a file's bytes.
    pub fn encode(&self) -> Vec<u8> {
        self.proto.encode_to_vec()
    }

    /// The whole message.
    pub fn proto(&self) -> &ModelProto {
        &self.proto
    }

    /// The main graph.
    pub fn graph(&self) -> &GraphProto {
        static EMPTY: std::sync::LazyLock<GraphProto> = std::sync::LazyLock::new(GraphProto::default);
        // `from_proto` has seen that there is one.
        self.proto.graph.as_ref().unwrap_or(&EMPTY)
    }

    /// The links of the main graph.
    pub fn index(&self) -> &Index {
        &self.index
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

    /// The tensor behind a value that is constant: an initializer, or the output of a `Constant` node.
    /// `None` where the value is not constant.
    pub fn constant(&self, value: &str) -> Option<Result<Tensor, OnnxError>> {
        if let Some(position) = self.index.initializer(value) {
            return self.graph().initializer.get(position).map(tensor_from_proto);
        }
        let node = self.node(self.index.producer(value)?.node)?;
        let tensor = (node.op_type() == "Constant").then(|| node.tensor("value")).flatten()?;
        Some(tensor_from_proto(tensor))
    }
}
