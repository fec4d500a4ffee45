//! The list of layers that the page's tree shows.

use super::attributes::NodeExt;
use super::core_graph::CoreOp;
use super::document::Document;
use super::subgraph::subgraphs;

/// One operation of the network with its parameters.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Layer {
    /// Position of its node in the main graph.
    pub node: usize,
    /// The node's name, or its output's where it has none.
    pub name: String,
    /// The name split at `/`: the scopes it lies in, and last its own name.
    pub scope: Vec<String>,
    /// The float operator it stands for: `Conv` for `QLinearConv`.
    pub op: String,
    /// The operator as the file has it.
    pub op_type: String,
    /// The operator's domain; empty for `ai.onnx`.
    pub domain: String,
    /// The values it computes from, followed back to where they start.
    pub inputs: Vec<String>,
    /// The value that carries its result: real-valued where the file has such a value, else the stored integers.
    pub output: String,
    /// Its result behind its quantizer.
    pub dequantized: Option<String>,
    /// Its constant operands as stored, each with its role: `weight`, `bias`, `scale`, ...
    pub weights: Vec<(String, String)>,
    /// Whether its operands or its result are quantized.
    pub quantized: bool,
    /// Whether it calls a function that the model defines.
    pub is_function_call: bool,
    /// Whether it holds graphs (`If`, `Loop`, `Scan`).
    pub has_subgraph: bool,
}

/// The layers of the main graph, in an order in which they can run.
pub fn layers(document: &Document) -> Vec<Layer> {
    document.core_ops().into_iter().filter_map(|op| layer(document, op)).collect()
}

fn layer(document: &Document, op: CoreOp) -> Option<Layer> {
    let node = document.node(op.node)?;
    let name = if node.name().is_empty() { op.output.clone() } else { node.name().to_owned() };
    let (constant, data): (Vec<_>, Vec<_>) = op.operands.into_iter().partition(|operand| operand.constant);
    Some(Layer {
        node: op.node,
        scope: name.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect(),
        name,
        op: op.op,
        op_type: node.op_type().to_owned(),
        domain: node.domain_name().to_owned(),
        inputs: data.into_iter().map(|operand| operand.value).collect(),
        output: op.output,
        dequantized: op.dequantized,
        weights: constant.into_iter().map(|operand| (weight_role(operand.role), operand.value)).collect(),
        quantized: op.quantized,
        is_function_call: document.called_function(node).is_some(),
        has_subgraph: subgraphs(node).next().is_some(),
    })
}

/// A constant in the place of the data (`2 - x`, a constant matrix on the left) is a parameter like any other.
fn weight_role(role: &str) -> String {
    if role == "input" { "weight".to_owned() } else { role.to_owned() }
}
