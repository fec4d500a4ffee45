//! Sizes for the dims that a model leaves open, so that it can be tried without data.

use super::attributes::NodeExt;
use super::document::Document;
use super::facts::{Dim, Facts};
use super::operands::Signature;
use super::proto::NodeProto;
use std::collections::HashMap;

/// Heights and widths that networks are made for, the usual small ones first.
const SIDES: [usize; 14] = [32, 28, 64, 96, 128, 160, 192, 224, 227, 256, 299, 320, 384, 512];
/// Channels where they are open too.
const CHANNELS: [usize; 2] = [3, 1];

/// Dims for an input: what is declared, 1 for an open batch, and for open spatial dims the first of the usual sizes that
/// no layer of the network contradicts (a window larger than its input, a matrix product whose sides do not meet). Where
/// all of them are contradicted, and outside of images, open dims are 1.
pub fn usable_sizes(document: &Document, input: &str, declared: &[Option<usize>]) -> Vec<usize> {
    let ones: Vec<usize> = declared.iter().map(|dim| dim.unwrap_or(1)).collect();
    let open = declared.iter().skip(1).filter(|dim| dim.is_none()).count();
    if declared.len() < 3 || open == 0 {
        return ones;
    }
    let image = declared.len() == 4;
    let all_open = open + 1 == declared.len();
    let mut tried = Vec::new();
    if !image {
        tried.push(ones.clone());
    }
    for side in SIDES {
        // Nothing says where the channels are: as PyTorch and ONNX have them.
        for channels in CHANNELS.into_iter().take(if all_open { CHANNELS.len() } else { 1 }) {
            let dim = |(axis, dim): (usize, &Option<usize>)| match (axis, dim) {
                (_, Some(dim)) => *dim,
                (0, None) => 1,
                (1, None) if all_open => channels,
                (_, None) => side,
            };
            tried.push(declared.iter().enumerate().map(dim).collect());
        }
    }
    tried.into_iter().find(|shape| agrees(document, input, shape)).unwrap_or(ones)
}

/// Whether no layer contradicts these dims of an input.
fn agrees(document: &Document, input: &str, shape: &[usize]) -> bool {
    let dims = shape.iter().map(|&dim| Dim::Known(dim)).collect();
    let facts = Facts::with_inputs(document, &HashMap::from([(input.to_owned(), dims)]));
    document.graph().node.iter().all(|node| {
        // A window that does not fit leaves a dim of 0.
        let gone = |name: &String| facts.shape(name).is_some_and(|dims| dims.contains(&Dim::Known(0)));
        let signature = Signature::of(node);
        let mut operands = signature.operands.iter().map(|operand| facts.shape(node.input_name(operand.position)?));
        match (operands.next().flatten(), operands.next().flatten()) {
            _ if node.output.iter().any(gone) => false,
            (Some(left), Some(right)) => meet(node, &signature.op, left, right),
            _ => true,
        }
    })
}

/// Whether the two operands of a node can go together, as far as their dims are known.
fn meet(node: &NodeProto, op: &str, left: &[Dim], right: &[Dim]) -> bool {
    let equal = |left: Option<&Dim>, right: Option<&Dim>, factor: usize| match (left, right) {
        (Some(Dim::Known(left)), Some(Dim::Known(right))) => *left == right.saturating_mul(factor),
        _ => true,
    };
    let flag = |name: &str| node.int(name).unwrap_or(0) != 0;
    match op {
        // Forms with layouts of their own.
        _ if matches!(node.op_type(), "NhwcFusedConv" | "FusedMatMul" | "TransposeMatMul") || flag("channels_last") => {
            true
        }
        "MatMul" => equal(left.last(), right.len().checked_sub(2).and_then(|at| right.get(at)), 1),
        "Gemm" => {
            let (left_at, right_at) = (usize::from(!flag("transA")), usize::from(flag("transB")));
            equal(left.get(left_at), right.get(right_at), 1)
        }
        "Conv" => {
            let groups = usize::try_from(node.int("group").unwrap_or(1)).unwrap_or(1);
            equal(left.get(1), right.get(1), groups)
        }
        "Add" | "Sub" | "Mul" | "Div" => left.iter().rev().zip(right.iter().rev()).all(|pair| {
            let one = Dim::Known(1);
            *pair.0 == one || *pair.1 == one || equal(Some(pair.0), Some(pair.1), 1)
        }),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::GraphBuilder;
    use crate::tensor::DType;

    /// Convolution of 5 x 5, flattened, and a matrix product that takes `features`.
    fn network(features: usize) -> Document {
        let mut builder = GraphBuilder::new("net", 17);
        let x = builder.input("x", DType::Float32, Some(&[Dim::Unknown, Dim::Known(1), Dim::Unknown, Dim::Unknown]));
        let weight = builder.floats("weight", &[2, 1, 5, 5], &[0.0; 50]).unwrap();
        let conv = builder.node("Conv", &[&x, &weight], "conv", &[]);
        let flat = builder.node("Flatten", &[&conv], "flat", &[]);
        let matrix = builder.floats("matrix", &[features, 3], &vec![0.0; features * 3]).unwrap();
        let product = builder.node("MatMul", &[&flat, &matrix], "product", &[]);
        builder.output(&product, DType::Float32, Some(&[Dim::Unknown, Dim::Known(3)]));
        builder.finish().unwrap()
    }

    #[test]
    fn open_sizes_are_those_that_the_layers_take() {
        let declared = [None, Some(1), None, None];
        assert_eq!(usable_sizes(&network(2 * 24 * 24), "x", &declared), [1, 1, 28, 28]);
        assert_eq!(usable_sizes(&network(2 * 60 * 60), "x", &declared), [1, 1, 64, 64]);
        assert_eq!(usable_sizes(&network(7), "x", &declared), [1, 1, 1, 1]);
        assert_eq!(usable_sizes(&network(7), "x", &[None, Some(1), Some(9), Some(9)]), [1, 1, 9, 9]);
        assert_eq!(usable_sizes(&network(7), "x", &[None, None]), [1, 1]);
    }
}
