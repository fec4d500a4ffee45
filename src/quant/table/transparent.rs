//! Operators that move elements about, or pick some, without making new ones: with one scale for all elements they give
//! the same on integers and on reals.

use crate::onnx::NodeExt;
use crate::onnx::proto::NodeProto;

const OPERATORS: [&str; 15] = [
    "Reshape",
    "Transpose",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "MaxPool",
    "Slice",
    "Gather",
    "GatherElements",
    "GatherND",
    "Identity",
    "Split",
    "Expand",
    "Tile",
    "GlobalMaxPool",
];

/// Whether a node moves the elements of its first input and gives nothing else.
pub(super) fn moves_integers(node: &NodeProto) -> bool {
    let values = if node.op_type() == "Split" { usize::MAX } else { 1 };
    node.domain_name().is_empty()
        && OPERATORS.contains(&node.op_type())
        && node.output.iter().skip(values).all(String::is_empty)
}
