//! Reading a node's attributes by name.

use super::proto::attribute_proto::AttributeType;
use super::proto::{AttributeProto, NodeProto, TensorProto};

/// Attribute access; absent attributes and attributes of another kind give `None`, so callers state the default of
/// the operator's specification beside the read.
pub trait NodeExt {
    /// The attribute of this name.
    fn attribute(&self, name: &str) -> Option<&AttributeProto>;
    /// An integer attribute.
    fn int(&self, name: &str) -> Option<i64>;
    /// A float attribute.
    fn float(&self, name: &str) -> Option<f32>;
    /// A list of integers; empty where absent.
    fn ints(&self, name: &str) -> &[i64];
    /// A string attribute; not UTF-8 counts as absent.
    fn string(&self, name: &str) -> Option<&str>;
    /// A tensor attribute.
    fn tensor(&self, name: &str) -> Option<&TensorProto>;
    /// The input at `position`; an empty name stands for an optional input left out.
    fn input_name(&self, position: usize) -> Option<&str>;
    /// The output at `position`, likewise.
    fn output_name(&self, position: usize) -> Option<&str>;
    /// The operator set the op belongs to, with `ai.onnx` written as the empty string.
    fn domain_name(&self) -> &str;
}

impl NodeExt for NodeProto {
    fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.attribute.iter().find(|a| a.name() == name)
    }
    fn int(&self, name: &str) -> Option<i64> {
        // A proto3 writer leaves out zeros: a declared type without a value stands for 0.
        let attribute = NodeExt::attribute(self, name)?;
        attribute.i.or((attribute.r#type() == AttributeType::Int).then_some(0))
    }
    fn float(&self, name: &str) -> Option<f32> {
        let attribute = NodeExt::attribute(self, name)?;
        attribute.f.or((attribute.r#type() == AttributeType::Float).then_some(0.0))
    }
    fn ints(&self, name: &str) -> &[i64] {
        NodeExt::attribute(self, name).map_or(&[], |a| &a.ints)
    }
    fn string(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(NodeExt::attribute(self, name)?.s.as_deref()?).ok()
    }
    fn tensor(&self, name: &str) -> Option<&TensorProto> {
        NodeExt::attribute(self, name)?.t.as_ref()
    }
    fn input_name(&self, position: usize) -> Option<&str> {
        self.input.get(position).map(String::as_str).filter(|name| !name.is_empty())
    }
    fn output_name(&self, position: usize) -> Option<&str> {
        self.output.get(position).map(String::as_str).filter(|name| !name.is_empty())
    }
    fn domain_name(&self) -> &str {
        match self.domain() {
            "ai.onnx" => "",
            other => other,
        }
    }
}
