//! `MatMulInteger`, `QLinearMatMul` and `QGemm`.

use super::conv::requantize;
use super::{Affine, EXACT_F32, centered, exact_sums, reach};
use crate::engine::kernel::linear::zero_points;
use crate::engine::kernel::{Input, Inputs, Kernel, optional, required};
use crate::engine::lower::FlatNode;
use crate::engine::tract_node::TractNode;
use crate::engine::value::{KernelError, Value};
use crate::onnx::NodeExt;
use crate::tensor::{Channels, DType};

/// Zero points of a factor: one, or one per row (`rows`) or column of its last two axes.
fn factor(x: &Value, zero_point: Option<&Value>, rows: bool) -> Result<(Vec<i32>, Channels), KernelError> {
    let rank = x.shape().len();
    let count = zero_point.map_or(1, Value::len);
    if count <= 1 {
        return Ok((zero_points(zero_point, 1)?, Channels::whole(x.len())));
    }
    let axis = if rows { rank.saturating_sub(2) } else { rank.saturating_sub(1) };
    let channels = Channels::along(x.shape(), axis as i64).ok_or("a scalar has no rows")?;
    // Zero points may also be given per matrix of a batch: (..., rows, 1) or (..., 1, columns).
    if count != channels.count {
        return Err(format!("{count} zero points do not go with a factor of shape {:?}", x.shape()));
    }
    Ok((zero_points(zero_point, count)?, channels))
}

/// Exact `(a - za) x (b - zb)` as int32. Inputs: a, b, za, zb.
pub(crate) fn matmul_integers(inputs: Inputs<'_>, product: &mut TractNode) -> Result<Value, KernelError> {
    let sums = sums(inputs, product)?;
    Value::from_vec(DType::Int32, sums.shape(), exact_sums(&sums)?)
}

fn sums(inputs: Inputs<'_>, product: &mut TractNode) -> Result<Value, KernelError> {
    let (a, b) = (required(inputs, 0)?, required(inputs, 1)?);
    let (a_zero, a_channels) = factor(a, optional(inputs, 2), true)?;
    let (b_zero, b_channels) = factor(b, optional(inputs, 3), false)?;
    let depth = a.shape().last().copied().unwrap_or(1) as i64;
    let bound = reach(a.dtype(), &a_zero)?.saturating_mul(reach(b.dtype(), &b_zero)?).saturating_mul(depth);
    let wide = bound >= EXACT_F32;
    let constant = |at: usize| inputs.get(at).and_then(Option::as_ref).is_none_or(|i| i.constant);
    let fed = [
        Some(Input { value: centered(a, &a_zero, a_channels, wide)?, constant: constant(0) && constant(2) }),
        Some(Input { value: centered(b, &b_zero, b_channels, wide)?, constant: constant(1) && constant(3) }),
    ];
    product.run(&fed)?.into_iter().next().ok_or_else(|| "the product gave no result".to_owned())
}

/// The columns of a product as channels.
fn columns(shape: &[usize]) -> Channels {
    let count = shape.last().copied().unwrap_or(1);
    Channels { outer: shape.iter().rev().skip(1).product(), count, inner: 1 }
}

/// `QLinearMatMul`: `saturate(round_half_even(acc x f32(sa x sb / sy)) + zy)`, the weights' scale one number or one per
/// column. Inputs: a, its scale and zero point, b, its scale(s) and zero point(s), the result's scale and zero point.
pub(super) struct QLinearMatMul(TractNode);

impl QLinearMatMul {
    pub fn new(opset: i64) -> Result<Self, KernelError> {
        Ok(QLinearMatMul(TractNode::made("MatMul", 2, &[], opset)?))
    }
}

impl Kernel for QLinearMatMul {
    fn run(&mut self, inputs: Inputs<'_>) -> Result<Vec<Value>, KernelError> {
        let picked: Vec<Option<Input>> = [0, 3, 2, 5].iter().map(|&p| inputs.get(p).cloned().flatten()).collect();
        let sums = sums(&picked, &mut self.0)?;
        let (a, y) = (Affine::at(inputs, 1, 2)?, Affine::at(inputs, 6, 7)?);
        let scales = required(inputs, 4)?.to_f32s()?;
        let channels = columns(sums.shape());
        if scales.len() != 1 && scales.len() != channels.count {
            return Err(format!("{} scales were found for {} columns", scales.len(), channels.count));
        }
        let multipliers: Vec<f32> = scales.into_iter().map(|b| a.scale * b / y.scale).collect();
        Ok(vec![requantize(&sums, &multipliers, None, channels, y.zero_point, required(inputs, 7)?.dtype())?])
    }
}

/// com.microsoft `QGemm`: `alpha x sa x sb x ((A - za) x (B - zb) + C)`, requantized where the result has a scale.
/// Inputs: A, its scale and zero point, B, its scale(s) and zero point(s), C (int32), the result's scale and zero point.
pub(super) struct QGemm {
    product: TractNode,
    alpha: f32,
    transpose_a: bool,
    transpose_b: bool,
}

impl QGemm {
    pub fn new(flat: &FlatNode) -> Result<Self, KernelError> {
        let flag = |name: &str| NodeExt::int(&flat.proto, name).unwrap_or(0) != 0;
        Ok(QGemm {
            product: TractNode::made("MatMul", 2, &[], flat.opset)?,
            alpha: NodeExt::float(&flat.proto, "alpha").unwrap_or(1.0),
            transpose_a: flag("transA"),
            transpose_b: flag("transB"),
        })
    }
}

impl Kernel for QGemm {
    fn run(&mut self, inputs: Inputs<'_>) -> Result<Vec<Value>, KernelError> {
        let turned = |at: usize, turn: bool| -> Result<Option<Input>, KernelError> {
            let Some(input) = inputs.get(at).cloned().flatten() else { return Ok(None) };
            if input.value.shape().len() != 2 {
                return Err(format!("a matrix is needed, a tensor of shape {:?} was found", input.value.shape()));
            }
            let value = if turn { input.value.permuted(&[1, 0])? } else { input.value };
            Ok(Some(Input { value, constant: input.constant }))
        };
        let at = |position: usize| inputs.get(position).cloned().flatten();
        let picked = [turned(0, self.transpose_a)?, turned(3, self.transpose_b)?, at(2), at(5)];
        let sums = sums(&picked, &mut self.product)?;
        let shape = sums.shape().to_vec();
        let mut accumulators = exact_sums(&sums)?;
        if let Some(c) = optional(inputs, 6) {
            let c = (c.slice::<i32>()?, c.shape());
            let (common, added) =
                super::super::broadcast::zip((&accumulators, &shape), c, |sum, c| sum.wrapping_add(c))?;
            if common != shape {
                return Err(format!("C of shape {:?} does not go with a product of shape {shape:?}", c.1));
            }
            accumulators = added;
        }
        let a_scale = Affine::at(inputs, 1, 2)?.scale;
        let b_scales = required(inputs, 4)?.to_f32s()?;
        let channels = columns(&shape);
        if b_scales.len() != 1 && b_scales.len() != channels.count {
            return Err(format!("{} scales were found for {} columns", b_scales.len(), channels.count));
        }
        let scales: Vec<f32> = b_scales.into_iter().map(|b| self.alpha * a_scale * b).collect();
        if optional(inputs, 7).is_some() {
            let y = Affine::at(inputs, 7, 8)?;
            let multipliers: Vec<f32> = scales.into_iter().map(|s| s / y.scale).collect();
            // f64 holds every 32-bit sum.
            let sums = Value::from_vec(DType::Float64, &shape, accumulators.into_iter().map(f64::from).collect())?;
            let dtype = optional(inputs, 8).map_or(DType::Uint8, Value::dtype);
            return Ok(vec![requantize(&sums, &multipliers, None, channels, y.zero_point, dtype)?]);
        }
        let scale = |index: usize| scales.get(channels.of(index)).or(scales.first()).copied().unwrap_or(f32::NAN);
        let numbers = accumulators.into_iter().enumerate().map(|(index, sum)| sum as f32 * scale(index));
        Ok(vec![Value::from_vec(DType::Float32, &shape, numbers.collect())?])
    }
}
