//! What was done that is not plain to see.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A remark about a quantized model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Note {
    /// The model was converted to a later operator set, which has quantizing operators.
    Raised {
        /// Its operator set.
        from: i64,
        /// The one that it has now.
        to: i64,
        /// Nodes that had to be written otherwise.
        rewritten: usize,
    },
    /// The model could not be converted to an operator set that has quantizing operators.
    NotRaised {
        /// What stands in the way.
        why: String,
    },
    /// The operator set has no scales along an axis: the nodes with them are of com.microsoft.
    PerChannelOpset {
        /// The model's operator set.
        opset: i64,
        /// The first one that has them.
        needed: i64,
    },
    /// `beta` of a `Gemm` was multiplied into its bias. ONNX Runtime 1.23 drops it instead.
    BetaFolded {
        /// The bias.
        bias: String,
        /// The factor.
        beta: f32,
    },
    /// In QOperator form, where a `QGemm` multiplies its bias by `alpha` too: `beta / alpha` was multiplied into it. ONNX
    /// Runtime 1.23 leaves it as it is.
    AlphaFolded {
        /// The bias.
        bias: String,
        /// The factor of the product.
        alpha: f32,
        /// The factor of the bias.
        beta: f32,
    },
    /// A bias that several nodes read got a copy for one of them, with a scale of its own. In QOperator form ONNX Runtime
    /// 1.23 gives all of them the integers of the first, in QDQ form it finds the reader by its name: where nodes have
    /// none, all read the copy.
    BiasCopied {
        /// The bias.
        bias: String,
        /// The copy.
        copy: String,
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
    /// In QOperator form a Relu or Clip stays behind integers that were only moved: their scale is that of a tensor before
    /// the function. ONNX Runtime's QOperator form drops it.
    ActivationBehindMoved {
        /// The node.
        node: String,
        /// The tensor whose scale they have.
        with: String,
    },
    /// Zero points that lie between two integers, as those of ranges that are as wide on both sides of 0 do.
    ZeroPointTies {
        /// The tensors.
        tensors: Vec<String>,
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
    /// In QOperator form a `Resize` that interpolates stays float. ONNX Runtime's quantizer writes it on integers, where
    /// its kernel cuts fractions off (linear) or does not exist (cubic).
    ResizeInFloat {
        /// The node.
        node: String,
        /// How it finds new elements.
        mode: String,
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
            Note::Raised { from, to, rewritten } => {
                write!(
                    f,
                    "opset {from} has no quantizing operators: the model is converted to opset {to}, {rewritten} nodes written otherwise"
                )
            }
            Note::NotRaised { why } => {
                write!(f, "the quantizing nodes are of com.microsoft: {why}")
            }
            Note::PerChannelOpset { opset, needed } => {
                write!(
                    f,
                    "opset {opset} has no scales along an axis, opset {needed} has: the nodes with a scale per channel are of com.microsoft; ONNX Runtime's quantizer writes them as ai.onnx, and its file does not load"
                )
            }
            Note::BetaFolded { bias, beta } => {
                write!(f, "beta = {beta} is multiplied into the bias '{bias}'; ONNX Runtime's quantizer drops it")
            }
            Note::AlphaFolded { bias, alpha, beta } => {
                write!(
                    f,
                    "a QGemm multiplies its bias by alpha = {alpha} too: '{bias}' is stored times {beta} / {alpha}; ONNX Runtime's quantizer stores it as it is"
                )
            }
            Note::BiasCopied { bias, copy } => {
                write!(
                    f,
                    "the bias '{bias}' has several readers: one reads the copy '{copy}', with a scale of its own; ONNX Runtime's quantizer gives all the same integers"
                )
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
            Note::ActivationBehindMoved { node, with } => {
                write!(
                    f,
                    "'{node}' stays in the graph: its input has the scale of '{with}', whose range reaches beyond the activation function; ONNX Runtime's quantizer drops it, and its model computes something else"
                )
            }
            Note::ZeroPointTies { tensors } => {
                const SHOWN: usize = 5;
                let shown: Vec<&str> = tensors.iter().take(SHOWN).map(String::as_str).collect();
                let others = tensors.len().saturating_sub(SHOWN);
                let others = if others > 0 { format!(" and {others} more") } else { String::new() };
                write!(
                    f,
                    "zero points between two integers, as ranges give that are as wide on both sides of 0: {}{others}; the last bit of a float sum decides, and ONNX Runtime's may be the other one",
                    shown.join(", ")
                )
            }
            Note::ClampRemains { tensor } => {
                write!(
                    f,
                    "'{tensor}' is clipped before it is rounded: its range reaches beyond the activation function, as ranges of Distribution do; ONNX Runtime's quantizer drops the function all the same, and its model computes something else"
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
            Note::ResizeInFloat { node, mode } => {
                write!(
                    f,
                    "'{node}' (Resize, {mode}) stays float; ONNX Runtime's quantizer lets it read integers, where its kernel cuts fractions off (linear) or does not exist (cubic)"
                )
            }
            Note::StaysFloat { node, op } => {
                write!(f, "'{node}' ({op}) stays float: no integer operator takes the parameters of its tensors")
            }
        }
    }
}
