//! com.microsoft `QLinearAdd` and `QLinearMul`.

use super::{Affine, code_range, codes, from_codes};
use crate::engine::broadcast;
use crate::engine::kernel::linear::round_steps;
use crate::engine::kernel::{Inputs, Kernel, optional, required};
use crate::engine::value::{KernelError, Value};
use crate::tensor::DType;

/// Which of the two operators.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Operator {
    Add,
    Multiply,
}

/// Everything that a pair of codes needs to become a code of the result.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rule {
    operator: Operator,
    a: (Affine, DType),
    b: (Affine, DType),
    y: (Affine, DType),
    range: (i32, i32),
}

impl Rule {
    /// The code of the result for two codes.
    ///
    /// Add: `saturate(round_half_even(fma(a, ra, fma(b, rb, zy - (ra x za + rb x zb)))))` with ra = sa / sy, rb = sb / sy;
    /// the products are exact in f64, so that one rounding to f32 is what a fused instruction does.
    /// Multiply: `saturate(round_half_even((a - za)(b - zb) x f32(sa x sb / sy) + zy))`.
    /// In both the zero point takes part in the rounding.
    ///
    /// Source: ORT `MlasQLinearAdd`, `MlasQLinearMul`.
    #[inline(always)]
    fn code(&self, p: i32, q: i32) -> i32 {
        let (Rule { a: (a, _), b: (b, _), y: (y, _), .. }, zero_point) = (self, self.y.0.zero_point as f32);
        let steps = match self.operator {
            Operator::Add => {
                let (ra, rb) = (a.scale / y.scale, b.scale / y.scale);
                let fixed = zero_point - (ra * a.zero_point as f32 + rb * b.zero_point as f32);
                let fused = |x: i32, factor: f32, sum: f32| (f64::from(x) * f64::from(factor) + f64::from(sum)) as f32;
                fused(p, ra, fused(q, rb, fixed))
            }
            Operator::Multiply => {
                let multiplier = a.scale * b.scale / y.scale;
                (p - a.zero_point) as f32 * (q - b.zero_point) as f32 * multiplier + zero_point
            }
        };
        round_steps(steps, 0, self.range)
    }
}

/// The kernel of both operators. Pairs of 8-bit codes are looked up in a table of all 65,536, which stays until a scale or
/// a zero point is edited. Inputs: a, its scale and zero point, b, its scale and zero point, the result's.
pub(super) struct Pairwise {
    operator: Operator,
    table: Option<(Rule, Box<[u8; 65536]>)>,
}

/// Results of fewer elements are computed one by one: the table would cost more.
const WORTH_A_TABLE: usize = 4096;

impl Pairwise {
    pub fn new(operator: Operator) -> Self {
        Pairwise { operator, table: None }
    }

    fn table(&mut self, rule: Rule) -> Result<&[u8; 65536], KernelError> {
        if self.table.as_ref().is_none_or(|(of, _)| *of != rule) {
            let code = |byte: usize, dtype: DType| match dtype {
                DType::Int8 => i32::from(byte as u8 as i8),
                _ => (byte & 0xff) as i32,
            };
            let entry = |index: usize| rule.code(code(index >> 8, rule.a.1), code(index, rule.b.1)) as u8;
            let entries: Vec<u8> = (0..65536).map(entry).collect();
            let entries = entries.into_boxed_slice().try_into().map_err(|_| "the table has another size".to_owned())?;
            self.table = Some((rule, entries));
        }
        self.table.as_ref().map(|(_, table)| &**table).ok_or_else(|| "there is no table".to_owned())
    }
}

/// 8-bit codes as bytes.
fn bytes(x: &Value) -> Result<&[u8], KernelError> {
    match x.dtype() {
        DType::Int8 => Ok(bytemuck::cast_slice(x.slice::<i8>()?)),
        _ => x.slice::<u8>(),
    }
}

impl Kernel for Pairwise {
    fn run(&mut self, inputs: Inputs<'_>) -> Result<Vec<Value>, KernelError> {
        let (a, b) = (required(inputs, 0)?, required(inputs, 3)?);
        let dtype = optional(inputs, 7).map_or(a.dtype(), Value::dtype);
        let rule = Rule {
            operator: self.operator,
            a: (Affine::at(inputs, 1, 2)?, a.dtype()),
            b: (Affine::at(inputs, 4, 5)?, b.dtype()),
            y: (Affine::at(inputs, 6, 7)?, dtype),
            range: code_range(dtype)?,
        };
        let narrow = [a.dtype(), b.dtype(), dtype].iter().all(|d| matches!(d, DType::Int8 | DType::Uint8));
        if narrow && a.len().max(b.len()) >= WORTH_A_TABLE {
            let table = self.table(rule)?;
            let look = |p: u8, q: u8| table[usize::from(p) << 8 | usize::from(q)];
            let (left, right) = ((bytes(a)?, a.shape()), (bytes(b)?, b.shape()));
            return Ok(vec![if dtype == DType::Int8 {
                let (shape, y) = broadcast::zip(left, right, |p, q| look(p, q) as i8)?;
                Value::from_vec(dtype, &shape, y)?
            } else {
                let (shape, y) = broadcast::zip(left, right, look)?;
                Value::from_vec(dtype, &shape, y)?
            }]);
        }
        let (left, right) = (codes(a)?, codes(b)?);
        let (shape, y) = broadcast::zip((&left, a.shape()), (&right, b.shape()), |p, q| rule.code(p, q))?;
        Ok(vec![from_codes(dtype, &shape, y)?])
    }
}
