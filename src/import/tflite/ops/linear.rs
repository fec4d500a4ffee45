//! Matrix products.

use super::{activation, input, optional, options, output, unsupported};
use crate::import::ImportError;
use crate::import::tflite::convert::Converter;
use crate::import::tflite::model::Operator;
use crate::import::tflite::values::{Activation, Layout, onnx};

/// `x W^T + b`; a tensor of more than two axes is flattened to rows first, or keeps its axes where the options say so.
pub(super) fn fully_connected(c: &mut Converter<'_>, operator: &Operator) -> Result<(), ImportError> {
    let (x, weight, y) = (input(c, operator, 0)?, input(c, operator, 1)?, output(c, operator)?);
    let activation = activation(c, operator, 0)?;
    let (shuffled, keep) = match options(c, operator)? {
        Some(table) => (table.i8(1, 0)? != 0, table.bool(2)?),
        None => (false, false),
    };
    if shuffled {
        return Err(unsupported(c, operator, "weights in a shuffled order"));
    }
    let &[_, depth] = c.tensor(weight)?.shape.as_slice() else {
        return Err(unsupported(c, operator, "a weight that is not of rank 2"));
    };
    super::window::note_hybrid(c, x, weight)?;
    let name = c.short_name(y);
    let mut value = c.real(x, Layout::Last)?;
    let bias = optional(operator, 2).map(|bias| c.real(bias, Layout::Last)).transpose()?;
    if keep && c.rank(y) != 2 {
        let matrix = if c.is_constant(weight) {
            c.constant(weight, Some(&[1, 0]), None)?
        } else {
            let matrix = c.real(weight, Layout::Last)?;
            c.builder.node("Transpose", &[&matrix], &format!("{name}_weight"), &[("perm", vec![1, 0].into())])
        };
        return match bias {
            None => c.emit(y, Layout::Last, activation, "MatMul", &[&value, &matrix], &[]),
            Some(bias) => {
                let product = c.builder.node("MatMul", &[&value, &matrix], &format!("{name}_product"), &[]);
                c.emit(y, Layout::Last, activation, "Add", &[&product, &bias], &[])
            }
        };
    }
    if c.rank(x) != 2 || c.tensor(x)?.shape.get(1) != Some(&depth) {
        let rows = c.builder.ints(&format!("{name}_rows"), &[-1, depth as i64]).map_err(onnx)?;
        value = c.builder.node("Reshape", &[&value, &rows], &format!("{name}_flat"), &[]);
    }
    let matrix = c.real(weight, Layout::Last)?;
    let mut inputs = vec![value.as_str(), &matrix];
    inputs.extend(bias.as_deref());
    c.emit(y, Layout::Last, activation, "Gemm", &inputs, &[("transB", 1.into())])
}

pub(super) fn batch_matmul(c: &mut Converter<'_>, operator: &Operator) -> Result<(), ImportError> {
    let (a, b, y) = (input(c, operator, 0)?, input(c, operator, 1)?, output(c, operator)?);
    let (transpose_a, transpose_b) = match options(c, operator)? {
        Some(table) => (table.bool(0)?, table.bool(1)?),
        None => (false, false),
    };
    let side = |c: &mut Converter<'_>, at: usize, transpose: bool| {
        let value = c.real(at, Layout::Last)?;
        let rank = c.rank(at) as i64;
        if !transpose || rank < 2 {
            return Ok::<String, ImportError>(value);
        }
        let mut axes: Vec<i64> = (0..rank).collect();
        axes.swap(rank as usize - 2, rank as usize - 1);
        let wish = format!("{}_transposed", c.short_name(at));
        Ok(c.builder.node("Transpose", &[&value], &wish, &[("perm", axes.into())]))
    };
    let (left, right) = (side(c, a, transpose_a)?, side(c, b, transpose_b)?);
    c.emit(y, Layout::Last, Activation::None, "MatMul", &[&left, &right], &[])
}
