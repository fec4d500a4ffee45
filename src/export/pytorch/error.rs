//! Why there is no PyTorch form.

use crate::onnx::OnnxError;
use crate::tensor::TensorError;
use thiserror::Error;

/// Why a document does not become PyTorch code.
#[derive(Debug, Error, Clone, PartialEq)]
pub enum PytorchError {
    /// A node has no form in PyTorch here.
    #[error("node '{node}' ({op_type}): {reason}")]
    Node {
        /// The node's name, or that of its first output.
        node: String,
        /// Its operator, with the domain where it is not `ai.onnx`.
        op_type: String,
        /// What stands against it.
        reason: String,
    },
    /// The model breaks the specification and means nothing.
    #[error("the model cannot run: {0}")]
    Invalid(OnnxError),
    /// A tensor has no form in a PyTorch file.
    #[error("tensor '{tensor}': {reason}")]
    Tensor {
        /// Name of the tensor.
        tensor: String,
        /// What stands against it.
        reason: String,
    },
    /// A file of weights cannot be written.
    #[error("the weights cannot be written: {0}")]
    Write(String),
}

impl PytorchError {
    pub(super) fn tensor(tensor: &str, reason: impl Into<String>) -> Self {
        PytorchError::Tensor { tensor: tensor.to_owned(), reason: reason.into() }
    }
}

/// Why a node was refused, before it is known which one.
#[derive(Debug)]
pub(super) struct Refusal(pub String);

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Refusal(reason)
    }
}

impl From<&str> for Refusal {
    fn from(reason: &str) -> Self {
        Refusal(reason.to_owned())
    }
}

impl From<TensorError> for Refusal {
    fn from(error: TensorError) -> Self {
        Refusal(error.to_string())
    }
}

impl From<OnnxError> for Refusal {
    fn from(error: OnnxError) -> Self {
        Refusal(error.to_string())
    }
}
