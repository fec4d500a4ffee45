//! A TensorFlow Lite model as an ONNX document.

use super::model::{Operator, Subgraph, TfliteModel};
use super::ops;
use super::values::{Layout, onnx, stored_type};
use crate::import::{Converted, ImportError, LayerValues, SourceTensor};
use crate::onnx::GraphBuilder;
use crate::tensor::DType;
use std::collections::{HashMap, HashSet};

/// The domain of operators that have no ONNX form.
const DOMAIN: &str = "tensorflow.lite";
/// The first operator set whose QuantizeLinear knows 16 and 4 bits.
const NARROW_AND_WIDE_OPSET: i64 = 21;

/// How a model is converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TfliteOptions {
    /// Version of the `ai.onnx` operator set, 13 or newer; raised to 21 where the model has 16 or 4 bit integers.
    pub opset: i64,
    /// Whether a quantized model keeps integers at its inputs and outputs. Otherwise it takes and gives real numbers,
    /// with a quantizer as its first node and a dequantizer as its last: that is what images and charts need.
    pub integer_interface: bool,
}

impl Default for TfliteOptions {
    fn default() -> Self {
        TfliteOptions { opset: 15, integer_interface: false }
    }
}

/// Quantization parameters by their content: bits of the scales, zero points, type.
type ParameterKey = (Vec<u32>, Vec<i64>, DType);

/// The conversion as far as it has come.
pub(super) struct Converter<'a> {
    pub model: &'a TfliteModel,
    pub graph: &'a Subgraph,
    pub builder: GraphBuilder,
    /// Real-valued tensors by position and layout.
    pub values: HashMap<(usize, Layout), String>,
    /// The stored integers of quantized ones.
    pub stored: HashMap<(usize, Layout), String>,
    /// Scale and zero point initializers.
    pub shared: HashMap<ParameterKey, (String, String)>,
    /// Images spread over the batch, by the tensor that holds them.
    pub spread: HashMap<usize, ops::Spread>,
    pub notes: Vec<String>,
    outputs: HashSet<usize>,
}

/// Converts the network, the first subgraph. An operator that has no ONNX form becomes a node of the domain
/// `tensorflow.lite` and is named in [`Converted::unsupported`].
pub fn convert(model: &TfliteModel, options: &TfliteOptions) -> Result<Converted, ImportError> {
    let Some(graph) = model.subgraphs.first() else {
        return Err(ImportError::format("Model.subgraphs", "no subgraph", "the network", "Convert the model again."));
    };
    let narrow_or_wide = |dtype| matches!(dtype, DType::Int16 | DType::Uint16 | DType::Int4 | DType::Uint4);
    let needs_newer = graph.tensors.iter().filter_map(stored_type).any(narrow_or_wide);
    let opset = if needs_newer { options.opset.max(NARROW_AND_WIDE_OPSET) } else { options.opset };
    let mut notes = Vec::new();
    if opset != options.opset {
        notes.push(format!("opset {opset} instead of {}: 16 and 4 bit integers need it", options.opset));
    }
    if model.subgraphs.len() > 1 {
        notes.push(format!("{} further subgraphs of control flow are left out", model.subgraphs.len() - 1));
    }
    let name = if graph.name.is_empty() { "tflite" } else { graph.name.as_str() };
    let mut converter = Converter {
        model,
        graph,
        builder: GraphBuilder::new(name, opset),
        values: HashMap::new(),
        stored: HashMap::new(),
        shared: HashMap::new(),
        spread: HashMap::new(),
        notes,
        outputs: graph.outputs.iter().copied().collect(),
    };
    converter.inputs(options)?;
    let mut unsupported = Vec::new();
    let needed = needed_operators(graph);
    for (operator, _) in graph.operators.iter().zip(needed).filter(|(_, needed)| *needed) {
        if let Err(error) = ops::convert(&mut converter, operator) {
            // What cannot be understood is still shown; what is damaged is not.
            let ImportError::Unsupported { what, .. } = error else { return Err(error) };
            unsupported.push(format!("{}: {what}", converter.operator_place(operator)));
            converter.opaque(operator)?;
        }
    }
    converter.finish(options, unsupported)
}

impl Converter<'_> {
    pub fn is_output(&self, at: usize) -> bool {
        self.outputs.contains(&at)
    }

    /// An operator as messages name it: its kind and the tensor that it makes.
    pub fn operator_place(&self, operator: &Operator) -> String {
        let output = operator.outputs.first().map(|&at| self.short_name(at)).unwrap_or_default();
        format!("{} '{output}'", operator.kind)
    }

    fn inputs(&mut self, options: &TfliteOptions) -> Result<(), ImportError> {
        for &at in &self.graph.inputs {
            if self.values.contains_key(&(at, Layout::Last)) {
                continue;
            }
            let (tensor, name) = (self.tensor(at)?.clone(), self.short_name(at));
            let dims = self.dims(&tensor);
            let Some(dtype) = tensor.dtype else {
                let place = format!("input '{name}'");
                let advice = "Cut the model behind what reads strings, and convert that.";
                return Err(ImportError::unsupported(place, tensor.type_name.clone(), "numbers", advice));
            };
            let value = match stored_type(&tensor) {
                Some(stored) if options.integer_interface => {
                    let input = self.builder.input(&name, stored, Some(&dims));
                    self.dequantize(&tensor, &input, stored, 0, &format!("{name}_dequantized"))?
                }
                Some(stored) => {
                    let input = self.builder.input(&name, DType::Float32, Some(&dims));
                    let (scale, zero) = (tensor.quantization.as_ref()).map_or((1.0, 0), |q| {
                        (q.scale.first().copied().unwrap_or(1.0), q.zero_point.first().copied().unwrap_or(0))
                    });
                    self.notes.push(format!(
                        "input '{name}' takes real numbers; the file's takes {stored} with scale {scale} and zero point {zero}"
                    ));
                    self.quantized(at, &input, Layout::Last, &format!("{name}_dequantized"))?
                }
                None => self.builder.input(&name, dtype, Some(&dims)),
            };
            self.values.insert((at, Layout::Last), value);
        }
        Ok(())
    }

    /// A node that stands for an operator without an ONNX form, between the values that it reads and makes.
    fn opaque(&mut self, operator: &Operator) -> Result<(), ImportError> {
        let mut inputs = Vec::new();
        for input in &operator.inputs {
            // Constants of types without numbers in them cannot be shown.
            let value = input.map_or(Ok(String::new()), |at| self.real(at, Layout::Last));
            inputs.push(value.unwrap_or_default());
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let wishes: Vec<String> = operator.outputs.iter().map(|&at| self.short_name(at)).collect();
        let wishes: Vec<&str> = wishes.iter().map(String::as_str).collect();
        let kind = if operator.kind.is_empty() { "CUSTOM" } else { operator.kind.as_str() };
        let made = self.builder.node_of(DOMAIN, kind, &inputs, &wishes, &[]);
        for (&at, value) in operator.outputs.iter().zip(made) {
            self.values.insert((at, Layout::Last), value);
        }
        Ok(())
    }

    fn finish(mut self, options: &TfliteOptions, unsupported: Vec<String>) -> Result<Converted, ImportError> {
        let mut named = HashSet::new();
        for &at in &self.graph.outputs {
            let tensor = self.tensor(at)?.clone();
            let mut value = self.real(at, Layout::Last)?;
            let stored = stored_type(&tensor).filter(|_| options.integer_interface);
            if let Some(stored) = stored {
                value = match self.stored.get(&(at, Layout::Last)).cloned() {
                    Some(stored) => stored,
                    // It is there as NCHW only, or it is an input: quantized again, which changes nothing.
                    None => {
                        self.quantized(at, &value, Layout::Last, &format!("{}_again", self.short_name(at)))?;
                        self.stored.get(&(at, Layout::Last)).cloned().unwrap_or(value)
                    }
                };
                self.builder.output(&value, stored, Some(&self.dims(&tensor)));
                continue;
            }
            if !named.insert(value.clone()) || self.graph.inputs.contains(&at) {
                value = self.builder.node("Identity", &[&value], &format!("{}_output", self.short_name(at)), &[]);
            }
            let dtype =
                if stored_type(&tensor).is_some() { DType::Float32 } else { tensor.dtype.unwrap_or(DType::Float32) };
            self.builder.output(&value, dtype, Some(&self.dims(&tensor)));
        }
        let layer_of = self.layers();
        let source_tensors = self.source_tensors()?;
        if self.values.keys().any(|(_, layout)| *layout == Layout::First) {
            self.notes.push("inside, images are NCHW; inputs and outputs keep the file's NHWC".to_owned());
        }
        if self.model.version != 3 {
            self.notes.push(format!("the file is of schema version {}", self.model.version));
        }
        let source = format!("TensorFlow Lite, schema {}. {}", self.model.version, self.model.description);
        self.builder.metadata("converted_from", source.trim());
        let told: Vec<&str> = self.notes.iter().chain(&unsupported).map(String::as_str).collect();
        if !told.is_empty() {
            self.builder.metadata("conversion_notes", &told.join("\n"));
        }
        let document = self.builder.finish().map_err(onnx)?;
        Ok(Converted { document, notes: self.notes, unsupported, layer_of, source_tensors })
    }

    /// The value of each computed tensor, under the tensor's whole name: what its codes stand for where it is quantized.
    fn layers(&self) -> Vec<LayerValues> {
        let made = self.graph.operators.iter().flat_map(|operator| &operator.outputs);
        let layer = |&at: &usize| {
            let value = self.values.get(&(at, self.layout_of(at)))?.clone();
            Some(LayerValues { layer: self.graph.tensors.get(at)?.name.clone(), values: vec![value] })
        };
        self.graph.inputs.iter().chain(made).filter_map(layer).collect()
    }

    fn source_tensors(&self) -> Result<Vec<SourceTensor>, ImportError> {
        let mut found = Vec::new();
        for source in self.graph.tensors.iter().filter(|tensor| tensor.dtype.is_some() && !tensor.sparse) {
            if let Some(tensor) = source.constant().transpose()? {
                let (path, dtype) = (source.name.clone(), source.type_name.clone());
                found.push(SourceTensor { path, dtype, shape: source.shape.clone(), tensor });
            }
        }
        Ok(found)
    }
}

/// Which operators the outputs depend on. A RESHAPE whose result has a known shape does not need the operators that
/// compute that shape.
fn needed_operators(graph: &Subgraph) -> Vec<bool> {
    let mut wanted: HashSet<usize> = graph.outputs.iter().copied().collect();
    let mut needed = vec![false; graph.operators.len()];
    for (operator, needed) in graph.operators.iter().zip(&mut needed).rev() {
        *needed = operator.outputs.iter().any(|output| wanted.contains(output));
        if *needed {
            let inputs = operator.inputs.iter().flatten();
            let shape_is_known = operator.kind == "RESHAPE" && ops::known_shape(graph, operator).is_some();
            wanted.extend(if shape_is_known { inputs.take(1) } else { inputs.take(usize::MAX) });
        }
    }
    needed
}
