//! What the model's operator set has to do with its quantized form.

use super::note::Note;
use super::options::QuantizeOptions;
use crate::onnx::{Document, raised};
use crate::quant::Granularity;
use crate::quant::table::{Row, TableFormat};
use crate::tensor::DType;

/// The first `ai.onnx` version with QuantizeLinear and the QLinear operators.
pub(super) const OPSET_QUANTIZERS: i64 = 10;
/// The first one whose QuantizeLinear and DequantizeLinear have an axis.
const OPSET_AXIS: i64 = 13;
/// The first one with 16 and 4 bit types.
const OPSET_NARROW: i64 = 21;

/// The model in an operator set that has quantizing operators: as ONNX Runtime's tool, which converts what is older
/// than opset 10 to opset 11. A model that cannot be converted stays as it is, and the note says why.
pub fn with_quantizers(document: &Document) -> (Document, Option<Note>) {
    if document.opset("").unwrap_or(1) >= OPSET_QUANTIZERS {
        return (document.clone(), None);
    }
    match raised(document) {
        Ok(Some(raised)) => {
            let note = Note::Raised { from: raised.from, to: crate::onnx::RAISED_OPSET, rewritten: raised.rewritten };
            (raised.document, Some(note))
        }
        Ok(None) => (document.clone(), None),
        Err(error) => (document.clone(), Some(Note::NotRaised { why: error.to_string() })),
    }
}

/// The note on scales along an axis where the operator set has none.
pub(super) fn per_channel_note(opset: i64, rows: &[Row], options: &QuantizeOptions) -> Option<Note> {
    let on = || rows.iter().filter(|row| row.enabled);
    let late = |row: &Row| matches!(row.grid.params.dtype, DType::Int16 | DType::Uint16 | DType::Int4 | DType::Uint4);
    // With 16 or 4 bits, ONNX Runtime's tool writes all in its own domain, as is done here.
    let all_contributed = opset < OPSET_NARROW && on().any(late);
    let spread = on().any(|row| row.grid.params.granularity != Granularity::PerTensor);
    let needed = options.format == TableFormat::Qdq && (OPSET_QUANTIZERS..OPSET_AXIS).contains(&opset);
    (needed && spread && !all_contributed).then_some(Note::PerChannelOpset { opset, needed: OPSET_AXIS })
}
