//! Finding the quantization parameters that a file holds.
//!
//! Three ways of writing them are read: QDQ (`QuantizeLinear` and `DequantizeLinear` around float operators),
//! QOperator (`QLinearConv`, `QLinearMatMul`, the `QLinear*` operators and `QGemm` of com.microsoft), and dynamic
//! (`ConvInteger`, `MatMulInteger` with scales multiplied in behind, `DynamicQuantizeMatMul`, `MatMulIntegerToFloat`).

use super::lookup_params::{ScaleUse, read_params};
use super::lookup_ranges::representable_ranges;
use super::params::QuantParams;
use crate::onnx::{Dim, Document, Facts, NodeExt, Signature, is_dequantize, is_quantize};
use crate::tensor::DType;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// What a quantized tensor is in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TensorKind {
    /// The weight of a convolution, a matrix product or an embedding.
    Weight,
    /// The bias of a convolution or a `Gemm`, stored as int32 with scale = input scale x weight scale.
    Bias,
    /// What flows between operations.
    Activation,
    /// Another constant: the factor or the summand of a `Mul` or `Add`, which quantizers treat like an activation.
    Constant,
}

/// The parameters of a quantized tensor, or why there are none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Parameters {
    /// The file holds them.
    Fixed(QuantParams),
    /// They are computed in every run.
    AtRunTime {
        /// Type of the stored values.
        dtype: DType,
    },
    /// The file has the integers and no scale for them: a bare `ConvInteger` or `MatMulInteger`.
    NoScale {
        /// Type of the stored values.
        dtype: DType,
    },
    /// The file does not give usable ones; the text says why.
    Unusable(String),
}

/// A tensor that a file keeps or computes in integers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantizedTensor {
    /// The real-valued tensor: an activation as it enters its quantizer (where no value of the file is that, as
    /// between QOperator nodes, what dequantizes it, or else the stored value); for a constant, its initializer.
    pub value: String,
    /// The value that holds the integers.
    pub stored: String,
    /// What it is.
    pub kind: TensorKind,
    /// Scale and zero point.
    pub params: Parameters,
    /// Dims, where known.
    pub shape: Option<Vec<Dim>>,
    /// The value that holds the scale; `None` where it follows from others, as a QLinearConv bias's does.
    pub scale_name: Option<String>,
    /// The value that holds the zero point; `None` where it is left out and 0.
    pub zero_point_name: Option<String>,
    /// Positions of the nodes that use these parameters.
    pub nodes: Vec<usize>,
}

impl QuantizedTensor {
    /// The parameters, where the file holds them.
    pub fn fixed(&self) -> Option<&QuantParams> {
        match &self.params {
            Parameters::Fixed(params) => Some(params),
            _ => None,
        }
    }

    /// Whether the represented range is symmetric about 0: every zero point is 0 in a signed type, or the middle of
    /// an unsigned one (128 of uint8). Without parameters, false.
    pub fn symmetric(&self) -> bool {
        self.fixed().is_some_and(|params| {
            let middle = match params.dtype.int_range() {
                Some((0, high)) => (high + 1) / 2,
                _ => 0,
            };
            params.zero_point.iter().all(|&zero_point| i64::from(zero_point) == middle)
        })
    }

    /// The smallest and the largest real number that can be represented, over all channels; `None` without parameters
    /// and for types that are no integers.
    pub fn range(&self) -> Option<(f32, f32)> {
        let ranges = representable_ranges(self.fixed()?)?;
        ranges.into_iter().reduce(|(low, high), (l, h)| (low.min(l), high.max(h)))
    }
}

/// Every quantized tensor of the main graph, in the order in which the nodes run. A stored tensor that is read with
/// two different scales is listed twice.
pub fn quantized_tensors(document: &Document) -> Vec<QuantizedTensor> {
    quantized_tensors_with(document, &Facts::of(document))
}

/// The same with facts that are at hand already.
pub fn quantized_tensors_with(document: &Document, facts: &Facts) -> Vec<QuantizedTensor> {
    let mut lookup = Lookup { document, facts, kinds: kinds(document), found: Vec::new(), places: BTreeMap::new() };
    for &position in document.index().order() {
        lookup.node(position);
    }
    lookup.found
}

/// What each constant is to the operations that read it.
pub(super) fn kinds(document: &Document) -> HashMap<String, TensorKind> {
    let mut kinds = HashMap::new();
    for op in document.core_ops() {
        for operand in op.operands.iter().filter(|operand| operand.constant) {
            let kind = match (operand.role, op.op.as_str()) {
                ("weight" | "recurrence", _) => TensorKind::Weight,
                ("bias", "Conv" | "ConvTranspose" | "Gemm" | "MatMul" | "LSTM" | "GRU" | "RNN") => TensorKind::Bias,
                ("input", "MatMul" | "Gemm" | "Conv") => TensorKind::Weight,
                _ => TensorKind::Constant,
            };
            kinds.entry(operand.value.clone()).or_insert(kind);
        }
    }
    kinds
}

struct Lookup<'a> {
    document: &'a Document,
    facts: &'a Facts,
    kinds: HashMap<String, TensorKind>,
    found: Vec<QuantizedTensor>,
    /// Where a stored value with its scale and zero point is in `found`.
    places: BTreeMap<(String, Option<String>, Option<String>), usize>,
}

impl Lookup<'_> {
    fn node(&mut self, position: usize) {
        let Some(node) = self.document.node(position) else { return };
        let signature = Signature::of(node);
        let name = |at: Option<usize>| at.and_then(|at| node.input_name(at)).map(str::to_owned);
        let block_size = usize::try_from(node.int("block_size").unwrap_or(0)).unwrap_or(0);
        let qdq_use = |default_dtype| ScaleUse { axis: node.int("axis").unwrap_or(1), block_size, default_dtype };
        if is_quantize(node) {
            if let (Some(value), Some(stored)) = (node.input_name(0), node.output_name(0)) {
                let declared =
                    node.int("output_dtype").and_then(|number| DType::from_onnx(i32::try_from(number).ok()?));
                let how = qdq_use(declared.unwrap_or(DType::Uint8));
                self.add(position, Some(value), stored, name(Some(1)), name(Some(2)), &how);
            }
        } else if is_dequantize(node) {
            if let Some(stored) = node.input_name(0) {
                let how = qdq_use(self.facts.dtype(stored).unwrap_or(DType::Uint8));
                self.add(position, node.output_name(0), stored, name(Some(1)), name(Some(2)), &how);
            }
        } else if node.op_type() == "DynamicQuantizeLinear" {
            if let (Some(value), Some(stored)) = (node.input_name(0), node.output_name(0)) {
                let params = Parameters::AtRunTime { dtype: DType::Uint8 };
                let (scale, zero_point) = (node.output_name(1), node.output_name(2));
                self.insert(position, value, stored, scale.map(str::to_owned), zero_point.map(str::to_owned), params);
            }
        } else if matches!(node.op_type(), "ConvInteger" | "MatMulInteger") {
            self.integer_operands(position, &signature);
        } else if signature.quantized {
            self.operator(position, &signature);
        }
    }

    /// QLinear operators: every operand with a scale, the result, and the bias, whose scale follows.
    fn operator(&mut self, position: usize, signature: &Signature) {
        let Some(node) = self.document.node(position) else { return };
        let name = |at: Option<usize>| at.and_then(|at| node.input_name(at)).map(str::to_owned);
        for operand in signature.operands.iter().filter(|operand| operand.scale.is_some()) {
            let Some(stored) = node.input_name(operand.position) else { continue };
            let how = ScaleUse {
                axis: operator_axis(&signature.op, operand.role, node.int("transB").unwrap_or(0) != 0),
                block_size: 0,
                default_dtype: self.facts.dtype(stored).unwrap_or(DType::Uint8),
            };
            self.add(position, None, stored, name(operand.scale), name(operand.zero_point), &how);
        }
        if let (Some((scale, zero_point)), Some(stored)) = (signature.result, node.output_name(0)) {
            let how = ScaleUse { axis: -1, block_size: 0, default_dtype: DType::Uint8 };
            self.add(position, None, stored, name(Some(scale)), name(Some(zero_point)), &how);
        }
        let bias = signature.operands.iter().find(|operand| operand.role == "bias" && operand.scale.is_none());
        if let Some(stored) = bias.and_then(|operand| node.input_name(operand.position))
            && matches!(node.op_type(), "QLinearConv" | "QGemm")
        {
            let scales: Vec<String> = signature.operands.iter().filter_map(|operand| name(operand.scale)).collect();
            let params = self.bias_params(&scales);
            self.insert(position, stored, stored, None, None, params);
        }
    }

    /// int32 with scale = input scale x weight scale (one f32 product per channel) and zero point 0.
    fn bias_params(&self, scales: &[String]) -> Parameters {
        let read = |name: &String| self.document.constant(name)?.ok()?.to_f32().ok();
        let (Some(input), Some(weight)) = (scales.first().and_then(read), scales.get(1).and_then(read)) else {
            return Parameters::AtRunTime { dtype: DType::Int32 };
        };
        let [input] = input.as_slice() else {
            return Parameters::Unusable(format!("the input has {} scales", input.len()));
        };
        let scale: Vec<f32> = weight.iter().map(|weight| input * weight).collect();
        Parameters::Fixed(QuantParams {
            zero_point: vec![0; scale.len()],
            dtype: DType::Int32,
            granularity: match scale.len() {
                1 => super::Granularity::PerTensor,
                _ => super::Granularity::PerChannel { axis: 0 },
            },
            scale,
        })
    }

    /// ConvInteger, MatMulInteger: the scales are multiplied in behind them.
    fn integer_operands(&mut self, position: usize, signature: &Signature) {
        let Some(node) = self.document.node(position) else { return };
        let rescale = self.document.rescale(position).unwrap_or_default();
        for operand in &signature.operands {
            let Some(stored) = node.input_name(operand.position) else { continue };
            let zero_point = operand.zero_point.and_then(|at| node.input_name(at)).map(str::to_owned);
            let scale = if operand.role == "weight" { &rescale.weight_scale } else { &rescale.input_scale };
            let dynamic =
                self.document.producer_node(stored).is_some_and(|made| made.op_type() == "DynamicQuantizeLinear");
            match scale.clone().map(|scale| self.document.origin(&scale)) {
                // Already listed by the node that quantizes it: only the use is added.
                _ if dynamic => {
                    let used = self.found.iter_mut().find(|tensor| tensor.stored == stored);
                    used.into_iter().for_each(|tensor| tensor.nodes.push(position));
                }
                Some(scale) => {
                    let how = ScaleUse {
                        axis: operator_axis(&signature.op, operand.role, false),
                        block_size: 0,
                        default_dtype: self.facts.dtype(stored).unwrap_or(DType::Uint8),
                    };
                    self.add(position, None, stored, Some(scale), zero_point, &how);
                }
                None => {
                    let params = Parameters::NoScale { dtype: self.facts.dtype(stored).unwrap_or(DType::Uint8) };
                    self.insert(position, stored, stored, None, zero_point, params);
                }
            }
        }
    }

    fn add(
        &mut self,
        position: usize,
        value: Option<&str>,
        stored: &str,
        scale: Option<String>,
        zero_point: Option<String>,
        how: &ScaleUse,
    ) {
        let shape = self.facts.shape(stored).or_else(|| self.facts.shape(value?));
        let params = match &scale {
            Some(scale) => read_params(self.document, shape, scale, zero_point.as_deref(), how),
            None => Parameters::Unusable("the scale is missing".to_owned()),
        };
        self.insert(position, value.unwrap_or(stored), stored, scale, zero_point, params);
    }

    fn insert(
        &mut self,
        position: usize,
        value: &str,
        stored: &str,
        scale_name: Option<String>,
        zero_point_name: Option<String>,
        params: Parameters,
    ) {
        // A constant goes by where it is stored, whatever reshapes it on its way to the node.
        let origin = self.document.origin(stored);
        let constant = self.document.is_constant(&origin);
        let is_stored = self.document.is_constant(stored);
        let key = (stored.to_owned(), scale_name.clone(), zero_point_name.clone());
        if let Some(tensor) = self.places.get(&key).and_then(|&place| self.found.get_mut(place)) {
            if !tensor.nodes.contains(&position) {
                tensor.nodes.push(position);
            }
            // Between QOperator nodes the first real-valued value is what DequantizeLinear gives.
            if tensor.value == tensor.stored && !constant {
                tensor.value = value.to_owned();
            }
            return;
        }
        let kind = match constant {
            true => self.kinds.get(&origin).copied().unwrap_or(TensorKind::Constant),
            false => TensorKind::Activation,
        };
        let value = match (is_stored, constant) {
            (true, _) => stored.to_owned(),
            (false, true) => origin,
            (false, false) => value.to_owned(),
        };
        let shape = self.facts.shape(stored).or_else(|| self.facts.shape(&value)).map(<[Dim]>::to_vec);
        let stored = stored.to_owned();
        self.places.insert(key, self.found.len());
        self.found.push(QuantizedTensor {
            value,
            stored,
            kind,
            params,
            shape,
            scale_name,
            zero_point_name,
            nodes: vec![position],
        });
    }
}

/// The axis that a vector of scales runs along, by the operators' specifications: output channels of a convolution's
/// weight, rows of a product's left side and columns of its right one.
pub(super) fn operator_axis(op: &str, role: &str, transposed: bool) -> i64 {
    match (op, role) {
        ("Conv", "weight") => 0,
        ("Gemm", "weight") if transposed => 0,
        ("MatMul" | "Gemm", "input") => -2,
        ("MatMul" | "Gemm", _) => -1,
        _ => 1,
    }
}
