//! The ONNX graph that a model's code is written into, value by value.
//!
//! A quantized value is kept as its codes; what reads it as real numbers reads a DequantizeLinear that is made when it
//! is first needed, and every quantized operation ends in a QuantizeLinear: the QDQ form.

mod adaptive;
mod args;
mod convolution;
mod elementwise;
mod learn;
mod normalization;
mod ops;
mod pooling;
mod quantized;
mod reshape;

pub(super) use args::Args;
pub(super) use learn::Settled;
pub(super) use ops::call;

use super::python::{Py, ValueId};
use super::tensor::Constant;
use crate::onnx::{Attr, Dim, GraphBuilder};
use crate::quant::{Granularity, QuantParams};
use crate::tensor::{DType, Tensor};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// What is said where a linear layer reads something of which nothing is known.
pub(super) const MATRIX: &str = "The input of a linear layer is taken for a matrix: the file does not tell its rank.";

/// Letters of a module's path in the names of its values.
const MAX_SCOPE: usize = 400;

/// Why code cannot be turned into a graph, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal(pub String);

impl Refusal {
    pub fn new(why: impl Into<String>) -> Self {
        Refusal(why.into())
    }
}

impl From<crate::onnx::OnnxError> for Refusal {
    fn from(error: crate::onnx::OnnxError) -> Self {
        Refusal(error.to_string())
    }
}

impl From<crate::tensor::TensorError> for Refusal {
    fn from(error: crate::tensor::TensorError) -> Self {
        Refusal(error.to_string())
    }
}

pub(super) type Made<T> = Result<T, Refusal>;

/// Scale and zero point of a value as initializers.
#[derive(Clone, Debug)]
pub(super) struct Quantized {
    pub params: QuantParams,
    pub scale: String,
    pub zero_point: String,
    /// What dequantizes the codes, once something has read it.
    real: Option<String>,
}

/// A value of the graph.
#[derive(Clone, Debug)]
pub(super) struct GraphValue {
    /// ONNX name; of a quantized value that of its codes.
    pub name: String,
    /// Element type of the real numbers.
    pub dtype: DType,
    pub shape: Option<Vec<Dim>>,
    pub quant: Option<Quantized>,
    /// Where its shape comes from: what is learned of one holds for both.
    origin: Option<Origin>,
    /// Elements behind the first axis, where that is all that is known: of what a linear layer reads flattened.
    row: Option<usize>,
}

/// The value that another has its shape from.
#[derive(Clone, Debug)]
enum Origin {
    /// Dim by dim.
    Same(ValueId),
    /// With the dims in this order.
    Permuted(ValueId, Vec<usize>),
    /// All behind the first axis as one.
    Flattened(ValueId),
}

/// The graph as it grows.
pub(super) struct Graph {
    pub builder: GraphBuilder,
    values: Vec<GraphValue>,
    constants: HashMap<*const Constant, ValueId>,
    /// Keeps the constants alive that `constants` knows by address.
    kept: Vec<Rc<Constant>>,
    scalars: HashMap<(u64, DType), ValueId>,
    /// Values that are in the file, or numbers of its code.
    fixed: HashSet<ValueId>,
    /// Names of the file's tensors.
    names: HashMap<*const Constant, String>,
    /// Values that were changed in place, and by what.
    replaced: HashMap<ValueId, ValueId>,
    /// Where in the module tree the code is, for the names of what it makes.
    pub scope: String,
    /// What the assignment that is being made calls its value.
    pub hint: Option<String>,
    pub notes: Vec<String>,
    pub unsupported: Vec<String>,
    /// Dims of the inputs that a trace was made with: the code may have them built in.
    pub traced_batch: Option<usize>,
}

impl Graph {
    pub fn new(name: &str, opset: i64, names: HashMap<*const Constant, String>) -> Self {
        Graph {
            builder: GraphBuilder::new(name, opset),
            values: Vec::new(),
            constants: HashMap::new(),
            kept: Vec::new(),
            scalars: HashMap::new(),
            fixed: HashSet::new(),
            names,
            replaced: HashMap::new(),
            scope: String::new(),
            hint: None,
            notes: Vec::new(),
            unsupported: Vec::new(),
            traced_batch: None,
        }
    }

    /// Says something once.
    pub fn note(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    pub fn value(&self, id: ValueId) -> &GraphValue {
        // Ids are made by `add` only.
        &self.values[id.0]
    }

    pub fn shape(&self, id: ValueId) -> Option<&[Dim]> {
        self.value(id).shape.as_deref()
    }

    pub fn rank(&self, id: ValueId) -> Option<usize> {
        self.shape(id).map(<[Dim]>::len)
    }

    fn add(&mut self, value: GraphValue) -> ValueId {
        self.values.push(value);
        ValueId(self.values.len() - 1)
    }

    /// A graph input.
    pub fn input(&mut self, wish: &str, dtype: DType, shape: Option<Vec<Dim>>) -> ValueId {
        let name = self.builder.input(wish, dtype, shape.as_deref());
        self.add(GraphValue { name, dtype, shape, quant: None, origin: None, row: None })
    }

    /// What a value is now, after what was done to it in place.
    pub fn current(&self, mut id: ValueId) -> ValueId {
        // A replacement is always newer than what it replaces.
        while let Some(&newer) = self.replaced.get(&id).filter(|newer| newer.0 > id.0) {
            id = newer;
        }
        id
    }

    /// From now on `old` means `new`: an operation in place.
    pub fn replace(&mut self, old: ValueId, new: ValueId) {
        if new.0 > old.0 {
            self.replaced.insert(old, new);
        }
    }

    /// The wished name of an operation's result.
    pub fn wish(&self, op: &str) -> String {
        match (self.scope.as_str(), &self.hint) {
            ("", Some(hint)) => hint.clone(),
            // A path that no module tree has is left out: every node would carry it.
            (scope, _) if scope.is_empty() || scope.len() > MAX_SCOPE => op.to_owned(),
            (scope, _) => format!("{scope}/{op}"),
        }
    }

    /// A value of which nothing but the name is known.
    pub fn unknown_value(&mut self, name: String, dtype: DType) -> ValueId {
        self.add(GraphValue { name, dtype, shape: None, quant: None, origin: None, row: None })
    }

    /// A node with one float output.
    pub fn emit(
        &mut self,
        op: &str,
        inputs: &[&str],
        wish: &str,
        attributes: &[(&str, Attr)],
        dtype: DType,
        shape: Option<Vec<Dim>>,
    ) -> ValueId {
        let wish = self.wish(wish);
        let name = self.builder.node(op, inputs, &wish, attributes);
        self.add(GraphValue { name, dtype, shape, quant: None, origin: None, row: None })
    }

    /// A node whose result has the dims of its input, permuted where a permutation is given.
    pub fn emit_like(
        &mut self,
        op: &str,
        inputs: &[&str],
        wish: &str,
        attributes: &[(&str, Attr)],
        origin: ValueId,
    ) -> ValueId {
        let (dtype, shape) = (self.value(origin).dtype, self.value(origin).shape.clone());
        let made = self.emit(op, inputs, wish, attributes, dtype, shape);
        self.values[made.0].origin = Some(Origin::Same(origin));
        made
    }

    /// The name of the real numbers of a value.
    pub fn real(&mut self, id: ValueId) -> String {
        let value = &self.values[id.0];
        let Some(quant) = &value.quant else { return value.name.clone() };
        if let Some(real) = &quant.real {
            return real.clone();
        }
        let attributes: Vec<(&str, Attr)> = match quant.params.granularity {
            Granularity::PerChannel { axis } => vec![("axis", (axis as i64).into())],
            _ => Vec::new(),
        };
        let (codes, scale, zero_point) = (value.name.clone(), quant.scale.clone(), quant.zero_point.clone());
        let wish = format!("{codes}_dequantized");
        let real = self.builder.node("DequantizeLinear", &[&codes, &scale, &zero_point], &wish, &attributes);
        if let Some(quant) = &mut self.values[id.0].quant {
            quant.real = Some(real.clone());
        }
        real
    }

    /// The real numbers as a value of their own.
    pub fn dequantized(&mut self, id: ValueId) -> ValueId {
        if self.value(id).quant.is_none() {
            return id;
        }
        let name = self.real(id);
        let (dtype, shape) = (self.value(id).dtype, self.value(id).shape.clone());
        self.add(GraphValue { name, dtype, shape, quant: None, origin: Some(Origin::Same(id)), row: None })
    }

    /// Rounds a real value to these parameters.
    pub fn quantize(&mut self, id: ValueId, params: QuantParams, wish: &str) -> Made<ValueId> {
        let real = self.real(id);
        let base = self.wish(wish);
        let (scale, zero_point) = self.parameters(&base, &params)?;
        let attributes: Vec<(&str, Attr)> = match params.granularity {
            Granularity::PerChannel { axis } => vec![("axis", (axis as i64).into())],
            _ => Vec::new(),
        };
        let wish = format!("{base}_quantized");
        let name = self.builder.node("QuantizeLinear", &[&real, &scale, &zero_point], &wish, &attributes);
        let shape = self.value(id).shape.clone();
        let quant = Some(Quantized { params, scale, zero_point, real: None });
        Ok(self.add(GraphValue {
            name,
            dtype: DType::Float32,
            shape,
            quant,
            origin: Some(Origin::Same(id)),
            row: None,
        }))
    }

    /// Scale and zero point as initializers.
    fn parameters(&mut self, base: &str, params: &QuantParams) -> Made<(String, String)> {
        let shape: Vec<usize> = match params.granularity {
            Granularity::PerTensor => vec![],
            _ => vec![params.scale.len()],
        };
        let scale = Tensor::from_vec(shape.clone(), params.scale.clone())?;
        let zero_point = zero_points(params, shape)?;
        let scale = self.builder.initializer(&format!("{base}_scale"), &scale);
        let zero_point = self.builder.initializer(&format!("{base}_zero_point"), &zero_point);
        Ok((scale, zero_point))
    }

    /// A tensor of the file as a value.
    pub fn constant(&mut self, constant: &Rc<Constant>, wish: &str) -> Made<ValueId> {
        let key = Rc::as_ptr(constant);
        if let Some(&id) = self.constants.get(&key) {
            return Ok(id);
        }
        let wish = self.names.get(&key).cloned().unwrap_or_else(|| self.wish(wish));
        let name = self.builder.initializer(&wish, &constant.tensor);
        let shape = Some(constant.tensor.shape().iter().map(|&dim| Dim::Known(dim)).collect());
        let quant = match &constant.quant {
            Some(params) => {
                let (scale, zero_point) = self.parameters(&name, params)?;
                Some(Quantized { params: params.clone(), scale, zero_point, real: None })
            }
            None => None,
        };
        let dtype = if quant.is_some() { DType::Float32 } else { constant.tensor.dtype() };
        let id = self.add(GraphValue { name, dtype, shape, quant, origin: None, row: None });
        self.constants.insert(key, id);
        self.fixed.insert(id);
        self.kept.push(constant.clone());
        Ok(id)
    }

    /// A number as a constant of a type.
    pub fn scalar(&mut self, number: f64, dtype: DType) -> Made<ValueId> {
        if let Some(&id) = self.scalars.get(&(number.to_bits(), dtype)) {
            return Ok(id);
        }
        let tensor = match dtype {
            DType::Int64 => Tensor::from_vec(vec![], vec![number as i64])?,
            DType::Int32 => Tensor::from_vec(vec![], vec![number as i32])?,
            DType::Float64 => Tensor::from_vec(vec![], vec![number])?,
            DType::Float16 => Tensor::from_vec(vec![], vec![half::f16::from_f64(number)])?,
            DType::Bfloat16 => Tensor::from_vec(vec![], vec![half::bf16::from_f64(number)])?,
            _ => Tensor::from_vec(vec![], vec![number as f32])?,
        };
        let name = self.builder.initializer("scalar", &tensor);
        let id = self.add(GraphValue { name, dtype, shape: Some(Vec::new()), quant: None, origin: None, row: None });
        self.scalars.insert((number.to_bits(), dtype), id);
        self.fixed.insert(id);
        Ok(id)
    }

    /// A tensor argument: computed, a constant, or a number.
    pub fn operand(&mut self, value: &Py) -> Made<ValueId> {
        match value {
            Py::Value(id) => Ok(self.current(*id)),
            Py::Tensor(constant) => self.constant(constant, "constant"),
            Py::Int(_) | Py::Float(_) | Py::Bool(_) => self.scalar(value.as_float().unwrap_or(0.0), DType::Float32),
            other => Err(Refusal::new(format!("{} where a tensor is expected", other.describe()))),
        }
    }
}

/// Zero points as a tensor of the stored type.
pub(super) fn zero_points(params: &QuantParams, shape: Vec<usize>) -> Made<Tensor> {
    let values = &params.zero_point;
    let wrong = || Refusal::new(format!("a zero point that is no {}", params.dtype));
    macro_rules! narrow {
        ($t:ty) => {
            Tensor::from_vec(
                shape,
                values.iter().map(|&v| <$t>::try_from(v).map_err(|_| wrong())).collect::<Result<Vec<$t>, _>>()?,
            )?
        };
    }
    Ok(match params.dtype {
        DType::Int8 => narrow!(i8),
        DType::Uint8 => narrow!(u8),
        DType::Int32 => narrow!(i32),
        DType::Uint4 => {
            let mut packed = vec![0u8; values.len().div_ceil(2)];
            for (at, &value) in values.iter().enumerate() {
                let code = u8::try_from(value).ok().filter(|&code| code < 16).ok_or_else(wrong)?;
                if let Some(byte) = packed.get_mut(at / 2) {
                    *byte |= code << (at % 2 * 4);
                }
            }
            Tensor::new(DType::Uint4, shape, packed.into())?
        }
        other => return Err(Refusal::new(format!("quantized tensors of {other}"))),
    })
}
