//! Keras models as ONNX.
//!
//! [`convert_keras`] reads a whole-model `.h5` of Keras 1 to 3 or a `.keras` archive. The interface stays Keras's:
//! names, dtypes and the order of axes of inputs and outputs. Inside, convolutions and poolings are channels first, as
//! ONNX has them; a tensor is transposed where one order meets the other, once.

mod config;
mod consumed;
mod context;
mod hdf5;
mod layers;
mod legacy;
mod lowering;
mod source;
mod stop;
mod topology;
mod value;
mod weights;
mod window;

use super::{Converted, ImportError, Kind};
use crate::onnx::{GraphBuilder, NEWEST_OPSET};
use bytes::Bytes;
use lowering::Lowering;
use weights::Weights;

/// The oldest operator set that is written: 13 made axes inputs, as everything here has them.
pub const OLDEST_KERAS_OPSET: i64 = 13;

/// How a model is converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KerasOptions {
    /// Version of the `ai.onnx` operator set, [`OLDEST_KERAS_OPSET`] to [`NEWEST_OPSET`].
    pub opset: i64,
    /// Whether a batch normalization is computed into weight and bias of the convolution or dense layer before it.
    /// Otherwise it is a multiplication and an addition.
    pub fold_batch_norm: bool,
}

impl Default for KerasOptions {
    fn default() -> Self {
        KerasOptions { opset: 15, fold_batch_norm: false }
    }
}

/// Converts a Keras file, either kind told by its content. Fails where the file is damaged or holds no whole model; a
/// layer without an ONNX form is in [`Converted::unsupported`] and a node of the domain `keras` in the graph. Notes are
/// in the document's metadata too, so that they go where it goes.
pub fn convert_keras(bytes: &Bytes, file_name: &str, options: &KerasOptions) -> Result<Converted, ImportError> {
    if !(OLDEST_KERAS_OPSET..=NEWEST_OPSET).contains(&options.opset) {
        return Err(ImportError::format(
            "options",
            format!("operator set {}", options.opset),
            format!("{OLDEST_KERAS_OPSET} to {NEWEST_OPSET}"),
            "Choose an operator set in this range.",
        ));
    }
    let file = source::read(bytes)?;
    let mut model = topology::parse(&file.config, file.major())?;
    if file.major() == 1 {
        legacy::modernize(&mut model)?;
    }
    let mut builder = GraphBuilder::new(&model.name, options.opset);
    builder.metadata("source", if bytes.starts_with(b"PK") { Kind::KerasZip.name() } else { Kind::Hdf5.name() });
    builder.metadata("source_file", super::source::base_name(file_name));
    if !file.version.is_empty() {
        builder.metadata("keras_version", &file.version);
    }
    let weights = Weights::new(&file);
    let mut lowering = Lowering::new(builder, weights, file.major(), &file.backend, options.fold_batch_norm);
    lowering.whole(&model)?;
    if lowering.folded > 0 {
        let note = format!("{} batch normalizations are folded into the layers before them.", lowering.folded);
        lowering.note(note);
    }
    if lowering.transposes > 0 {
        let note = format!(
            "The inside is channels first: {} transpositions lead there and back. Inputs and outputs are Keras's.",
            lowering.transposes
        );
        lowering.note(note);
    }
    let Lowering { mut builder, notes, unsupported, layers: layer_of, .. } = lowering;
    // The checker wants each key once.
    for (key, lines) in [("notes", &notes), ("not converted", &unsupported)] {
        if !lines.is_empty() {
            builder.metadata(key, &lines.join("\n"));
        }
    }
    let document = builder.finish().map_err(|error| {
        let advice = "The model's configuration contradicts itself: save the model again.";
        ImportError::format("converted model", error.to_string(), "a valid ONNX model", advice)
    })?;
    Ok(Converted { document, notes, unsupported, layer_of, source_tensors: file.tensors })
}
