//! A document as PyTorch: a readable `model.py`, and its weights as `model.safetensors` and `model.pt`.
//!
//! Every node becomes a named submodule where PyTorch has one, and a line of `forward` otherwise. A quantized (QDQ) model
//! keeps its exact scales and zero points as modules of their own, and comes a second time in the form that PT2E writes.
//! **Names from the file become identifiers of letters, digits and underscores; nothing else of it becomes code.**

mod archive;
mod code;
mod emit;
mod error;
mod helpers;
mod names;
mod ops;
mod pads;
mod pickle;
mod quantized;
mod weights;

pub use archive::pytorch_zip;
pub use error::PytorchError;
pub use weights::{state_dict_pt, state_dict_safetensors};

use crate::onnx::Document;
use crate::tensor::Tensor;
use emit::{Emitter, Flavour};

/// A model as PyTorch's files.
#[derive(Clone, Debug, PartialEq)]
pub struct PytorchExport {
    /// `model.py`: the class `Model` and the function `load`; needs nothing but torch.
    pub model_py: String,
    /// `model_pt2e.py`: the same class with the operators that PT2E (`torch.ao.quantization`) writes; there for quantized
    /// models only. It takes the same weights.
    pub model_pt2e_py: Option<String>,
    /// `model.safetensors`: the weights.
    pub safetensors: Vec<u8>,
    /// `model.pt`: the same weights as `torch.save(model.state_dict())` writes them; `torch.load(weights_only=True)`
    /// takes it.
    pub state_dict: Vec<u8>,
    /// The weights by their names in the state dict, in the order of the modules.
    pub tensors: Vec<(String, Tensor)>,
    /// What PyTorch cannot express or does otherwise, in words for a person.
    pub notes: Vec<String>,
}

/// What PyTorch cannot express of a quantized model, or its quantized kernels do not take: a line each. Empty for a float
/// model.
pub fn quantized_notes(document: &Document) -> Vec<String> {
    quantized::beyond_pt2e(document).into_iter().chain(quantized::notes(document)).collect()
}

/// Exports a document. Fails on the first node that has no form in PyTorch here. Integer operators become float ones
/// between quantizers; of a document without a network there are the weights alone.
pub fn pytorch(document: &Document) -> Result<PytorchExport, PytorchError> {
    if document.is_weights_only() {
        return weights::only(document);
    }
    if let Some(qdq) = quantized::as_qdq(document) {
        let mut export = network(&qdq)?;
        export.notes.push(quantized::LIFTED.to_owned());
        return Ok(export);
    }
    network(document)
}

fn network(document: &Document) -> Result<PytorchExport, PytorchError> {
    let exact = Emitter::run(document, Flavour::Exact)?;
    let quantized = exact.quantizers() > 0;
    let mut notes = exact.notes.clone();
    let beyond = quantized::beyond_pt2e(document);
    let model_pt2e_py = match (quantized, &beyond) {
        (true, None) => Some(Emitter::run(document, Flavour::Pt2e)?.module()),
        _ => None,
    };
    if quantized {
        notes.extend(quantized_notes(document));
    }
    let safetensors = state_dict_safetensors(&exact.state)?;
    let state_dict = state_dict_pt(&exact.state)?;
    Ok(PytorchExport { model_py: exact.module(), model_pt2e_py, safetensors, state_dict, tensors: exact.state, notes })
}
