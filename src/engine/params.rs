//! Quantization parameters that can be edited while a plan lives.

use super::error::EngineError;
use super::plan::Plan;
use super::value::{KernelError, Value};
use crate::onnx::NodeExt;
use crate::onnx::proto::NodeProto;
use crate::quant::{Granularity, QuantParams};
use crate::tensor::DType;
use serde::{Deserialize, Serialize};

/// Names a scale and a zero point by their ONNX value names. Every node that reads the same pair follows an edit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ParamKey {
    /// Value name of the scale.
    pub scale: String,
    /// Value name of the zero point; `None` where the nodes have none.
    pub zero_point: Option<String>,
}

/// Where a pair of parameters sits in the plan.
pub(super) struct ParamSlot {
    pub key: ParamKey,
    /// Number of the value that holds the scale.
    pub scale: usize,
    /// Number of the value that holds the zero point.
    pub zero_point: usize,
    /// Names of the tensors the pair belongs to.
    pub tensors: Vec<String>,
    /// Numbers of the quantized tensors a DequantizeLinear reads with the pair: their type is the pair's.
    read: Option<usize>,
    axis: i64,
    block_size: usize,
    output_dtype: Option<DType>,
}

impl ParamSlot {
    pub fn new(key: ParamKey, scale: usize, zero_point: usize) -> Self {
        ParamSlot {
            key,
            scale,
            zero_point,
            tensors: Vec::new(),
            read: None,
            axis: 1,
            block_size: 0,
            output_dtype: None,
        }
    }

    /// Adds a reader; the first one's attributes say how the scales spread.
    pub fn add_site(&mut self, node: &NodeProto, tensor: Option<&str>, read: Option<usize>) {
        if self.tensors.is_empty() {
            self.axis = match node.op_type() {
                "QLinearConv" => 0,
                "QLinearMatMul" => -1,
                "QGemm" => {
                    if NodeExt::int(node, "transB").unwrap_or(0) != 0 {
                        0
                    } else {
                        1
                    }
                }
                _ => NodeExt::int(node, "axis").unwrap_or(1),
            };
            self.block_size = NodeExt::int(node, "block_size").and_then(|b| usize::try_from(b).ok()).unwrap_or(0);
            let number = NodeExt::int(node, "output_dtype").and_then(|n| i32::try_from(n).ok());
            if node.op_type() == "QuantizeLinear" {
                self.output_dtype = number.and_then(DType::from_onnx);
            }
        }
        self.read = self.read.or(read);
        if let Some(tensor) = tensor.filter(|t| self.tensors.iter().all(|known| known != t)) {
            self.tensors.push(tensor.to_owned());
        }
    }
}

impl Plan {
    /// Every pair of constant scale and zero point in the graph, in graph order.
    pub fn keys(&self) -> Vec<ParamKey> {
        self.slots.iter().map(|slot| slot.key.clone()).collect()
    }

    /// The quantized tensors whose parameters a key holds.
    pub fn tensors_of(&self, key: &ParamKey) -> &[String] {
        self.slot(key).map_or(&[], |slot| &slot.tensors)
    }

    /// The parameters as they are now.
    pub fn params(&self, key: &ParamKey) -> Option<QuantParams> {
        let slot = self.slot(key)?;
        let scale_value = self.state.values.get(slot.scale)?.as_ref()?;
        let zero_value = self.state.values.get(slot.zero_point)?.as_ref();
        let scale = scale_value.to_f32s().ok()?;
        let zero_point = super::kernel::linear::zero_points(zero_value, scale.len()).ok()?;
        let read = slot.read.and_then(|id| self.state.values.get(id)?.as_ref());
        let dtype = zero_value.map(Value::dtype).or(slot.output_dtype).or(read.map(Value::dtype));
        let granularity = self.granularity(slot, scale.len());
        Some(QuantParams { scale, zero_point, dtype: dtype.unwrap_or(DType::Uint8), granularity })
    }

    /// Replaces the parameters of a key; [`Plan::rerun`] computes what changes. One scale is always taken; several
    /// must spread as the nodes' attributes say. Another dtype of the same sign narrows or widens the codes.
    pub fn set_params(&mut self, key: &ParamKey, params: &QuantParams) -> Result<(), EngineError> {
        let fail = |message: &str| EngineError::Params { scale: key.scale.clone(), message: message.to_owned() };
        let now = self.params(key).ok_or_else(|| fail("the model has no such parameters"))?;
        let slot = self.slot(key).ok_or_else(|| fail("the model has no such parameters"))?;
        let (scale_id, zero_id) = (slot.scale, slot.zero_point);
        let old_scale = self.state.values.get(scale_id).cloned().flatten().ok_or_else(|| fail("the scale is gone"))?;
        let old_zero = self.state.values.get(zero_id).cloned().flatten();
        let count = params.scale.len();
        if params.zero_point.len() != count {
            return Err(fail("as many zero points as scales are needed"));
        }
        if count != 1
            && (count != now.scale.len() || params.granularity != now.granularity)
            && !self.may_spread(key, params)
        {
            return Err(fail("the number of scales does not fit the tensor"));
        }
        if params.scale.iter().any(|s| !(s.is_finite() && *s > 0.0)) {
            return Err(fail("a scale must be finite and greater than 0"));
        }
        if let Some((low, high)) = params.dtype.int_range() {
            if params.zero_point.iter().any(|&z| i64::from(z) < low || i64::from(z) > high) {
                return Err(fail("a zero point lies outside of its type's range"));
            }
        } else if params.zero_point.iter().any(|&z| z != 0) {
            return Err(fail("float types have no zero point"));
        }
        let scale_shape = if count == old_scale.len() { old_scale.shape().to_vec() } else { shape_for(count) };
        let made = |error: KernelError| fail(&error);
        let scale = Value::from_vec(DType::Float32, &scale_shape, params.scale.clone()).map_err(made)?;
        let scale = scale.retyped(old_scale.dtype()).map_err(made)?;
        let keeps_none = old_zero.is_none() && params.dtype == now.dtype && params.zero_point.iter().all(|&z| z == 0);
        let zero_point = if keeps_none {
            None
        } else {
            let numbers: Vec<i64> = params.zero_point.iter().map(|&z| z.into()).collect();
            Some(Value::from_i64s(params.dtype, &scale_shape, &numbers).map_err(made)?)
        };
        if !scale.same_bits(&old_scale) {
            self.state.put(scale_id, Some(scale)).map_err(made)?;
        }
        let same = match (&old_zero, &zero_point) {
            (None, None) => true,
            (Some(old), Some(new)) => old.same_bits(new),
            _ => false,
        };
        if !same {
            self.state.put(zero_id, zero_point).map_err(made)?;
        }
        Ok(())
    }

    fn slot(&self, key: &ParamKey) -> Option<&ParamSlot> {
        self.slots.iter().find(|slot| slot.key == *key)
    }

    /// The tensor the pair belongs to, as far as it is known.
    fn shape_of(&self, slot: &ParamSlot) -> Option<Vec<usize>> {
        let named = slot.tensors.iter().find_map(|name| {
            let &id = self.names.get(name)?;
            Some(self.state.values.get(id)?.as_ref()?.shape().to_vec())
        });
        named.or_else(|| Some(self.state.values.get(slot.read?)?.as_ref()?.shape().to_vec()))
    }

    fn granularity(&self, slot: &ParamSlot, scales: usize) -> Granularity {
        if scales == 1 && slot.block_size == 0 {
            return Granularity::PerTensor;
        }
        let rank = self.shape_of(slot).map_or(0, |shape| shape.len() as i64);
        let axis = usize::try_from(if slot.axis < 0 { slot.axis + rank } else { slot.axis }).unwrap_or(0);
        match slot.block_size {
            0 => Granularity::PerChannel { axis },
            block_size => Granularity::Blocked { axis, block_size },
        }
    }

    /// Whether a per-channel edit of per-tensor parameters fits the axis the nodes name.
    fn may_spread(&self, key: &ParamKey, params: &QuantParams) -> bool {
        let Some(slot) = self.slot(key) else { return false };
        let Granularity::PerChannel { axis } = params.granularity else { return false };
        let spread = self.granularity(slot, 2);
        let dim = self.shape_of(slot).and_then(|shape| shape.get(axis).copied());
        spread == Granularity::PerChannel { axis } && dim == Some(params.scale.len())
    }
}

fn shape_for(count: usize) -> Vec<usize> {
    if count == 1 { Vec::new() } else { vec![count] }
}
