//! The model's configuration as a graph of layers and their calls.
//!
//! A layer is called once per entry of its `inbound_nodes`; a call reads tensors of other calls. Keras 1 and 2 write a
//! tensor as `["layer", call, tensor, {keywords}]`, Keras 3 as an object with a `keras_history`. A `Sequential` is the
//! same graph with one call after the other.

use super::config::short;
use crate::import::ImportError;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// Layers of one model, nested ones included.
const MOST_LAYERS: usize = 10_000;

/// Functions of Keras 3 that are given a type, which layers have among their options too.
const TYPED_FUNCTIONS: [&str; 5] = ["Cast", "SaturateCast", "OneHot", "Cumsum", "Cumprod"];

/// One output of one call of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct TensorRef {
    pub layer: usize,
    pub call: usize,
    pub tensor: usize,
}

/// What a call is given.
#[derive(Clone, Debug)]
pub(super) enum Arg {
    /// A tensor, with the shape that Keras 3 writes beside it.
    Tensor(TensorRef, Option<Vec<Option<usize>>>),
    List(Vec<Arg>),
    Plain(Value),
}

impl Arg {
    /// Every tensor in it, in order.
    pub fn tensors<'a>(&'a self, found: &mut Vec<(&'a TensorRef, Option<&'a [Option<usize>]>)>) {
        match self {
            Arg::Tensor(tensor, shape) => found.push((tensor, shape.as_deref())),
            Arg::List(list) => list.iter().for_each(|arg| arg.tensors(found)),
            Arg::Plain(_) => {}
        }
    }
}

/// One use of a layer.
#[derive(Clone, Debug, Default)]
pub(super) struct Call {
    pub args: Vec<Arg>,
    pub keywords: Vec<(String, Arg)>,
}

impl Call {
    /// Every tensor that it reads.
    pub fn tensors(&self) -> Vec<(&TensorRef, Option<&[Option<usize>]>)> {
        let mut found = Vec::new();
        self.args.iter().for_each(|arg| arg.tensors(&mut found));
        self.keywords.iter().for_each(|(_, arg)| arg.tensors(&mut found));
        found
    }

    /// The tensors that it works on: those of the arguments, or, where there are none, what keywords give a layer to work
    /// on: `query`, `value` and `key` in the order that attention takes them in.
    pub fn inputs(&self) -> Vec<(&TensorRef, Option<&[Option<usize>]>)> {
        const WORKED_ON: [&str; 7] = ["inputs", "input", "x", "sequences", "query", "value", "key"];
        let mut found = Vec::new();
        self.args.iter().for_each(|arg| arg.tensors(&mut found));
        if found.is_empty() {
            WORKED_ON.iter().filter_map(|name| self.keyword(name)).for_each(|arg| arg.tensors(&mut found));
        }
        found
    }

    pub fn keyword(&self, name: &str) -> Option<&Arg> {
        self.keywords.iter().find(|(key, _)| key == name).map(|(_, arg)| arg)
    }
}

/// A layer.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub name: String,
    pub class: String,
    pub config: Map<String, Value>,
    pub calls: Vec<Call>,
    /// The graph inside, where the layer is a model, or applies one to every step.
    pub nested: Option<Box<Model>>,
    /// A function of Keras 3 (`keras.ops`) rather than a layer: it has no weights and is not counted as a layer.
    pub is_function: bool,
}

impl Layer {
    /// Whether it applies the model inside to every step, rather than being that model.
    pub fn is_wrapper(&self) -> bool {
        self.class == "TimeDistributed"
    }
}

/// A graph of layers.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub name: String,
    pub layers: Vec<Layer>,
    pub inputs: Vec<TensorRef>,
    pub outputs: Vec<TensorRef>,
}

/// Reads `model_config`.
pub(super) fn parse(config: &Value, major: u32) -> Result<Model, ImportError> {
    let mut reader = Reader { major, layers: 0 };
    let class = config.get("class_name").and_then(Value::as_str).unwrap_or_default();
    match config.get("config") {
        Some(inner) if !class.is_empty() => reader.model(class, inner, "the model", None),
        _ => Err(wrong("the model", config, "an object with class_name and config")),
    }
}

fn wrong(place: &str, found: &Value, expected: &str) -> ImportError {
    let advice = "The model's configuration is damaged: save the model again.";
    ImportError::format(format!("configuration of {place}"), short(found), expected.to_owned(), advice)
}

struct Reader {
    major: u32,
    layers: usize,
}

/// Reads a layer's own input shape, which the first layer of a `Sequential` may have instead of an input layer.
fn own_shape(config: &Map<String, Value>) -> Option<&Value> {
    config.get("batch_shape").or_else(|| config.get("batch_input_shape")).filter(|shape| shape.is_array())
}

impl Reader {
    fn model(&mut self, class: &str, config: &Value, place: &str, build: Option<&Value>) -> Result<Model, ImportError> {
        // Keras 1 and early 2 write a Sequential as the bare list of its layers.
        let layers = config.get("layers").unwrap_or(config).as_array().ok_or_else(|| {
            ImportError::unsupported(
                format!("configuration of {place}"),
                format!("the class '{class}', whose layers are Python code and not in the file"),
                "a Sequential or Functional model",
                "Export it in Python, where its code is: tf2onnx.convert.from_keras or model.export.",
            )
        })?;
        let is_graph = config.get("input_layers").is_some() || config.get("output_layers").is_some();
        if is_graph { self.functional(config, layers, place) } else { self.sequential(config, layers, place, build) }
    }

    fn layer(&mut self, json: &Value, place: &str, number: usize) -> Result<(Layer, Value), ImportError> {
        self.layers += 1;
        if self.layers > MOST_LAYERS {
            let (found, limit) = (self.layers as u64, MOST_LAYERS as u64);
            let place = format!("configuration of {place}").into();
            return Err(ImportError::LimitExceeded { place, what: "layers".into(), found, limit });
        }
        let here = || format!("layer {number} of {place}");
        let class = json.get("class_name").and_then(Value::as_str);
        let class = class.ok_or_else(|| wrong(&here(), json, "an object with class_name and config"))?;
        let config = json.get("config").unwrap_or(&Value::Null);
        let name = json.get("name").or_else(|| config.get("name")).and_then(Value::as_str);
        let name = name.map_or_else(|| format!("{}_{number}", class.to_lowercase()), str::to_owned);
        let is_model = config.is_array() || config.get("layers").is_some_and(Value::is_array);
        let build = json.get("build_config").and_then(|build| build.get("input_shape"));
        if class == "Merge" && is_model {
            return Err(ImportError::unsupported(
                here(),
                "a Sequential that begins with a Merge of branches",
                "one chain of layers, or a functional model",
                "Build it as a functional model in Keras, and save it again.",
            ));
        }
        let wrapped = config.get("layer").filter(|_| class == "TimeDistributed");
        let wrapped = wrapped.and_then(|layer| Some((layer.get("class_name")?.as_str()?, layer.get("config")?)));
        let wrapped =
            wrapped.filter(|(_, config)| config.is_array() || config.get("layers").is_some_and(Value::is_array));
        let nested = match (is_model, wrapped) {
            (true, _) => Some(Box::new(self.model(class, config, &format!("model '{name}'"), build)?)),
            (false, Some((inner, config))) => {
                Some(Box::new(self.model(inner, config, &format!("model inside of '{name}'"), None)?))
            }
            (false, None) => None,
        };
        // What a model says of its layers is in `nested`; copied at every depth it would be as much again each time.
        let config = match config {
            Value::Object(map) if nested.is_none() => map.clone(),
            _ => Map::new(),
        };
        // Functions carry their name and options, where every layer says whether it trains or what type it has. Only .keras files
        // tell the module, and there are a layer and a function of the name Reshape.
        let module = json.get("module").and_then(Value::as_str).unwrap_or_default();
        let is_layer =
            |key: &str| config.contains_key(key) && (key == "trainable" || !TYPED_FUNCTIONS.contains(&class));
        let bare = !["trainable", "dtype"].into_iter().any(is_layer)
            && class != "InputLayer"
            && json.get("inbound_nodes").is_some();
        let is_function =
            nested.is_none() && self.major >= 3 && (module.contains(".ops.") || (module.is_empty() && bare));
        // Custom layers are registered as `package>Class`.
        let class = class.rsplit('>').next().unwrap_or(class).to_owned();
        let layer = Layer { name, class, config, calls: Vec::new(), nested, is_function };
        Ok((layer, json.get("inbound_nodes").cloned().unwrap_or(Value::Null)))
    }

    fn sequential(
        &mut self,
        config: &Value,
        list: &[Value],
        place: &str,
        build: Option<&Value>,
    ) -> Result<Model, ImportError> {
        let mut layers = Vec::new();
        for (number, json) in list.iter().enumerate() {
            layers.push(self.layer(json, place, number)?.0);
        }
        let starts_with_input = layers.first().is_some_and(|layer| layer.class == "InputLayer");
        if !starts_with_input {
            let nested = layers.first().and_then(|first| first.nested.as_ref()).and_then(|model| {
                let input = model.layers.get(model.inputs.first()?.layer)?;
                own_shape(&input.config)
            });
            let own = layers.first().and_then(|first| own_shape(&first.config));
            let shape = own.or(nested).or(config.get("build_input_shape")).or(build);
            let dtype = layers.first().and_then(|first| first.config.get("input_dtype"));
            let Some(shape) = shape.filter(|shape| shape.is_array()) else {
                return Err(ImportError::unsupported(
                    format!("configuration of {place}"),
                    "a Sequential that was never built: its input's shape is not in the file",
                    "a model with an input shape",
                    "Call it once on data, or add keras.Input(shape) as its first layer, and save it again.",
                ));
            };
            let mut config = Map::new();
            config.insert("batch_shape".to_owned(), shape.clone());
            if let Some(dtype) = dtype {
                config.insert("dtype".to_owned(), dtype.clone());
            }
            let name = layers.first().map_or("input".to_owned(), |first| format!("{}_input", first.name));
            let class = "InputLayer".to_owned();
            layers.insert(0, Layer { name, class, config, calls: Vec::new(), nested: None, is_function: false });
        }
        for at in 0..layers.len() {
            let call = match at.checked_sub(1) {
                None => Call::default(),
                Some(before) => Call {
                    args: vec![Arg::Tensor(TensorRef { layer: before, call: 0, tensor: 0 }, None)],
                    keywords: Vec::new(),
                },
            };
            if let Some(layer) = layers.get_mut(at) {
                layer.calls = vec![call];
            }
        }
        let last = TensorRef { layer: layers.len().saturating_sub(1), call: 0, tensor: 0 };
        let first = TensorRef { layer: 0, call: 0, tensor: 0 };
        Ok(Model { name: model_name(config), layers, inputs: vec![first], outputs: vec![last] })
    }

    fn functional(&mut self, config: &Value, list: &[Value], place: &str) -> Result<Model, ImportError> {
        let mut layers = Vec::new();
        let mut inbound = Vec::new();
        let mut names: HashMap<String, usize> = HashMap::new();
        for (number, json) in list.iter().enumerate() {
            let (layer, nodes) = self.layer(json, place, number)?;
            if names.insert(layer.name.clone(), number).is_some() {
                return Err(wrong(place, &Value::from(layer.name), "each layer's name once"));
            }
            layers.push(layer);
            inbound.push(nodes);
        }
        let graph = Names { names: &names, place };
        for (layer, nodes) in layers.iter_mut().zip(&inbound) {
            let nodes = nodes.as_array().map_or(&[][..], Vec::as_slice);
            layer.calls = nodes.iter().map(|node| graph.call(node, &layer.name)).collect::<Result<_, _>>()?;
            // An input layer makes its tensor without being called.
            if layer.calls.is_empty() && layer.class == "InputLayer" {
                layer.calls.push(Call::default());
            }
        }
        let ends = |key: &str| {
            let ends = config.get(key).unwrap_or(&Value::Null);
            let mut found = Vec::new();
            graph
                .ends(ends, &mut found)
                .ok_or_else(|| wrong(&format!("{place}, {key}"), ends, "layers of the model"))?;
            Ok::<_, ImportError>(found)
        };
        let (inputs, outputs) = (ends("input_layers")?, ends("output_layers")?);
        let mut model = Model { name: model_name(config), layers, inputs, outputs };
        self.renumber_calls(&mut model);
        check(&model, place)?;
        Ok(model)
    }

    /// A nested model of Keras 1 and 2 was called once before, when it was made, so that its calls count from 1. Keras 3
    /// counts so where a functional model is an end of the model, and from 0 everywhere else.
    fn renumber_calls(&self, model: &mut Model) {
        if self.major >= 3 {
            let layers = &model.layers;
            for tensor in model.inputs.iter_mut().chain(&mut model.outputs) {
                let layer = layers.get(tensor.layer);
                if layer
                    .is_some_and(|layer| layer.nested.is_some() && !layer.is_wrapper() && layer.class != "Sequential")
                {
                    tensor.call = tensor.call.saturating_sub(1);
                }
            }
            return;
        }
        let mut used: HashMap<usize, (usize, usize)> = HashMap::new();
        for tensor in references(model) {
            let (low, high) = used.entry(tensor.layer).or_insert((tensor.call, tensor.call));
            (*low, *high) = ((*low).min(tensor.call), (*high).max(tensor.call));
        }
        let shifted = |layer: usize, model: &Model| {
            let (Some(&(low, high)), Some(layer)) = (used.get(&layer), model.layers.get(layer)) else { return 0 };
            let from_one = layer.nested.is_some() && !layer.is_wrapper() && low >= 1;
            if from_one { 1 } else { (high + 1).saturating_sub(layer.calls.len().max(1)).min(low) }
        };
        let shifts: Vec<usize> = (0..model.layers.len()).map(|layer| shifted(layer, model)).collect();
        let shift = |tensor: &mut TensorRef| {
            tensor.call = tensor.call.saturating_sub(shifts.get(tensor.layer).copied().unwrap_or(0));
        };
        for layer in &mut model.layers {
            for call in &mut layer.calls {
                let keywords = call.keywords.iter_mut().map(|(_, arg)| arg);
                call.args.iter_mut().chain(keywords).for_each(|arg| each_tensor(arg, &shift));
            }
        }
        model.inputs.iter_mut().chain(&mut model.outputs).for_each(shift);
    }
}

fn each_tensor(arg: &mut Arg, change: &impl Fn(&mut TensorRef)) {
    match arg {
        Arg::Tensor(tensor, _) => change(tensor),
        Arg::List(list) => list.iter_mut().for_each(|arg| each_tensor(arg, change)),
        Arg::Plain(_) => {}
    }
}

fn references(model: &Model) -> Vec<TensorRef> {
    let calls = model.layers.iter().flat_map(|layer| &layer.calls);
    let read = calls.flat_map(|call| call.tensors().into_iter().map(|(tensor, _)| tensor.clone()));
    read.chain(model.inputs.iter().cloned()).chain(model.outputs.iter().cloned()).collect()
}

/// Every tensor has to be one of a call that exists.
fn check(model: &Model, place: &str) -> Result<(), ImportError> {
    for tensor in references(model) {
        let layer = model.layers.get(tensor.layer);
        if layer.is_none_or(|layer| tensor.call >= layer.calls.len()) {
            let name = layer.map_or("", |layer| layer.name.as_str());
            let found = format!("call {} of layer '{name}'", tensor.call);
            return Err(wrong(place, &Value::from(found), "a call that the layer has"));
        }
    }
    Ok(())
}

fn model_name(config: &Value) -> String {
    config.get("name").and_then(Value::as_str).unwrap_or("model").to_owned()
}

/// Reads references to layers by name.
struct Names<'a> {
    names: &'a HashMap<String, usize>,
    place: &'a str,
}

impl Names<'_> {
    /// `["layer", call, tensor]`, with or without keywords behind it.
    fn tensor(&self, list: &[Value]) -> Option<TensorRef> {
        let (name, rest) = list.split_first()?;
        let at = |position: usize| usize::try_from(rest.get(position)?.as_u64()?).ok();
        Some(TensorRef { layer: *self.names.get(name.as_str()?)?, call: at(0)?, tensor: at(1)? })
    }

    fn call(&self, node: &Value, layer: &str) -> Result<Call, ImportError> {
        let place = || format!("{}, inbound_nodes of layer '{layer}'", self.place);
        self.read_call(node).ok_or_else(|| wrong(&place(), node, "tensors of other layers"))
    }

    fn read_call(&self, node: &Value) -> Option<Call> {
        if let Some(args) = node.get("args") {
            let args = args.as_array()?.iter().map(|arg| self.arg(arg)).collect::<Option<_>>()?;
            let keywords = node.get("kwargs").and_then(Value::as_object);
            let keywords = keywords.into_iter().flatten().map(|(key, arg)| Some((key.clone(), self.arg(arg)?)));
            return Some(Call { args, keywords: keywords.collect::<Option<_>>()? });
        }
        let list = node.as_array()?;
        // A function of Keras 2 has one tensor that is not in a list.
        let single = [node.clone()];
        let tensors = if list.first().is_some_and(Value::is_string) { &single[..] } else { list.as_slice() };
        let mut call = Call::default();
        for tensor in tensors {
            let parts = tensor.as_array()?;
            // ["_CONSTANT_VALUE", -1, 5.0, {}] stands for a number.
            if parts.first().and_then(Value::as_str) == Some("_CONSTANT_VALUE") {
                call.args.push(Arg::Plain(parts.get(2)?.clone()));
            } else {
                call.args.push(Arg::Tensor(self.tensor(parts)?, None));
            }
            for (key, value) in parts.get(3).and_then(Value::as_object).into_iter().flatten() {
                let arg = self.old_arg(value);
                call.keywords.push((key.clone(), arg));
            }
        }
        Some(call)
    }

    /// A keyword of Keras 2: a tensor, a list of tensors, or anything else.
    fn old_arg(&self, value: &Value) -> Arg {
        match value.as_array() {
            Some(list) => match self.tensor(list) {
                Some(tensor) => Arg::Tensor(tensor, None),
                None if !list.is_empty() && list.iter().all(Value::is_array) => {
                    Arg::List(list.iter().map(|value| self.old_arg(value)).collect())
                }
                None => Arg::Plain(value.clone()),
            },
            None => Arg::Plain(value.clone()),
        }
    }

    fn arg(&self, value: &Value) -> Option<Arg> {
        if value.get("class_name").and_then(Value::as_str) == Some("__keras_tensor__") {
            let config = value.get("config")?;
            let tensor = self.tensor(config.get("keras_history")?.as_array()?)?;
            let dim = |dim: &Value| dim.as_u64().and_then(|dim| usize::try_from(dim).ok());
            let shape = config.get("shape").and_then(Value::as_array).map(|dims| dims.iter().map(dim).collect());
            return Some(Arg::Tensor(tensor, shape));
        }
        match value {
            Value::Array(list) => Some(Arg::List(list.iter().map(|value| self.arg(value)).collect::<Option<_>>()?)),
            plain => Some(Arg::Plain(plain.clone())),
        }
    }

    /// The ends of a model: one tensor, a list of them, or an object of them.
    fn ends(&self, value: &Value, found: &mut Vec<TensorRef>) -> Option<()> {
        match value {
            Value::Array(list) if list.first().is_some_and(Value::is_string) => {
                found.push(self.tensor(list)?);
                Some(())
            }
            Value::Array(list) => list.iter().try_for_each(|value| self.ends(value, found)),
            // What Keras keeps by name it counts in the order of the names.
            Value::Object(map) => {
                let mut named: Vec<(&String, &Value)> = map.iter().collect();
                named.sort_unstable_by(|a, b| a.0.cmp(b.0));
                named.into_iter().try_for_each(|(_, value)| self.ends(value, found))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn dense(name: &str, inbound: Value) -> Value {
        json!({"class_name": "Dense", "name": name, "config": {"name": name, "units": 2}, "inbound_nodes": inbound})
    }

    #[test]
    fn both_ways_to_write_a_call_give_the_same_graph() {
        let input = json!({"class_name": "InputLayer", "name": "x", "config": {}, "inbound_nodes": []});
        let history = json!({"class_name": "__keras_tensor__",
            "config": {"shape": [null, 3], "dtype": "float32", "keras_history": ["x", 0, 0]}});
        let old = json!([[["x", 0, 0, {}]], [["a", 0, 0, {}]]]);
        let ends = |layers: Value| {
            json!({"class_name": "Functional", "config": {"name": "m", "layers": layers,
            "input_layers": [["x", 0, 0]], "output_layers": ["a", 1, 0]}})
        };
        let model = parse(&ends(json!([input, dense("a", old)])), 2).unwrap();
        assert_eq!(model.outputs, [TensorRef { layer: 1, call: 1, tensor: 0 }]);
        assert_eq!(model.layers[1].calls[1].tensors()[0].0.layer, 1);
        let new = json!([{"args": [history], "kwargs": {}}, {"args": [[history]], "kwargs": {"mask": null}}]);
        let model = parse(&ends(json!([input, dense("a", new)])), 3).unwrap();
        assert_eq!(model.layers[1].calls[1].tensors()[0].1, Some([None, Some(3)].as_slice()));
    }

    #[test]
    fn a_call_that_is_not_there_is_refused() {
        let layers = json!([{"class_name": "InputLayer", "name": "x", "config": {}, "inbound_nodes": []},
            dense("a", json!([[["x", 0, 0, {}]]]))]);
        let config = |outputs: Value| {
            json!({"class_name": "Model", "config": {"layers": layers,
            "input_layers": [["x", 0, 0]], "output_layers": outputs}})
        };
        assert!(parse(&config(json!([["a", 0, 0], ["a", 7, 0]])), 2).is_err());
        assert!(parse(&config(json!([["b", 0, 0]])), 2).is_err());
        assert!(parse(&config(json!(3)), 2).is_err());
        assert!(parse(&json!({"class_name": "MyNet", "config": {"name": "m"}}), 3).is_err());
    }

    #[test]
    fn ends_by_name_are_in_the_order_of_their_names() {
        let layers = json!([{"class_name": "InputLayer", "name": "x", "config": {}, "inbound_nodes": []},
            dense("a", json!([[["x", 0, 0, {}]]])), dense("b", json!([[["x", 0, 0, {}]]]))]);
        let config = json!({"class_name": "Functional", "config": {"layers": layers,
            "input_layers": {"x": ["x", 0, 0]}, "output_layers": {"y2": ["a", 0, 0], "y1": ["b", 0, 0]}}});
        let model = parse(&config, 3).unwrap();
        let outputs: Vec<usize> = model.outputs.iter().map(|tensor| tensor.layer).collect();
        assert_eq!(outputs, [2, 1]);
    }

    #[test]
    fn a_bare_list_is_a_sequential() {
        let layers = json!([{"class_name": "Dense", "config": {"name": "d", "batch_input_shape": [null, 4]}}]);
        let model = parse(&json!({"class_name": "Sequential", "config": layers}), 1).unwrap();
        assert_eq!((model.layers.len(), model.outputs[0].layer), (2, 1));
        let unbuilt = json!([{"class_name": "Dense", "config": {"name": "d"}}]);
        assert!(parse(&json!({"class_name": "Sequential", "config": unbuilt}), 1).is_err());
    }
}
