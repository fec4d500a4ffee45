//! Functions that a model defines itself (`ModelProto.functions`) and the nodes that call them.

use super::attributes::NodeExt;
use super::document::Document;
use super::proto::{FunctionProto, NodeProto};

/// What a list of a model's functions shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionSummary {
    /// The function's name, which calling nodes have as `op_type`.
    pub name: String,
    /// Its domain; empty for `ai.onnx`.
    pub domain: String,
    /// Names of its inputs.
    pub inputs: Vec<String>,
    /// Names of its outputs.
    pub outputs: Vec<String>,
    /// Number of nodes in its body.
    pub node_count: usize,
}

/// The domain with `ai.onnx` written as the empty string.
fn plain(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}

impl Document {
    /// The functions the model defines, in file order.
    pub fn functions(&self) -> Vec<FunctionSummary> {
        let summary = |function: &FunctionProto| FunctionSummary {
            name: function.name().to_owned(),
            domain: plain(function.domain()).to_owned(),
            inputs: function.input.clone(),
            outputs: function.output.clone(),
            node_count: function.node.len(),
        };
        self.proto().functions.iter().map(summary).collect()
    }

    /// The function of this model that a node calls; `None` where the node is an operator.
    pub fn called_function(&self, node: &NodeProto) -> Option<&FunctionProto> {
        self.proto().functions.iter().find(|function| {
            function.name() == node.op_type()
                && plain(function.domain()) == node.domain_name()
                && function.overload() == node.overload()
        })
    }
}
