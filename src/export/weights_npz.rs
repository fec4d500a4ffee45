//! Every weight of a model as one .npz file.

use super::npz::{Compression, NpzError, NpzFile, npz};
use crate::onnx::{Document, NodeExt, OnnxError};
use crate::tensor::{DType, Tensor};
use thiserror::Error;

/// Why there is no archive of weights.
#[derive(Debug, Error)]
pub enum WeightsError {
    /// A tensor's data cannot be had: it is in a file that is not open, or breaks its declaration.
    #[error(transparent)]
    Tensor(#[from] OnnxError),
    /// The archive cannot be written.
    #[error(transparent)]
    Archive(#[from] NpzError),
}

/// Every constant tensor of the main graph by its name in the file: initializers in their order, then the values of
/// `Constant` nodes. Strings are left out; types that numpy lacks are converted as [`NpzFile::conversions`] says.
pub fn weights(document: &Document) -> Result<Vec<(String, Tensor)>, OnnxError> {
    let mut found = Vec::new();
    for proto in &document.graph().initializer {
        if DType::from_onnx(proto.data_type()) != Some(DType::String) {
            found.push((proto.name().to_owned(), document.tensor(proto)?));
        }
    }
    for node in document.graph().node.iter().filter(|node| node.op_type() == "Constant") {
        if let Some((name, tensor)) = node.output_name(0).and_then(|name| Some((name, document.constant(name)?))) {
            found.push((name.to_owned(), tensor?));
        }
    }
    Ok(found)
}

/// [`weights`] as a .npz file.
pub fn weights_npz(document: &Document, compression: Compression) -> Result<NpzFile, WeightsError> {
    let tensors = weights(document)?;
    let arrays: Vec<(&str, &Tensor)> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    Ok(npz(&arrays, compression)?)
}
