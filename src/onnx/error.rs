//! What can be wrong with an ONNX file.

use crate::problem::Problem;
use crate::tensor::TensorError;
use thiserror::Error;

/// Why bytes are not a usable ONNX model, with the place inside the file.
#[derive(Debug, Error, Clone, PartialEq)]
pub enum OnnxError {
    /// The bytes are not a protobuf message of the ONNX schema.
    #[error("not an ONNX model: {0}")]
    Decode(String),
    /// A required part is missing.
    #[error("{place}: {what} is missing")]
    Missing {
        /// Where in the file.
        place: String,
        /// What is missing.
        what: String,
    },
    /// A tensor's declared type, dims and payload disagree.
    #[error("tensor '{tensor}': {source}")]
    Tensor {
        /// Name of the tensor.
        tensor: String,
        /// What is wrong.
        source: TensorError,
    },
    /// A declaration that no model can have.
    #[error("{place}: found {found}, expected {expected}")]
    Invalid {
        /// Where in the file.
        place: String,
        /// What is there.
        found: String,
        /// What should be there.
        expected: String,
    },
    /// A tensor's data lives in another file, which was not given.
    #[error("tensor '{tensor}' keeps its data in the file '{location}', which is not open")]
    ExternalData {
        /// Name of the tensor.
        tensor: String,
        /// Name of the other file.
        location: String,
    },
}

impl OnnxError {
    /// The error as a message for people: place, found, expected, what to do.
    pub fn problem(&self, file: &str) -> Problem {
        let problem = |place: &str, found: String, expected: &str, advice: &str| Problem {
            file: file.to_owned(),
            place: place.to_owned(),
            found,
            expected: expected.to_owned(),
            advice: advice.to_owned(),
        };
        match self {
            OnnxError::Decode(why) => problem(
                "the file",
                why.clone(),
                "a protobuf ModelProto",
                "Export the model again, and check that the copy is complete (compare the file sizes).",
            ),
            OnnxError::Missing { place, what } => problem(
                place,
                format!("no {what}"),
                what,
                "The exporter left it out: export the model again, or check it with onnx.checker.",
            ),
            OnnxError::Tensor { tensor, source } => problem(
                &format!("tensor '{tensor}'"),
                source.to_string(),
                "a payload that fits the declared type and dims",
                "The file is damaged or was written wrongly: export the model again.",
            ),
            OnnxError::Invalid { place, found, expected } => problem(
                place,
                found.clone(),
                expected,
                "The file breaks the ONNX specification here: export the model again, or check it with onnx.checker.",
            ),
            OnnxError::ExternalData { tensor, location } => problem(
                &format!("tensor '{tensor}'"),
                format!("a reference to the file '{location}'"),
                "that file opened together with the model",
                &format!("Drop the model and '{location}' together."),
            ),
        }
    }
}
