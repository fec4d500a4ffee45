//! One way from a file of any format to an ONNX document, with the options of a converter.

use super::limits::Budget;
use super::{
    Converted, ImportError, InputShape, KerasOptions, Kind, LayerValues, Limits, TorchOptions, convert_keras, pytorch,
    safetensors, tflite,
};
use crate::onnx::proto::StringStringEntryProto;
use crate::onnx::{Document, OnnxError};
use crate::quant::quantizer::{PrepareOptions, computes_nothing, prepare};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// How a model becomes ONNX.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConvertOptions {
    /// Version of the `ai.onnx` operator set, 13 to [`crate::onnx::NEWEST_OPSET`]; `None`: what each format's converter
    /// takes by itself, and for an ONNX file its own.
    pub opset: Option<i64>,
    /// Whether batch normalization is computed into the weights and biases before it.
    pub fold_batch_norm: bool,
    /// The shape of the first input, of a PyTorch file with code: a scripted one does not tell it, and sizes that follow
    /// from it (an adaptive pooling) are needed.
    pub input_shape: Option<InputShape>,
}

/// The file that a model was converted from, so that it can be converted again.
#[derive(Clone, Debug)]
pub struct Original {
    /// What the file is.
    pub kind: Kind,
    /// Its content.
    pub bytes: Bytes,
    /// How it was converted.
    pub options: ConvertOptions,
    /// The source's layers with the values that carry their outputs.
    pub layer_of: Vec<LayerValues>,
}

/// A converted file.
#[derive(Clone, Debug)]
pub struct Conversion {
    /// The model and what the source held. Notes, source and code are in the document's metadata too, so that they go
    /// where it goes: under `source`, `notes`, `not converted`, and the paths of the code.
    pub converted: Converted,
    /// The code in the file by path: TorchScript's, or fx's generated `forward`.
    pub code: Vec<(String, String)>,
}

/// Converts a file of this kind. `name` is the file's name, for the graph and for messages.
///
/// Fails where the file is damaged, where it is no model, and where an option does not go with its format: an ONNX file
/// keeps its operator set.
pub fn convert(
    kind: Kind,
    bytes: &Bytes,
    name: &str,
    options: &ConvertOptions,
    limits: &Limits,
) -> Result<Conversion, ImportError> {
    convert_within(kind, bytes, name, options, &mut Budget::new(limits))
}

/// The same within what is left of a drop's limits.
pub(super) fn convert_within(
    kind: Kind,
    bytes: &Bytes,
    name: &str,
    options: &ConvertOptions,
    budget: &mut Budget<'_>,
) -> Result<Conversion, ImportError> {
    let fold_batch_norm = options.fold_batch_norm;
    let takes_shape = matches!(kind, Kind::TorchZip | Kind::TorchLegacy);
    if let Some(shape) = options.input_shape.as_ref().filter(|_| !takes_shape) {
        let found = format!("an input shape ({shape}) for {}, which tells its own", kind.name());
        return Err(ImportError::unsupported("options", found, "a PyTorch file", "Leave the input shape out."));
    }
    let torch = TorchOptions {
        opset: options.opset.unwrap_or(TorchOptions::default().opset),
        input_shape: options.input_shape.clone(),
    };
    let (mut converted, code) = match kind {
        Kind::Hdf5 | Kind::KerasZip => {
            let opset = options.opset.unwrap_or(KerasOptions::default().opset);
            // It folds by itself, as tf2onnx does.
            let converted = convert_keras(bytes, name, &KerasOptions { opset, fold_batch_norm })?;
            return Ok(Conversion { converted, code: Vec::new() });
        }
        Kind::Tflite => {
            let usual = tflite::TfliteOptions::default();
            let opset = options.opset.unwrap_or(usual.opset);
            check_opset(opset)?;
            (tflite::read(bytes, &tflite::TfliteOptions { opset, ..usual })?, Vec::new())
        }
        Kind::TorchZip | Kind::TorchLegacy => {
            let file = pytorch::read_within(bytes, name, budget, &torch)?;
            (file.converted, file.code)
        }
        Kind::Safetensors => {
            check_opset(torch.opset)?;
            (safetensors::read_safetensors(bytes, name, torch.opset)?, Vec::new())
        }
        Kind::Onnx => (onnx(bytes, options)?, Vec::new()),
        other => {
            let expected = "a Keras, PyTorch, safetensors, TensorFlow Lite or ONNX model";
            return Err(ImportError::unsupported("the file", other.name(), expected, "Choose a model."));
        }
    };
    if fold_batch_norm {
        let only = PrepareOptions { fold_constants: false, fold_batch_norm: true, infer_shapes: false };
        let prepared = prepare(&converted.document, &only, &computes_nothing).map_err(|error| unwritten(&error))?;
        converted.notes.push(match prepared.folded.len() {
            0 => "There is no batch normalization to fold.".to_owned(),
            count => format!("Batch normalization is folded into the layers before it: {count} nodes fewer."),
        });
        converted.document = prepared.document;
    }
    if kind != Kind::Onnx || fold_batch_norm {
        converted.document =
            with_source(&converted, (kind != Kind::Onnx).then_some(kind), &code).map_err(|error| unwritten(&error))?;
    }
    Ok(Conversion { converted, code })
}

fn onnx(bytes: &Bytes, options: &ConvertOptions) -> Result<Converted, ImportError> {
    let document = Document::decode(bytes.clone()).map_err(|error| unwritten(&error))?;
    let own = document.opset("");
    if let Some(opset) = options.opset.filter(|&opset| Some(opset) != own) {
        let own = own.map_or("none".to_owned(), |own| own.to_string());
        let found = format!("operator set {opset} for a file of operator set {own}");
        let advice = "Choose the file's own; files of other formats are written in any.";
        return Err(ImportError::unsupported("options", found, "the file's own operator set", advice));
    }
    let (notes, unsupported) = (Vec::new(), Vec::new());
    Ok(Converted { document, notes, unsupported, layer_of: Vec::new(), source_tensors: Vec::new() })
}

fn check_opset(opset: i64) -> Result<(), ImportError> {
    let (oldest, newest) = (super::OLDEST_KERAS_OPSET, crate::onnx::NEWEST_OPSET);
    if (oldest..=newest).contains(&opset) {
        return Ok(());
    }
    let (found, expected) = (format!("operator set {opset}"), format!("{oldest} to {newest}"));
    Err(ImportError::format("options", found, expected, "Choose an operator set in this range."))
}

/// The document with its notes and its code as metadata. The checker wants each key once.
fn with_source(converted: &Converted, kind: Option<Kind>, code: &[(String, String)]) -> Result<Document, OnnxError> {
    let lines = |list: &[String]| (!list.is_empty()).then(|| list.join("\n"));
    let entries = [
        ("source", kind.map(|kind| kind.name().to_owned())),
        ("notes", lines(&converted.notes)),
        ("not converted", lines(&converted.unsupported)),
    ];
    let entries = entries.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    converted.document.edit(|proto| {
        for (key, value) in entries.chain(code.iter().cloned()) {
            match proto.metadata_props.iter_mut().find(|entry| entry.key() == key) {
                Some(entry) => entry.value = Some(value),
                None => proto.metadata_props.push(StringStringEntryProto { key: Some(key), value: Some(value) }),
            }
        }
    })
}

fn unwritten(error: &dyn std::error::Error) -> ImportError {
    ImportError::format("the model", error.to_string(), "a model that has an ONNX form", "Export it to ONNX instead.")
}
