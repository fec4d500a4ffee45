//! What can go wrong with a table as a whole.

use crate::onnx::OnnxError;
use crate::tensor::TensorError;
use thiserror::Error;

/// Why a document cannot be lifted or a table cannot be lowered.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum TableError {
    /// The document itself cannot be used.
    #[error(transparent)]
    Document(#[from] OnnxError),
    /// A constant does not fit its row.
    #[error("'{tensor}': {message}")]
    Row {
        /// [`super::Row::tensor`].
        tensor: String,
        /// What is wrong.
        message: String,
    },
    /// An edit list that cannot be read or is for another model.
    #[error("{0}")]
    EditList(String),
}

impl TableError {
    /// An error about a row.
    pub(super) fn row(tensor: &str, message: impl Into<String>) -> TableError {
        TableError::Row { tensor: tensor.to_owned(), message: message.into() }
    }

    /// A tensor of a row that cannot be made or read.
    pub(super) fn tensor(tensor: &str, error: TensorError) -> TableError {
        TableError::row(tensor, error.to_string())
    }
}
