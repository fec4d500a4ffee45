//! `QuantizeLinear` and `DequantizeLinear`: every type, per tensor, per axis and blocked.

use super::{Inputs, Kernel, optional, required};
use crate::engine::value::{KernelError, Value, round_to};
use crate::onnx::NodeExt;
use crate::onnx::proto::NodeProto;
use crate::quant::{encode_f4e2m1, encode_f8};
use crate::tensor::{Channels, DType, decode_f4e2m1, decode_f8};

/// How parameters spread over a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One pair for everything.
    Whole,
    /// One pair per index of an axis.
    Axis(Channels),
    /// One pair per run of `size` elements along an axis; `blocks` runs fill the axis.
    Blocks { channels: Channels, size: usize, blocks: usize },
}

impl Layout {
    /// The spread of `scale` over `shape`, by the operators' attributes. One scale is for the whole tensor.
    pub fn of(shape: &[usize], scale: &Value, axis: i64, block_size: usize) -> Result<Self, KernelError> {
        let counted = || Channels::along(shape, axis).ok_or_else(|| format!("the axis {axis} is outside of {shape:?}"));
        if block_size > 0 {
            let channels = counted()?;
            let blocks = channels.count.div_ceil(block_size);
            if channels.outer.checked_mul(blocks).and_then(|n| n.checked_mul(channels.inner)) != Some(scale.len()) {
                return Err(format!(
                    "{} scales were found for {shape:?} in blocks of {block_size} along the axis {axis}",
                    scale.len()
                ));
            }
            return Ok(Layout::Blocks { channels, size: block_size, blocks });
        }
        if scale.len() == 1 {
            return Ok(Layout::Whole);
        }
        let channels = counted()?;
        if channels.count != scale.len() || scale.shape().len() != 1 {
            return Err(format!("{} scales were found for the axis {axis} of {shape:?}", scale.len()));
        }
        Ok(Layout::Axis(channels))
    }

    /// Calls `run(start, end, parameter)` for each run of elements that share a parameter, covering `len` elements.
    pub fn runs(&self, len: usize, mut run: impl FnMut(usize, usize, usize)) {
        match *self {
            Layout::Whole => run(0, len, 0),
            Layout::Axis(Channels { count, inner, .. }) => {
                if inner == 0 || count == 0 {
                    return;
                }
                for (index, start) in (0..len).step_by(inner).enumerate() {
                    run(start, start + inner, index % count);
                }
            }
            Layout::Blocks { channels: Channels { count, inner, .. }, size, blocks } => {
                if inner == 0 || count == 0 {
                    return;
                }
                for index in 0..len {
                    let (row, inside) = (index / inner, index % inner);
                    let (outer, along) = (row / count, row % count);
                    run(index, index + 1, (outer * blocks + along / size) * inner + inside);
                }
            }
        }
    }
}

/// Adding and subtracting this rounds an f32 of magnitude below 2^22 to the nearest integer, ties to even, with
/// plain arithmetic that every compiler turns into SIMD (1.5 x 2^23: the sum has no fraction bits left).
const ROUNDER: f32 = 12_582_912.0;

/// `saturate(round_half_even(steps) + zero_point)` for a type of up to 16 bits, equal to [`crate::quant::quantize`] for
/// every input: NaN gives `range.0`.
#[inline(always)]
pub(crate) fn round_steps(steps: f32, zero_point: i32, range: (i32, i32)) -> i32 {
    let (low, high) = ((range.0 - zero_point) as f32, (range.1 - zero_point) as f32);
    // Written as comparisons so that NaN gives `low`.
    let steps = if steps > low { steps } else { low };
    let steps = if steps < high { steps } else { high };
    // The integer sits in the low mantissa bits of the sum.
    (steps + ROUNDER).to_bits() as i32 - ROUNDER.to_bits() as i32 + zero_point
}

/// `saturate(round_half_even(x / scale) + zero_point)` over a slice.
#[inline(always)]
fn quantize_run<T>(x: &[f32], y: &mut [T], scale: f32, zero_point: i32, range: (i32, i32), narrow: impl Fn(i32) -> T) {
    y.iter_mut().zip(x).for_each(|(y, &x)| *y = narrow(round_steps(x / scale, zero_point, range)));
}

/// Zero points as integers, one per scale; all 0 where there is no zero point.
pub(crate) fn zero_points(zero_point: Option<&Value>, scales: usize) -> Result<Vec<i32>, KernelError> {
    let Some(value) = zero_point else { return Ok(vec![0; scales]) };
    let numbers: Vec<i32> = match value.dtype().is_float() {
        true => vec![0; value.len()],
        false => value.to_i64s()?.into_iter().map(|v| v as i32).collect(),
    };
    match (numbers.len(), numbers.first()) {
        (n, _) if n == scales => Ok(numbers),
        (1, Some(&one)) => Ok(vec![one; scales]),
        (n, _) => Err(format!("{n} zero points were found for {scales} scales")),
    }
}

/// Quantizes f32 numbers to an integer type of up to 16 bits.
pub(crate) fn quantize_value(
    x: &[f32],
    shape: &[usize],
    scales: &[f32],
    zero_points: &[i32],
    layout: Layout,
    dtype: DType,
) -> Result<Value, KernelError> {
    macro_rules! integers {
        ($t:ty) => {{
            let range = dtype.int_range().map_or((0, 0), |(low, high)| (low as i32, high as i32));
            Value::build(dtype, shape, |y: &mut [$t]| {
                layout.runs(x.len(), |start, end, at| {
                    if let (Some(x), Some(y), Some(&scale), Some(&zero_point)) =
                        (x.get(start..end), y.get_mut(start..end), scales.get(at), zero_points.get(at))
                    {
                        quantize_run(x, y, scale, zero_point, range, |v| v as $t);
                    }
                });
                Ok(())
            })
        }};
    }
    match dtype {
        DType::Int8 | DType::Int4 | DType::Int2 => integers!(i8),
        DType::Uint8 | DType::Uint4 | DType::Uint2 => integers!(u8),
        DType::Int16 => integers!(i16),
        DType::Uint16 => integers!(u16),
        other => Err(format!("QuantizeLinear makes no {other}")),
    }
}

/// `QuantizeLinear` of ai.onnx (all versions) and com.microsoft.
pub(crate) struct Quantize {
    axis: i64,
    block_size: usize,
    output_dtype: Option<DType>,
    precision: Option<DType>,
    saturate: bool,
}

/// A data type attribute; 0 and absence mean "not given".
fn dtype_attribute(node: &NodeProto, name: &str) -> Result<Option<DType>, KernelError> {
    match NodeExt::int(node, name).unwrap_or(0) {
        0 => Ok(None),
        number => i32::try_from(number)
            .ok()
            .and_then(DType::from_onnx)
            .map(Some)
            .ok_or_else(|| format!("the attribute {name} = {number} is no data type")),
    }
}

fn block_size(node: &NodeProto) -> Result<usize, KernelError> {
    let size = NodeExt::int(node, "block_size").unwrap_or(0);
    usize::try_from(size).map_err(|_| format!("the attribute block_size = {size} is negative"))
}

impl Quantize {
    pub fn new(node: &NodeProto) -> Result<Self, KernelError> {
        Ok(Quantize {
            axis: NodeExt::int(node, "axis").unwrap_or(1),
            block_size: block_size(node)?,
            output_dtype: dtype_attribute(node, "output_dtype")?,
            precision: dtype_attribute(node, "precision")?,
            saturate: NodeExt::int(node, "saturate").unwrap_or(1) != 0,
        })
    }
}

impl Kernel for Quantize {
    fn run(&mut self, inputs: Inputs<'_>) -> Result<Vec<Value>, KernelError> {
        let (x, scale, zero_point) = (required(inputs, 0)?, required(inputs, 1)?, optional(inputs, 2));
        let dtype = zero_point.map(Value::dtype).or(self.output_dtype).unwrap_or(DType::Uint8);
        let layout = Layout::of(x.shape(), scale, self.axis, self.block_size)?;
        let scales = scale.to_f32s()?;
        let numbers = match x.f32s() {
            Ok(floats) => std::borrow::Cow::Borrowed(floats),
            Err(_) => std::borrow::Cow::Owned(x.to_f32s()?),
        };
        // Without `precision` the division happens in the wider of both types, as in onnx's reference evaluator; for
        // equal types that is the type of the scale, which the operator's text names.
        let common = if x.dtype() == scale.dtype() { scale.dtype() } else { DType::Float32 };
        let precision = self.precision.unwrap_or(common);
        let narrow_division = matches!(precision, DType::Float16 | DType::Bfloat16);
        let narrow_target = !dtype.is_int();
        if !narrow_division && !narrow_target {
            let zero_points = zero_points(zero_point, scales.len())?;
            return Ok(vec![quantize_value(&numbers, x.shape(), &scales, &zero_points, layout, dtype)?]);
        }
        let mut steps = vec![0f32; numbers.len()];
        layout.runs(numbers.len(), |start, end, at| {
            if let (Some(x), Some(steps), Some(&scale)) =
                (numbers.get(start..end), steps.get_mut(start..end), scales.get(at))
            {
                let scale = round_to(precision, scale);
                steps.iter_mut().zip(x).for_each(|(s, &x)| *s = round_to(precision, round_to(precision, x) / scale));
            }
        });
        if !narrow_target {
            // The quotient is known; what is left is rounding, shift and saturation.
            let ones = vec![1.0; scales.len()];
            let zero_points = zero_points(zero_point, scales.len())?;
            return Ok(vec![quantize_value(&steps, x.shape(), &ones, &zero_points, layout, dtype)?]);
        }
        let rounded: Vec<f32> = match dtype {
            DType::Float4E2m1 => steps.iter().map(|&s| decode_f4e2m1(encode_f4e2m1(s))).collect(),
            float if float.bits() == Some(8) => {
                steps.iter().map(|&s| decode_f8(float, encode_f8(float, s, self.saturate))).collect()
            }
            other => return Err(format!("QuantizeLinear makes no {other}")),
        };
        Ok(vec![Value::from_vec(dtype, x.shape(), rounded)?])
    }
}

/// `DequantizeLinear` of ai.onnx (all versions) and com.microsoft.
pub(crate) struct Dequantize {
    axis: i64,
    block_size: usize,
    output_dtype: Option<DType>,
}

impl Dequantize {
    pub fn new(node: &NodeProto) -> Result<Self, KernelError> {
        Ok(Dequantize {
            axis: NodeExt::int(node, "axis").unwrap_or(1),
            block_size: block_size(node)?,
            output_dtype: dtype_attribute(node, "output_dtype")?,
        })
    }
}

/// `scale x (q - zero_point)` for a value of any quantized type, as float32: the difference in integers, the product in
/// f32.
pub(crate) fn dequantize_value(
    x: &Value,
    scales: &[f32],
    zero_points: &[i32],
    layout: Layout,
) -> Result<Value, KernelError> {
    macro_rules! integers {
        ($t:ty, $wide:ty) => {{
            let x = x.slice::<$t>()?;
            move |y: &mut [f32]| {
                layout.runs(x.len(), |start, end, at| {
                    if let (Some(x), Some(y), Some(&scale), Some(&zero_point)) =
                        (x.get(start..end), y.get_mut(start..end), scales.get(at), zero_points.get(at))
                    {
                        let zero_point = zero_point as $wide;
                        y.iter_mut().zip(x).for_each(|(y, &q)| *y = (q as $wide - zero_point) as f32 * scale);
                    }
                });
                Ok(())
            }
        }};
    }
    let (dtype, shape) = (DType::Float32, x.shape());
    match x.dtype() {
        DType::Int8 | DType::Int4 | DType::Int2 => Value::build(dtype, shape, integers!(i8, i32)),
        DType::Uint8 | DType::Uint4 | DType::Uint2 => Value::build(dtype, shape, integers!(u8, i32)),
        DType::Int16 => Value::build(dtype, shape, integers!(i16, i32)),
        DType::Uint16 => Value::build(dtype, shape, integers!(u16, i32)),
        // A difference of two 32-bit integers needs 33 bits.
        DType::Int32 => Value::build(dtype, shape, integers!(i32, i64)),
        float if float.is_float() => {
            let x = x.f32s()?;
            Value::build(dtype, shape, |y: &mut [f32]| {
                layout.runs(x.len(), |start, end, at| {
                    if let (Some(x), Some(y), Some(&scale)) = (x.get(start..end), y.get_mut(start..end), scales.get(at))
                    {
                        y.iter_mut().zip(x).for_each(|(y, &q)| *y = q * scale);
                    }
                });
                Ok(())
            })
        }
        other => Err(format!("DequantizeLinear reads no {other}")),
    }
}

impl Kernel for Dequantize {
    fn run(&mut self, inputs: Inputs<'_>) -> Result<Vec<Value>, KernelError> {
        let (x, scale, zero_point) = (required(inputs, 0)?, required(inputs, 1)?, optional(inputs, 2));
        let layout = Layout::of(x.shape(), scale, self.axis, self.block_size)?;
        let scales = scale.to_f32s()?;
        let zero_points = zero_points(zero_point, scales.len())?;
        let y = dequantize_value(x, &scales, &zero_points, layout)?;
        let dtype = self.output_dtype.unwrap_or(scale.dtype());
        Ok(vec![y.retyped(dtype)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::quantize;

    #[test]
    fn the_fast_rounding_equals_the_formula() {
        let specials = [0.0, -0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e38, -1e38, 1e-45, 0.49999997];
        let ticks = (-70_000..70_000).map(|i| i as f32 * 0.25);
        let x: Vec<f32> = specials.into_iter().chain(ticks).collect();
        for (low, high) in [(-128, 127), (0, 255), (-32768, 32767), (0, 65535), (-8, 7), (0, 3)] {
            for zero_point in [low, 0.max(low), (low + high) / 2, high] {
                for scale in [0.5, 1.0, 0.1, 3.7e-3, 1e-40, 1e30] {
                    let mut y = vec![0i32; x.len()];
                    quantize_run(&x, &mut y, scale, zero_point, (low, high), |v| v);
                    for (&x, y) in x.iter().zip(y) {
                        assert_eq!(y, quantize(x, scale, zero_point, low, high), "{x} / {scale} + {zero_point}");
                    }
                }
            }
        }
    }

    #[test]
    fn runs_cover_every_element_once() {
        let channels = Channels { outer: 2, count: 5, inner: 3 };
        for layout in [Layout::Whole, Layout::Axis(channels), Layout::Blocks { channels, size: 2, blocks: 3 }] {
            let mut seen = [0; 30];
            layout.runs(30, |start, end, _| seen[start..end].iter_mut().for_each(|n| *n += 1));
            assert_eq!(seen, [1; 30]);
        }
    }
}
