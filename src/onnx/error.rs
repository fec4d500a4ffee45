//! What can be wrong with an ONNX file.

use super::grouped::grouped;
use crate::problem::Problem;
use crate::tensor::TensorError;
use thiserror::Error;

/// Why bytes are not a usable ONNX model, with the place inside the file.
#[derive(Debug, Error, Clone, PartialEq)]
pub enum OnnxError {
    /// The bytes are something else.
    #[error("not an ONNX model: {found}")]
    NotAModel {
        /// What the bytes look like.
        found: String,
    },
    /// A field declares more bytes than are left: the file was cut short, or a length in it is damaged.
    #[error("byte {}: {place} declares {} bytes, {} are left", grouped(*offset as u64), grouped(*declared), grouped(*left as u64))]
    Truncated {
        /// Where the field begins.
        offset: usize,
        /// The innermost field that lacks bytes, by its path.
        place: String,
        /// Bytes the field says it has.
        declared: u64,
        /// Bytes that are there.
        left: usize,
    },
    /// The bytes end inside a field's tag, length or number.
    #[error("byte {}: the bytes end inside {place}", grouped(*offset as u64))]
    Cut {
        /// Where the bytes end.
        offset: usize,
        /// What they end in.
        place: String,
    },
    /// Bytes that the schema does not allow where they stand.
    #[error("byte {}, {place}: found {found}, expected {expected}", grouped(*offset as u64))]
    Malformed {
        /// Where they stand.
        offset: usize,
        /// The field, by its path.
        place: String,
        /// What is there.
        found: String,
        /// What should be there.
        expected: String,
    },
    /// The bytes are not a protobuf message of the ONNX schema.
    #[error("not an ONNX model: {0}")]
    Decode(String),
    /// A model cannot be raised to a later operator set.
    #[error("{place} has {found}: a model of opset {from} with it cannot be raised to a later operator set")]
    Raise {
        /// The model's operator set.
        from: i64,
        /// The node, or the model.
        place: String,
        /// What stands in the way.
        found: String,
    },
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
    /// The model is written for an operator set that is not supported.
    #[error("operator set {version} of '{domain}'")]
    Opset {
        /// The operator set's domain, `ai.onnx` written out.
        domain: String,
        /// The version the model imports.
        version: i64,
        /// The oldest version that runs.
        oldest: i64,
        /// The newest version that is known.
        newest: i64,
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
        const AGAIN: &str =
            "The file breaks the ONNX specification here: export the model again, or check it with onnx.checker.";
        const COPY: &str =
            "The file is not complete: copy or download it again, and compare its size with the original's.";
        let (place, found, expected, advice) = match self {
            OnnxError::NotAModel { found } => (
                "the first bytes".to_owned(),
                found.clone(),
                "an ONNX model (a protobuf ModelProto)".to_owned(),
                not_a_model_advice(found),
            ),
            OnnxError::Truncated { offset, place, declared, left } => (
                format!("byte {}, {place}", grouped(*offset as u64)),
                format!("{} bytes", grouped(*left as u64)),
                format!("the {} bytes that the field declares", grouped(*declared)),
                COPY.to_owned(),
            ),
            OnnxError::Cut { offset, place } => (
                format!("byte {}", grouped(*offset as u64)),
                format!("the end of the bytes, inside {place}"),
                "a complete field".to_owned(),
                COPY.to_owned(),
            ),
            OnnxError::Malformed { offset, place, found, expected } => (
                format!("byte {}, {place}", grouped(*offset as u64)),
                found.clone(),
                expected.clone(),
                "The file is damaged here, or it is not an ONNX model: export or copy it again.".to_owned(),
            ),
            OnnxError::Decode(why) => (
                "the file".to_owned(),
                why.clone(),
                "a protobuf ModelProto".to_owned(),
                "Export the model again, and check that the copy is complete (compare the file sizes).".to_owned(),
            ),
            OnnxError::Raise { from, place, found } => (
                place.clone(),
                format!("{found}, in opset {from}"),
                "a node that a later operator set has too".to_owned(),
                "Convert the model with onnx.version_converter, or export it for a later opset.".to_owned(),
            ),
            OnnxError::Missing { place, what } => (
                place.clone(),
                format!("no {what}"),
                what.clone(),
                "The exporter left it out: export the model again, or check it with onnx.checker.".to_owned(),
            ),
            OnnxError::Tensor { tensor, source } => (
                format!("tensor '{tensor}'"),
                source.to_string(),
                "a payload that fits the declared type and dims".to_owned(),
                "The file is damaged or was written wrongly: export the model again.".to_owned(),
            ),
            OnnxError::Invalid { place, found, expected } => {
                (place.clone(), found.clone(), expected.clone(), AGAIN.to_owned())
            }
            OnnxError::Opset { domain, version, oldest, newest } => (
                "opset_import".to_owned(),
                format!("{domain} version {version}"),
                format!("version {oldest} to {newest}"),
                "It can be inspected but not run: convert it with onnx.version_converter, or export it for another opset."
                    .to_owned(),
            ),
            OnnxError::ExternalData { tensor, location } => (
                format!("tensor '{tensor}'"),
                format!("a reference to the file '{location}'"),
                "that file opened together with the model".to_owned(),
                format!("Drop the model and '{location}' together."),
            ),
        };
        Problem { file: file.to_owned(), place, found, expected, advice }
    }
}

fn not_a_model_advice(found: &str) -> String {
    let advice = match found {
        found if found.contains("Git LFS") => {
            "Fetch the file itself with `git lfs pull`, or download it from the site."
        }
        found if found.contains("web page") => {
            "The download gave a page instead of the file: use the raw download link."
        }
        _ => "Check that this is the file you meant, and export the model to ONNX if it is in another format.",
    };
    advice.to_owned()
}
