//! The integer operators, with the arithmetic of ONNX Runtime's CPU kernels.
//!
//! Products of integers run through tract's f32 kernels: they are exact in any order of summation while every partial
//! sum stays below 2^24, which is checked per weight tensor; above it the same node runs in f64, exact below 2^53.
//! 8-bit arithmetic stays exact that way and keeps the speed of f32 SIMD.

mod conv;
mod elementwise;
mod matmul;
mod pool;
mod sandwich;
mod simulate;
mod softmax;
mod table;

use super::kernel::{Inputs, Kernel, required};
use super::lower::FlatNode;
use super::terms::Semantics;
use super::tract_node::TractNode;
use super::value::{KernelError, Value};
use crate::onnx::NodeExt;
use crate::tensor::{Channels, DType};

use elementwise::{Operator, Pairwise};
pub(crate) use matmul::matmul_integers;
pub(crate) use sandwich::find as find_sandwiches;

/// The kernel of an integer operator; `None` for other operators.
pub(super) fn build(flat: &FlatNode, semantics: Semantics) -> Result<Option<Box<dyn Kernel>>, KernelError> {
    let node = &flat.proto;
    let contributed = node.domain_name() == "com.microsoft";
    let kernel: Box<dyn Kernel> = match (contributed, node.op_type()) {
        (false, "ConvInteger") => Box::new(conv::ConvInteger::new(flat)?),
        (false, "MatMulInteger") => {
            let mut product = TractNode::made("MatMul", 2, &[], flat.opset)?;
            Box::new(move |inputs: Inputs<'_>| Ok(vec![matmul_integers(inputs, &mut product)?]))
        }
        (_, "QLinearConv" | "QLinearMatMul") | (true, "QGemm") if semantics == Semantics::Simulate => {
            Box::new(simulate::Simulated::new(flat)?)
        }
        (true, op) if op.starts_with("QLinear") && semantics == Semantics::Simulate => {
            Box::new(simulate::Simulated::new(flat)?)
        }
        (_, "QLinearConv") => Box::new(conv::QLinearConv::new(flat)?),
        (_, "QLinearMatMul") => Box::new(matmul::QLinearMatMul::new(flat.opset)?),
        (true, "QGemm") => Box::new(matmul::QGemm::new(flat)?),
        (true, "QLinearAdd") => Box::new(Pairwise::new(Operator::Add)),
        (true, "QLinearMul") => Box::new(Pairwise::new(Operator::Multiply)),
        (true, "QLinearAveragePool") => Box::new(pool::AveragePool::new(node)?),
        (true, "QLinearGlobalAveragePool") => Box::new(pool::GlobalAveragePool::new(node)),
        (true, "QLinearSoftmax") => Box::new(softmax::QLinearSoftmax::new(node, flat.opset)),
        (true, "QLinearSigmoid") => Box::new(|inputs: Inputs<'_>| table::sigmoid(inputs)),
        (true, "QLinearLeakyRelu") => {
            let alpha = NodeExt::float(node, "alpha").unwrap_or(0.01);
            Box::new(move |inputs: Inputs<'_>| table::leaky_relu(inputs, alpha))
        }
        (true, "QLinearConcat") => {
            let axis = NodeExt::int(node, "axis").ok_or("the attribute axis is missing")?;
            let mut concat = table::concat(axis, flat.opset)?;
            Box::new(move |inputs: Inputs<'_>| concat.run(inputs))
        }
        (true, "QLinearWhere") => Box::new(table::QLinearWhere::new(flat.opset)?),
        _ => return Ok(None),
    };
    Ok(Some(kernel))
}

/// One scale and one zero point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Affine {
    pub scale: f32,
    pub zero_point: i32,
}

impl Affine {
    /// The pair at two input positions; a missing zero point counts as 0.
    pub fn at(inputs: Inputs<'_>, scale: usize, zero_point: usize) -> Result<Self, KernelError> {
        let scales = required(inputs, scale)?.to_f32s()?;
        let &[scale] = scales.as_slice() else {
            return Err(format!("{} scales were found where one is needed", scales.len()));
        };
        let zero_points = super::kernel::linear::zero_points(super::kernel::optional(inputs, zero_point), 1)?;
        Ok(Affine { scale, zero_point: zero_points.first().copied().unwrap_or(0) })
    }
}

/// Smallest and largest code of an 8 or 16 bit type.
pub(crate) fn code_range(dtype: DType) -> Result<(i32, i32), KernelError> {
    match dtype.int_range() {
        Some((low, high)) if dtype.bits().is_some_and(|b| b <= 16) => Ok((low as i32, high as i32)),
        _ => Err(format!("{dtype} is no quantized type")),
    }
}

/// `saturate(round_half_even(steps) + zero_point)`; NaN gives the smallest code.
pub(crate) fn saturate(steps: f32, zero_point: i32, range: (i32, i32)) -> i32 {
    super::kernel::linear::round_steps(steps, zero_point, range)
}

/// Codes of any 8 or 16 bit type as `i32`.
pub(crate) fn codes(x: &Value) -> Result<Vec<i32>, KernelError> {
    code_range(x.dtype())?;
    Ok(match x.dtype() {
        DType::Uint8 => x.slice::<u8>()?.iter().map(|&v| v.into()).collect(),
        DType::Int8 => x.slice::<i8>()?.iter().map(|&v| v.into()).collect(),
        _ => x.to_i64s()?.into_iter().map(|v| v as i32).collect(),
    })
}

/// A tensor of codes.
pub(crate) fn from_codes(dtype: DType, shape: &[usize], codes: Vec<i32>) -> Result<Value, KernelError> {
    match dtype {
        DType::Uint8 => Value::from_vec(dtype, shape, codes.into_iter().map(|v| v as u8).collect::<Vec<u8>>()),
        DType::Int8 => Value::from_vec(dtype, shape, codes.into_iter().map(|v| v as i8).collect::<Vec<i8>>()),
        _ => Value::from_i64s(dtype, shape, &codes.into_iter().map(i64::from).collect::<Vec<_>>()),
    }
}

/// `codes - zero_point` as whole numbers in f32, or f64 where `wide`. Zero points are one, or one per channel.
pub(crate) fn centered(x: &Value, zero_points: &[i32], channels: Channels, wide: bool) -> Result<Value, KernelError> {
    let zero_point = |channel: usize| zero_points.get(channel).or(zero_points.first()).copied().unwrap_or(0);
    // With one zero point the whole tensor is one run.
    let (inner, count) =
        if zero_points.len() > 1 { (channels.inner.max(1), channels.count.max(1)) } else { (x.len().max(1), 1) };
    macro_rules! subtract {
        ($from:ty, $to:ty, $dtype:expr) => {{
            let codes = x.slice::<$from>()?;
            Value::build($dtype, x.shape(), |y: &mut [$to]| {
                for (run, (y, codes)) in y.chunks_mut(inner).zip(codes.chunks(inner)).enumerate() {
                    let zero_point = zero_point(run % count);
                    y.iter_mut().zip(codes).for_each(|(y, &q)| *y = (i32::from(q) - zero_point) as $to);
                }
                Ok(())
            })
        }};
    }
    code_range(x.dtype())?;
    match (x.dtype(), wide) {
        (DType::Uint8 | DType::Uint4 | DType::Uint2, false) => subtract!(u8, f32, DType::Float32),
        (DType::Int8 | DType::Int4 | DType::Int2, false) => subtract!(i8, f32, DType::Float32),
        (DType::Uint16, false) => subtract!(u16, f32, DType::Float32),
        (_, false) => subtract!(i16, f32, DType::Float32),
        (DType::Uint8 | DType::Uint4 | DType::Uint2, true) => subtract!(u8, f64, DType::Float64),
        (DType::Int8 | DType::Int4 | DType::Int2, true) => subtract!(i8, f64, DType::Float64),
        (DType::Uint16, true) => subtract!(u16, f64, DType::Float64),
        (_, true) => subtract!(i16, f64, DType::Float64),
    }
}

/// Largest magnitude of `code - zero_point`.
pub(crate) fn reach(dtype: DType, zero_points: &[i32]) -> Result<i64, KernelError> {
    let (low, high) = code_range(dtype)?;
    let zero_points = if zero_points.is_empty() { &[0] } else { zero_points };
    Ok(zero_points.iter().map(|&z| i64::from(high - z).max(i64::from(z - low))).max().unwrap_or(0))
}

/// An exact sum as the 32-bit accumulator of the kernels it stands for, which wraps.
pub(crate) trait Accumulator: Copy {
    fn accumulator(self) -> i32;
}

impl Accumulator for f32 {
    #[inline(always)]
    fn accumulator(self) -> i32 {
        // Below 2^24 by construction.
        self as i32
    }
}

impl Accumulator for f64 {
    #[inline(always)]
    fn accumulator(self) -> i32 {
        self as i64 as i32
    }
}

/// Exact sums as integers.
pub(crate) fn exact_sums(sums: &Value) -> Result<Vec<i32>, KernelError> {
    Ok(match sums.dtype() {
        DType::Float32 => sums.f32s()?.iter().map(|v| v.accumulator()).collect(),
        _ => sums.slice::<f64>()?.iter().map(|v| v.accumulator()).collect(),
    })
}

/// Every partial sum of f32 integers below this is exact.
pub(crate) const EXACT_F32: i64 = 1 << 24;
