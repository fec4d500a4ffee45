//! The network as a drawing: boxes with places, and the lines between them.

use super::{ModelId, PortSummary};
use serde::{Deserialize, Serialize};

/// Asks for a model's network, laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GraphQuery {
    /// Which model.
    pub model: ModelId,
    /// Whether every node of the file is a box of its own; else what only quantizes, dequantizes, casts or lays out a
    /// constant is part of its layer.
    pub quantizers: bool,
}

/// A network laid out from top to bottom, in CSS pixels at its natural size, from (0, 0).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GraphDrawing {
    /// The query answered.
    pub query: GraphQuery,
    /// `Workspace::revision` that the layers' positions belong to.
    pub revision: u32,
    /// Width of the whole.
    pub width_px: f64,
    /// Height of the whole.
    pub height_px: f64,
    /// The boxes, makers before readers; no two of them overlap.
    pub nodes: Vec<GraphNode>,
    /// The lines.
    pub edges: Vec<GraphEdge>,
}

/// What a box stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GraphNodeKind {
    /// An input of the graph.
    Input,
    /// A node that computes.
    Operation,
    /// A node that only changes the number format: `QuantizeLinear`, `DequantizeLinear`, `Cast`, ...
    Plumbing,
    /// An output of the graph.
    Output,
}

/// A box.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GraphNode {
    /// What it stands for.
    pub kind: GraphNodeKind,
    /// The operator as the file has it, with its domain where that is not `ai.onnx`; "Input" or "Output".
    pub op: String,
    /// The layer's name in the tree where the box is that layer; else the node's own, or that of what it makes.
    pub name: String,
    /// Position in `Workspace::layers` of the layer that it is, or belongs to.
    pub layer: Option<usize>,
    /// Whether its operands or its result are quantized.
    pub quantized: bool,
    /// Names of the values that the file's node reads.
    pub inputs: Vec<String>,
    /// What it makes: name, type and dims.
    pub outputs: Vec<PortSummary>,
    /// Left edge.
    pub x: f64,
    /// Top edge.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

/// A line from a box to one that reads what it makes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GraphEdge {
    /// The box that makes the value, by its position.
    pub from: usize,
    /// The box that reads it.
    pub to: usize,
    /// The value as it is read.
    pub value: String,
    /// From the lower edge of the first box to the upper edge of the second, never upwards.
    pub points: Vec<(f64, f64)>,
}
