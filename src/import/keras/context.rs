//! What the conversion of one call of a layer works with.

use super::config::Config;
use super::lowering::Lowering;
use super::stop::Stop;
use super::topology::{Arg, Call, Layer, TensorRef};
use super::value::{Layout, Value};
use super::weights::{Part, Scope};
use crate::import::ImportError;
use crate::onnx::Attr;
use crate::tensor::{DType, Tensor};
use std::collections::HashMap;

/// One call of one layer.
pub(super) struct Context<'c, 'a> {
    pub low: &'c mut Lowering<'a>,
    pub layer: &'c Layer,
    pub config: Config<'c>,
    pub call: &'c Call,
    pub values: &'c HashMap<TensorRef, Value>,
    pub scope: Scope,
    /// Parts of the layer that the weights are looked for in.
    pub parts: Vec<Part>,
    /// The layer's name behind those of the models around it.
    pub path: String,
    /// Whether the layer and the models around it are called once, so that its weights may change.
    pub once: bool,
    /// How many results other calls read.
    pub outputs: usize,
}

impl Context<'_, '_> {
    /// Adds a node with one output, named after the layer.
    pub fn node(&mut self, op_type: &str, inputs: &[&str], suffix: &str, attributes: &[(&str, Attr)]) -> String {
        let wish = format!("{}/{suffix}", self.path);
        self.low.builder.node(op_type, inputs, &wish, attributes)
    }

    /// Adds a node that keeps shape and layout.
    pub fn same(&mut self, op_type: &str, value: &Value, attributes: &[(&str, Attr)]) -> Value {
        let name = self.node(op_type, &[&value.name], op_type, attributes);
        value.named(name)
    }

    /// Adds a list of numbers as a constant.
    pub fn ints(&mut self, suffix: &str, values: &[i64]) -> Result<String, Stop> {
        Ok(self.low.builder.ints(&format!("{}/{suffix}", self.path), values)?)
    }

    /// Adds a float constant.
    pub fn floats(&mut self, suffix: &str, shape: &[usize], values: &[f32]) -> Result<String, Stop> {
        Ok(self.low.builder.floats(&format!("{}/{suffix}", self.path), shape, values)?)
    }

    /// A constant made of weights: made once, however often the layer is called.
    pub fn constant(
        &mut self,
        suffix: &str,
        make: impl FnOnce(&mut Self) -> Result<Tensor, Stop>,
    ) -> Result<String, Stop> {
        let parts: Vec<&str> = self.parts.iter().map(|part| part.component).collect();
        let key = format!("{:?} {parts:?} {suffix}", self.scope);
        if let Some(name) = self.low.constants.get(&key) {
            return Ok(name.clone());
        }
        let tensor = make(self)?;
        let name = self.low.builder.initializer(&format!("{}/{suffix}", self.path), &tensor);
        self.low.constants.insert(key, name.clone());
        Ok(name)
    }

    /// A weight of the layer as float32; `None` where the file has none of this name.
    pub fn weight(&mut self, names: &[&str], position: usize) -> Result<Option<Tensor>, Stop> {
        let Some(found) = self.low.weights.find(&self.scope, &self.parts, names, position) else { return Ok(None) };
        if found.tensor.dtype() == DType::Float32 {
            return Ok(Some(found.tensor.clone()));
        }
        let note = format!("Weights of type {} are converted to float32.", found.tensor.dtype());
        self.low.note(note);
        Ok(Some(Tensor::from_vec(found.shape.clone(), found.tensor.to_f32()?)?))
    }

    /// A weight that has to be there, of this shape; `None` stands for any dim.
    pub fn required(&mut self, names: &[&str], position: usize, shape: &[Option<usize>]) -> Result<Tensor, Stop> {
        let name = names.first().copied().unwrap_or_default();
        let place = format!("layer '{}', weight '{name}'", self.path);
        let Some(found) = self.weight(names, position)? else {
            let there = self.low.weights.names(&self.scope);
            let there = if there.is_empty() { "no weight of the layer".to_owned() } else { there.join(", ") };
            let advice = "The file does not hold the layer's weights: save the whole model again.";
            return Err(ImportError::format(place, there, format!("a weight '{name}'"), advice).into());
        };
        let fits = found.shape().len() == shape.len()
            && found.shape().iter().zip(shape).all(|(dim, wanted)| wanted.is_none_or(|wanted| wanted == *dim));
        if fits {
            return Ok(found);
        }
        let wanted: Vec<String> = shape.iter().map(|dim| dim.map_or("any".to_owned(), |dim| dim.to_string())).collect();
        let (found, expected) = (format!("shape {:?}", found.shape()), format!("shape [{}]", wanted.join(", ")));
        let advice = "Weights and configuration contradict each other: save the whole model again.";
        Err(ImportError::format(place, found, expected, advice).into())
    }

    /// A weight per channel laid out to be combined with a value along one of its axes: `[C]` where that is the last
    /// axis of the ONNX tensor, else with ones behind it and in front.
    pub fn along(&self, value: &Value, axis: i64, tensor: &Tensor) -> Result<Tensor, Stop> {
        let Some(rank) = value.rank() else { return Ok(tensor.clone()) };
        let Some(axis) = value.physical_axis(axis) else {
            return Err(self.config.wrong("axis", &format!("an axis of a tensor of {rank} axes")));
        };
        if axis == rank as i64 - 1 {
            return Ok(tensor.clone());
        }
        let mut shape = vec![1; rank];
        if let Some(dim) = shape.get_mut(axis as usize) {
            *dim = tensor.len();
        }
        Ok(tensor.reshaped(shape)?)
    }

    /// The permuted weight.
    pub fn permuted(tensor: &Tensor, axes: &[usize]) -> Result<Tensor, Stop> {
        Ok(tensor.permuted(axes)?)
    }

    /// The only input.
    pub fn single<'v>(&self, inputs: &'v [Value]) -> Result<&'v Value, Stop> {
        self.input(inputs, 0)
    }

    /// The input at a position.
    pub fn input<'v>(&self, inputs: &'v [Value], position: usize) -> Result<&'v Value, Stop> {
        inputs.get(position).ok_or_else(|| {
            Stop::Broken(ImportError::format(
                format!("layer '{}'", self.path),
                format!("a call with {} tensors", inputs.len()),
                format!("at least {}", position + 1),
                "The model's configuration is damaged: save the model again.",
            ))
        })
    }

    /// The tensor that a call is given under a keyword.
    pub fn keyword(&self, name: &str) -> Option<Value> {
        match self.call.keyword(name)? {
            Arg::Tensor(tensor, shape) => {
                self.values.get(tensor).map(|value| value.with_declared_shape(shape.as_deref()))
            }
            _ => None,
        }
    }

    /// The mask that a call is given under a keyword, or that its input carries, as a value of booleans.
    pub fn mask(&mut self, keyword: &str, input: &Value) -> Option<String> {
        let Some(given) = self.keyword(keyword) else { return input.mask.clone() };
        if given.dtype == DType::Bool {
            return Some(given.name);
        }
        let to = i64::from(DType::Bool.to_onnx());
        Some(self.node("Cast", &[&given.name], "mask", &[("to", to.into())]))
    }

    /// The tensors that a call is given under a keyword, one or a list.
    pub fn keyword_list(&self, name: &str) -> Vec<Value> {
        let mut found = Vec::new();
        if let Some(arg) = self.call.keyword(name) {
            arg.tensors(&mut found);
        }
        found.into_iter().filter_map(|(tensor, _)| self.values.get(tensor).cloned()).collect()
    }

    /// A word or number that a call is given under a keyword.
    pub fn keyword_plain(&self, name: &str) -> Option<&serde_json::Value> {
        match self.call.keyword(name)? {
            Arg::Plain(value) => Some(value).filter(|value| !value.is_null()),
            _ => None,
        }
    }

    /// The value in float32, which every layer but an embedding computes in.
    pub fn float(&mut self, value: &Value) -> Value {
        if value.dtype == DType::Float32 {
            return value.clone();
        }
        let to = i64::from(DType::Float32.to_onnx());
        let name = self.node("Cast", &[&value.name], "Cast", &[("to", to.into())]);
        Value { dtype: DType::Float32, ..value.named(name) }
    }

    /// Whether the layer's `data_format` is channels first.
    pub fn is_channels_first(&self) -> Result<bool, Stop> {
        match self.config.text("data_format", "channels_last")? {
            "channels_last" => Ok(false),
            "channels_first" => Ok(true),
            _ => Err(self.config.wrong("data_format", "channels_last or channels_first")),
        }
    }

    /// The input of a layer with spatial axes as ONNX wants it, channels first; its spatial dims and its channels.
    pub fn spatial(&mut self, value: &Value, axes: usize) -> Result<Spatial, Stop> {
        let value = self.float(value);
        let channels_first = self.is_channels_first()?;
        let shape = match &value.shape {
            Some(shape) if shape.len() == axes + 2 => shape.clone(),
            Some(shape) => {
                return Err(Stop::Broken(ImportError::format(
                    format!("layer '{}'", self.path),
                    format!("an input of {} axes", shape.len()),
                    format!("{} axes", axes + 2),
                    "The model's configuration is damaged: save the model again.",
                )));
            }
            None => vec![None; axes + 2],
        };
        let layout = if channels_first { Layout::AsIs } else { Layout::ChannelsFirst };
        let value = self.low.laid_out(&Value { shape: Some(shape.clone()), ..value }, layout);
        let (batch, rest) = shape.split_first().unwrap_or((&None, &[]));
        let (dims, channels) = match (channels_first, rest) {
            (true, [channels, dims @ ..]) => (dims.to_vec(), *channels),
            (false, [dims @ .., channels]) => (dims.to_vec(), *channels),
            _ => (Vec::new(), None),
        };
        Ok(Spatial { name: value.name, batch: *batch, dims, channels, channels_first })
    }
}

/// A value whose ONNX tensor is (batch, channels, spatial ...).
#[derive(Clone, Debug)]
pub(super) struct Spatial {
    pub name: String,
    pub batch: Option<usize>,
    pub dims: Vec<Option<usize>>,
    pub channels: Option<usize>,
    /// Whether Keras's order is channels first too.
    pub channels_first: bool,
}

impl Spatial {
    /// A result of the same batch with these dims, again (batch, channels, spatial ...).
    pub fn result(&self, name: String, dims: Vec<Option<usize>>, channels: Option<usize>) -> Value {
        let (layout, shape) = match self.channels_first {
            true => (Layout::AsIs, [self.batch, channels].into_iter().chain(dims).collect()),
            false => (Layout::ChannelsFirst, [self.batch].into_iter().chain(dims).chain([channels]).collect()),
        };
        Value::new(name, Some(shape), layout)
    }
}
