//! com.microsoft `QLinearAdd` and `QLinearMul`.

use super::{Affine, code_range, codes, from_codes};
use crate::engine::broadcast;
use crate::engine::kernel::linear::round_steps;
use crate::engine::kernel::{Inputs, optional, required};
use crate::engine::value::{KernelError, Value};
use crate::tensor::DType;

/// Codes of an operand with its shape, and the pair they are read with.
struct Operand<'a> {
    value: &'a Value,
    affine: Affine,
}

/// Inputs: a, its scale and zero point, b, its scale and zero point, the result's scale and zero point.
fn operands<'a>(inputs: Inputs<'a>) -> Result<(Operand<'a>, Operand<'a>, Affine, DType), KernelError> {
    let a = Operand { value: required(inputs, 0)?, affine: Affine::at(inputs, 1, 2)? };
    let b = Operand { value: required(inputs, 3)?, affine: Affine::at(inputs, 4, 5)? };
    let dtype = optional(inputs, 7).map_or(a.value.dtype(), Value::dtype);
    Ok((a, b, Affine::at(inputs, 6, 7)?, dtype))
}

/// Codes as numbers that `f` makes of them, looked up in a table for 8-bit types.
fn mapped<T: Copy>(x: &Value, f: impl Fn(i32) -> T) -> Result<Vec<T>, KernelError> {
    match x.dtype() {
        DType::Uint8 => {
            let table: Vec<T> = (0..=255).map(f).collect();
            Ok(x.slice::<u8>()?.iter().filter_map(|&q| table.get(usize::from(q)).copied()).collect())
        }
        DType::Int8 => {
            let table: Vec<T> = (0..=255).map(|q| f(i32::from(q as u8 as i8))).collect();
            Ok(x.slice::<i8>()?.iter().filter_map(|&q| table.get(usize::from(q as u8)).copied()).collect())
        }
        _ => Ok(codes(x)?.into_iter().map(f).collect()),
    }
}

/// `saturate(round_half_even(fma(a, ra, fma(b, rb, zy - (ra x za + rb x zb)))))` with ra = sa / sy, rb = sb / sy.
///
/// The products are exact in f64, so that one rounding to f32 is what a fused instruction does.
/// Source: ORT `MlasQLinearAdd`.
pub(super) fn add(inputs: Inputs<'_>) -> Result<Vec<Value>, KernelError> {
    let (a, b, y, dtype) = operands(inputs)?;
    let range = code_range(dtype)?;
    let (ra, rb) = (a.affine.scale / y.scale, b.affine.scale / y.scale);
    let fixed = y.zero_point as f32 - (ra * a.affine.zero_point as f32 + rb * b.affine.zero_point as f32);
    let fused = |x: f64, factor: f32, sum: f32| (x * f64::from(factor) + f64::from(sum)) as f32;
    let left = mapped(a.value, |q| f64::from(q) * f64::from(ra))?;
    let right = mapped(b.value, |q| f64::from(fused(f64::from(q), rb, fixed)))?;
    let sum = |x: f64, y: f64| round_steps((x + y) as f32, 0, range);
    finish(dtype, (&left, a.value.shape()), (&right, b.value.shape()), sum)
}

/// `saturate(round_half_even((a - za)(b - zb) x f32(sa x sb / sy) + zy))`: the zero point takes part in the rounding.
///
/// Source: ORT `MlasQLinearMul`.
pub(super) fn multiply(inputs: Inputs<'_>) -> Result<Vec<Value>, KernelError> {
    let (a, b, y, dtype) = operands(inputs)?;
    let range = code_range(dtype)?;
    let multiplier = a.affine.scale * b.affine.scale / y.scale;
    let left = mapped(a.value, |q| (q - a.affine.zero_point) as f32)?;
    let right = mapped(b.value, |q| (q - b.affine.zero_point) as f32)?;
    let zero_point = y.zero_point as f32;
    let product = |p: f32, q: f32| round_steps(p * q * multiplier + zero_point, 0, range);
    finish(dtype, (&left, a.value.shape()), (&right, b.value.shape()), product)
}

fn finish<T: Copy>(
    dtype: DType,
    left: (&[T], &[usize]),
    right: (&[T], &[usize]),
    code: impl Fn(T, T) -> i32,
) -> Result<Vec<Value>, KernelError> {
    macro_rules! narrow {
        ($t:ty) => {{
            let (shape, y) = broadcast::zip(left, right, |a, b| code(a, b) as $t)?;
            Ok(vec![Value::from_vec(dtype, &shape, y)?])
        }};
    }
    match dtype {
        DType::Uint8 => narrow!(u8),
        DType::Int8 => narrow!(i8),
        _ => {
            let (shape, y) = broadcast::zip(left, right, code)?;
            Ok(vec![from_codes(dtype, &shape, y)?])
        }
    }
}
