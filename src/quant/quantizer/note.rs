//! What was done that is not plain to see.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A remark about a quantized model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Note {
    /// `beta` of a `Gemm` was multiplied into its bias. ONNX Runtime 1.23 drops it instead.
    BetaFolded {
        /// The bias.
        bias: String,
        /// The factor.
        beta: f32,
    },
    /// A Clip with bounds that are computed stays in the graph. ONNX Runtime 1.23 drops it.
    ClipKept {
        /// The node.
        node: String,
    },
    /// A Relu or Clip stays because its input has other readers. ONNX Runtime's QOperator form drops it.
    ActivationKept {
        /// The node.
        node: String,
    },
    /// The codes of a tensor reach beyond the activation function that is gone, so that lowering writes a Clip. ONNX
    /// Runtime does without.
    ClampRemains {
        /// The tensor.
        tensor: String,
    },
    /// The scale of a weight was widened, so that its bias fits int32.
    WeightWidened {
        /// The weight.
        weight: String,
        /// The bias.
        bias: String,
    },
    /// A tensor stays float because the tensor whose scale it would use is not quantized.
    NotShared {
        /// The tensor.
        tensor: String,
        /// Whose scale it would use.
        with: String,
    },
    /// In QOperator form a convolution or `Gemm` stays float: its bias is computed, and integer operators take constant
    /// ones only.
    BiasComputed {
        /// The node.
        node: String,
        /// Its operator.
        op: String,
        /// The bias.
        bias: String,
    },
    /// In QOperator form a node stays float: no integer operator takes the parameters of its tensors.
    StaysFloat {
        /// The node.
        node: String,
        /// Its operator.
        op: String,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::BetaFolded { bias, beta } => {
                write!(f, "beta = {beta} is multiplied into the bias '{bias}'; ONNX Runtime's quantizer drops it")
            }
            Note::ClipKept { node } => {
                write!(f, "'{node}' stays in the graph: its bounds are not constant; ONNX Runtime's quantizer drops it")
            }
            Note::ActivationKept { node } => {
                write!(
                    f,
                    "'{node}' stays in the graph: others read its input before the activation function; ONNX Runtime's quantizer drops it"
                )
            }
            Note::ClampRemains { tensor } => {
                write!(
                    f,
                    "'{tensor}' is clipped before it is rounded: its codes reach beyond the activation function, which ONNX Runtime's quantizer drops"
                )
            }
            Note::WeightWidened { weight, bias } => {
                write!(f, "the scale of '{weight}' is widened, so that the bias '{bias}' fits int32")
            }
            Note::NotShared { tensor, with } => {
                write!(f, "'{tensor}' stays float: it would use the scale of '{with}', which is not quantized")
            }
            Note::BiasComputed { node, op, bias } => {
                write!(
                    f,
                    "'{node}' ({op}) stays float: its bias '{bias}' is computed, and an integer operator takes a constant"
                )
            }
            Note::StaysFloat { node, op } => {
                write!(f, "'{node}' ({op}) stays float: no integer operator takes the parameters of its tensors")
            }
        }
    }
}
