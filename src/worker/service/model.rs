//! An open model: its document with everything that is computed once.

use super::{Failure, Service, card};
use crate::import::Original;
use crate::onnx::{Document, Facts, Layer, OnnxError, layers};
use crate::problem::Problem;
use crate::quant::{QuantizedTensor, WeightView, quantized_tensors_with, weight_view_with};
use crate::worker::protocol::{ModelId, ModelSummary};
use bytes::Bytes;

/// A model with its facts.
pub struct OpenModel {
    pub id: ModelId,
    pub document: Document,
    pub facts: Facts,
    pub layers: Vec<Layer>,
    pub quantized: Vec<QuantizedTensor>,
    pub summary: ModelSummary,
    /// The file as it was opened, for the time when a missing side file turns up.
    pub source: Bytes,
    /// What the file was converted from, where it was.
    pub original: Option<Original>,
}

impl OpenModel {
    /// Decodes a file. `name` is what people call the model; `side_file` finds a file that the model refers to.
    pub fn open(
        id: ModelId,
        name: String,
        file: &str,
        source: Bytes,
        side_file: &dyn Fn(&str) -> Option<Bytes>,
    ) -> Result<Self, OnnxError> {
        let document = Document::decode_with(source.clone(), side_file)?;
        let facts = Facts::of(&document);
        let layers = layers(&document);
        let quantized = quantized_tensors_with(&document, &facts);
        let summary = card::summary(id, name, file, &source, &document, &facts, &quantized);
        Ok(OpenModel { id, document, facts, layers, quantized, summary, source, original: None })
    }

    /// A constant of the network, stored and real.
    pub fn weight(&self, value: &str) -> Option<Result<WeightView, OnnxError>> {
        weight_view_with(&self.document, value, &self.quantized)
    }

    /// Whether a side file is missing.
    pub fn is_incomplete(&self) -> bool {
        !self.document.missing_external().is_empty()
    }

    /// The quantized tensors whose real or stored value has one of these names.
    pub fn quantized_among<'a>(&'a self, names: &'a [&'a str]) -> impl Iterator<Item = &'a QuantizedTensor> + 'a {
        self.quantized
            .iter()
            .filter(move |tensor| names.contains(&tensor.value.as_str()) || names.contains(&tensor.stored.as_str()))
    }
}

impl Service {
    /// The model with this number.
    pub(super) fn model(&self, id: ModelId) -> Result<&OpenModel, Failure> {
        self.models.iter().find(|model| model.id == id).ok_or_else(|| {
            Failure::from(Problem {
                file: "the model".to_owned(),
                place: format!("model {id}"),
                found: "it is closed".to_owned(),
                expected: "an open model".to_owned(),
                advice: "Choose another model, or open it again.".to_owned(),
            })
        })
    }
}
