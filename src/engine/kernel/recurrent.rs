//! `LSTM`, `GRU` and `RNN` by the ONNX specification.
//!
//! tract's own read neither `direction`, `activations`, `clip` nor the lengths of the sequences, and give the last cell
//! state a wrong shape for batches. Activations are computed in f64 and rounded once, so that native and wasm builds
//! agree.

use super::{Inputs, Kernel, optional, required};
use crate::engine::value::{KernelError, Value};
use crate::onnx::NodeExt;
use crate::onnx::proto::NodeProto;
use crate::tensor::DType;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    Lstm,
    Gru { linear_before_reset: bool },
    Rnn,
}

impl Cell {
    fn gates(self) -> usize {
        match self {
            Cell::Lstm => 4,
            Cell::Gru { .. } => 3,
            Cell::Rnn => 1,
        }
    }

    fn default_activations(self) -> &'static [&'static str] {
        match self {
            Cell::Lstm => &["sigmoid", "tanh", "tanh"],
            Cell::Gru { .. } => &["sigmoid", "tanh"],
            Cell::Rnn => &["tanh"],
        }
    }
}

/// An activation with its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Activation {
    Relu,
    Tanh,
    Sigmoid,
    Affine(f64, f64),
    LeakyRelu(f64),
    ThresholdedRelu(f64),
    ScaledTanh(f64, f64),
    HardSigmoid(f64, f64),
    Elu(f64),
    Softsign,
    Softplus,
}

impl Activation {
    /// The function of this name, lower case; it takes its parameters off the lists where it has some.
    fn of(name: &str, alpha: &mut dyn Iterator<Item = f64>, beta: &mut dyn Iterator<Item = f64>) -> Option<Self> {
        Some(match name {
            "relu" => Activation::Relu,
            "tanh" => Activation::Tanh,
            "sigmoid" => Activation::Sigmoid,
            "affine" => Activation::Affine(alpha.next().unwrap_or(1.0), beta.next().unwrap_or(0.0)),
            "leakyrelu" => Activation::LeakyRelu(alpha.next().unwrap_or(f64::from(0.01f32))),
            "thresholdedrelu" => Activation::ThresholdedRelu(alpha.next().unwrap_or(1.0)),
            "scaledtanh" => Activation::ScaledTanh(alpha.next().unwrap_or(1.0), beta.next().unwrap_or(1.0)),
            "hardsigmoid" => {
                Activation::HardSigmoid(alpha.next().unwrap_or(f64::from(0.2f32)), beta.next().unwrap_or(0.5))
            }
            "elu" => Activation::Elu(alpha.next().unwrap_or(1.0)),
            "softsign" => Activation::Softsign,
            "softplus" => Activation::Softplus,
            _ => return None,
        })
    }

    fn apply(self, x: f32) -> f32 {
        let x = f64::from(x);
        (match self {
            Activation::Relu => x.max(0.0),
            Activation::Tanh => x.tanh(),
            Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Activation::Affine(alpha, beta) => alpha * x + beta,
            Activation::LeakyRelu(alpha) if x < 0.0 => alpha * x,
            Activation::LeakyRelu(_) => x,
            Activation::ThresholdedRelu(alpha) if x < alpha => 0.0,
            Activation::ThresholdedRelu(_) => x,
            Activation::ScaledTanh(alpha, beta) => alpha * (beta * x).tanh(),
            Activation::HardSigmoid(alpha, beta) => (alpha * x + beta).clamp(0.0, 1.0),
            Activation::Elu(alpha) if x < 0.0 => alpha * x.exp_m1(),
            Activation::Elu(_) => x,
            Activation::Softsign => x / (1.0 + x.abs()),
            // ln(1 + e^x) without overflow
            Activation::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
        }) as f32
    }
}

/// A recurrent node.
pub(super) struct Recurrent {
    cell: Cell,
    /// Per direction: whether it runs from the end, and its activations f, g, h.
    directions: Vec<(bool, Vec<Activation>)>,
    clip: Option<f32>,
    input_forget: bool,
    batch_first: bool,
}

impl Recurrent {
    pub fn new(node: &NodeProto) -> Result<Self, KernelError> {
        let cell = match node.op_type() {
            "LSTM" => Cell::Lstm,
            "GRU" => Cell::Gru { linear_before_reset: NodeExt::int(node, "linear_before_reset").unwrap_or(0) != 0 },
            _ => Cell::Rnn,
        };
        let backwards: &[bool] = match node.string("direction").unwrap_or("forward") {
            "forward" => &[false],
            "reverse" => &[true],
            "bidirectional" => &[false, true],
            other => return Err(format!("the attribute direction is '{other}'")),
        };
        let named = NodeExt::attribute(node, "activations").map(|list| &list.strings[..]).unwrap_or_default();
        let mut names = Vec::new();
        for name in named {
            names.push(String::from_utf8_lossy(name).to_ascii_lowercase());
        }
        let defaults = cell.default_activations();
        if names.is_empty() {
            names = backwards.iter().flat_map(|_| defaults).map(|name| (*name).to_owned()).collect();
        }
        if names.len() != backwards.len() * defaults.len() {
            return Err(format!(
                "{} activations are given, {} are needed",
                names.len(),
                backwards.len() * defaults.len()
            ));
        }
        let floats = |name: &str| {
            let list = NodeExt::attribute(node, name).map(|list| list.floats.clone()).unwrap_or_default();
            list.into_iter().map(f64::from)
        };
        let (mut alpha, mut beta) = (floats("activation_alpha"), floats("activation_beta"));
        let mut functions = Vec::new();
        for name in &names {
            let function = Activation::of(name, &mut alpha, &mut beta);
            functions
                .push(function.ok_or_else(|| format!("the activation '{name}' is not one of the specification's"))?);
        }
        let chunks = functions.chunks(defaults.len()).map(<[Activation]>::to_vec);
        Ok(Recurrent {
            cell,
            directions: backwards.iter().copied().zip(chunks).collect(),
            clip: NodeExt::float(node, "clip").filter(|clip| *clip > 0.0),
            input_forget: NodeExt::int(node, "input_forget").unwrap_or(0) != 0,
            batch_first: NodeExt::int(node, "layout").unwrap_or(0) != 0,
        })
    }

    fn activate(&self, function: Activation, x: f32) -> f32 {
        function.apply(self.clip.map_or(x, |clip| x.clamp(-clip, clip)))
    }
}

/// Weights and states of one direction.
struct Side<'a> {
    kernel: &'a [f32],
    recurrent: &'a [f32],
    /// Of the input, then of the state; empty where there is none.
    bias: &'a [f32],
    /// Of the input, output and forget gate; empty where there is none.
    peepholes: &'a [f32],
    functions: &'a [Activation],
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn row(list: &[f32], at: usize, width: usize) -> &[f32] {
    list.get(at * width..(at + 1) * width).unwrap_or_default()
}

impl Side<'_> {
    /// Gate by gate: what comes of the input, and of the state.
    fn products(&self, x: &[f32], state: &[f32], gate: usize, unit: usize, hidden: usize) -> (f32, f32) {
        let at = gate * hidden + unit;
        let all = self.recurrent.len() / hidden.max(1);
        let bias = |at: usize| self.bias.get(at).copied().unwrap_or(0.0);
        let from_input = dot(x, row(self.kernel, at, x.len())) + bias(at);
        (from_input, dot(state, row(self.recurrent, at, hidden)) + bias(all + at))
    }
}

impl Recurrent {
    /// One step for one item of the batch: the new state, and the new cell state of an LSTM in place.
    fn step(&self, side: &Side, x: &[f32], state: &[f32], carry: &mut [f32]) -> Vec<f32> {
        let hidden = state.len();
        let function = |at: usize| side.functions.get(at).copied().unwrap_or(Activation::Tanh);
        let sum = |gate: usize, unit: usize| {
            let (input, state) = side.products(x, state, gate, unit, hidden);
            input + state
        };
        match self.cell {
            Cell::Rnn => (0..hidden).map(|unit| self.activate(function(0), sum(0, unit))).collect(),
            Cell::Lstm => {
                let peephole =
                    |gate: usize, unit: usize| side.peepholes.get(gate * hidden + unit).copied().unwrap_or(0.0);
                let mut next = Vec::with_capacity(hidden);
                for (unit, carry) in carry.iter_mut().enumerate() {
                    // ONNX's order: input, output, forget, cell.
                    let input = self.activate(function(0), sum(0, unit) + peephole(0, unit) * *carry);
                    let forget = match self.input_forget {
                        true => 1.0 - input,
                        false => self.activate(function(0), sum(2, unit) + peephole(2, unit) * *carry),
                    };
                    *carry = forget * *carry + input * self.activate(function(1), sum(3, unit));
                    let output = self.activate(function(0), sum(1, unit) + peephole(1, unit) * *carry);
                    next.push(output * self.activate(function(2), *carry));
                }
                next
            }
            Cell::Gru { linear_before_reset } => {
                let resets: Vec<f32> = (0..hidden).map(|unit| self.activate(function(0), sum(1, unit))).collect();
                let reset_state: Vec<f32> = state.iter().zip(&resets).map(|(state, reset)| state * reset).collect();
                let mut next = Vec::with_capacity(hidden);
                for ((unit, old), reset) in state.iter().enumerate().zip(&resets) {
                    let update = self.activate(function(0), sum(0, unit));
                    let candidate = if linear_before_reset {
                        let (input, state) = side.products(x, state, 2, unit, hidden);
                        input + reset * state
                    } else {
                        let (input, state) = side.products(x, &reset_state, 2, unit, hidden);
                        input + state
                    };
                    next.push((1.0 - update) * self.activate(function(1), candidate) + update * old);
                }
                next
            }
        }
    }
}

/// An operand's elements, checked against the shape it has to have; empty where it is left out.
fn operand<'a>(inputs: Inputs<'a>, at: usize, name: &str, shape: &[usize]) -> Result<&'a [f32], KernelError> {
    match optional(inputs, at) {
        None => Ok(&[]),
        Some(value) if value.shape() == shape => value.f32s(),
        Some(value) => Err(format!("{name} has the shape {:?}, {shape:?} is needed", value.shape())),
    }
}

impl Kernel for Recurrent {
    fn run(&mut self, inputs: Inputs<'_>) -> Result<Vec<Value>, KernelError> {
        let x = required(inputs, 0)?;
        let sides = self.directions.len();
        let [first, second, width] = *x.shape() else {
            return Err(format!("the input has the shape {:?}, 3 axes are needed", x.shape()));
        };
        let (time, batch) = if self.batch_first { (second, first) } else { (first, second) };
        let hidden = required(inputs, 2)?.shape().last().copied().unwrap_or(0);
        let all = self.cell.gates() * hidden;
        required(inputs, 1)?;
        let kernel = operand(inputs, 1, "W", &[sides, all, width])?;
        let recurrent = operand(inputs, 2, "R", &[sides, all, hidden])?;
        let bias = operand(inputs, 3, "B", &[sides, 2 * all])?;
        let state_shape = if self.batch_first { [batch, sides, hidden] } else { [sides, batch, hidden] };
        let initial = operand(inputs, 5, "initial_h", &state_shape)?;
        let is_lstm = self.cell == Cell::Lstm;
        let initial_carry = if is_lstm { operand(inputs, 6, "initial_c", &state_shape)? } else { &[] };
        let peepholes = if is_lstm { operand(inputs, 7, "P", &[sides, 3 * hidden])? } else { &[] };
        let lengths = match optional(inputs, 4) {
            None => vec![time; batch],
            Some(lengths) => {
                let lengths: Option<Vec<usize>> = lengths
                    .to_i64s()?
                    .iter()
                    .map(|&length| usize::try_from(length).ok().filter(|l| *l <= time))
                    .collect();
                lengths.filter(|lengths| lengths.len() == batch).ok_or("sequence_lens does not fit the input")?
            }
        };
        let y_shape = if self.batch_first { [batch, time, sides, hidden] } else { [time, sides, batch, hidden] };
        let (mut states, mut carries) = (vec![0f32; sides * batch * hidden], vec![0f32; sides * batch * hidden]);
        let xs = x.f32s()?;
        let y = Value::build::<f32>(DType::Float32, &y_shape, |y| {
            for (side, (backwards, functions)) in self.directions.iter().enumerate() {
                let part = Side {
                    kernel: row(kernel, side, all * width),
                    recurrent: row(recurrent, side, all * hidden),
                    bias: row(bias, side, 2 * all),
                    peepholes: row(peepholes, side, 3 * hidden),
                    functions,
                };
                for (item, &length) in lengths.iter().enumerate() {
                    let slot = if self.batch_first { item * sides + side } else { side * batch + item };
                    let start = |from: &[f32]| match from.is_empty() {
                        true => vec![0f32; hidden],
                        false => row(from, slot, hidden).to_vec(),
                    };
                    let (mut state, mut carry) = (start(initial), start(initial_carry));
                    for step in 0..length {
                        let at = if *backwards { length - 1 - step } else { step };
                        let from = if self.batch_first { item * time + at } else { at * batch + item };
                        state = self.step(&part, row(xs, from, width), &state, &mut carry);
                        let to = match self.batch_first {
                            true => (item * time + at) * sides + side,
                            false => (at * sides + side) * batch + item,
                        };
                        if let Some(place) = y.get_mut(to * hidden..(to + 1) * hidden) {
                            place.copy_from_slice(&state);
                        }
                    }
                    for (list, last) in [(&mut states, &state), (&mut carries, &carry)] {
                        if let Some(place) = list.get_mut(slot * hidden..(slot + 1) * hidden) {
                            place.copy_from_slice(last);
                        }
                    }
                }
            }
            Ok(())
        })?;
        let dtype = x.dtype();
        let state = |list: Vec<f32>| Value::from_vec(DType::Float32, &state_shape, list)?.retyped(dtype);
        let mut results = vec![y.retyped(dtype)?, state(states)?];
        if is_lstm {
            results.push(state(carries)?);
        }
        Ok(results)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::kernel::Input;
    use crate::onnx::Attr;

    fn node(op_type: &str, attributes: Vec<(&str, Attr)>) -> NodeProto {
        NodeProto {
            op_type: Some(op_type.to_owned()),
            attribute: attributes.into_iter().map(|(name, value)| value.into_proto(name)).collect(),
            ..Default::default()
        }
    }

    fn value(shape: &[usize], numbers: &[f32]) -> Option<Input> {
        Some(Input { value: Value::from_vec(DType::Float32, shape, numbers.to_vec()).unwrap(), constant: false })
    }

    /// A running sum: h' = relu(x + h).
    fn sums(attributes: Vec<(&str, Attr)>, lengths: Option<&[i64]>) -> Vec<Vec<f32>> {
        let relu = ("activations", vec!["Relu".to_owned()].into());
        let attributes = attributes.into_iter().chain([relu]).collect();
        let mut kernel = Recurrent::new(&node("RNN", attributes)).unwrap();
        let one = || value(&[1, 1, 1], &[1.0]);
        let lengths =
            lengths.map(|l| Input { value: Value::from_i64s(DType::Int32, &[l.len()], l).unwrap(), constant: true });
        let inputs = [value(&[3, 2, 1], &[1.0, 10.0, 2.0, 20.0, 4.0, 40.0]), one(), one(), None, lengths];
        let results = kernel.run(&inputs).unwrap();
        results.iter().map(|result| result.f32s().unwrap().to_vec()).collect()
    }

    #[test]
    fn directions_and_lengths() {
        assert_eq!(sums(vec![], None), [vec![1.0, 10.0, 3.0, 30.0, 7.0, 70.0], vec![7.0, 70.0]]);
        let reverse = sums(vec![("direction", "reverse".into())], None);
        assert_eq!(reverse, [vec![7.0, 70.0, 6.0, 60.0, 4.0, 40.0], vec![7.0, 70.0]]);
        // Steps behind the end are zero, and the last state is that of the last step.
        let short = sums(vec![], Some(&[3, 1]));
        assert_eq!(short, [vec![1.0, 10.0, 3.0, 0.0, 7.0, 0.0], vec![7.0, 10.0]]);
        let short = sums(vec![("direction", "reverse".into())], Some(&[2, 3]));
        assert_eq!(short, [vec![3.0, 70.0, 2.0, 60.0, 0.0, 40.0], vec![3.0, 70.0]]);
        assert_eq!(sums(vec![("clip", 5f32.into())], None)[1], [5.0, 5.0]);
    }

    #[test]
    fn wrong_nodes_and_shapes_are_refused() {
        assert!(Recurrent::new(&node("RNN", vec![("direction", "sideways".into())])).is_err());
        assert!(Recurrent::new(&node("LSTM", vec![("activations", vec!["Tanh".to_owned()].into())])).is_err());
        assert!(Recurrent::new(&node("RNN", vec![("activations", vec!["Wild".to_owned()].into())])).is_err());
        let mut kernel = Recurrent::new(&node("GRU", vec![])).unwrap();
        let wide = [value(&[1, 1, 2], &[1.0; 2]), value(&[1, 3, 1], &[1.0; 3]), value(&[1, 3, 1], &[1.0; 3])];
        assert!(kernel.run(&wide).is_err());
        assert!(kernel.run(&[None, None, None]).is_err());
    }
}
