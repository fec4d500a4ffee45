//! Live fake-quantize: a float value is rounded to the grid of some parameters before anything reads it.

use super::error::EngineError;
use super::kernel::linear::dequantize_value;
use super::kernel::{Layout, quantize_value};
use super::plan::Plan;
use super::value::{KernelError, Value};
use crate::quant::{Granularity, QuantParams};
use crate::tensor::{Channels, Tensor};

/// `scale x (saturate(round_half_even(x / scale) + zero_point) - zero_point)`, exactly what a QuantizeLinear and a
/// DequantizeLinear of these parameters give. Blocked parameters hold one scale per run along the axis.
pub(super) fn fake_quantize(x: &Value, params: &QuantParams) -> Result<Value, KernelError> {
    let along = |axis: usize| {
        Channels::along(x.shape(), axis as i64).ok_or_else(|| format!("the axis {axis} is outside of {:?}", x.shape()))
    };
    let (layout, needed) = match params.granularity {
        Granularity::PerTensor => (Layout::Whole, 1),
        Granularity::PerChannel { axis } => (Layout::Axis(along(axis)?), along(axis)?.count),
        Granularity::Blocked { axis, block_size } => {
            let (channels, size) = (along(axis)?, block_size.max(1));
            let blocks = channels.count.div_ceil(size);
            (Layout::Blocks { channels, size, blocks }, channels.outer * blocks * channels.inner)
        }
    };
    if params.scale.len() != needed || params.zero_point.len() != needed {
        return Err(format!("{} scales were found where {:?} needs {needed}", params.scale.len(), x.shape()));
    }
    let codes = quantize_value(x.f32s()?, x.shape(), &params.scale, &params.zero_point, layout, params.dtype)?;
    dequantize_value(&codes, &params.scale, &params.zero_point, layout)?.retyped(x.dtype())
}

impl Plan {
    /// Rounds a float value (node output, graph input or initializer) to the grid of `params` for all its readers, or
    /// stops doing so; [`Plan::rerun`] computes what changes. [`Plan::value`] keeps giving the value as it was made,
    /// [`Plan::rounded`] gives what its readers see. Types of up to 16 bits.
    pub fn set_fake_quantize(&mut self, name: &str, params: Option<&QuantParams>) -> Result<(), EngineError> {
        let fail = |message: String| EngineError::Params { scale: name.to_owned(), message };
        let &id = self.names.get(name).ok_or_else(|| fail("the model has no such value".to_owned()))?;
        if let Some(params) = params {
            if params.scale.iter().any(|s| !(s.is_finite() && *s > 0.0)) {
                return Err(fail("a scale must be finite and greater than 0".to_owned()));
            }
            if params.dtype.int_range().is_none() || params.dtype.bits().is_none_or(|bits| bits > 16) {
                return Err(fail(format!("{} is no integer type of up to 16 bits", params.dtype)));
            }
        }
        let before = self.state.fake.get(&id).cloned();
        match params {
            Some(params) => self.state.fake.insert(id, params.clone()),
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

    /// What the readers of a value see: rounded where a fake-quantize is set, else the value itself.
    pub fn rounded(&self, name: &str) -> Option<Tensor> {
        let &id = self.names.get(name)?;
        self.state.seen(id)?.to_plain().ok()
    }
}
