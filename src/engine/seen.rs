//! What the readers of a value see instead of it: clamped, rounded to codes, or another constant.

use super::error::EngineError;
use super::kernel::{Layout, round_steps};
use super::plan::Plan;
use super::value::{KernelError, Value};
use crate::quant::Granularity;
use crate::quant::table::{Clamp, Grid};
use crate::tensor::{Channels, DType, Tensor};
use std::borrow::Cow;
use std::sync::Arc;

/// What stands between a value and its readers.
#[derive(Clone, Debug)]
pub(super) enum Seen {
    /// `round(clamp(value))` to the codes of a grid.
    Rounded(Grid, Option<Clamp>),
    /// `clamp(value)`.
    Clamped(Clamp),
    /// Rounded to the codes of a type, with scale and zero point from the value's own range in each run, as
    /// `DynamicQuantizeLinear` makes them. The grid's scale and zero point are not read.
    Dynamic(Grid, Option<Clamp>),
    /// Another value of the same type and shape: what a constant's codes stand for.
    Replaced(Value),
}

/// How the scales of a grid spread over a shape.
fn layout(grid: &Grid, shape: &[usize]) -> Result<Layout, KernelError> {
    let along = |axis: usize| {
        Channels::along(shape, axis as i64).ok_or_else(|| format!("the axis {axis} is outside of {shape:?}"))
    };
    let (layout, needed) = match grid.params.granularity {
        Granularity::PerTensor => (Layout::Whole, 1),
        Granularity::PerChannel { axis } => (Layout::Axis(along(axis)?), along(axis)?.count),
        Granularity::Blocked { axis, block_size } => {
            let (channels, size) = (along(axis)?, block_size.max(1));
            let blocks = channels.count.div_ceil(size);
            (Layout::Blocks { channels, size, blocks }, channels.outer * blocks * channels.inner)
        }
    };
    let (scales, zero_points) = (grid.params.scale.len(), grid.params.zero_point.len());
    if scales != needed || zero_points != needed {
        return Err(format!("{scales} scales were found where {shape:?} needs {needed}"));
    }
    Ok(layout)
}

/// A clamp that lets NaN through, as an activation function does.
#[inline(always)]
fn clamped(x: f32, clamp: Clamp) -> f32 {
    let x = if x < clamp.low { clamp.low } else { x };
    if x > clamp.high { clamp.high } else { x }
}

/// `scale x (saturate(round_half_even(clamp(x) / scale) + zero_point) - zero_point)`: without a clamp exactly what a
/// QuantizeLinear and a DequantizeLinear give, where the codes are those of their type.
fn round(
    x: &Value,
    params: (&[f32], &[i32]),
    layout: Layout,
    codes: (i32, i32),
    clamp: Option<Clamp>,
) -> Result<Value, KernelError> {
    let clamp = clamp.unwrap_or(Clamp { low: f32::NEG_INFINITY, high: f32::INFINITY });
    let numbers = x.f32s()?;
    let rounded = Value::build(DType::Float32, x.shape(), |y: &mut [f32]| {
        layout.runs(numbers.len(), |start, end, at| {
            if let (Some(x), Some(y), Some(&scale), Some(&zero_point)) =
                (numbers.get(start..end), y.get_mut(start..end), params.0.get(at), params.1.get(at))
            {
                let real = |x: f32| (round_steps(clamped(x, clamp) / scale, zero_point, codes) - zero_point) as f32;
                y.iter_mut().zip(x).for_each(|(y, &x)| *y = real(x) * scale);
            }
        });
        Ok(())
    })?;
    rounded.retyped(x.dtype())
}

/// Scale and zero point for the values' own range, widened to hold 0, over codes `low..=high`.
///
/// `scale = (max - min) / (high - low)`, 1 where all values are 0;
/// `zero_point = round_half_even(saturate(low - min / scale))`. For uint8 that is `DynamicQuantizeLinear`.
fn own_range(values: &[f32], clamp: Option<Clamp>, (low, high): (i32, i32)) -> (f32, i32) {
    let held = |v: f32| clamp.map_or(v, |clamp| clamped(v, clamp));
    let (least, most) = values.iter().fold((0f32, 0f32), |(least, most), &v| (least.min(held(v)), most.max(held(v))));
    let scale = if least == most { 1.0 } else { (most - least) / (high - low) as f32 };
    let zero_point = (low as f32 - least / scale).clamp(low as f32, high as f32).round_ties_even();
    (scale, zero_point as i32)
}

impl Seen {
    /// The value that the readers of `value` see.
    pub fn of(&self, value: &Value) -> Result<Value, KernelError> {
        match self {
            Seen::Rounded(grid, clamp) => {
                let params = (grid.params.scale.as_slice(), grid.params.zero_point.as_slice());
                round(value, params, layout(grid, value.shape())?, grid.codes(), *clamp)
            }
            Seen::Dynamic(grid, clamp) => {
                let (scale, zero_point) = own_range(value.f32s()?, *clamp, grid.codes());
                round(value, (&[scale], &[zero_point]), Layout::Whole, grid.codes(), *clamp)
            }
            Seen::Clamped(clamp) => {
                let numbers = value.f32s()?;
                Value::build(value.dtype(), value.shape(), |y: &mut [f32]| {
                    y.iter_mut().zip(numbers).for_each(|(y, &x)| *y = clamped(x, *clamp));
                    Ok(())
                })
            }
            Seen::Replaced(other) => {
                if other.shape() != value.shape() || other.dtype() != value.dtype() {
                    let found = (other.dtype(), other.shape(), value.dtype(), value.shape());
                    return Err(format!("a {} {:?} cannot stand for a {} {:?}", found.0, found.1, found.2, found.3));
                }
                Ok(other.clone())
            }
        }
    }
}

impl Plan {
    /// Sets what the readers of a value see; where that cannot be computed, everything stays as it was.
    pub(super) fn set_seen(&mut self, name: &str, seen: Option<Seen>) -> Result<(), EngineError> {
        let fail = |message: String| EngineError::Params { scale: name.to_owned(), message };
        let &id = self.names.get(name).ok_or_else(|| fail("the model has no such value".to_owned()))?;
        let before = self.state.fake.get(&id).cloned();
        match seen {
            Some(seen) => self.state.fake.insert(id, Arc::new(seen)),
            None => self.state.fake.remove(&id),
        };
        let done = self.state.refresh(id).map_err(fail);
        if done.is_err() {
            match before {
                Some(before) => self.state.fake.insert(id, before),
                None => self.state.fake.remove(&id),
            };
            self.state.refresh(id).map_err(fail)?;
        }
        done
    }

    /// The type of a value that is there.
    pub(super) fn dtype_of(&self, name: &str) -> Option<DType> {
        let &id = self.names.get(name)?;
        Some(self.state.values.get(id)?.as_ref()?.dtype())
    }

    /// What the readers of a value see: clamped, rounded or replaced where that is set, else the value itself.
    pub fn rounded(&self, name: &str) -> Option<Tensor> {
        let &id = self.names.get(name)?;
        self.state.seen(id)?.to_plain().ok()
    }

    /// The real numbers of a value of the last run as it was made, without a copy where it is a float value.
    pub fn reals(&self, name: &str) -> Option<Cow<'_, [f32]>> {
        let &id = self.names.get(name)?;
        reals(self.state.values.get(id)?.as_ref()?)
    }

    /// The real numbers that the readers of a value see.
    pub fn seen_reals(&self, name: &str) -> Option<Cow<'_, [f32]>> {
        let &id = self.names.get(name)?;
        reals(self.state.seen(id)?)
    }

    /// Dims of a value of the last run.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        let &id = self.names.get(name)?;
        Some(self.state.values.get(id)?.as_ref()?.shape())
    }
}

fn reals(value: &Value) -> Option<Cow<'_, [f32]>> {
    match value.f32s() {
        Ok(numbers) => Some(Cow::Borrowed(numbers)),
        Err(_) => value.to_f32s().ok().map(Cow::Owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::kernel::dynamic_params;
    use crate::quant::{QuantParams, dequantize, quantize};

    fn grid(bits: u8, dtype: DType, scale: f32, zero_point: i32, narrow_range: bool) -> Grid {
        let params = QuantParams {
            scale: vec![scale],
            zero_point: vec![zero_point],
            dtype,
            granularity: Granularity::PerTensor,
        };
        Grid { params, bits, narrow_range }
    }

    fn value(numbers: &[f32]) -> Value {
        Value::from_vec(DType::Float32, &[numbers.len()], numbers.to_vec()).unwrap()
    }

    #[test]
    fn codes_may_be_fewer_than_the_type_has() {
        let numbers: Vec<f32> = (-600..600).map(|i| i as f32 * 0.05).chain([f32::NAN, f32::INFINITY]).collect();
        for (bits, dtype, zero_point, narrow) in [
            (8, DType::Int8, 3, false),
            (4, DType::Int8, -2, false),
            (3, DType::Int8, 0, true),
            (5, DType::Uint8, 9, true),
        ] {
            let grid = grid(bits, dtype, 0.3, zero_point, narrow);
            let (low, high) = grid.codes();
            let seen = Seen::Rounded(grid, None).of(&value(&numbers)).unwrap();
            for (&x, &y) in numbers.iter().zip(seen.f32s().unwrap()) {
                assert_eq!(y, dequantize(quantize(x, 0.3, zero_point, low, high), 0.3, zero_point), "{x} {bits}");
            }
        }
    }

    #[test]
    fn a_clamp_comes_before_the_rounding() {
        let relu = Clamp { low: 0.0, high: 1.0 };
        let x = value(&[-0.4, 0.3, 0.8, 7.0]);
        let off = Seen::Clamped(relu).of(&x).unwrap();
        assert_eq!(off.f32s().unwrap(), [0.0, 0.3, 0.8, 1.0]);
        let on = Seen::Rounded(grid(8, DType::Int8, 0.5, 0, false), Some(relu)).of(&x).unwrap();
        assert_eq!(on.f32s().unwrap(), [0.0, 0.5, 1.0, 1.0]);
    }

    #[test]
    fn an_own_range_is_that_of_dynamic_quantize_linear() {
        for numbers in [vec![-1.5f32, 0.25, 3.0], vec![0.5, 2.0], vec![-4.0, -1.0], vec![0.0], vec![]] {
            let (scale, zero_point) = dynamic_params(&numbers);
            assert_eq!(own_range(&numbers, None, (0, 255)), (scale, i32::from(zero_point)), "{numbers:?}");
        }
    }

    #[test]
    fn another_shape_cannot_stand_for_a_value() {
        assert!(Seen::Replaced(value(&[1.0])).of(&value(&[1.0, 2.0])).is_err());
    }
}
