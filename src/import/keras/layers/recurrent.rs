//! `LSTM`, `GRU`, `SimpleRNN`, alone and in both directions.
//!
//! Where ONNX's own operators say the same they are used. They cannot skip masked steps or give a reversed sequence, and
//! know some activations only: other layers become a `Scan` over the same equations.

use super::activation::{self, Function};
use super::merge;
use super::scan;
use crate::import::keras::config::Config;
use crate::import::keras::context::Context;
use crate::import::keras::stop::{Stop, unsupported};
use crate::import::keras::value::{Layout, Value};
use crate::import::keras::weights::Part;
use crate::onnx::Attr;
use crate::tensor::Tensor;

/// Which equations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Lstm,
    Gru,
    Simple,
}

impl Cell {
    pub fn of(class: &str) -> Option<Self> {
        Some(match class {
            "LSTM" | "CuDNNLSTM" => Cell::Lstm,
            "GRU" | "CuDNNGRU" => Cell::Gru,
            "SimpleRNN" => Cell::Simple,
            _ => return None,
        })
    }

    pub fn gates(self) -> usize {
        match self {
            Cell::Lstm => 4,
            Cell::Gru => 3,
            Cell::Simple => 1,
        }
    }

    fn op_type(self) -> &'static str {
        match self {
            Cell::Lstm => "LSTM",
            Cell::Gru => "GRU",
            Cell::Simple => "RNN",
        }
    }

    /// Keras's gates in ONNX's order: i, f, c, o to i, o, f, c; z, r, h stay.
    fn onnx_order(self) -> &'static [usize] {
        match self {
            Cell::Lstm => &[0, 3, 1, 2],
            Cell::Gru => &[0, 1, 2],
            Cell::Simple => &[0],
        }
    }
}

/// A layer's configuration.
#[derive(Clone, Debug)]
pub(super) struct Recurrent {
    pub cell: Cell,
    pub units: usize,
    pub activation: Function,
    pub recurrent_activation: Function,
    pub return_sequences: bool,
    return_state: bool,
    pub backwards: bool,
    time_major: bool,
    pub reset_after: bool,
    use_bias: bool,
    /// Whether the weights lie as cuDNN has them.
    cudnn: bool,
    /// Whether masked steps give zeros instead of the last result.
    pub zero_output: bool,
}

/// What a run over the sequence gives: names of (batch, time, units), of (batch, units), and of the states.
pub(super) struct Run {
    pub sequence: Option<String>,
    pub last: String,
    pub states: Vec<String>,
}

/// The weights by name, gates in Keras's order: (in, gates), (units, gates), and the bias of the input and of the state.
pub(super) struct CellWeights {
    pub kernel: Tensor,
    pub recurrent: Tensor,
    pub input_bias: Vec<f32>,
    pub state_bias: Vec<f32>,
}

impl Recurrent {
    fn of(class: &str, config: Config) -> Result<Self, Stop> {
        let Some(cell) = Cell::of(class) else { return unsupported(format!("the recurrent layer '{class}'")) };
        let function = |key: &str, default: &str| {
            let found = config.get(key).map_or(Ok(Some(Function::Named(default.to_owned()))), activation::function)?;
            Ok::<_, Stop>(found.unwrap_or(Function::Named("linear".to_owned())))
        };
        let cudnn = class.starts_with("CuDNN");
        Ok(Recurrent {
            cell,
            units: config.count("units")?,
            activation: function("activation", "tanh")?,
            recurrent_activation: function("recurrent_activation", "sigmoid")?,
            return_sequences: config.bool("return_sequences", false)?,
            return_state: config.bool("return_state", false)?,
            backwards: config.bool("go_backwards", false)?,
            time_major: config.bool("time_major", false)?,
            reset_after: config.bool("reset_after", false)? || cudnn,
            use_bias: config.bool("use_bias", true)?,
            cudnn,
            zero_output: config.bool("zero_output_for_mask", false)?,
        })
    }

    /// The attributes that say ONNX's operator its activations: none where they are the usual ones. `None` where ONNX
    /// has no such function.
    fn activation_attributes(&self, major: u32) -> Option<Vec<(&'static str, Attr)>> {
        // Names, alphas and betas of the functions that the operator's specification lists.
        let known = |function: &Function| {
            let Function::Named(name) = function else { return None };
            Some(match name.as_str() {
                "tanh" => ("Tanh", None, None),
                "sigmoid" => ("Sigmoid", None, None),
                "relu" => ("Relu", None, None),
                "softsign" => ("Softsign", None, None),
                "softplus" => ("Softplus", None, None),
                "elu" => ("Elu", Some(1f32), None),
                "leaky_relu" => ("LeakyRelu", Some(0.2), None),
                "linear" => ("Affine", Some(1.0), Some(0f32)),
                "hard_sigmoid" => ("HardSigmoid", Some(activation::hard_sigmoid_slope(major)), Some(0.5)),
                _ => return None,
            })
        };
        let (outer, gate) = (known(&self.activation)?, known(&self.recurrent_activation));
        let functions = match self.cell {
            Cell::Lstm => vec![gate?, outer, outer],
            Cell::Gru => vec![gate?, outer],
            Cell::Simple => vec![outer],
        };
        let names: Vec<String> = functions.iter().map(|(name, ..)| (*name).to_owned()).collect();
        let usual = match self.cell {
            Cell::Lstm => names == ["Sigmoid", "Tanh", "Tanh"],
            Cell::Gru => names == ["Sigmoid", "Tanh"],
            Cell::Simple => names == ["Tanh"],
        };
        if usual {
            return Some(Vec::new());
        }
        let alphas: Vec<f32> = functions.iter().filter_map(|(_, alpha, _)| *alpha).collect();
        let betas: Vec<f32> = functions.iter().filter_map(|(.., beta)| *beta).collect();
        let mut attributes: Vec<(&str, Attr)> = vec![("activations", names.into())];
        if !alphas.is_empty() {
            attributes.push(("activation_alpha", alphas.into()));
        }
        if !betas.is_empty() {
            attributes.push(("activation_beta", betas.into()));
        }
        Some(attributes)
    }

    fn weights(&self, context: &mut Context, width: Option<usize>) -> Result<CellWeights, Stop> {
        let (units, all) = (self.units, self.cell.gates() * self.units);
        if let Some(weights) = self.separate_weights(context)? {
            return Ok(weights);
        }
        let mut kernel = context.required(&["kernel", "W"], 0, &[width, Some(all)])?;
        let mut recurrent = context.required(&["recurrent_kernel", "U"], 1, &[Some(units), Some(all)])?;
        if self.cudnn {
            kernel = self.gates_from_cudnn(&kernel, true)?;
            recurrent = self.gates_from_cudnn(&recurrent, false)?;
            let bias = context.required(&["bias"], 2, &[all.checked_mul(2)])?.to_f32()?;
            let (input_bias, state_bias) = bias.split_at(all.min(bias.len()));
            return Ok(CellWeights {
                kernel,
                recurrent,
                input_bias: match self.cell {
                    // Only where the reset gate lies between them does it matter which of the two is which.
                    Cell::Gru => input_bias.to_vec(),
                    _ => input_bias.iter().zip(state_bias).map(|(input, state)| input + state).collect(),
                },
                state_bias: if self.cell == Cell::Gru { state_bias.to_vec() } else { vec![0.0; all] },
            });
        }
        let two = self.cell == Cell::Gru && self.reset_after;
        let (mut input_bias, mut state_bias) = (vec![0.0; all], vec![0.0; all]);
        if self.use_bias {
            let shape: &[Option<usize>] = if two { &[Some(2), Some(all)] } else { &[Some(all)] };
            let bias = context.required(&["bias", "b"], 2, shape)?.to_f32()?;
            let (first, second) = bias.split_at(all.min(bias.len()));
            input_bias = first.to_vec();
            if two {
                state_bias = second.to_vec();
            }
        }
        Ok(CellWeights { kernel, recurrent, input_bias, state_bias })
    }

    /// A kernel (rows, gates x units) of cuDNN in Keras's order. Each gate's is transposed; that of the input also lies as
    /// (units, rows) in memory. Source: `_convert_rnn_weights` of Keras's `hdf5_format.py`.
    fn gates_from_cudnn(&self, kernel: &Tensor, is_input: bool) -> Result<Tensor, Stop> {
        let (units, gates) = (self.units, self.cell.gates());
        let rows = kernel.shape().first().copied().unwrap_or(0);
        let stored = kernel.to_f32()?;
        // Element `flat` of a gate's block (rows, units).
        let element = |gate: usize, flat: usize| {
            let at = flat / units * gates * units + gate * units + flat % units;
            stored.get(at).copied().unwrap_or_default()
        };
        let mut values = Vec::with_capacity(stored.len());
        for row in 0..rows {
            for gate in 0..gates {
                let flat = |unit: usize| if is_input { unit * rows + row } else { unit * units + row };
                values.extend((0..units).map(|unit| element(gate, flat(unit))));
            }
        }
        Ok(Tensor::from_vec(kernel.shape().to_vec(), values)?)
    }

    /// Keras 1 stores the gates one by one.
    fn separate_weights(&self, context: &mut Context) -> Result<Option<CellWeights>, Stop> {
        let gates: &[&str] = match self.cell {
            Cell::Lstm => &["i", "f", "c", "o"],
            Cell::Gru => &["z", "r", "h"],
            Cell::Simple => return Ok(None),
        };
        let names = |kind: &str| gates.iter().map(|gate| format!("{kind}_{gate}")).collect::<Vec<_>>();
        if context.low.major > 1
            || context.weight(&[names("W").first().map_or("", String::as_str)], usize::MAX)?.is_none()
        {
            return Ok(None);
        }
        let mut side_by_side = |kind: &str, rows: Option<usize>| {
            let mut parts = Vec::new();
            for name in names(kind) {
                parts.push(context.required(&[&name], usize::MAX, &[rows, Some(self.units)])?);
            }
            let rows = parts.first().and_then(|part| part.shape().first().copied()).unwrap_or(0);
            let columns = parts.iter().map(Tensor::to_f32).collect::<Result<Vec<_>, _>>()?;
            let row =
                |at: usize| columns.iter().flat_map(move |part| part.iter().skip(at * self.units).take(self.units));
            let values: Vec<f32> = (0..rows).flat_map(row).copied().collect();
            Ok::<_, Stop>(Tensor::from_vec(vec![rows, gates.len() * self.units], values)?)
        };
        let kernel = side_by_side("W", None)?;
        let recurrent = side_by_side("U", Some(self.units))?;
        let mut input_bias = Vec::new();
        for name in names("b") {
            input_bias.extend(context.required(&[&name], usize::MAX, &[Some(self.units)])?.to_f32()?);
        }
        let state_bias = vec![0.0; input_bias.len()];
        Ok(Some(CellWeights { kernel, recurrent, input_bias, state_bias }))
    }

    /// Runs over a sequence (batch, time, width). `flipped` tells that a backward result is to be in the order of time.
    fn run(
        &self,
        context: &mut Context,
        input: &Value,
        initial: &[Value],
        mask: Option<&str>,
        flipped: bool,
    ) -> Result<Run, Stop> {
        let reversed_output = self.backwards && !flipped && self.return_sequences;
        let weights = self.weights(context, input.last_dim())?;
        let state_count = if self.cell == Cell::Lstm { 2 } else { 1 };
        if !initial.is_empty() && initial.len() != state_count {
            return unsupported(format!("{} initial states", initial.len()));
        }
        let initial: Vec<Value> = initial
            .iter()
            .map(|state| {
                let state = context.float(state);
                context.low.as_is(&state)
            })
            .collect();
        let perm: [(&str, Attr); 1] = [("perm", vec![1i64, 0, 2].into())];
        let by_time = match self.time_major {
            true => input.name.clone(),
            false => context.node("Transpose", &[&input.name], "time_first", &perm),
        };
        let activations = self.activation_attributes(context.low.major).filter(|_| mask.is_none() && !reversed_output);
        let run = match activations {
            Some(activations) => self.operator(context, &by_time, &initial, weights, activations)?,
            None => scan::run(context, self, &by_time, &initial, mask, flipped, weights)?,
        };
        let sequence = match run.sequence.filter(|_| self.return_sequences) {
            Some(name) if !self.time_major => Some(context.node("Transpose", &[&name], "batch_first", &perm)),
            other => other,
        };
        Ok(Run { sequence, ..run })
    }

    /// ONNX's own operator; sequences come out as (time, batch, units).
    fn operator(
        &self,
        context: &mut Context,
        by_time: &str,
        initial: &[Value],
        weights: CellWeights,
        activations: Vec<(&'static str, Attr)>,
    ) -> Result<Run, Stop> {
        let (units, gates) = (self.units, self.cell.gates());
        let order = self.cell.onnx_order();
        let gates_first = |tensor: &Tensor| {
            let flat = Context::permuted(tensor, &[1, 0])?.to_f32()?;
            let width = tensor.shape().first().copied().unwrap_or(0);
            let block = units * width;
            let blocks = order.iter().flat_map(|&gate| flat.iter().skip(gate * block).take(block));
            Ok::<_, Stop>(Tensor::from_vec(vec![1, gates * units, width], blocks.copied().collect())?)
        };
        let reordered = |bias: &[f32]| {
            order.iter().flat_map(|&gate| bias.iter().skip(gate * units).take(units)).copied().collect::<Vec<_>>()
        };
        let kernel = context.constant("kernel", |_| gates_first(&weights.kernel))?;
        let recurrent = context.constant("recurrent_kernel", |_| gates_first(&weights.recurrent))?;
        let mut inputs = vec![by_time.to_owned(), kernel, recurrent];
        if self.use_bias {
            let bias = [reordered(&weights.input_bias), reordered(&weights.state_bias)].concat();
            inputs.push(context.constant("bias", |_| Ok(Tensor::from_vec(vec![1, bias.len()], bias)?))?);
        }
        if !initial.is_empty() {
            // The bias may be left out; sequence_lens always is.
            inputs.resize(5, String::new());
            let axes = context.ints("axes", &[0])?;
            for state in initial {
                inputs.push(context.node("Unsqueeze", &[&state.name, &axes], "initial", &[]));
            }
        }
        let mut attributes: Vec<(&str, Attr)> = vec![
            ("hidden_size", (units as i64).into()),
            ("direction", if self.backwards { "reverse" } else { "forward" }.into()),
        ];
        attributes.extend(activations);
        if self.cell == Cell::Gru {
            attributes.push(("linear_before_reset", i64::from(self.reset_after).into()));
        }
        let path = context.path.clone();
        let wish = |suffix: &str| format!("{path}/{suffix}");
        let mut wishes = vec![wish("Y"), wish("Y_h")];
        if self.cell == Cell::Lstm && self.return_state {
            wishes.push(wish("Y_c"));
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let wishes: Vec<&str> = wishes.iter().map(String::as_str).collect();
        let outputs = context.low.builder.node_of("", self.cell.op_type(), &inputs, &wishes, &attributes);
        let mut outputs = outputs.into_iter();
        let sequence = outputs.next().filter(|_| self.return_sequences);
        let sequence = match sequence {
            Some(name) => {
                let direction = context.ints("direction", &[1])?;
                Some(context.node("Squeeze", &[&name, &direction], "sequence", &[]))
            }
            None => None,
        };
        let mut states = Vec::new();
        let first = context.ints("direction", &[0])?;
        for state in outputs {
            states.push(context.node("Squeeze", &[&state, &first], "state", &[]));
        }
        let last = states.first().cloned().unwrap_or_default();
        Ok(Run { sequence, last, states })
    }
}

/// The cell inside a recurrent layer, which has the weights.
const CELL: Part = Part { folders: &["cell"], component: "", own_name: None };

/// Shape and name of the results, as Keras returns them.
struct Input {
    value: Value,
    batch: Option<usize>,
    time: Option<usize>,
    mask: Option<String>,
    initial: Vec<Value>,
}

fn read_input(context: &mut Context, inputs: &[Value], time_major: bool) -> Result<Input, Stop> {
    let value = context.single(inputs)?;
    let value = context.float(value);
    let value = context.low.as_is(&value);
    let (batch, time) = match value.shape.as_deref() {
        None => (None, None),
        Some([time, batch, _]) if time_major => (*batch, *time),
        Some([batch, time, _]) => (*batch, *time),
        Some(_) => return unsupported("an input that is not (batch, time, width)"),
    };
    let mut initial: Vec<Value> = inputs.iter().skip(1).cloned().collect();
    initial.extend(context.keyword_list("initial_state"));
    let mask = context.mask("mask", &value);
    Ok(Input { value, batch, time, mask, initial })
}

fn sequence_shape(input: &Input, units: usize, time_major: bool) -> Vec<Option<usize>> {
    if time_major { vec![input.time, input.batch, Some(units)] } else { vec![input.batch, input.time, Some(units)] }
}

/// `LSTM`, `GRU`, `SimpleRNN`.
pub(super) fn recurrent(context: &mut Context, inputs: &[Value]) -> Result<Vec<Value>, Stop> {
    let layer = Recurrent::of(&context.layer.class, context.config)?;
    if context.config.bool("stateful", false)? {
        let note =
            format!("'{}' keeps its state between batches in Keras; here every run starts from zero.", context.path);
        context.low.note(note);
    }
    let input = read_input(context, inputs, layer.time_major)?;
    context.parts.push(CELL);
    let run = layer.run(context, &input.value, &input.initial, input.mask.as_deref(), false)?;
    let mut results = vec![match run.sequence {
        Some(name) => {
            let shape = sequence_shape(&input, layer.units, layer.time_major);
            Value { mask: input.mask.clone(), ..Value::new(name, Some(shape), Layout::AsIs) }
        }
        None => Value::new(run.last, Some(vec![input.batch, Some(layer.units)]), Layout::AsIs),
    }];
    if layer.return_state {
        let states = run.states.into_iter();
        results.extend(states.map(|name| Value::new(name, Some(vec![input.batch, Some(layer.units)]), Layout::AsIs)));
    }
    Ok(results)
}

/// `Bidirectional`: a forward and a backward layer and how their results are merged.
pub(super) fn bidirectional(context: &mut Context, inputs: &[Value]) -> Result<Vec<Value>, Stop> {
    let config = context.config;
    let read = |key: &str| {
        let layer = config.get(key)?;
        Some((layer.get("class_name")?.as_str()?, layer.get("config")?.as_object()?))
    };
    let Some((class, config)) = read("layer") else { return Err(context.config.wrong("layer", "a recurrent layer")) };
    let forward = Recurrent::of(class, Config::new("forward", config))?;
    let backward = match read("backward_layer") {
        Some((class, config)) => Recurrent::of(class, Config::new("backward", config))?,
        None => Recurrent { backwards: !forward.backwards, ..forward.clone() },
    };
    // Whatever the layers inside say, masked steps of a sequence are zeros here.
    let forced = |layer: Recurrent| Recurrent { zero_output: layer.return_sequences, ..layer };
    let (forward, backward) = (forced(forward), forced(backward));
    let input = read_input(context, inputs, forward.time_major)?;
    let half = input.initial.len() / 2;
    let (forward_states, backward_states) = input.initial.split_at(half);
    let path = context.path.clone();
    let mut runs = Vec::new();
    for (layer, states, folder, name) in [
        (&forward, forward_states, &["forward_layer"], "forward"),
        (&backward, backward_states, &["backward_layer"], "backward"),
    ] {
        let component = if name == "forward" { "forward_" } else { "backward_" };
        // A backward layer that was given, not made of the forward one, keeps its name.
        let given = if name == "forward" { None } else { read("backward_layer") };
        let own_name = given.and_then(|(_, config)| Some(config.get("name")?.as_str()?.to_owned()));
        context.parts = vec![Part { folders: folder, component, own_name }, CELL];
        context.path = format!("{path}/{name}");
        // Keras turns the second layer's sequence around, whichever way it runs.
        runs.push(layer.run(context, &input.value, states, input.mask.as_deref(), layer.backwards)?);
    }
    context.path = path;
    context.parts.clear();
    let shape = match forward.return_sequences {
        true => sequence_shape(&input, forward.units, forward.time_major),
        false => vec![input.batch, Some(forward.units)],
    };
    let mut both = Vec::new();
    let mut states = Vec::new();
    for run in runs {
        both.push(Value::new(run.sequence.unwrap_or(run.last), Some(shape.clone()), Layout::AsIs));
        states.extend(run.states);
    }
    let mode = match context.config.map().get("merge_mode") {
        Some(serde_json::Value::Null) => "none",
        _ => context.config.text("merge_mode", "concat")?,
    };
    let mut results = match mode {
        "concat" => merge::concatenate_along(context, &both, -1)?,
        "sum" => merge::elementwise(context, &both, "Add")?,
        "mul" => merge::elementwise(context, &both, "Mul")?,
        "ave" => merge::elementwise(context, &both, "Average")?,
        "none" => both,
        _ => return Err(context.config.wrong("merge_mode", "concat, sum, mul, ave or nothing")),
    };
    if forward.return_sequences {
        results.iter_mut().for_each(|value| value.mask.clone_from(&input.mask));
    }
    if forward.return_state {
        let shape = vec![input.batch, Some(forward.units)];
        results.extend(states.into_iter().map(|name| Value::new(name, Some(shape.clone()), Layout::AsIs)));
    }
    Ok(results)
}
