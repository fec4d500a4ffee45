//! Where a model comes from.

use super::super::model::OpenModel;
use super::super::{Failure, Service};
use crate::analysis::LAYER_TOLERANCE;
use crate::export::pytorch::quantized_notes;
use crate::export::{RecordedModel, Recorder, recorder};
use crate::import::{ConvertOptions, Kind, OLDEST_KERAS_OPSET, member_name};
use crate::onnx::{Dim, NEWEST_OPSET, NodeExt};
use crate::tensor::DType;
use crate::worker::protocol::{ConversionCard, ModelId};

impl Service {
    /// What is known of a model's source, and what can be done with it.
    pub(super) fn conversion_card(&self, id: ModelId) -> Result<ConversionCard, Failure> {
        let model = self.model(id)?;
        let opset = model.document.opset("");
        let foreign = model.original.as_ref().filter(|original| original.kind != Kind::Onnx);
        let metadata = |key: &str| -> Vec<String> {
            let entries = model.document.proto().metadata_props.iter().filter(|entry| entry.key() == key);
            entries.flat_map(|entry| entry.value().lines()).map(str::to_owned).collect()
        };
        let is_code = |path: &str| path.ends_with(".py") || path.ends_with("forward");
        let code = model.summary.metadata.iter().filter(|(path, _)| foreign.is_some() && is_code(path));
        let mut notes = metadata("notes");
        notes.extend(range_note(model));
        Ok(ConversionCard {
            model: id,
            source: model.original.as_ref().map_or(Kind::Onnx, |original| original.kind).name().to_owned(),
            foreign: foreign.is_some(),
            source_bytes: model.original.as_ref().map_or(model.source.len(), |original| original.bytes.len()) as u64,
            options: model.original.as_ref().map_or_else(ConvertOptions::default, |original| original.options.clone()),
            takes_input_shape: foreign.is_some_and(|file| matches!(file.kind, Kind::TorchZip | Kind::TorchLegacy)),
            opset,
            opsets: match foreign {
                Some(_) => (OLDEST_KERAS_OPSET..=NEWEST_OPSET).collect(),
                None => opset.into_iter().collect(),
            },
            notes,
            unsupported: metadata("not converted"),
            code: code.cloned().collect(),
            recorder: match model.document.is_weights_only() {
                true => String::new(),
                false => recorder(framework(model), &recorded(model)),
            },
            pytorch_notes: pytorch_notes(model),
            tolerance: LAYER_TOLERANCE,
        })
    }
}

/// What is said before a model is written as PyTorch.
fn pytorch_notes(model: &OpenModel) -> Vec<String> {
    if model.document.is_weights_only() {
        let note = "There is no network to write: the tensors come under their own names, without a class.";
        return vec![note.to_owned()];
    }
    if model.quantized.is_empty() { Vec::new() } else { quantized_notes(&model.document) }
}

/// What can run the file in Python.
fn framework(model: &OpenModel) -> Recorder {
    let is_script = || model.summary.metadata.iter().any(|(path, _)| path.contains("code/"));
    match model.original.as_ref().map(|original| original.kind) {
        Some(Kind::Hdf5 | Kind::KerasZip) => Recorder::Keras,
        Some(Kind::TorchZip) if is_script() => Recorder::TorchScript,
        Some(Kind::TorchZip | Kind::TorchLegacy | Kind::Safetensors) => Recorder::Torch,
        Some(Kind::Tflite) => Recorder::Tflite,
        _ => Recorder::OnnxRuntime,
    }
}

/// The inputs, as the recording code needs them.
fn recorded(model: &OpenModel) -> RecordedModel<'_> {
    let inputs = model.document.inputs().map(|input| {
        let shape = model.facts.shape(input.name()).unwrap_or_default();
        let dims = shape.iter().map(Dim::known).collect();
        (input.name().to_owned(), model.facts.dtype(input.name()).unwrap_or(DType::Float32), dims)
    });
    let is_image = |input: &(String, DType, Vec<Option<usize>>)| input.2.len() == 4;
    let inputs: Vec<_> = inputs.collect();
    let pixels = model.summary.preprocess.is_some() && inputs.first().is_some_and(is_image);
    let file = member_name(&model.summary.file);
    let ranges = model.document.inputs().map(|input| quantizer_range(model, input.name())).collect();
    RecordedModel { file, inputs, ranges, pixels, most_index: most_index(model) }
}

/// What the quantizer that reads a value can represent; `None` where none does.
fn quantizer_range(model: &OpenModel, value: &str) -> Option<(f32, f32)> {
    let tensor = model.quantized.iter().find(|tensor| tensor.value == value)?;
    let (low, mut high) = tensor.range()?;
    if halves(model)
        && let Some(params) = tensor.fixed().filter(|params| params.dtype == DType::Uint8)
        && let ([scale], [zero_point]) = (params.scale.as_slice(), params.zero_point.as_slice())
    {
        high = (MOST_OF_FBGEMM - zero_point) as f32 * scale;
    }
    Some((low, high)).filter(|_| low < high)
}

/// Largest code of an activation that PyTorch's fbgemm calibrates to: its products of larger ones overflow 16 bits.
const MOST_OF_FBGEMM: i32 = 127;

/// Whether the file's own framework calibrates to half of the codes of an activation.
fn halves(model: &OpenModel) -> bool {
    matches!(framework(model), Recorder::Torch | Recorder::TorchScript)
}

/// Where the recording code's numbers come from, in words.
fn range_note(model: &OpenModel) -> Option<String> {
    let (input, (low, high)) =
        model.document.inputs().find_map(|input| Some((input.name(), quantizer_range(model, input.name())?)))?;
    let which = match halves(model) {
        true => "the codes 0 to 127 of its quantizer, which are those that fbgemm calibrates to",
        false => "its quantizer's range",
    };
    Some(format!("The recording code draws '{input}' from {low} to {high}, {which}: what lies outside is cut."))
}

/// The largest index that every constant table of the model has, which is what words and categories may be; `None` without
/// such a table.
fn most_index(model: &OpenModel) -> Option<usize> {
    let tables = model.document.graph().node.iter().filter(|node| {
        node.op_type() == "Gather" && node.int("axis").unwrap_or(0) == 0 && node.domain_name().is_empty()
    });
    let rows = tables.filter_map(|node| {
        let table = model.document.constant_proto(node.input_name(0)?)?;
        // Lists of dims are looked up in too.
        usize::try_from(*table.dims.first()?).ok().filter(|_| table.dims.len() > 1)
    });
    rows.min().and_then(|rows| rows.checked_sub(1))
}
