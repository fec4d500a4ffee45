//! A table as ONNX Runtime's quantizer takes it: `TensorQuantOverrides`, and the Python that uses them.

use super::row::{QuantTable, Row, RowMode, TableFormat};
use crate::quant::Granularity;
use crate::tensor::DType;
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// Why a row cannot be said as an override.
fn obstacle(row: &Row) -> Option<&'static str> {
    let per_channel = row.grid.params.granularity != Granularity::PerTensor;
    if !row.enabled {
        return Some("is not quantized: exclude the nodes that read it");
    }
    if row.mode == RowMode::Dynamic {
        return Some("is quantized in each run");
    }
    if !row.grid.uses_all_codes() {
        return Some("uses fewer codes than its type has");
    }
    if per_channel && row.constant.is_none() {
        return Some("is an activation with several scales");
    }
    match row.grid.params.granularity {
        Granularity::Blocked { .. } => Some("has a scale for each block"),
        _ => None,
    }
}

/// ONNX Runtime's name of a type.
fn quant_type(dtype: DType) -> Option<&'static str> {
    Some(match dtype {
        DType::Int8 => "QInt8",
        DType::Uint8 => "QUInt8",
        DType::Int16 => "QInt16",
        DType::Uint16 => "QUInt16",
        DType::Int4 => "QInt4",
        DType::Uint4 => "QUInt4",
        _ => return None,
    })
}

/// The rows that overrides can say: biases follow by themselves.
fn rows(table: &QuantTable) -> impl Iterator<Item = &Row> {
    table.rows.iter().filter(|row| row.bias_of.is_none() && row.grid.params.dtype != DType::Int32)
}

/// The extra option `TensorQuantOverrides` of `quantize_static` as JSON: for each tensor of the float model a list with
/// one entry, or with one for each channel. `quant_type` is the name of a `QuantType`; scales and zero points become
/// numpy arrays in Python. Rows that overrides cannot say are left out, see [`python_snippet`].
pub fn tensor_quant_overrides(table: &QuantTable) -> Value {
    let mut overrides = Map::new();
    for row in rows(table).filter(|row| obstacle(row).is_none()) {
        let Some(kind) = quant_type(row.grid.params.dtype) else { continue };
        let params = &row.grid.params;
        let entries = params.scale.iter().zip(&params.zero_point).map(|(scale, zero_point)| {
            // As f64, so that the digits are those of the f32 itself.
            let mut entry = json!({ "quant_type": kind, "scale": f64::from(*scale), "zero_point": zero_point });
            if let (Granularity::PerChannel { axis }, Some(entry)) = (params.granularity, entry.as_object_mut()) {
                entry.insert("axis".to_owned(), json!(axis));
            }
            entry
        });
        overrides.insert(row.tensor.clone(), entries.collect());
    }
    Value::Object(overrides)
}

/// Python that quantizes the float model with ONNX Runtime to the same scales and zero points. What cannot be repeated
/// so is said in comments.
pub fn python_snippet(table: &QuantTable, float_model: &str, quantized_model: &str) -> String {
    let activation = common_type(rows(table).filter(|row| row.constant.is_none()));
    let weight = common_type(rows(table).filter(|row| row.constant.is_some()));
    let format = match table.format {
        TableFormat::Qdq => "QDQ",
        TableFormat::QOperator => "QOperator",
    };
    let overrides = serde_json::to_string_pretty(&tensor_quant_overrides(table)).unwrap_or_default();
    let mut notes = String::new();
    for row in rows(table) {
        if let Some(why) = obstacle(row) {
            // Writing to a String cannot fail.
            let _ = writeln!(notes, "# Not repeated: {} {why}.", json!(row.tensor));
        }
    }
    let text = |value: &str| json!(value).to_string();
    format!(
        r#"# Repeats the table with ONNX Runtime's quantizer (onnxruntime.quantization).
# The calibration data only has to run: the ranges it gives are overridden.
{notes}import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

FLOAT_MODEL = {float_model}
QUANTIZED_MODEL = {quantized_model}
# JSON of strings and numbers is Python too.
OVERRIDES = {overrides}


class OneInput(CalibrationDataReader):
    def __init__(self, path):
        graph = onnx.load(path).graph
        constants = {{tensor.name for tensor in graph.initializer}}
        inputs = [value for value in graph.input if value.name not in constants]
        shape = lambda value: [dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim]
        self.feeds = iter([{{value.name: np.ones(shape(value), np.float32) for value in inputs}}])

    def get_next(self):
        return next(self.feeds, None)


def entry(values):
    dtype = {{"QInt8": np.int8, "QUInt8": np.uint8, "QInt16": np.int16, "QUInt16": np.uint16}}
    made = dict(values)
    made["quant_type"] = QuantType[values["quant_type"]]
    made["scale"] = np.array(values["scale"], np.float32)
    made["zero_point"] = np.array(values["zero_point"], dtype.get(values["quant_type"], np.int32))
    return made


quantize_static(
    FLOAT_MODEL,
    QUANTIZED_MODEL,
    OneInput(FLOAT_MODEL),
    quant_format=QuantFormat.{format},
    activation_type=QuantType.{activation},
    weight_type=QuantType.{weight},
    extra_options={{
        "TensorQuantOverrides": {{name: [entry(it) for it in entries] for name, entries in OVERRIDES.items()}}
    }},
)
"#,
        float_model = text(float_model),
        quantized_model = text(quantized_model),
    )
}

/// The type that most rows have.
fn common_type<'a>(rows: impl Iterator<Item = &'a Row>) -> &'static str {
    let mut counts: Vec<(&'static str, usize)> = Vec::new();
    for kind in rows.filter_map(|row| quant_type(row.grid.params.dtype)) {
        match counts.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => counts.push((kind, 1)),
        }
    }
    counts.iter().max_by_key(|(_, count)| *count).map_or("QInt8", |(kind, _)| kind)
}
