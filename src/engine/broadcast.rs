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

/// How many trailing elements run side by side: both operands full, or one of them a single element for all of them.
fn run_length(a: &[usize], b: &[usize], common: &[usize]) -> usize {
    let full = |steps: &[usize], from: usize| {
        let mut stride = 1;
        (from..common.len()).rev().all(|axis| {
            let fits = common[axis] == 1 || steps[axis] == stride;
            stride *= common[axis];
            fits
        })
    };
    let single = |steps: &[usize], from: usize| steps.iter().skip(from).all(|&step| step == 0);
    let (a, b) = (steps(a, common), steps(b, common));
    let pairs = |from: usize| {
        (full(&a, from) && full(&b, from))
            || (full(&a, from) && single(&b, from))
            || (single(&a, from) && full(&b, from))
    };
    let from = (0..=common.len()).find(|&from| pairs(from)).unwrap_or(common.len());
    common.iter().skip(from).product()
}

/// For each run of the common shape, where it starts in both operands, in row-major order.
fn starts(a: &[usize], b: &[usize], common: &[usize], run: usize, mut visit: impl FnMut(usize, usize)) {
    let total: usize = common.iter().product();
    let (a_steps, b_steps) = (steps(a, common), steps(b, common));
    // The axes in front of the run.
    let mut inside = 1;
    let front = (0..common.len()).rev().find(|&axis| {
        inside *= common[axis];
        inside > run
    });
    let front = front.map_or(0, |axis| axis + 1);
    let mut index = vec![0; front];
    let (mut at_a, mut at_b) = (0, 0);
    for _ in 0..total.checked_div(run).unwrap_or(0) {
        visit(at_a, at_b);
        for axis in (0..front).rev() {
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
    let run = run_length(a_shape, b_shape, &common);
    let (a_single, b_single) = (is_single(a_shape, &common, run), is_single(b_shape, &common, run));
    let mut result = Vec::with_capacity(total);
    starts(a_shape, b_shape, &common, run, |at_a, at_b| {
        let (a, b) = (a.get(at_a..).unwrap_or(&[]), b.get(at_b..).unwrap_or(&[]));
        match (a_single, b_single) {
            (false, true) => {
                if let Some(&b) = b.first() {
                    result.extend(a.iter().take(run).map(|&a| f(a, b)));
                }
            }
            (true, false) => {
                if let Some(&a) = a.first() {
                    result.extend(b.iter().take(run).map(|&b| f(a, b)));
                }
            }
            _ => result.extend(a.iter().zip(b).take(run).map(|(&a, &b)| f(a, b))),
        }
    });
    Ok((common, result))
}

/// Whether an operand has one element for each run of more than one.
fn is_single(shape: &[usize], common: &[usize], run: usize) -> bool {
    let mut inside = 1;
    let steps = steps(shape, common);
    for (axis, &dim) in common.iter().enumerate().rev() {
        if inside >= run {
            break;
        }
        if dim != 1 && steps[axis] != 0 {
            return false;
        }
        inside *= dim;
    }
    run > 1
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
    fn every_pair_of_small_shapes() {
        let shapes: Vec<Vec<usize>> = vec![
            vec![],
            vec![1],
            vec![3],
            vec![2, 1],
            vec![2, 3],
            vec![1, 3],
            vec![4, 1, 1],
            vec![4, 2, 1],
            vec![4, 2, 3],
            vec![4, 1, 3],
            vec![1, 2, 1],
            vec![5, 4, 2, 3],
            vec![1, 4, 1, 1],
            vec![5, 1, 1, 3],
            vec![0, 3],
            vec![0, 1, 1],
        ];
        for a in &shapes {
            for b in &shapes {
                let Ok(common) = broadcast_shape(a, b) else { continue };
                let values = |shape: &[usize]| (0..shape.iter().product::<usize>()).collect::<Vec<_>>();
                let (shape, found) = zip((&values(a), a), (&values(b), b), |a, b| (a, b)).unwrap();
                let at = |shape: &[usize], flat: usize| {
                    let steps = steps(shape, &common);
                    let mut rest = flat;
                    let mut position = 0;
                    for (axis, &dim) in common.iter().enumerate().rev() {
                        position += rest % dim * steps[axis];
                        rest /= dim;
                    }
                    position
                };
                let total: usize = common.iter().product();
                let expected: Vec<_> = (0..total).map(|flat| (at(a, flat), at(b, flat))).collect();
                assert_eq!((shape, found), (common.clone(), expected), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn nothing_and_scalars() {
        let (shape, none) = zip((&[] as &[i32], &[0, 3]), (&[1], &[]), |a, b| a + b).unwrap();
        assert_eq!((shape, none), (vec![0, 3], vec![]));
    }
}
