//! com.microsoft `QLinearAdd` and `QLinearMul`.

use super::{Affine, code_range, codes, from_codes, saturate};
use crate::engine::broadcast;
use crate::engine::kernel::{Inputs, optional, required};
use crate::engine::value::{KernelError, Value};
use crate::tensor::DType;

/// One rounding for a product and a sum, as the fused instruction of ORT's kernels. The product is exact in f64.
fn fused_multiply_add(a: f32, b: f32, c: f32) -> f32 {
    (f64::from(a) * f64::from(b) + f64::from(c)) as f32
}

/// Inputs: a, its scale and zero point, b, its scale and zero point, the result's scale and zero point.
fn elementwise(
    inputs: Inputs<'_>,
    combine: impl Fn(Affine, Affine, Affine) -> Box<dyn Fn(i32, i32) -> (f32, i32)>,
) -> Result<Vec<Value>, KernelError> {
    let (a, b) = (required(inputs, 0)?, required(inputs, 3)?);
    let (a_affine, b_affine, y_affine) =
        (Affine::at(inputs, 1, 2)?, Affine::at(inputs, 4, 5)?, Affine::at(inputs, 6, 7)?);
    let dtype = optional(inputs, 7).map_or(a.dtype(), Value::dtype);
    let (a_codes, b_codes) = (codes(a)?, codes(b)?);
    let range = code_range(dtype)?;
    let steps = combine(a_affine, b_affine, y_affine);
    let (shape, result) = match (a.dtype(), b.dtype(), a_codes.len().max(b_codes.len()) > 65536) {
        // Large tensors of 8-bit codes have fewer different pairs than elements.
        (DType::Int8 | DType::Uint8, DType::Int8 | DType::Uint8, true) => {
            let pair = |index: usize| ((index >> 8) as u8, index as u8);
            let widen = |code: u8, dtype: DType| if dtype == DType::Int8 { (code as i8).into() } else { code.into() };
            let table: Vec<i32> = (0..65536)
                .map(|index| {
                    let (x, y) = pair(index);
                    let (steps, zero) = steps(widen(x, a.dtype()), widen(y, b.dtype()));
                    saturate(steps, zero, range)
                })
                .collect();
            let look = |x: i32, y: i32| table.get(usize::from(x as u8) << 8 | usize::from(y as u8)).copied().unwrap_or(0);
            broadcast::zip((&a_codes, a.shape()), (&b_codes, b.shape()), look)?
        }
        _ => broadcast::zip((&a_codes, a.shape()), (&b_codes, b.shape()), |x, y| {
            let (steps, zero) = steps(x, y);
            saturate(steps, zero, range)
        })?,
    };
    Ok(vec![from_codes(dtype, &shape, result)?])
}

/// `saturate(round_half_even(fma(a, ra, fma(b, rb, zy - (ra x za + rb x zb)))))` with ra = sa / sy, rb = sb / sy.
///
/// Source: ORT `MlasQLinearAdd`.
pub(super) fn add(inputs: Inputs<'_>) -> Result<Vec<Value>, KernelError> {
    elementwise(inputs, |a, b, y| {
        let (ra, rb) = (a.scale / y.scale, b.scale / y.scale);
        let fixed = y.zero_point as f32 - (ra * a.zero_point as f32 + rb * b.zero_point as f32);
        // The zero point is inside the sum, so that it takes part in the rounding.
        Box::new(move |p, q| (fused_multiply_add(p as f32, ra, fused_multiply_add(q as f32, rb, fixed)), 0))
    })
}

/// `saturate(round_half_even((a - za)(b - zb) x f32(sa x sb / sy)) + zy)`.
///
/// Source: ORT `MlasQLinearMul`.
pub(super) fn multiply(inputs: Inputs<'_>) -> Result<Vec<Value>, KernelError> {
    elementwise(inputs, |a, b, y| {
        let multiplier = a.scale * b.scale / y.scale;
        Box::new(move |p, q| {
            ((p - a.zero_point) as f32 * (q - b.zero_point) as f32 * multiplier, y.zero_point)
        })
    })
}
