//! Why a model cannot be quantized as asked.

use crate::onnx::OnnxError;
use crate::quant::scales::ScaleError;
use crate::tensor::DType;
use thiserror::Error;

/// What stands in the way, with the tensor or node it is about.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum QuantizeError {
    /// The model is broken or its data is not at hand.
    #[error(transparent)]
    Model(#[from] OnnxError),
    /// The model is quantized already.
    #[error("node '{node}' ({op}) shows that the model is quantized already; quantize its float form")]
    Quantized {
        /// The node's name, or its first output.
        node: String,
        /// Its operator.
        op: String,
    },
    /// A tensor that shall be quantized was not calibrated.
    #[error("no range was calibrated for '{0}'")]
    NoRange(String),
    /// A scale cannot be made.
    #[error("'{tensor}': {source}")]
    Scale {
        /// The tensor.
        tensor: String,
        /// Why.
        source: ScaleError,
    },
    /// A bias needs the scales of input and weight, and one of them is not quantized.
    #[error("the bias '{bias}' needs the scale of '{needs}', which is not quantized")]
    BiasWithoutScale {
        /// The bias.
        bias: String,
        /// The input or weight without a scale.
        needs: String,
    },
    /// A tensor that shall be quantized is float16: a runtime has no kernels between it and 8 bits.
    #[error("'{tensor}' is float16; only float32 models are quantized: convert the model to float32 first")]
    Float16 {
        /// The tensor.
        tensor: String,
    },
    /// The operator set is older than the operators of the QOperator format.
    #[error(
        "opset {found}: the QLinear operators need opset {needed}; choose the QDQ format, or convert the model first"
    )]
    Opset {
        /// The model's.
        found: i64,
        /// The first that has them.
        needed: i64,
    },
    /// A name that the user chose is not in the model.
    #[error("the model has no {what} '{name}'; near are {}", if .near.is_empty() { "none".to_owned() } else { .near.join(", ") })]
    Unknown {
        /// "node" or "operator type".
        what: &'static str,
        /// The name.
        name: String,
        /// Names that there are, the nearest first.
        near: Vec<String>,
    },
    /// The types do not go together.
    #[error("{weights} weights with {activations} activations in the {format} format: {reason}")]
    Types {
        /// Type of the activations.
        activations: DType,
        /// Type of the weights.
        weights: DType,
        /// The format.
        format: &'static str,
        /// Why not.
        reason: &'static str,
    },
}
