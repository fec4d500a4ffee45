//! The ONNX values of a TensorFlow Lite model's tensors, each in the layouts and the form that were asked for.

use super::convert::Converter;
use super::model::TfliteTensor;
use crate::import::ImportError;
use crate::onnx::{Attr, Dim, OnnxError};
use crate::tensor::{DType, Tensor};
use bytes::Bytes;

/// Where the channels of an image-like tensor are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Layout {
    /// As TensorFlow Lite has it: NHWC. Every tensor that is not of rank 4 is this.
    Last,
    /// NCHW.
    First,
}

/// NHWC to NCHW, and back.
pub(super) const TO_FIRST: [usize; 4] = [0, 3, 1, 2];
pub(super) const TO_LAST: [usize; 4] = [0, 2, 3, 1];

/// The activation that an operator ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activation {
    None,
    Relu,
    ReluN1To1,
    Relu6,
    Tanh,
}

impl Activation {
    pub fn read(code: i8) -> Option<Self> {
        Some(match code {
            0 => Activation::None,
            1 => Activation::Relu,
            2 => Activation::ReluN1To1,
            3 => Activation::Relu6,
            4 => Activation::Tanh,
            _ => return None,
        })
    }

    /// The smallest and the largest value it lets through, for those that only cut.
    fn bounds(self) -> Option<(f32, f32)> {
        match self {
            Activation::Relu => Some((0.0, f32::INFINITY)),
            Activation::ReluN1To1 => Some((-1.0, 1.0)),
            Activation::Relu6 => Some((0.0, 6.0)),
            Activation::None | Activation::Tanh => None,
        }
    }
}

/// The integers a tensor is stored in, if it is quantized per tensor or per channel.
pub(super) fn stored_type(tensor: &TfliteTensor) -> Option<DType> {
    let integer = tensor.dtype.filter(|dtype| dtype.is_int() && *dtype != DType::Int64);
    integer.filter(|_| tensor.quantization.is_some())
}

impl Converter<'_> {
    pub fn tensor(&self, at: usize) -> Result<&TfliteTensor, ImportError> {
        let missing = || ImportError::format("SubGraph.tensors", format!("tensor {at}"), "a tensor", "Convert again.");
        self.graph.tensors.get(at).ok_or_else(missing)
    }

    pub fn rank(&self, at: usize) -> usize {
        self.graph.tensors.get(at).map_or(0, |tensor| tensor.shape.len())
    }

    pub fn is_constant(&self, at: usize) -> bool {
        self.graph.tensors.get(at).is_some_and(|tensor| tensor.data.is_some())
    }

    /// A short name for a tensor: fused operators have the names of all, joined by `;`.
    pub fn short_name(&self, at: usize) -> String {
        let name = self.graph.tensors.get(at).map_or("", |tensor| tensor.name.as_str());
        match name.split(';').next().unwrap_or_default() {
            "" => format!("tensor_{at}"),
            name => name.to_owned(),
        }
    }

    /// The real-valued tensor: dequantized where it is quantized. In the layout asked for where it is of rank 4.
    pub fn real(&mut self, at: usize, layout: Layout) -> Result<String, ImportError> {
        let layout = if self.rank(at) == 4 { layout } else { Layout::Last };
        if let Some(value) = self.values.get(&(at, layout)) {
            return Ok(value.clone());
        }
        let value = if self.is_constant(at) {
            let axes = (layout == Layout::First).then_some(&TO_FIRST[..]);
            self.constant(at, axes, None)?
        } else {
            let (from, axes, suffix) = match layout {
                Layout::First => (Layout::Last, TO_FIRST, "nchw"),
                Layout::Last => (Layout::First, TO_LAST, "nhwc"),
            };
            let Some(source) = self.values.get(&(at, from)).cloned() else {
                return Err(ImportError::format(
                    format!("tensor '{}'", self.tensor(at)?.name),
                    "an operator that reads it before one makes it",
                    "operators in the order in which they run",
                    "Convert the model again.",
                ));
            };
            let name = self.short_name(at);
            let wish = if layout == Layout::Last && self.is_output(at) { name } else { format!("{name}_{suffix}") };
            self.builder.node("Transpose", &[&source], &wish, &[("perm", permutation(&axes))])
        };
        self.values.insert((at, layout), value.clone());
        Ok(value)
    }

    /// A layout in which the tensor is there already, NHWC where both are.
    pub fn layout_of(&self, at: usize) -> Layout {
        let only_first =
            self.values.contains_key(&(at, Layout::First)) && !self.values.contains_key(&(at, Layout::Last));
        if only_first { Layout::First } else { Layout::Last }
    }

    /// A constant as real numbers, axes reordered first and then, where `shape` says so, under other dims. The axis of
    /// per-channel scales moves along; after a change of dims it is found by its length.
    pub fn constant(
        &mut self,
        at: usize,
        axes: Option<&[usize]>,
        shape: Option<Vec<usize>>,
    ) -> Result<String, ImportError> {
        let (name, source) = (self.short_name(at), self.tensor(at)?.clone());
        let place = || format!("tensor '{}'", source.name);
        let refuse = |found: String| ImportError::format(place(), found, "a constant", "Convert the model again.");
        let mut tensor = source.constant().ok_or_else(|| refuse("a computed value".to_owned()))??;
        let mut axis = source.quantization.as_ref().map_or(0, |quantization| quantization.dimension);
        if let Some(axes) = axes {
            tensor = tensor.permuted(axes).map_err(|error| refuse(error.to_string()))?;
            axis = axes.iter().position(|&from| from == axis).unwrap_or(axis);
        }
        if let Some(shape) = shape {
            tensor = tensor.reshaped(shape).map_err(|error| refuse(error.to_string()))?;
            let count = source.quantization.as_ref().map_or(1, |quantization| quantization.scale.len());
            axis = tensor.shape().iter().position(|&dim| dim == count).unwrap_or(0);
        }
        // 16x8 models have int64 biases, for which ONNX has no DequantizeLinear.
        let wide = tensor.dtype() == DType::Int64 && source.quantization.is_some();
        if tensor.dtype() == DType::Float16 || tensor.dtype() == DType::Bfloat16 || wide {
            tensor = self.widened(&source, &tensor).map_err(|error| refuse(error.to_string()))?;
            return Ok(self.builder.initializer(&name, &tensor));
        }
        let stored = self.builder.initializer(&name, &tensor);
        match stored_type(&source) {
            Some(dtype) => self.dequantize(&source, &stored, dtype, axis, &format!("{name}_dequantized")),
            None => Ok(stored),
        }
    }

    /// Half precision and wide integers as float32, with the scales multiplied in.
    fn widened(&self, source: &TfliteTensor, tensor: &Tensor) -> Result<Tensor, crate::tensor::TensorError> {
        let mut values = tensor.to_f32()?;
        if let Some(quantization) = &source.quantization {
            let count = quantization.scale.len().max(1);
            for (index, value) in values.iter_mut().enumerate() {
                let scale = quantization.scale.get(index % count).copied().unwrap_or(1.0);
                let zero_point = quantization.zero_point.get(index % count).copied().unwrap_or(0);
                *value = (*value - zero_point as f32) * scale;
            }
        }
        Tensor::from_vec(tensor.shape().to_vec(), values)
    }

    /// The elements of a small integer constant: a shape, axes, paddings.
    pub fn integers(&self, at: usize) -> Result<Vec<i64>, ImportError> {
        let tensor = self.tensor(at)?;
        let refuse = |found: &str| {
            let advice = "Convert the model with fixed shapes.";
            ImportError::unsupported(
                format!("tensor '{}'", tensor.name),
                found.to_owned(),
                "integers in the file",
                advice,
            )
        };
        let constant = tensor.constant().ok_or_else(|| refuse("a value that is computed in a run"))??;
        constant.to_i64().map_err(|_| refuse("a constant that holds no integers"))
    }

    /// The scale and zero point initializers of a tensor, made once.
    fn parameters(&mut self, tensor: &TfliteTensor, dtype: DType) -> Result<(String, String), ImportError> {
        let Some(quantization) = &tensor.quantization else {
            return Err(ImportError::format("quantization", "none", "a scale", "Convert the model again."));
        };
        let shape = if quantization.scale.len() == 1 { vec![] } else { vec![quantization.scale.len()] };
        let bad = |error: crate::tensor::TensorError| onnx_error(&tensor.name, &error);
        let zero_points: Vec<u8> = quantization
            .zero_point
            .iter()
            .flat_map(|value| value.to_le_bytes().into_iter().take(dtype.bits().unwrap_or(8).div_ceil(8)))
            .collect();
        let in_range = dtype
            .int_range()
            .is_some_and(|(low, high)| quantization.zero_point.iter().all(|value| (low..=high).contains(value)));
        if !in_range {
            let (place, expected) = (format!("tensor '{}'", tensor.name), format!("zero points of {dtype}"));
            let found = format!("zero points {:?}", quantization.zero_point.iter().take(4).collect::<Vec<_>>());
            return Err(ImportError::format(place, found, expected, "Convert the model again."));
        }
        // Narrow zero points are packed as the elements are; TensorFlow Lite has them all 0 there.
        let bytes = match dtype.bits() {
            Some(bits) if bits < 8 => {
                let count = dtype.bytes_for(quantization.zero_point.len()).unwrap_or(0);
                if quantization.zero_point.iter().any(|&value| value != 0) {
                    return Err(onnx_error(&tensor.name, &"a zero point in a type of less than 8 bits"));
                }
                vec![0; count]
            }
            _ => zero_points,
        };
        let scale = Tensor::from_vec(shape.clone(), quantization.scale.clone()).map_err(bad)?;
        let zero_point = Tensor::new(dtype, shape, Bytes::from(bytes)).map_err(bad)?;
        let name = tensor.name.split(';').next().unwrap_or_default();
        let key = (quantization.scale.iter().map(|v| v.to_bits()).collect(), quantization.zero_point.clone(), dtype);
        if let Some(known) = self.shared.get(&key) {
            return Ok(known.clone());
        }
        let scale = self.builder.initializer(&format!("{name}_scale"), &scale);
        let zero_point = self.builder.initializer(&format!("{name}_zero_point"), &zero_point);
        self.shared.insert(key, (scale.clone(), zero_point.clone()));
        Ok((scale, zero_point))
    }

    pub fn dequantize(
        &mut self,
        tensor: &TfliteTensor,
        stored: &str,
        dtype: DType,
        axis: usize,
        wish: &str,
    ) -> Result<String, ImportError> {
        let (scale, zero_point) = self.parameters(tensor, dtype)?;
        let per_channel = tensor.quantization.as_ref().is_some_and(|quantization| quantization.scale.len() > 1);
        let attributes: Vec<(&str, Attr)> = if per_channel { vec![("axis", (axis as i64).into())] } else { vec![] };
        Ok(self.builder.node("DequantizeLinear", &[stored, &scale, &zero_point], wish, &attributes))
    }

    /// Takes a computed value over as a tensor's, quantized and dequantized where the tensor is quantized.
    pub fn quantized(&mut self, at: usize, real: &str, layout: Layout, wish: &str) -> Result<String, ImportError> {
        let tensor = self.tensor(at)?.clone();
        let Some(dtype) = stored_type(&tensor) else { return Ok(real.to_owned()) };
        let name = self.short_name(at);
        let (scale, zero_point) = self.parameters(&tensor, dtype)?;
        let quantization = tensor.quantization.as_ref();
        let axis = quantization.filter(|q| q.scale.len() > 1).map(|quantization| match layout {
            Layout::First => TO_FIRST.iter().position(|&from| from == quantization.dimension).unwrap_or(0),
            Layout::Last => quantization.dimension,
        });
        let attributes: Vec<(&str, Attr)> = axis.map(|axis| ("axis", (axis as i64).into())).into_iter().collect();
        let inputs = [real, scale.as_str(), zero_point.as_str()];
        let stored = self.builder.node("QuantizeLinear", &inputs, &format!("{name}_quantized"), &attributes);
        self.stored.insert((at, layout), stored.clone());
        self.dequantize(&tensor, &stored, dtype, axis.unwrap_or(0), wish)
    }

    /// Adds the last node of an operator: what it computes, its activation, its quantizer.
    pub fn emit(
        &mut self,
        at: usize,
        layout: Layout,
        activation: Activation,
        op_type: &str,
        inputs: &[&str],
        attributes: &[(&str, Attr)],
    ) -> Result<(), ImportError> {
        let layout = if self.rank(at) == 4 { layout } else { Layout::Last };
        let name = self.short_name(at);
        let (output, quantized) = (self.is_output(at), stored_type(self.tensor(at)?).is_some());
        // An output's last value has its name; elsewhere the real value, as it enters the quantizer, has it.
        let last = if output && layout == Layout::First { format!("{name}_nchw") } else { name.clone() };
        let real = if output && quantized { format!("{name}_real") } else { last.clone() };
        let activation = if self.implied(at, activation)? { Activation::None } else { activation };
        let made = if activation == Activation::None {
            self.builder.node(op_type, inputs, &real, attributes)
        } else {
            let made = self.builder.node(op_type, inputs, &format!("{name}_linear"), attributes);
            self.activation(activation, &made, &real)?
        };
        let dequantized = if output { last } else { format!("{name}_dequantized") };
        let value = self.quantized(at, &made, layout, &dequantized)?;
        self.values.insert((at, layout), value);
        Ok(())
    }

    fn activation(&mut self, activation: Activation, value: &str, wish: &str) -> Result<String, ImportError> {
        let (low, high) = match activation {
            Activation::None => return Ok(value.to_owned()),
            Activation::Relu => return Ok(self.builder.node("Relu", &[value], wish, &[])),
            Activation::Tanh => return Ok(self.builder.node("Tanh", &[value], wish, &[])),
            Activation::Relu6 => (0.0, 6.0),
            Activation::ReluN1To1 => (-1.0, 1.0),
        };
        self.clip(value, low, high, wish)
    }

    pub fn clip(&mut self, value: &str, low: f32, high: f32, wish: &str) -> Result<String, ImportError> {
        let mut bound = |name: &str, number: f32| self.builder.floats(name, &[], &[number]).map_err(onnx);
        let (low, high) = (bound("clip_low", low)?, bound("clip_high", high)?);
        Ok(self.builder.node("Clip", &[value, &low, &high], wish, &[]))
    }

    /// Whether the saturation of the tensor's quantizer cuts wherever the activation does.
    fn implied(&self, at: usize, activation: Activation) -> Result<bool, ImportError> {
        let tensor = self.tensor(at)?;
        let Some((low, high)) = activation.bounds() else { return Ok(false) };
        let (Some(dtype), Some(quantization)) = (stored_type(tensor), &tensor.quantization) else { return Ok(false) };
        let Some((smallest, largest)) = dtype.int_range() else { return Ok(false) };
        let ([scale], [zero_point]) = (quantization.scale.as_slice(), quantization.zero_point.as_slice()) else {
            return Ok(false);
        };
        let code = |value: f32| f64::from(value / scale).round_ties_even() + *zero_point as f64;
        Ok(code(low) <= smallest as f64 && code(high) >= largest as f64)
    }

    pub fn dims(&self, tensor: &TfliteTensor) -> Vec<Dim> {
        let signature = tensor.signature.as_deref().unwrap_or_default();
        let dim = |(axis, &dim): (usize, &usize)| match signature.get(axis) {
            Some(-1) if axis == 0 => Dim::Symbol("N".to_owned()),
            Some(-1) => Dim::Unknown,
            _ => Dim::Known(dim),
        };
        tensor.shape.iter().enumerate().map(dim).collect()
    }
}

pub(super) fn permutation(axes: &[usize]) -> Attr {
    axes.iter().map(|&axis| axis as i64).collect::<Vec<_>>().into()
}

/// A builder's complaint; it only has any about tensors that were checked before.
pub(super) fn onnx(error: OnnxError) -> ImportError {
    onnx_error("the converted model", &error)
}

fn onnx_error(place: &str, error: &dyn std::fmt::Display) -> ImportError {
    let advice = "Convert the model again, and check it with TensorFlow Lite's interpreter.";
    ImportError::format(place.to_owned(), error.to_string(), "a tensor of an ONNX model", advice)
}
