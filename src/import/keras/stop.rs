//! Why the conversion of a layer ends early.

use crate::import::ImportError;
use crate::onnx::OnnxError;
use crate::tensor::TensorError;

/// What stops a layer.
#[derive(Clone, Debug)]
pub(super) enum Stop {
    /// It has no ONNX form: it stays in the model as a node of its own, and the rest goes on.
    Unsupported(String),
    /// The file contradicts itself: nothing of it is converted.
    Broken(ImportError),
}

impl From<ImportError> for Stop {
    fn from(error: ImportError) -> Self {
        Stop::Broken(error)
    }
}

impl From<TensorError> for Stop {
    fn from(error: TensorError) -> Self {
        Stop::Broken(ImportError::format("weights", error.to_string(), "as many elements as the shape says", DAMAGED))
    }
}

impl From<OnnxError> for Stop {
    fn from(error: OnnxError) -> Self {
        Stop::Broken(ImportError::format("converted model", error.to_string(), "a valid ONNX model", DAMAGED))
    }
}

const DAMAGED: &str = "The file is damaged: save the model again, or copy the file again.";

/// A layer that has no ONNX form, with the reason.
pub(super) fn unsupported<T>(reason: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Unsupported(reason.into()))
}
