//! PyTorch files: archives of `torch.save` and `torch.jit.save`, and the format before 1.6.
//!
//! [`read_pytorch`] reads every tensor with its scale, zero point and stored integers, shows the code that a file
//! holds, and writes the model as ONNX where its operations are ordinary ones. **Nothing of the file is executed**:
//! pickles are parsed as data, and code is followed symbolically, with every size checked before it is allocated.

mod builtins;
mod calls;
mod code;
mod container;
mod contents;
mod convert;
mod dtype;
mod graph;
mod legacy;
mod load;
mod machine;
mod modules;
mod numbers;
mod packed;
mod python;
mod script;
mod storage;
mod tensor;
mod tree;
mod weights;

pub use tensor::TorchTensor;
pub use weights::weights_document;

use super::limits::Budget;
use super::{Converted, ImportError, InputShape, Limits, SourceTensor};
use bytes::Bytes;

/// What a PyTorch file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TorchKind {
    /// Tensors by name: what `state_dict()` gives.
    StateDict,
    /// A dict of such and other things.
    Checkpoint,
    /// A pickled module: its class is named, its code is not in the file.
    Module,
    /// A pickled fx graph: its generated code is in the file.
    GraphModule,
    /// A TorchScript archive: data and code.
    TorchScript,
    /// Tensors in lists, tuples or alone.
    Tensors,
}

impl TorchKind {
    /// The kind in words, with its article.
    pub fn name(self) -> &'static str {
        match self {
            TorchKind::StateDict => "a state dict",
            TorchKind::Checkpoint => "a checkpoint",
            TorchKind::Module => "a pickled module",
            TorchKind::GraphModule => "a pickled fx graph module",
            TorchKind::TorchScript => "a TorchScript archive",
            TorchKind::Tensors => "a file of tensors",
        }
    }
}

/// How a file is converted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TorchOptions {
    /// The `ai.onnx` operator set, 13 or newer.
    pub opset: i64,
    /// The shape of the first input, instead of what the file tells or the code lets guess.
    pub input_shape: Option<InputShape>,
}

impl Default for TorchOptions {
    fn default() -> Self {
        TorchOptions { opset: 17, input_shape: None }
    }
}

/// A PyTorch file as data.
#[derive(Clone, Debug)]
pub struct TorchFile {
    /// What it is.
    pub kind: TorchKind,
    /// Every tensor with its name in the state dict, in the file's order. Names are unique.
    pub tensors: Vec<TorchTensor>,
    /// The code in the file by path: TorchScript's `code/..py`, fx's generated `forward`.
    pub code: Vec<(String, String)>,
    /// Whether [`Self::converted`] holds the network; else only its weights.
    pub has_graph: bool,
    /// The model as ONNX, or a document of its weights alone.
    pub converted: Converted,
}

/// Reads a PyTorch file. `name` is the file's name, for the graph and for messages.
///
/// Fails where the file is damaged, larger than the limits, or names functions that no model file needs
/// (`os.system`): none of them is called in any case. A model whose operations cannot be converted is no error: its
/// weights are read and the notes say why.
pub fn read_pytorch(
    bytes: &Bytes,
    name: &str,
    limits: &Limits,
    options: &TorchOptions,
) -> Result<TorchFile, ImportError> {
    let mut budget = Budget::new(limits);
    read_within(bytes, name, &mut budget, options)
}

/// The same within what is left of a drop's limits.
pub(super) fn read_within(
    bytes: &Bytes,
    name: &str,
    budget: &mut Budget<'_>,
    options: &TorchOptions,
) -> Result<TorchFile, ImportError> {
    if !(13..=crate::onnx::NEWEST_OPSET).contains(&options.opset) {
        let (what, expected) = (format!("operator set {}", options.opset), "operator set 13 or newer");
        return Err(ImportError::unsupported("options", what, expected, "Choose an operator set from 13 on."));
    }
    let mut loaded = load::load(bytes, budget)?;
    let names = load::settle(&mut loaded);
    let tensors = names.tensors();
    let mut notes = std::mem::take(&mut loaded.notes);
    let source_tensors: Vec<SourceTensor> = tensors.iter().map(source_tensor).collect();
    let (kind, code) = (loaded.kind, loaded.code.clone());
    let converted = match convert::convert(loaded, &names, name, options) {
        Ok(converted) => Some(converted),
        Err(why) => {
            notes.extend(why);
            None
        }
    };
    let has_graph = converted.is_some();
    let mut converted = match converted {
        Some(converted) => converted,
        None => {
            if tensors.is_empty() {
                let why: String = notes.iter().map(|note| format!(". {}", note.trim_end_matches('.'))).collect();
                let found = format!("{} without any tensor{why}", kind.name());
                let advice = "Check that this is the file you meant.";
                return Err(ImportError::format("data.pkl", found, "tensors", advice));
            }
            let document = weights_document(&tensors, name, options.opset).map_err(|error| {
                ImportError::format("tensors", error.to_string(), "usable tensors", "Save it again.")
            })?;
            let (unsupported, layer_of) = (Vec::new(), Vec::new());
            Converted { document, notes: Vec::new(), unsupported, layer_of, source_tensors: Vec::new() }
        }
    };
    notes.append(&mut converted.notes);
    converted.notes = notes;
    converted.source_tensors = source_tensors;
    Ok(TorchFile { kind, tensors, code, has_graph, converted })
}

fn source_tensor(tensor: &TorchTensor) -> SourceTensor {
    SourceTensor {
        path: tensor.name.clone(),
        dtype: tensor.dtype.clone(),
        shape: tensor.tensor.shape().to_vec(),
        tensor: tensor.tensor.clone(),
    }
}
