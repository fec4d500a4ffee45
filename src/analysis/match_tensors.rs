//! Finding the weights of one model in another by their values, whatever they are called and however they are laid out.

use crate::tensor::{DType, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Two tensors that are the same weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TensorMatch {
    /// Name in the first list.
    pub a: String,
    /// Name in the second list.
    pub b: String,
    /// How the dims of `a` that are not 1 have to be permuted (as numpy's `transpose` takes it) to lie as those of `b`;
    /// `None` where they lie so already.
    pub transposition: Option<Vec<usize>>,
    /// Largest absolute difference of two elements; 0 where all are equal.
    pub max_abs_difference: f64,
    /// Root mean square of the differences over that of `a`: 0 where all are equal, and where both are 0.
    pub relative_difference: f64,
}

/// Tensors that differ by more than this part of their own size are not taken for the same weights. 8-bit rounding
/// is a few hundredths at most, batch normalization folded on another machine 1e-6.
const MOST_RELATIVE_DIFFERENCE: f64 = 0.1;

/// Permutations are tried up to this rank, without dims of 1.
const MOST_RANK: usize = 5;

/// The elements of a tensor as real numbers. Those of float32 are read where they lie: the weights of a large network
/// are in memory already, and a copy of them in f64 would be twice as much again.
enum Values<'a> {
    Float32(&'a [[u8; 4]]),
    Wide(Vec<f64>),
}

impl<'a> Values<'a> {
    fn of(tensor: &'a Tensor) -> Option<Self> {
        match tensor.dtype() {
            DType::Float32 => Some(Values::Float32(tensor.bytes().as_chunks::<4>().0)),
            _ => tensor.to_f64().ok().map(Values::Wide),
        }
    }

    fn len(&self) -> usize {
        match self {
            Values::Float32(values) => values.len(),
            Values::Wide(values) => values.len(),
        }
    }

    fn at(&self, index: usize) -> f64 {
        match self {
            Values::Float32(values) => f64::from(f32::from_le_bytes(values[index])),
            Values::Wide(values) => values[index],
        }
    }

    fn iter(&self) -> impl Iterator<Item = f64> {
        (0..self.len()).map(|index| self.at(index))
    }
}

/// What tells most tensors apart without a look at their elements.
struct Prepared {
    /// Dims that are not 1.
    dims: Vec<usize>,
    integer: bool,
    norm: f64,
    mean: f64,
}

impl Prepared {
    fn of(tensor: &Tensor) -> Option<Self> {
        let values = Values::of(tensor).filter(|values| values.len() > 0)?;
        let dims = tensor.shape().iter().copied().filter(|&dim| dim != 1).collect();
        let norm = (values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64).sqrt();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        Some(Prepared { dims, integer: tensor.dtype().is_int(), norm, mean })
    }

    /// What tensors of the same weights have in common: element count, sorted dims, whether integers.
    fn key(&self) -> (Vec<usize>, bool) {
        let mut dims = self.dims.clone();
        dims.sort_unstable();
        (dims, self.integer)
    }
}

struct Candidate {
    a: usize,
    b: usize,
    permutation: Option<Vec<usize>>,
    max_abs_difference: f64,
    relative_difference: f64,
    /// How far apart the two are in their lists, 0 to 1: the tie-breaker of equal tensors (biases of zeros).
    distance: f64,
}

/// Matches the tensors of two models by value, each to one at most, the best pairs first. Shapes may differ by dims of
/// 1 and by the order of dims. Given in the order of `a`.
///
/// Tensors that cannot be read as numbers, empty ones, and floats against integers are never matched. Both being all
/// zeros counts as equal. The elements are read pair by pair: nothing is kept of them.
pub fn match_tensors(a: &[(String, Tensor)], b: &[(String, Tensor)]) -> Vec<TensorMatch> {
    let prepare = |list: &[(String, Tensor)]| -> Vec<Option<Prepared>> {
        list.iter().map(|(_, tensor)| Prepared::of(tensor)).collect()
    };
    let (left, right) = (prepare(a), prepare(b));
    let mut by_key: HashMap<(Vec<usize>, bool), Vec<usize>> = HashMap::new();
    for (position, tensor) in right.iter().enumerate() {
        if let Some(tensor) = tensor {
            by_key.entry(tensor.key()).or_default().push(position);
        }
    }
    let mut candidates = Vec::new();
    for (position, tensor) in left.iter().enumerate() {
        let Some(tensor) = tensor else { continue };
        for &other in by_key.get(&tensor.key()).into_iter().flatten() {
            let Some(Some(prepared)) = right.get(other) else { continue };
            if let Some((permutation, max_abs_difference, relative_difference)) =
                best((tensor, &a[position].1), (prepared, &b[other].1))
            {
                let place = |position: usize, count: usize| position as f64 / count.max(1) as f64;
                let distance = (place(position, a.len()) - place(other, b.len())).abs();
                candidates.push(Candidate {
                    a: position,
                    b: other,
                    permutation,
                    max_abs_difference,
                    relative_difference,
                    distance,
                });
            }
        }
    }
    candidates.sort_by(|x, y| {
        let order = x.relative_difference.total_cmp(&y.relative_difference);
        order.then(x.permutation.is_some().cmp(&y.permutation.is_some())).then(x.distance.total_cmp(&y.distance))
    });
    let (mut taken_a, mut taken_b) = (vec![false; a.len()], vec![false; b.len()]);
    let mut matches: Vec<(usize, TensorMatch)> = Vec::new();
    for candidate in candidates {
        if taken_a[candidate.a] || taken_b[candidate.b] {
            continue;
        }
        (taken_a[candidate.a], taken_b[candidate.b]) = (true, true);
        let found = TensorMatch {
            a: a[candidate.a].0.clone(),
            b: b[candidate.b].0.clone(),
            transposition: candidate.permutation,
            max_abs_difference: candidate.max_abs_difference,
            relative_difference: candidate.relative_difference,
        };
        matches.push((candidate.a, found));
    }
    matches.sort_by_key(|(position, _)| *position);
    matches.into_iter().map(|(_, found)| found).collect()
}

/// How two tensors that are meant to be the same weights differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TensorDifference {
    /// As [`TensorMatch::transposition`]: the order in which the first lies closest to the second.
    pub transposition: Option<Vec<usize>>,
    /// Largest absolute difference of two elements.
    pub max_abs_difference: f64,
    /// Root mean square of the differences over that of the first.
    pub relative_difference: f64,
    /// Whether type and bits of all elements are equal.
    pub equal_bits: bool,
}

/// Compares two tensors in the order of axes that brings them closest, however far that is. `None` where their shapes do
/// not go together (dims of 1 aside) and where either cannot be read as numbers or is empty.
pub fn compare_tensors(a: &Tensor, b: &Tensor) -> Option<TensorDifference> {
    let left = Prepared::of(a)?;
    let (transposition, max_abs_difference, relative_difference) =
        closest((&left, a), (&Prepared::of(b)?, b), f64::INFINITY)?;
    let laid = |tensor: &Tensor, dims: &[usize]| tensor.reshaped(dims.to_vec()).ok();
    let turned = match &transposition {
        Some(order) => laid(a, &left.dims).and_then(|tensor| tensor.permuted(order).ok()),
        None => Some(a.clone()),
    };
    let equal_bits = a.dtype() == b.dtype() && turned.is_some_and(|turned| turned.bytes() == b.bytes());
    Some(TensorDifference { transposition, max_abs_difference, relative_difference, equal_bits })
}

/// The permutation that brings the two closest, with the differences; `None` where they are not the same weights.
fn best(a: (&Prepared, &Tensor), b: (&Prepared, &Tensor)) -> Option<(Option<Vec<usize>>, f64, f64)> {
    // Norms and means of tensors that are close are close: most pairs end here.
    let allowed = MOST_RELATIVE_DIFFERENCE * a.0.norm;
    if (a.0.norm - b.0.norm).abs() > allowed || (a.0.mean - b.0.mean).abs() > allowed {
        return None;
    }
    closest(a, b, MOST_RELATIVE_DIFFERENCE)
}

/// The same for any two, up to a relative difference.
fn closest(
    (a, left): (&Prepared, &Tensor),
    (b, right): (&Prepared, &Tensor),
    most_relative: f64,
) -> Option<(Option<Vec<usize>>, f64, f64)> {
    let (left, right) = (Values::of(left)?, Values::of(right)?);
    let identity: Vec<usize> = (0..a.dims.len()).collect();
    let mut best: Option<(Option<Vec<usize>>, f64, f64)> = None;
    for permutation in permutations(a.dims.len()) {
        let fits = permutation.iter().zip(&b.dims).all(|(&from, &dim)| a.dims.get(from) == Some(&dim));
        if !fits || b.dims.len() != permutation.len() {
            continue;
        }
        let (largest, relative) = differences((a, &left), (b, &right), &permutation);
        if relative <= most_relative && best.as_ref().is_none_or(|best| relative < best.2) {
            best = Some(((permutation != identity).then_some(permutation), largest, relative));
        }
        if best.as_ref().is_some_and(|best| best.2 == 0.0) {
            break;
        }
    }
    best
}

/// Largest and relative difference of `a`, permuted, from `b`.
fn differences((a, left): (&Prepared, &Values), (b, right): (&Prepared, &Values), permutation: &[usize]) -> (f64, f64) {
    let mut strides = vec![1usize; a.dims.len()];
    for axis in (1..a.dims.len()).rev() {
        strides[axis - 1] = strides[axis] * a.dims[axis];
    }
    let strides: Vec<usize> = permutation.iter().map(|&axis| strides[axis]).collect();
    let (mut index, mut at) = (vec![0usize; b.dims.len()], 0usize);
    let (mut largest, mut sum) = (0f64, 0f64);
    for value in right.iter() {
        let own = left.at(at);
        let difference = (own - value).abs();
        // NaN against NaN is no difference, against a number an infinite one.
        let difference = match (difference.is_nan(), own.to_bits() == value.to_bits()) {
            (true, true) => 0.0,
            (true, false) => f64::INFINITY,
            _ => difference,
        };
        largest = largest.max(difference);
        sum += difference * difference;
        for axis in (0..index.len()).rev() {
            index[axis] += 1;
            at += strides[axis];
            if index[axis] < b.dims[axis] {
                break;
            }
            at -= strides[axis] * index[axis];
            index[axis] = 0;
        }
    }
    let root = (sum / right.len() as f64).sqrt();
    (largest, if root == 0.0 { 0.0 } else { root / a.norm })
}

/// Every order of `rank` dims, the plain one first; only that one beyond [`MOST_RANK`].
fn permutations(rank: usize) -> Vec<Vec<usize>> {
    let mut found = vec![(0..rank).collect::<Vec<usize>>()];
    if rank > MOST_RANK {
        return found;
    }
    // Heap's algorithm, without recursion.
    let (mut order, mut counters, mut at) = (found[0].clone(), vec![0usize; rank], 0);
    while at < rank {
        if counters[at] < at {
            order.swap(if at % 2 == 0 { 0 } else { counters[at] }, at);
            found.push(order.clone());
            counters[at] += 1;
            at = 0;
        } else {
            counters[at] = 0;
            at += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, shape: &[usize], values: &[f32]) -> (String, Tensor) {
        (name.to_owned(), Tensor::from_vec(shape.to_vec(), values.to_vec()).unwrap())
    }

    #[test]
    fn transposed_weights_are_found() {
        let a = [named("fc", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), named("bias", &[3], &[1.0, 0.5, -1.0])];
        let b = [
            named("other", &[3, 2], &[9.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
            named("b", &[1, 3, 1, 1], &[1.0, 0.5, -1.0]),
            named("kernel", &[3, 2], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.01]),
        ];
        let matches = match_tensors(&a, &b);
        assert_eq!(matches.len(), 2);
        assert_eq!((matches[0].b.as_str(), matches[0].transposition.clone()), ("kernel", Some(vec![1, 0])));
        assert!((matches[0].max_abs_difference - 0.01).abs() < 1e-6);
        assert_eq!((matches[1].b.as_str(), matches[1].max_abs_difference), ("b", 0.0));
        assert_eq!(matches[1].transposition, None);
    }

    #[test]
    fn equal_tensors_go_in_order() {
        let zeros = |name: &str| named(name, &[4], &[0.0; 4]);
        let matches = match_tensors(&[zeros("a"), zeros("b"), zeros("c")], &[zeros("x"), zeros("y"), zeros("z")]);
        let pairs: Vec<(&str, &str)> = matches.iter().map(|found| (found.a.as_str(), found.b.as_str())).collect();
        assert_eq!(pairs, [("a", "x"), ("b", "y"), ("c", "z")]);
        assert!(matches.iter().all(|found| found.relative_difference == 0.0));
    }

    #[test]
    fn what_is_not_the_same_is_not_matched() {
        let a = [named("a", &[2], &[1.0, 2.0]), named("e", &[0], &[]), named("nan", &[1], &[f32::NAN])];
        let integers = Tensor::from_vec(vec![2], vec![1i64, 2]).unwrap();
        let b =
            [named("far", &[2], &[1.0, 3.0]), ("int".to_owned(), integers), named("longer", &[3], &[1.0, 2.0, 3.0])];
        assert!(match_tensors(&a, &b).is_empty());
        assert_eq!(permutations(4).len(), 24);
        assert_eq!(permutations(0), [Vec::<usize>::new()]);
    }
}
