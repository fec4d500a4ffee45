//! Elementwise work on two tensors under ONNX (numpy) broadcasting.

use super::value::KernelError;

/// The common shape of two operands.
pub(crate) fn broadcast_shape(a: &[usize], b: &[usize]) -> Result<Vec<usize>, KernelError> {
    let rank = a.len().max(b.len());
    let dim = |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |i| shape[i]);
    (0..rank)
        .map(|axis| match (dim(a, axis), dim(b, axis)) {
            (x, y) if x == y => Ok(x),
            (1, y) => Ok(y),
            (x, 1) => Ok(x),
            _ => Err(format!("the shapes {a:?} and {b:?} do not broadcast")),
        })
        .collect()
}

/// Elements to step over in a flat operand for each axis of the common shape; 0 where it repeats.
fn steps(shape: &[usize], common: &[usize]) -> Vec<usize> {
    let mut steps = vec![0; common.len()];
    let mut stride = 1;
    let skipped = common.len() - shape.len();
    for (axis, &dim) in shape.iter().enumerate().rev() {
        if dim != 1 {
            steps[axis + skipped] = stride;
        }
        stride *= dim;
    }
    steps
}

/// For each element of the common shape, the positions in both operands, in row-major order.
fn positions(a: &[usize], b: &[usize], common: &[usize], mut visit: impl FnMut(usize, usize)) {
    let total: usize = common.iter().product();
    let (a_steps, b_steps) = (steps(a, common), steps(b, common));
    let mut index = vec![0; common.len()];
    let (mut at_a, mut at_b) = (0, 0);
    for _ in 0..total {
        visit(at_a, at_b);
        for axis in (0..common.len()).rev() {
            index[axis] += 1;
            at_a += a_steps[axis];
            at_b += b_steps[axis];
            if index[axis] < common[axis] {
                break;
            }
            at_a -= a_steps[axis] * index[axis];
            at_b -= b_steps[axis] * index[axis];
            index[axis] = 0;
        }
    }
}

/// `f` over all pairs; the slices hold as many elements as their shapes say.
pub(crate) fn zip<A: Copy, B: Copy, R>(
    (a, a_shape): (&[A], &[usize]),
    (b, b_shape): (&[B], &[usize]),
    f: impl Fn(A, B) -> R,
) -> Result<(Vec<usize>, Vec<R>), KernelError> {
    let common = broadcast_shape(a_shape, b_shape)?;
    let total = common.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n <= super::limits::MAX_ELEMENTS);
    let total = total.ok_or_else(|| format!("a result of shape {common:?} is too large"))?;
    let result = match (a, b) {
        _ if a.len() == total && b.len() == total => a.iter().zip(b).map(|(&a, &b)| f(a, b)).collect(),
        (_, &[b]) if a.len() == total => a.iter().map(|&a| f(a, b)).collect(),
        (&[a], _) if b.len() == total => b.iter().map(|&b| f(a, b)).collect(),
        _ => {
            let mut result = Vec::with_capacity(total);
            positions(a_shape, b_shape, &common, |at_a, at_b| {
                if let (Some(&a), Some(&b)) = (a.get(at_a), b.get(at_b)) {
                    result.push(f(a, b));
                }
            });
            result
        }
    };
    Ok((common, result))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_columns() {
        let (shape, sums) = zip((&[10, 20], &[2, 1]), (&[1, 2, 3], &[3]), |a, b| a + b).unwrap();
        assert_eq!((shape, sums), (vec![2, 3], vec![11, 12, 13, 21, 22, 23]));
        assert!(zip((&[1, 2], &[2]), (&[1, 2, 3], &[3]), |a: i32, b| a + b).is_err());
    }

    #[test]
    fn nothing_and_scalars() {
        let (shape, none) = zip((&[] as &[i32], &[0, 3]), (&[1], &[]), |a, b| a + b).unwrap();
        assert_eq!((shape, none), (vec![0, 3], vec![]));
    }
}
