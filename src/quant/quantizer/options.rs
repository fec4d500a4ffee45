//! What the user chooses.

use super::error::QuantizeError;
use crate::quant::scales::ScaleRule;
use crate::quant::table::TableFormat;
use crate::tensor::DType;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How a float model is quantized. The default is that of `onnxruntime.quantization.quantize_static`: QDQ, int8 for
/// activations (asymmetric) and weights (symmetric), one scale per tensor, all operators it knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct QuantizeOptions {
    /// How the quantized model is written; the two formats also choose tensors differently.
    pub format: TableFormat,
    /// Type of activations, and of constants that are added or multiplied.
    pub activation_type: DType,
    /// Type of the weights of convolutions, matrix products and normalizations.
    pub weight_type: DType,
    /// Whether ranges of activations are made symmetric (`ActivationSymmetric`). Relu and Clip then stay in the graph.
    pub activations_symmetric: bool,
    /// Whether ranges of weights are made symmetric (`WeightSymmetric`); `None`: for signed types.
    pub weights_symmetric: Option<bool>,
    /// Whether symmetric ranges of weights are spread over all numbers of their type, `max|w| / 127.5` for int8, as
    /// PyTorch's observers do; ONNX Runtime leaves -128 out.
    pub weights_use_all_numbers: bool,
    /// A scale for each output channel of a weight; such scales are always symmetric in the QDQ format.
    pub per_channel: bool,
    /// Whether weights use about half of the type's numbers, for CPUs whose kernels saturate at 16 bits.
    pub reduce_range: bool,
    /// Whether activations do so, as PyTorch's fbgemm has it. ONNX Runtime has no such option.
    pub reduce_activation_range: bool,
    /// A least width of ranges (`MinimumRealRange`).
    pub min_real_range: Option<f32>,
    /// Operator types to quantize; `None` for all that ONNX Runtime's quantizers know.
    pub op_types: Option<BTreeSet<String>>,
    /// Operator types to leave out of them.
    pub op_types_excluded: BTreeSet<String>,
    /// Names of the only nodes to quantize; empty for all.
    pub nodes: BTreeSet<String>,
    /// Names of nodes to leave in float.
    pub nodes_excluded: BTreeSet<String>,
    /// Operator types whose outputs stay float (`OpTypesToExcludeOutputQuantization`).
    pub op_types_with_float_output: BTreeSet<String>,
    /// Whether Relu and Clip stay in the graph (`QDQKeepRemovableActivations`).
    pub keep_activation_functions: bool,
    /// Whether biases become int32 (`QuantizeBias`); only the QDQ format can leave them float.
    pub quantize_bias: bool,
    /// Whether the scale of a weight is widened where the bias would not fit int32
    /// (not `QDQDisableWeightAdjustForInt32Bias`).
    pub widen_weight_for_bias: bool,
    /// Whether the model still takes and gives floats; if not, [`super::with_integer_io`] is applied to what the table
    /// is lowered to.
    pub float_io: bool,
    /// Whether operators that hand their input on (Reshape, MaxPool, ...) are quantized even where their input is not
    /// (`ForceQuantizeNoInputCheck`).
    pub force_pass_through: bool,
    /// Channel axis by operator type, where it is not the usual one (`QDQOpTypePerChannelSupportToAxis`); only MatMul
    /// and normalizations ask.
    pub channel_axis: BTreeMap<String, i64>,
    /// Single tensors that are quantized otherwise (`TensorQuantOverrides`).
    pub overrides: BTreeMap<String, TensorOverride>,
}

/// What differs for one tensor. Left out is what the options say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TensorOverride {
    /// Type of the stored values.
    pub dtype: Option<DType>,
    /// Whether the range is made symmetric.
    pub symmetric: Option<bool>,
    /// Whether about half of the numbers are used.
    pub reduce_range: Option<bool>,
    /// The range, in place of the calibrated one or of the constant's extremes.
    pub range: Option<(f32, f32)>,
    /// Scale and zero point themselves.
    pub params: Option<(f32, i32)>,
    /// For a constant: `Some(None)` one scale for all, `Some(Some(axis))` one for each index along the axis.
    pub axis: Option<Option<usize>>,
    /// Whether the tensor stays float after all: it then has a row that is off.
    pub off: bool,
}

impl Default for QuantizeOptions {
    fn default() -> Self {
        QuantizeOptions {
            format: TableFormat::Qdq,
            activation_type: DType::Int8,
            weight_type: DType::Int8,
            activations_symmetric: false,
            weights_symmetric: None,
            weights_use_all_numbers: false,
            per_channel: false,
            reduce_range: false,
            reduce_activation_range: false,
            min_real_range: None,
            op_types: None,
            op_types_excluded: BTreeSet::new(),
            nodes: BTreeSet::new(),
            nodes_excluded: BTreeSet::new(),
            op_types_with_float_output: BTreeSet::new(),
            keep_activation_functions: false,
            quantize_bias: true,
            widen_weight_for_bias: true,
            float_io: true,
            force_pass_through: false,
            channel_axis: BTreeMap::new(),
            overrides: BTreeMap::new(),
        }
    }
}

/// What ONNX Runtime's QOperator quantizer knows.
pub const QOPERATOR_OPS: &[&str] = &[
    "ArgMax",
    "Conv",
    "Gemm",
    "MatMul",
    "Add",
    "Mul",
    "Relu",
    "Clip",
    "LeakyRelu",
    "Sigmoid",
    "MaxPool",
    "GlobalAveragePool",
    "Split",
    "Pad",
    "Reshape",
    "Squeeze",
    "Unsqueeze",
    "Resize",
    "AveragePool",
    "Concat",
    "Softmax",
    "Where",
    "Gather",
    "Transpose",
    "EmbedLayerNormalization",
];

/// What its QDQ quantizer has rules of its own for. By default both lists are quantized, in either format.
pub const QDQ_OPS: &[&str] = &[
    "Conv",
    "ConvTranspose",
    "Gemm",
    "Clip",
    "Relu",
    "Reshape",
    "Transpose",
    "Squeeze",
    "Unsqueeze",
    "Resize",
    "MaxPool",
    "AveragePool",
    "Slice",
    "Pad",
    "MatMul",
    "Split",
    "Gather",
    "GatherElements",
    "Where",
    "InstanceNormalization",
    "LayerNormalization",
    "BatchNormalization",
    "TopK",
];

impl QuantizeOptions {
    /// Whether nodes of this type are quantized.
    pub fn quantizes_op(&self, op_type: &str) -> bool {
        let known = || QOPERATOR_OPS.contains(&op_type) || QDQ_OPS.contains(&op_type);
        let chosen = self.op_types.as_ref().map_or_else(known, |types| types.contains(op_type));
        chosen && !self.op_types_excluded.contains(op_type)
    }

    /// Whether this node is quantized.
    pub fn quantizes_node(&self, op_type: &str, name: &str) -> bool {
        (self.nodes.is_empty() || self.nodes.contains(name))
            && self.quantizes_op(op_type)
            && !matches!(op_type, "QuantizeLinear" | "DequantizeLinear")
            && !self.nodes_excluded.contains(name)
    }

    /// A choice that another one overrules, in a sentence.
    pub fn overruled(&self) -> Option<String> {
        let asymmetric = !self.symmetric_weights(self.weight_type);
        (asymmetric && self.per_channel && self.format == TableFormat::Qdq).then(|| {
            "Weights with a scale for each channel are always symmetric in the QDQ format, whatever is chosen: kernels \
             want one zero point"
                .to_owned()
        })
    }

    /// Whether weights of this type have symmetric ranges.
    pub fn symmetric_weights(&self, dtype: DType) -> bool {
        self.weights_symmetric.unwrap_or(matches!(dtype, DType::Int4 | DType::Int8 | DType::Int16))
    }

    /// The rule for an activation, with what differs for it.
    pub(super) fn activation_rule(&self, changed: Option<&TensorOverride>) -> ScaleRule {
        ScaleRule {
            dtype: changed.and_then(|changed| changed.dtype).unwrap_or(self.activation_type),
            symmetric: changed.and_then(|changed| changed.symmetric).unwrap_or(self.activations_symmetric),
            reduce_range: changed.and_then(|changed| changed.reduce_range).unwrap_or(self.reduce_activation_range),
            all_numbers: false,
            min_real_range: self.min_real_range,
        }
    }

    /// Fails for types that cannot be quantized to, or not together.
    pub fn check(&self) -> Result<(), QuantizeError> {
        let wide = |dtype| matches!(dtype, DType::Int16 | DType::Uint16);
        let narrow = |dtype| matches!(dtype, DType::Int4 | DType::Uint4);
        let operator = self.format == TableFormat::QOperator;
        let refuse = |reason| {
            let format = if operator { "QOperator" } else { "QDQ" };
            Err(QuantizeError::Types { activations: self.activation_type, weights: self.weight_type, format, reason })
        };
        for dtype in [self.activation_type, self.weight_type] {
            if ScaleRule::of(dtype).limits().is_err() {
                return refuse("the types are int8, uint8, int16, uint16, int4 and uint4");
            }
        }
        if self.activation_type == DType::Int8 && self.weight_type == DType::Uint8 {
            return refuse("ONNX Runtime has no kernels for signed activations with unsigned weights");
        }
        if operator && (wide(self.activation_type) || wide(self.weight_type)) {
            return refuse("16 bits exist in the QDQ format only");
        }
        if operator && (narrow(self.activation_type) || narrow(self.weight_type)) {
            return refuse("the QLinear operators take 8 bits only");
        }
        Ok(())
    }
}
