//! The graph of layers, call by call, into nodes.

use super::config::Config;
use super::consumed::lost_masks;
use super::context::Context;
use super::layers;
use super::stop::Stop;
use super::topology::{Call, Layer, Model, TensorRef};
use super::value::{Layout, Value, from_channels_first, to_channels_first};
use super::weights::{Scope, Weights};
use crate::import::{ImportError, LayerValues};
use crate::onnx::proto::NodeProto;
use crate::onnx::{BuilderMark, Dim, GraphBuilder};
use crate::tensor::DType;
use std::collections::{BTreeSet, HashMap};

/// Name of the open first dim.
const BATCH: &str = "N";
/// Larger dims are a damaged file.
const LARGEST_DIM: usize = 1 << 31;

/// Where the batch normalization behind a linear layer can be put.
#[derive(Clone, Debug)]
pub(super) struct Foldable {
    /// Name of the weight's initializer.
    pub weight: String,
    /// Its axis of output channels.
    pub axis: usize,
    /// Name of the bias's initializer.
    pub bias: Option<String>,
    /// Whether the bias is the third input of the node that has the weight, or what an `Add` adds.
    pub bias_is_input: bool,
}

/// Everything that is known while a model is converted.
pub(super) struct Lowering<'a> {
    pub builder: GraphBuilder,
    pub weights: Weights<'a>,
    /// First number of the Keras version that wrote the file: the meaning of some activations changed.
    pub major: u32,
    pub backend: &'a str,
    pub fold_batch_norm: bool,
    pub notes: Vec<String>,
    pub unsupported: Vec<String>,
    pub layers: Vec<LayerValues>,
    /// By the name of the value that a linear layer makes.
    pub foldable: HashMap<String, Foldable>,
    /// Initializers by what they are made of, so that a layer that is called twice has its weights once.
    pub constants: HashMap<String, String>,
    /// The same tensor in the other layout.
    other_layout: HashMap<String, String>,
    /// By the name of a value: how many calls and ends of models are still to read it. Several tensors of Keras may be one
    /// value: what an identity or a model inside hands on, and what it was given.
    to_read: HashMap<String, usize>,
    pub transposes: usize,
    pub folded: usize,
}

/// A model's place among the others.
#[derive(Clone, Copy)]
pub(super) struct Place<'p> {
    /// Names of the models around it, with slashes behind; empty for the whole.
    pub prefix: &'p str,
    pub scope: Option<&'p Scope>,
    /// Whether it is called once, so that its weights may change.
    pub once: bool,
}

impl<'a> Lowering<'a> {
    pub fn new(builder: GraphBuilder, weights: Weights<'a>, major: u32, backend: &'a str, fold: bool) -> Self {
        Lowering {
            builder,
            weights,
            major,
            backend,
            fold_batch_norm: fold,
            notes: Vec::new(),
            unsupported: Vec::new(),
            layers: Vec::new(),
            foldable: HashMap::new(),
            constants: HashMap::new(),
            other_layout: HashMap::new(),
            to_read: HashMap::new(),
            transposes: 0,
            folded: 0,
        }
    }

    pub fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Converts the whole model.
    pub fn whole(&mut self, model: &Model) -> Result<(), ImportError> {
        let mut inputs = Vec::new();
        for input in &model.inputs {
            let Some(layer) = model.layers.get(input.layer) else { continue };
            let value = self.input(layer)?;
            self.add_values(&layer.name, std::slice::from_ref(&value));
            inputs.push(value);
        }
        let outputs = self.model(model, &inputs, Place { prefix: "", scope: None, once: true })?;
        let rank = inputs.first().and_then(Value::rank);
        let mut used: BTreeSet<String> = inputs.into_iter().map(|input| input.name).collect();
        for output in outputs {
            let mut output = self.as_is(&output);
            // A value can be an output once, and an input not at all.
            if !used.insert(output.name.clone()) {
                let name = self.builder.node("Identity", &[&output.name], &format!("{}/output", output.name), &[]);
                used.insert(name.clone());
                output = output.named(name);
            }
            let dims = match &output.shape {
                Some(shape) => declared(shape),
                // Behind a layer that is not known. The format wants a number of axes.
                None => {
                    let rank = rank.unwrap_or(1);
                    self.note(format!(
                        "The shape of output '{}' is not known: it is written with {rank} open axes, as the input has.",
                        output.name
                    ));
                    vec![Dim::Unknown; rank]
                }
            };
            self.builder.output(&output.name, output.dtype, Some(&dims));
        }
        Ok(())
    }

    fn input(&mut self, layer: &Layer) -> Result<Value, ImportError> {
        let config = Config::new(&layer.name, &layer.config);
        let dim = |dim: &serde_json::Value| match dim {
            serde_json::Value::Null => Some(None),
            dim => usize::try_from(dim.as_u64()?).ok().filter(|&dim| dim < LARGEST_DIM).map(Some),
        };
        let key = if config.get("batch_shape").is_some() { "batch_shape" } else { "batch_input_shape" };
        let dims = config.get(key).and_then(serde_json::Value::as_array);
        let shape: Option<Vec<Option<usize>>> = dims.and_then(|dims| dims.iter().map(dim).collect());
        let shape = shape.filter(|shape| !shape.is_empty()).ok_or_else(|| config.refused(key, "a list of dims"))?;
        let dtype = match config.text("dtype", "float32").unwrap_or("float32") {
            "int32" => DType::Int32,
            "int64" => DType::Int64,
            "int16" => DType::Int16,
            "int8" => DType::Int8,
            "uint8" => DType::Uint8,
            "uint16" => DType::Uint16,
            "uint32" => DType::Uint32,
            "bool" => DType::Bool,
            "float32" => DType::Float32,
            "string" => {
                let advice = "Convert the part of the model behind the text processing.";
                let place = format!("input layer '{}'", layer.name);
                return Err(ImportError::unsupported(place, "text as input", "numbers as input", advice));
            }
            other => {
                self.note(format!("The input '{}' is {other} in Keras and float32 here.", layer.name));
                DType::Float32
            }
        };
        let name = self.builder.input(&layer.name, dtype, Some(&declared(&shape)));
        Ok(Value { dtype, ..Value::new(name, Some(shape), Layout::AsIs) })
    }

    /// Converts the calls of a model, each as soon as its inputs are there, in the order of the layers.
    pub fn model(&mut self, model: &Model, inputs: &[Value], place: Place) -> Result<Vec<Value>, ImportError> {
        let mut values: HashMap<TensorRef, Value> = model.inputs.iter().cloned().zip(inputs.iter().cloned()).collect();
        let scopes = self.weights.scopes(&model.layers, place.scope);
        let lost_masks = lost_masks(model, self.major);
        let mut readers: HashMap<&TensorRef, Vec<(usize, usize)>> = HashMap::new();
        let mut waiting: HashMap<(usize, usize), usize> = HashMap::new();
        let mut ready: BTreeSet<(usize, usize)> = BTreeSet::new();
        // An output that no call makes waits for the call it names.
        let mut made_by: HashMap<(usize, usize), Vec<&TensorRef>> = HashMap::new();
        for (at, layer) in model.layers.iter().enumerate() {
            for (number, call) in layer.calls.iter().enumerate() {
                let read = call.tensors();
                let open = read.iter().filter(|(tensor, _)| !values.contains_key(*tensor));
                let mut count = 0;
                for (tensor, _) in open {
                    count += 1;
                    readers.entry(tensor).or_default().push((at, number));
                    made_by.entry((tensor.layer, tensor.call)).or_default().push(tensor);
                }
                waiting.insert((at, number), count);
                if count == 0 && layer.class != "InputLayer" {
                    ready.insert((at, number));
                }
            }
        }
        let mut uses: HashMap<&TensorRef, usize> = HashMap::new();
        let calls = model.layers.iter().flat_map(|layer| &layer.calls);
        for tensor in calls.flat_map(|call| call.tensors().into_iter().map(|(tensor, _)| tensor)).chain(&model.outputs)
        {
            *uses.entry(tensor).or_default() += 1;
        }
        // How many tensors of each call somebody reads.
        let mut read_tensors: HashMap<(usize, usize), usize> = HashMap::new();
        for tensor in uses.keys() {
            let count = read_tensors.entry((tensor.layer, tensor.call)).or_default();
            *count = (*count).max(tensor.tensor.saturating_add(1));
        }
        for (tensor, value) in &values {
            self.expect_reads(&value.name, uses.get(tensor).copied().unwrap_or(0));
        }
        while let Some((at, number)) = ready.pop_first() {
            let (Some(layer), Some(scope)) = (model.layers.get(at), scopes.get(at)) else { continue };
            let Some(call) = layer.calls.get(number) else { continue };
            for (tensor, _) in call.tensors() {
                if let Some(value) = values.get(tensor) {
                    self.read(&value.name);
                }
            }
            let outputs = read_tensors.get(&(at, number)).copied().unwrap_or(1);
            let results = match lost_masks.get(&(at, number)) {
                None => self.call(layer, call, scope, &values, place, outputs)?,
                Some(lost) => {
                    let without = |(tensor, value): (&TensorRef, &Value)| {
                        let mask = value.mask.clone().filter(|_| !lost.contains(tensor));
                        (tensor.clone(), Value { mask, ..value.clone() })
                    };
                    let seen: HashMap<TensorRef, Value> = values.iter().map(without).collect();
                    self.call(layer, call, scope, &seen, place, outputs)?
                }
            };
            for (tensor, value) in results.into_iter().enumerate() {
                let tensor = TensorRef { layer: at, call: number, tensor };
                self.expect_reads(&value.name, uses.get(&tensor).copied().unwrap_or(0));
                values.insert(tensor, value);
            }
            for tensor in made_by.remove(&(at, number)).unwrap_or_default() {
                if !values.contains_key(tensor) {
                    return Err(no_such_tensor(layer, tensor));
                }
                for reader in readers.remove(tensor).unwrap_or_default() {
                    let Some(count) = waiting.get_mut(&reader) else { continue };
                    *count -= 1;
                    if *count == 0 {
                        ready.insert(reader);
                    }
                }
            }
        }
        let output = |tensor: &TensorRef| {
            let layer = model.layers.get(tensor.layer);
            values.get(tensor).cloned().ok_or_else(|| match layer {
                Some(layer) => no_such_tensor(layer, tensor),
                None => ImportError::format(
                    "output_layers",
                    "a layer that is not there",
                    "a layer of the model",
                    SAVE_AGAIN,
                ),
            })
        };
        let outputs: Vec<Value> = model.outputs.iter().map(output).collect::<Result<_, _>>()?;
        // Whoever has called the model reads them from here on.
        outputs.iter().for_each(|output| self.read(&output.name));
        Ok(outputs)
    }

    fn expect_reads(&mut self, value: &str, count: usize) {
        *self.to_read.entry(value.to_owned()).or_default() += count;
    }

    fn read(&mut self, value: &str) {
        if let Some(count) = self.to_read.get_mut(value) {
            *count = count.saturating_sub(1);
        }
    }

    /// Whether anything but the call that is being converted reads a value: then it has to stay in the model as it is.
    pub fn is_read_elsewhere(&self, value: &str) -> bool {
        let is_read = |node: &NodeProto| node.input.iter().any(|input| input == value);
        self.to_read.get(value).is_some_and(|&count| count > 0) || self.builder.graph().node.iter().rev().any(is_read)
    }

    fn call(
        &mut self,
        layer: &Layer,
        call: &Call,
        scope: &Scope,
        values: &HashMap<TensorRef, Value>,
        place: Place,
        outputs: usize,
    ) -> Result<Vec<Value>, ImportError> {
        let path = format!("{}{}", place.prefix, layer.name);
        let given = |(tensor, shape): (&TensorRef, Option<&[Option<usize>]>)| {
            values.get(tensor).map(|value| value.with_declared_shape(shape))
        };
        let inputs: Vec<Value> = call.inputs().into_iter().filter_map(given).collect();
        // Weights of a layer that is called twice serve both calls: nothing is folded into them.
        let once = place.once && layer.calls.len() == 1;
        if let (Some(nested), false) = (&layer.nested, layer.is_wrapper()) {
            if nested.inputs.len() != inputs.len() {
                return Err(ImportError::format(
                    format!("layer '{path}'"),
                    format!("a call with {} tensors", inputs.len()),
                    format!("{} tensors, as the model inside has inputs", nested.inputs.len()),
                    SAVE_AGAIN,
                ));
            }
            let place = Place { prefix: &format!("{path}/"), scope: Some(scope), once };
            let results = self.model(nested, &inputs, place)?;
            self.add_values(&path, &results);
            return Ok(results);
        }
        let mark = self.builder.mark();
        let first_node = self.builder.graph().node.len();
        let mut context = Context {
            config: Config::new(&layer.name, &layer.config),
            layer,
            call,
            values,
            scope: scope.clone(),
            parts: Vec::new(),
            path: path.clone(),
            once,
            outputs,
            low: self,
        };
        let results = match layers::lower(&mut context, &inputs) {
            Ok(results) => results,
            Err(Stop::Broken(error)) => return Err(error),
            Err(Stop::Unsupported(reason)) => {
                // Nothing of what was begun stays, and the node has every tensor that the layer is given.
                context.path.clone_from(&path);
                context.low.undo(mark);
                let inputs: Vec<Value> = call.tensors().into_iter().filter_map(given).collect();
                layers::unknown::lower(&mut context, &inputs, &reason)?
            }
        };
        let results = self.rename(&path, first_node, results);
        self.add_values(&path, &results);
        Ok(results)
    }

    /// Takes back what was added since a mark.
    fn undo(&mut self, mark: BuilderMark) {
        let gone = self.builder.undo(mark);
        self.constants.retain(|_, name| !gone.contains(name));
        self.foldable.retain(|name, _| !gone.contains(name));
        let before = self.other_layout.len();
        self.other_layout.retain(|name, other| !gone.contains(name) && !gone.contains(other));
        // Each transposition is there twice: there and back.
        self.transposes = self.transposes.saturating_sub((before - self.other_layout.len()) / 2);
        self.layers.retain_mut(|layer| {
            let count = layer.values.len();
            layer.values.retain(|name| !gone.contains(name));
            !layer.values.is_empty() || count == 0
        });
    }

    fn add_values(&mut self, path: &str, results: &[Value]) {
        let names = results.iter().map(|value| value.name.clone());
        match self.layers.iter_mut().find(|layer| layer.layer == path) {
            Some(layer) => layer.values.extend(names),
            None => self.layers.push(LayerValues { layer: path.to_owned(), values: names.collect() }),
        }
    }

    /// Gives the results of a layer the layer's name.
    fn rename(&mut self, path: &str, first_node: usize, mut results: Vec<Value>) -> Vec<Value> {
        let mut renamed: HashMap<String, String> = HashMap::new();
        for (number, value) in results.iter_mut().enumerate() {
            let old = value.name.clone();
            // A state may be the result too.
            if let Some(new) = renamed.get(&old) {
                value.name.clone_from(new);
                continue;
            }
            let own = self.builder.graph().node.iter().skip(first_node).any(|node| node.output.contains(&old));
            if !own {
                continue;
            }
            let wish = if number == 0 { path.to_owned() } else { format!("{path}:{number}") };
            let new = self.builder.unique(&wish);
            renamed.insert(old.clone(), new.clone());
            for node in self.builder.graph_mut().node.iter_mut().skip(first_node) {
                node.input
                    .iter_mut()
                    .chain(&mut node.output)
                    .filter(|name| **name == old)
                    .for_each(|name| name.clone_from(&new));
            }
            for other in self.other_layout.values_mut().filter(|name| **name == old) {
                other.clone_from(&new);
            }
            if let Some(other) = self.other_layout.remove(&old) {
                self.other_layout.insert(new.clone(), other);
            }
            if let Some(foldable) = self.foldable.remove(&old) {
                self.foldable.insert(new.clone(), foldable);
            }
            value.name = new;
        }
        results
    }

    /// The value in Keras's order.
    pub fn as_is(&mut self, value: &Value) -> Value {
        self.laid_out(value, Layout::AsIs)
    }

    /// The value in this layout, transposed once however often it is asked for.
    pub fn laid_out(&mut self, value: &Value, layout: Layout) -> Value {
        let Some(rank) = value.rank() else { return Value { layout, ..value.clone() } };
        if value.layout == layout || rank < 3 {
            return Value { layout, ..value.clone() };
        }
        let name = match self.other_layout.get(&value.name) {
            Some(other) => other.clone(),
            None => {
                let (axes, suffix) = match layout {
                    Layout::ChannelsFirst => (to_channels_first(rank), "channels_first"),
                    Layout::AsIs => (from_channels_first(rank), "channels_last"),
                };
                let wish = format!("{}/{suffix}", value.name);
                let name = self.builder.node("Transpose", &[&value.name], &wish, &[("perm", axes.into())]);
                self.transposes += 1;
                self.other_layout.insert(value.name.clone(), name.clone());
                self.other_layout.insert(name.clone(), value.name.clone());
                name
            }
        };
        Value { name, layout, ..value.clone() }
    }
}

/// Dims as a file declares them: the open first one is the batch.
pub(super) fn declared(shape: &[Option<usize>]) -> Vec<Dim> {
    let dim = |(axis, dim): (usize, &Option<usize>)| match dim {
        Some(dim) => Dim::Known(*dim),
        None if axis == 0 => Dim::Symbol(BATCH.to_owned()),
        None => Dim::Unknown,
    };
    shape.iter().enumerate().map(dim).collect()
}

const SAVE_AGAIN: &str = "The model's configuration is damaged: save the model again.";

fn no_such_tensor(layer: &Layer, tensor: &TensorRef) -> ImportError {
    ImportError::format(
        format!("layer '{}'", layer.name),
        format!("a reference to tensor {} of call {}", tensor.tensor, tensor.call),
        "a tensor that the layer makes, in an acyclic graph",
        SAVE_AGAIN,
    )
}
