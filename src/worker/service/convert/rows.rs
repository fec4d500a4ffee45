//! Matrices behind a Flatten: Keras joins the dims of a map as (height, width, channels), PyTorch and ONNX as (channels,
//! height, width). The same weights then have their rows in another order, which no transposition of two dims mends.

use super::super::model::OpenModel;
use crate::analysis::{TensorDifference, compare_tensors};
use crate::onnx::{Dim, NodeExt, is_dequantize, is_quantize};
use crate::tensor::Tensor;

/// Nodes between a Flatten and the product behind it that leave the order of elements as it is.
const PASSING: [&str; 6] = ["Identity", "Dropout", "Relu", "Clip", "LeakyRelu", "BatchNormalization"];
/// Nodes that are followed in one direction.
const MOST_STEPS: usize = 8;

/// The dims that were flattened into the rows of a matrix: of the value that a Flatten or Reshape makes the matrix's
/// other operand from, without the batch. `None` where there is none, or its dims are not known.
pub(super) fn flattened(model: &OpenModel, matrix: &str) -> Option<Vec<usize>> {
    let (document, index) = (&model.document, model.document.index());
    let mut value = matrix.to_owned();
    for _ in 0..MOST_STEPS {
        let consumer = document.node(index.consumers(&value).first()?.node)?;
        match consumer.op_type() {
            "Gemm" | "MatMul" if consumer.input_name(1) == Some(&value) => {
                let joined = source(model, consumer.input_name(0)?)?;
                let dims: Option<Vec<usize>> = joined.get(1..)?.iter().map(Dim::known).collect();
                return dims.filter(|dims| dims.len() > 1);
            }
            "Transpose" | "Identity" => {}
            _ if is_dequantize(consumer) || is_quantize(consumer) => {}
            _ => return None,
        }
        value = consumer.output_name(0)?.to_owned();
    }
    None
}

/// The dims before the Flatten that a value comes from.
fn source<'a>(model: &'a OpenModel, value: &str) -> Option<&'a [Dim]> {
    let mut value = value.to_owned();
    for _ in 0..MOST_STEPS {
        let producer = model.document.producer_node(&value)?;
        let input = producer.input_name(0)?;
        match producer.op_type() {
            "Flatten" | "Reshape" => return model.facts.shape(input).filter(|dims| dims.len() > 2),
            op if PASSING.contains(&op) || is_dequantize(producer) || is_quantize(producer) => {}
            _ => return None,
        }
        value = input.to_owned();
    }
    None
}

/// Compares two matrices whose rows are flattened dims that may lie in another order in each. Gives the difference and
/// the dims of a row in the second; `None` where no order fits their shapes.
pub(super) fn compare(a: &Tensor, b: &Tensor, dims: &[usize]) -> Option<(TensorDifference, Vec<usize>)> {
    // (h, w, c) is (c, h, w) in the other layout, and the other way round.
    let turned = |by: usize| {
        let mut dims = dims.to_vec();
        dims.rotate_left(by);
        dims
    };
    let orders = [dims.to_vec(), turned(1), turned(dims.len().saturating_sub(1))];
    let mut best: Option<(TensorDifference, Vec<usize>)> = None;
    for first in &orders {
        for second in orders.iter().filter(|second| *second != first) {
            for left in split(a, first) {
                for right in split(b, second) {
                    let Some(difference) = compare_tensors(&left, &right) else { continue };
                    let closer =
                        |best: &(TensorDifference, _)| difference.relative_difference < best.0.relative_difference;
                    if best.as_ref().is_none_or(closer) {
                        best = Some((difference, second.clone()));
                    }
                    if best.as_ref().is_some_and(|best| best.0.max_abs_difference == 0.0) {
                        return best;
                    }
                }
            }
        }
    }
    best
}

/// A matrix with an axis of as many elements split into dims: for each axis that has so many.
fn split(matrix: &Tensor, dims: &[usize]) -> Vec<Tensor> {
    let &[first, second] = matrix.shape() else { return Vec::new() };
    let size = dims.iter().try_fold(1usize, |size, &dim| size.checked_mul(dim));
    let mut shapes = Vec::new();
    if Some(first) == size {
        shapes.push(dims.iter().copied().chain([second]).collect::<Vec<usize>>());
    }
    if Some(second) == size {
        shapes.push([first].into_iter().chain(dims.iter().copied()).collect());
    }
    shapes.into_iter().filter_map(|shape| matrix.reshaped(shape).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_another_layout_are_the_same_weights() {
        // (h, w, c, out) = (2, 3, 4, 5) as Keras has it, and (out, c, h, w) of the same values.
        let keras: Vec<f32> = (0..120).map(|at| (at * 37 % 101) as f32).collect();
        let at = |h: usize, w: usize, c: usize, out: usize| keras[((h * 3 + w) * 4 + c) * 5 + out];
        let mut torch = Vec::new();
        for out in 0..5 {
            for c in 0..4 {
                for h in 0..2 {
                    torch.extend((0..3).map(|w| at(h, w, c, out)));
                }
            }
        }
        let a = Tensor::from_vec(vec![24, 5], keras.clone()).unwrap();
        let b = Tensor::from_vec(vec![5, 24], torch).unwrap();
        assert!(compare_tensors(&a, &b).unwrap().max_abs_difference > 1.0);
        for dims in [[2, 3, 4], [4, 2, 3]] {
            let (difference, rows) = compare(&a, &b, &dims).unwrap();
            assert_eq!((difference.max_abs_difference, rows.as_slice()), (0.0, [4, 2, 3].as_slice()));
            assert!(difference.equal_bits);
        }
        assert!(compare(&a, &b, &[5, 5]).is_none());
    }
}
