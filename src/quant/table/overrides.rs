//! A table as ONNX Runtime's quantizer takes it: `TensorQuantOverrides`, and the Python that uses them.

use super::row::{QuantTable, Row, RowMode, TableFormat};
use crate::quant::Granularity;
use crate::tensor::DType;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::fmt::Write;

/// How ONNX Runtime's quantizer is brought to quantize the tensors of a table and no others, see
/// [`crate::quant::quantizer::repetition`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repetition {
    /// The float model's tensor of each row, by [`Row::tensor`]. A row without one cannot be repeated.
    pub tensors: HashMap<String, String>,
    /// Operator types to quantize; empty: all that it knows.
    pub op_types: Vec<String>,
    /// Names of nodes that stay float.
    pub nodes_excluded: Vec<String>,
    /// Whether the model's nodes get names first, [`Repetition::node_name`]: some of these nodes have none of their own.
    pub number_nodes: bool,
    /// Whether no bias is quantized.
    pub float_biases: bool,
    /// Whether Relu and Clip stay in the graph.
    pub keep_activation_functions: bool,
    /// What comes out otherwise all the same, in words.
    pub notes: Vec<String>,
}

impl Repetition {
    /// For a float model whose tensors have the rows' names, everything quantized.
    pub fn plain(table: &QuantTable) -> Repetition {
        let name = |row: &Row| (row.tensor.clone(), row.source.as_ref().unwrap_or(&row.tensor).clone());
        let off = table.rows.iter().filter(|row| !row.enabled);
        let notes = off.map(|row| format!("'{}' is quantized", row.tensor)).collect();
        Repetition { tensors: table.rows.iter().map(name).collect(), notes, ..Repetition::default() }
    }

    /// The name of the node at a position, where nodes get names.
    pub fn node_name(op_type: &str, position: usize) -> String {
        format!("{op_type}_{position}")
    }

    /// Why a row cannot be said as an override.
    fn obstacle(&self, row: &Row) -> Option<&'static str> {
        obstacle(row).or_else(|| (!self.tensors.contains_key(&row.tensor)).then_some("is no tensor of the float model"))
    }
}

/// Why a row cannot be said as an override.
fn obstacle(row: &Row) -> Option<&'static str> {
    let per_channel = row.grid.params.granularity != Granularity::PerTensor;
    if !row.enabled {
        return Some("is not quantized");
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
/// numpy arrays in Python. Rows that overrides cannot say are left out, see [`python_snippet`]; so is a second row of
/// one tensor.
pub fn tensor_quant_overrides(table: &QuantTable, how: &Repetition) -> Value {
    let mut overrides = Map::new();
    for row in rows(table).filter(|row| how.obstacle(row).is_none()) {
        let Some(kind) = quant_type(row.grid.params.dtype) else { continue };
        let Some(tensor) = how.tensors.get(&row.tensor).filter(|tensor| !overrides.contains_key(*tensor)) else {
            continue;
        };
        let params = &row.grid.params;
        let entries = params.scale.iter().zip(&params.zero_point).map(|(scale, zero_point)| {
            // As f64, so that the digits are those of the f32 itself.
            let mut entry = json!({ "quant_type": kind, "scale": f64::from(*scale), "zero_point": zero_point });
            if let (Granularity::PerChannel { axis }, Some(entry)) = (params.granularity, entry.as_object_mut()) {
                entry.insert("axis".to_owned(), json!(axis));
            }
            entry
        });
        overrides.insert(tensor.clone(), entries.collect());
    }
    Value::Object(overrides)
}

/// Python that quantizes the float model with ONNX Runtime to the same scales and zero points. What cannot be repeated
/// so is said in comments.
pub fn python_snippet(table: &QuantTable, how: &Repetition, float_model: &str, quantized_model: &str) -> String {
    let activation = common_type(rows(table).filter(|row| row.constant.is_none()));
    let weight = common_type(rows(table).filter(|row| row.constant.is_some()));
    let format = match table.format {
        TableFormat::Qdq => "QDQ",
        TableFormat::QOperator => "QOperator",
    };
    let overrides = serde_json::to_string_pretty(&tensor_quant_overrides(table, how)).unwrap_or_default();
    // Writing to a String cannot fail.
    let mut notes = String::new();
    for row in rows(table) {
        match (how.obstacle(row), how.tensors.get(&row.tensor)) {
            // Its nodes are excluded.
            (Some(_), _) if !row.enabled => {}
            (Some(why), _) => _ = writeln!(notes, "# Not repeated: {} {why}.", json!(row.tensor)),
            (None, Some(tensor)) if rows(table).any(|other| other.enabled && is_before(table, other, row, how)) => {
                let second = "has two scales and zero points: the first is taken";
                _ = writeln!(notes, "# Not repeated: {} {second}.", json!(tensor));
            }
            _ => {}
        }
    }
    how.notes.iter().for_each(|note| _ = writeln!(notes, "# Otherwise: {note}."));
    let text = |value: &str| json!(value).to_string();
    let mut arguments = String::new();
    for (name, values) in [("op_types_to_quantize", &how.op_types), ("nodes_to_exclude", &how.nodes_excluded)] {
        if !values.is_empty() {
            _ = writeln!(arguments, "    {name}={},", json!(values));
        }
    }
    let per_channel = |row: &Row| row.enabled && row.constant.is_some() && row.grid.params.scale.len() > 1;
    // In QDQ form overrides alone say it.
    if table.format == TableFormat::QOperator && rows(table).any(per_channel) {
        arguments.push_str("    per_channel=True,\n");
    }
    let mut options = String::new();
    if how.float_biases {
        options.push_str("        \"QuantizeBias\": False,\n");
    }
    if how.keep_activation_functions {
        options.push_str("        \"QDQKeepRemovableActivations\": True,\n");
    }
    let naming = match how.number_nodes {
        true => {
            "for position, node in enumerate(model.graph.node):\n    node.name = node.name or f\"{node.op_type}_{position}\"\n"
        }
        false => "",
    };
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
    def __init__(self, graph):
        constants = {{tensor.name for tensor in graph.initializer}}
        inputs = [value for value in graph.input if value.name not in constants]
        shape = lambda value: [dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim]
        dtype = lambda value: onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        self.feeds = iter([{{value.name: np.ones(shape(value), dtype(value)) for value in inputs}}])

    def get_next(self):
        return next(self.feeds, None)


def entry(values):
    dtype = {{"QInt8": np.int8, "QUInt8": np.uint8, "QInt16": np.int16, "QUInt16": np.uint16}}
    made = dict(values)
    made["quant_type"] = QuantType[values["quant_type"]]
    made["scale"] = np.array(values["scale"], np.float32)
    made["zero_point"] = np.array(values["zero_point"], dtype.get(values["quant_type"], np.int32))
    return made


model = onnx.load(FLOAT_MODEL)
{naming}quantize_static(
    model,
    QUANTIZED_MODEL,
    OneInput(model.graph),
    quant_format=QuantFormat.{format},
    activation_type=QuantType.{activation},
    weight_type=QuantType.{weight},
{arguments}    extra_options={{
{options}        "TensorQuantOverrides": {{name: [entry(it) for it in entries] for name, entries in OVERRIDES.items()}}
    }},
)
"#,
        float_model = text(float_model),
        quantized_model = text(quantized_model),
    )
}

/// Whether a row that can be said, and stands before another in the table, is of the same tensor of the float model.
fn is_before(table: &QuantTable, row: &Row, other: &Row, how: &Repetition) -> bool {
    let place = |row: &Row| table.rows.iter().position(|found| found.tensor == row.tensor);
    place(row) < place(other)
        && how.obstacle(row).is_none()
        && how.tensors.get(&row.tensor) == how.tensors.get(&other.tensor)
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
