//! What every converter gives: the model as ONNX, and what the source held.

use crate::onnx::Document;
use crate::tensor::Tensor;

/// A model of another framework as an ONNX document.
#[derive(Clone, Debug)]
pub struct Converted {
    /// The model. Layers that have no ONNX form are nodes of a domain of their own, so that the rest can be seen.
    pub document: Document,
    /// What the converter did, in words for a person: what was folded, transposed, left out.
    pub notes: Vec<String>,
    /// The source's layers that have no ONNX form, each in words with its name and class. Empty where all converted.
    pub unsupported: Vec<String>,
    /// The source's layers, in its order, with the values that carry their outputs.
    pub layer_of: Vec<LayerValues>,
    /// Every tensor of the source file, converted or not.
    pub source_tensors: Vec<SourceTensor>,
}

/// A layer of the source and the ONNX values that carry its outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerValues {
    /// The layer's name in the source; layers of a nested model are written `outer/inner`.
    pub layer: String,
    /// Value names, one per output of each use of the layer. They may differ in layout from the source's: the notes
    /// say so.
    pub values: Vec<String>,
}

/// A tensor of the source file as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceTensor {
    /// Where it is: the dataset's path in HDF5, the key in a state dict, the tensor's name in TFLite.
    pub path: String,
    /// Its element type, as the source format calls it.
    pub dtype: String,
    /// Its dims.
    pub shape: Vec<usize>,
    /// Its elements, little-endian in C order.
    pub tensor: Tensor,
}
