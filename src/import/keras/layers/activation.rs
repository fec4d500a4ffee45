//! Activation functions and activation layers.

use crate::import::keras::config::{Config, number, short};
use crate::import::keras::context::Context;
use crate::import::keras::stop::{Stop, unsupported};
use crate::import::keras::value::Value;
use crate::onnx::{Attr, GraphBuilder};
use crate::tensor::DType;
use serde_json::Value as Json;

/// A function with its parameters.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Function {
    /// By its name in `keras.activations`.
    Named(String),
    /// `x` above the threshold, limited; `slope * (x - threshold)` below it.
    Relu {
        limit: Option<f32>,
        slope: f32,
        threshold: f32,
    },
    Elu {
        alpha: f32,
    },
    Softmax {
        axis: i64,
    },
    LogSoftmax {
        axis: i64,
    },
}

/// sqrt(2 / pi)
const GELU_SCALE: f32 = 0.797_884_6;

/// Nodes behind a prefix, in the main graph or in the body of a loop.
pub(super) struct Emit<'b> {
    pub builder: &'b mut GraphBuilder,
    pub prefix: &'b str,
    /// First number of the Keras version.
    pub major: u32,
}

impl Emit<'_> {
    pub fn node(&mut self, op_type: &str, inputs: &[&str], attributes: &[(&str, Attr)]) -> String {
        let wish = format!("{}/{op_type}", self.prefix);
        self.builder.node(op_type, inputs, &wish, attributes)
    }

    pub fn scalar(&mut self, name: &str, value: f32) -> Result<String, Stop> {
        Ok(self.builder.floats(&format!("{}/{name}", self.prefix), &[], &[value])?)
    }

    fn clip(&mut self, x: &str, low: Option<f32>, high: Option<f32>) -> Result<String, Stop> {
        let low = low.map(|low| self.scalar("min", low)).transpose()?.unwrap_or_default();
        match high {
            Some(high) => {
                let high = self.scalar("max", high)?;
                Ok(self.node("Clip", &[x, &low, &high], &[]))
            }
            None => Ok(self.node("Clip", &[x, &low], &[])),
        }
    }

    /// A function of Keras by its name; `last_axis` is the ONNX axis that holds Keras's last one.
    pub fn named(&mut self, x: &str, name: &str, last_axis: i64) -> Result<String, Stop> {
        Ok(match name {
            "linear" => x.to_owned(),
            "relu" => self.node("Relu", &[x], &[]),
            "relu6" => self.clip(x, Some(0.0), Some(6.0))?,
            "leaky_relu" => self.node("LeakyRelu", &[x], &[("alpha", 0.2f32.into())]),
            "elu" => self.node("Elu", &[x], &[("alpha", 1f32.into())]),
            "selu" => self.node("Selu", &[x], &[]),
            "celu" => self.node("Celu", &[x], &[]),
            "softplus" => self.node("Softplus", &[x], &[]),
            "softsign" => self.node("Softsign", &[x], &[]),
            "tanh" => self.node("Tanh", &[x], &[]),
            "sigmoid" => self.node("Sigmoid", &[x], &[]),
            "exponential" | "exp" => self.node("Exp", &[x], &[]),
            "silu" | "swish" => {
                let gate = self.node("Sigmoid", &[x], &[]);
                self.node("Mul", &[x, &gate], &[])
            }
            "gelu" => self.gelu(x)?,
            "gelu_tanh" => self.gelu_by_tanh(x)?,
            "hard_sigmoid" => self.hard_sigmoid(x, hard_sigmoid_slope(self.major)),
            "hard_silu" | "hard_swish" => {
                let gate = self.hard_sigmoid(x, 1.0 / 6.0);
                self.node("Mul", &[x, &gate], &[])
            }
            "hard_tanh" => self.clip(x, Some(-1.0), Some(1.0))?,
            "mish" => {
                let soft = self.node("Softplus", &[x], &[]);
                let gate = self.node("Tanh", &[&soft], &[]);
                self.node("Mul", &[x, &gate], &[])
            }
            "log_sigmoid" => {
                let negative = self.node("Neg", &[x], &[]);
                let soft = self.node("Softplus", &[&negative], &[]);
                self.node("Neg", &[&soft], &[])
            }
            "tanh_shrink" => {
                let tanh = self.node("Tanh", &[x], &[]);
                self.node("Sub", &[x, &tanh], &[])
            }
            "soft_shrink" => self.node("Shrink", &[x], &[("lambd", 0.5f32.into()), ("bias", 0.5f32.into())]),
            "hard_shrink" => self.node("Shrink", &[x], &[("lambd", 0.5f32.into()), ("bias", 0f32.into())]),
            "squareplus" => {
                let (four, half) = (self.scalar("four", 4.0)?, self.scalar("half", 0.5)?);
                let square = self.node("Mul", &[x, x], &[]);
                let sum = self.node("Add", &[&square, &four], &[]);
                let root = self.node("Sqrt", &[&sum], &[]);
                let sum = self.node("Add", &[x, &root], &[]);
                self.node("Mul", &[&sum, &half], &[])
            }
            "sparse_sigmoid" => self.hard_sigmoid(x, 0.5),
            "sparse_plus" => {
                // ((clip(x, -1, 1) + 1) / 2)^2 + max(x - 1, 0)
                let (one, half) = (self.scalar("one", 1.0)?, self.scalar("half", 0.5)?);
                let inner = self.clip(x, Some(-1.0), Some(1.0))?;
                let inner = self.node("Add", &[&inner, &one], &[]);
                let inner = self.node("Mul", &[&inner, &half], &[]);
                let square = self.node("Mul", &[&inner, &inner], &[]);
                let above = self.node("Sub", &[x, &one], &[]);
                let above = self.node("Relu", &[&above], &[]);
                self.node("Add", &[&square, &above], &[])
            }
            "softmax" => self.node("Softmax", &[x], &[("axis", last_axis.into())]),
            "log_softmax" => self.node("LogSoftmax", &[x], &[("axis", last_axis.into())]),
            other => return unsupported(format!("the activation '{other}'")),
        })
    }

    fn hard_sigmoid(&mut self, x: &str, alpha: f32) -> String {
        self.node("HardSigmoid", &[x], &[("alpha", alpha.into()), ("beta", 0.5f32.into())])
    }

    fn gelu(&mut self, x: &str) -> Result<String, Stop> {
        if self.builder.opset() >= 20 {
            return Ok(self.node("Gelu", &[x], &[]));
        }
        let (half, one) = (self.scalar("half", 0.5)?, self.scalar("one", 1.0)?);
        let root = self.scalar("scale", std::f32::consts::FRAC_1_SQRT_2)?;
        let inner = self.node("Mul", &[x, &root], &[]);
        let inner = self.node("Erf", &[&inner], &[]);
        let sum = self.node("Add", &[&inner, &one], &[]);
        let scaled = self.node("Mul", &[x, &half], &[]);
        Ok(self.node("Mul", &[&scaled, &sum], &[]))
    }

    /// 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
    fn gelu_by_tanh(&mut self, x: &str) -> Result<String, Stop> {
        let (half, one) = (self.scalar("half", 0.5)?, self.scalar("one", 1.0)?);
        let (cubic, root) = (self.scalar("cubic", 0.044715)?, self.scalar("scale", GELU_SCALE)?);
        let square = self.node("Mul", &[x, x], &[]);
        let inner = self.node("Mul", &[&square, &cubic], &[]);
        let inner = self.node("Add", &[&inner, &one], &[]);
        let inner = self.node("Mul", &[&inner, x], &[]);
        let inner = self.node("Mul", &[&inner, &root], &[]);
        let inner = self.node("Tanh", &[&inner], &[]);
        let sum = self.node("Add", &[&inner, &one], &[]);
        let scaled = self.node("Mul", &[x, &half], &[]);
        Ok(self.node("Mul", &[&scaled, &sum], &[]))
    }

    fn function(&mut self, x: &str, function: &Function, axis: impl Fn(i64) -> i64) -> Result<String, Stop> {
        match function {
            Function::Named(name) => self.named(x, name, axis(-1)),
            Function::Elu { alpha } => Ok(self.node("Elu", &[x], &[("alpha", (*alpha).into())])),
            Function::Softmax { axis: at } => Ok(self.node("Softmax", &[x], &[("axis", axis(*at).into())])),
            Function::LogSoftmax { axis: at } => Ok(self.node("LogSoftmax", &[x], &[("axis", axis(*at).into())])),
            Function::Relu { limit, slope, threshold } => self.relu(x, *limit, *slope, *threshold),
        }
    }

    fn relu(&mut self, x: &str, limit: Option<f32>, slope: f32, threshold: f32) -> Result<String, Stop> {
        if threshold != 0.0 {
            // x where it is at least the threshold, slope * (x - threshold) elsewhere
            let threshold = self.scalar("threshold", threshold)?;
            let below = self.node("Less", &[x, &threshold], &[]);
            let kept = match limit {
                Some(limit) => self.clip(x, None, Some(limit))?,
                None => x.to_owned(),
            };
            let other = if slope == 0.0 {
                self.scalar("zero", 0.0)?
            } else {
                let slope = self.scalar("slope", slope)?;
                let distance = self.node("Sub", &[x, &threshold], &[]);
                self.node("Mul", &[&distance, &slope], &[])
            };
            return Ok(self.node("Where", &[&below, &other, &kept], &[]));
        }
        Ok(match (limit, slope == 0.0) {
            (None, true) => self.node("Relu", &[x], &[]),
            (None, false) => self.node("LeakyRelu", &[x], &[("alpha", slope.into())]),
            (Some(limit), true) => self.clip(x, Some(0.0), Some(limit))?,
            (Some(limit), false) => {
                let leaky = self.node("LeakyRelu", &[x], &[("alpha", slope.into())]);
                self.clip(&leaky, None, Some(limit))?
            }
        })
    }
}

/// The slope of `hard_sigmoid`, which Keras 3 changed.
pub(super) fn hard_sigmoid_slope(major: u32) -> f32 {
    if major >= 3 { 1.0 / 6.0 } else { 0.2 }
}

/// The `activation` of a layer; `None` for the identity.
pub(super) fn of_layer(context: &Context) -> Result<Option<Function>, Stop> {
    context.config.get("activation").map_or(Ok(None), function)
}

/// An activation as Keras serializes it: a word, a function by its name, or a layer.
pub(super) fn function(spec: &Json) -> Result<Option<Function>, Stop> {
    let found = match spec {
        Json::Null => return Ok(None),
        Json::String(name) => Function::Named(name.clone()),
        Json::Object(map) => match (map.get("class_name").and_then(Json::as_str), map.get("config")) {
            (Some("function"), Some(Json::String(name))) => Function::Named(name.clone()),
            (Some(class), Some(Json::Object(config))) => {
                match layer_function(class, Config::new("activation", config))? {
                    Some(function) => function,
                    None => return unsupported(format!("the activation {}", short(spec))),
                }
            }
            _ => return unsupported(format!("the activation {}", short(spec))),
        },
        other => return unsupported(format!("the activation {}", short(other))),
    };
    match &found {
        Function::Named(name) if name == "linear" => Ok(None),
        _ => Ok(Some(found)),
    }
}

/// The function of an activation layer's class; `None` for other classes.
pub(super) fn layer_function(class: &str, config: Config) -> Result<Option<Function>, Stop> {
    let float = |keys: &[&str], default: f32| {
        let value = config.first(keys);
        match value.map(number) {
            None => Ok(default),
            Some(Some(number)) => Ok(number as f32),
            Some(None) => Err(config.wrong(keys.first().copied().unwrap_or_default(), "a number")),
        }
    };
    Ok(Some(match class {
        "Activation" => match config.get("activation") {
            Some(spec) => return Ok(Some(function(spec)?.unwrap_or(Function::Named("linear".to_owned())))),
            None => Function::Named("linear".to_owned()),
        },
        "ReLU" => Function::Relu {
            limit: config.get("max_value").and_then(number).map(|limit| limit as f32),
            slope: float(&["negative_slope"], 0.0)?,
            threshold: float(&["threshold"], 0.0)?,
        },
        "LeakyReLU" => Function::Relu { limit: None, slope: float(&["negative_slope", "alpha"], 0.3)?, threshold: 0.0 },
        "ThresholdedReLU" => Function::Relu { limit: None, slope: 0.0, threshold: float(&["theta"], 1.0)? },
        "ELU" => Function::Elu { alpha: float(&["alpha"], 1.0)? },
        "Softmax" => match config.axes("axis", &[-1])?.as_slice() {
            [axis] => Function::Softmax { axis: *axis },
            _ => return unsupported("a Softmax over more than one axis"),
        },
        _ => return Ok(None),
    }))
}

/// Applies a function to a value; the layout stays.
pub(super) fn apply(context: &mut Context, value: &Value, function: Option<Function>) -> Result<Value, Stop> {
    let Some(function) = function else { return Ok(value.clone()) };
    let value = context.float(value);
    let rank = value.rank().map_or(i64::MAX, |rank| rank as i64);
    if let Function::Softmax { axis } | Function::LogSoftmax { axis } = function
        && !(-rank..rank).contains(&axis)
    {
        return Err(context.config.wrong("axis", "an axis of the input"));
    }
    // ONNX's own way to say the last axis, wherever it is in Keras's order. Behind an unknown layer the orders are one.
    let axis = |axis: i64| match value.physical_axis(axis) {
        Some(at) if at == rank - 1 => -1,
        Some(at) => at,
        None => axis,
    };
    let mut emit = Emit { builder: &mut context.low.builder, prefix: &context.path, major: context.low.major };
    let name = emit.function(&value.name, &function, axis)?;
    Ok(Value { mask: value.mask.clone(), ..value.named(name) })
}

/// `PReLU`: a slope per element, shared along some axes.
pub(super) fn prelu(context: &mut Context, inputs: &[Value]) -> Result<Vec<Value>, Stop> {
    let value = context.single(inputs)?;
    let value = context.float(value);
    let Some(shape) = value.shape.clone() else { return unsupported("a slope per element of an unknown shape") };
    let shared = context.config.axes("shared_axes", &[])?;
    let expected: Vec<Option<usize>> = shape
        .iter()
        .enumerate()
        .skip(1)
        .map(|(axis, dim)| if shared.contains(&(axis as i64)) { Some(1) } else { *dim })
        .collect();
    let slope = context.constant(&format!("alpha_{:?}", value.layout), |context| {
        let slope = context.required(&["alpha"], 0, &expected)?;
        let with_batch: Vec<usize> = [1].into_iter().chain(slope.shape().iter().copied()).collect();
        let axes: Vec<usize> = value.physical(&(0..with_batch.len()).collect::<Vec<_>>());
        Context::permuted(&slope.reshaped(with_batch)?, &axes)
    })?;
    let name = context.node("PRelu", &[&value.name, &slope], "PRelu", &[]);
    Ok(vec![Value { dtype: DType::Float32, ..value.named(name) }])
}
