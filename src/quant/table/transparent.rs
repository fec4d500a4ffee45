//! Operators that move elements about, or pick some, without making new ones: with one scale for all elements they give
//! the same on integers and on reals. So do those that only compare elements.

use crate::onnx::NodeExt;
use crate::onnx::proto::NodeProto;

const OPERATORS: [&str; 16] = [
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
    "Pad",
];

/// Operators that only compare the elements of their first input, and give positions.
const COMPARING: [&str; 2] = ["ArgMax", "ArgMin"];

/// Whether a node moves the elements of its first input and gives nothing else. A `Pad` may add one more number: its
/// third input, or real 0.
pub(super) fn moves_integers(node: &NodeProto) -> bool {
    let values = if node.op_type() == "Split" { usize::MAX } else { 1 };
    node.domain_name().is_empty()
        && (OPERATORS.contains(&node.op_type()) || picks_nearest(node))
        && node.output.iter().skip(values).all(String::is_empty)
}

/// Whether a node is a `Resize` that repeats or leaves out elements. In the crop mode it would add a number.
pub(in crate::quant) fn picks_nearest(node: &NodeProto) -> bool {
    node.op_type() == "Resize"
        && node.string("mode").unwrap_or("nearest") == "nearest"
        && node.string("coordinate_transformation_mode") != Some("tf_crop_and_resize")
}

/// Whether a node gives the same on integers as on their reals, because it only compares them.
pub(in crate::quant) fn compares(node: &NodeProto) -> bool {
    node.domain_name().is_empty() && COMPARING.contains(&node.op_type())
}

/// Whether a node is a `Pad` that adds a number, and not elements of its input.
pub(in crate::quant) fn pads_with_number(node: &NodeProto) -> bool {
    node.op_type() == "Pad" && node.string("mode").unwrap_or("constant") == "constant"
}
