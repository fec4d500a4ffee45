//! What a file wrote, so that lowering an unedited table gives it back.

use super::grid::Grid;
use crate::onnx::proto::{NodeProto, TensorProto, ValueInfoProto};
use std::collections::HashMap;

/// The messages that a row was lifted from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WrittenRow {
    /// The grid they say.
    pub grid: Option<Grid>,
    /// The scale.
    pub scale: Option<TensorProto>,
    /// The zero point; `None` where it was left out.
    pub zero_point: Option<TensorProto>,
    /// The stored codes of a constant.
    pub stored: Option<TensorProto>,
    /// `QuantizeLinear`, or `DynamicQuantizeLinear`.
    pub quantize: Option<NodeProto>,
    /// `DequantizeLinear`.
    pub dequantize: Option<NodeProto>,
}

/// Nodes that lifting replaced by float operators, and declarations it took out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WrittenNodes {
    /// The QLinear operator, or the operator that moved integers, by the float operator's output.
    pub operators: HashMap<String, NodeProto>,
    /// The nodes of an integer operator and its rescaling by the float operator's output: the operator, the cast, the
    /// product of the scales where it is a node, the product with it.
    pub dynamic: HashMap<String, Vec<NodeProto>>,
    /// The grids of integers that nodes left as written make, or that come from outside, by the output of the
    /// `DequantizeLinear` that reads them in the float graph.
    pub foreign: HashMap<String, Grid>,
    /// The grids of integers that were only moved and that nodes left as written read: in the float graph a
    /// `QuantizeLinear` makes them again.
    pub moved: HashMap<String, Grid>,
    /// Declarations of constants that were graph inputs too, as files of old IR versions have them.
    pub inputs: Vec<ValueInfoProto>,
}
