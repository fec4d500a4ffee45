//! A quantization table as ONNX Runtime's quantizer takes it.
//!
//! `quantize_static` reads `extra_options["TensorQuantOverrides"]`: for each tensor of the float model a list with one
//! entry, or with one per channel. Biases follow from the scales of input and weight and are not listed.
//! Source: onnxruntime/python/tools/quantization/tensor_quant_overrides.py.

use crate::quant::Granularity;
use crate::quant::table::{QuantTable, Row, RowMode};
use crate::tensor::DType;
use serde_json::{Map, Value, json};

/// A table in ONNX Runtime's terms.
#[derive(Clone, Debug, PartialEq)]
pub struct Overrides {
    /// `TensorQuantOverrides`, with the quantization types by name (`QInt8`).
    pub json: Value,
    /// Rows that it cannot say, each with the reason.
    pub left_out: Vec<(String, String)>,
}

fn quant_type(dtype: DType) -> Option<&'static str> {
    Some(match dtype {
        DType::Int4 => "QInt4",
        DType::Uint4 => "QUInt4",
        DType::Int8 => "QInt8",
        DType::Uint8 => "QUInt8",
        DType::Int16 => "QInt16",
        DType::Uint16 => "QUInt16",
        _ => return None,
    })
}

/// The entries of one row, or why there are none.
fn entries(row: &Row) -> Result<Vec<Value>, String> {
    if !row.enabled {
        return Err("it is not quantized, and overrides cannot switch a tensor off".to_owned());
    }
    if row.mode == RowMode::Dynamic {
        return Err("its range is found in each run".to_owned());
    }
    if row.source.is_some() {
        return Err("the float model has no tensor of this name".to_owned());
    }
    let params = &row.grid.params;
    let name = quant_type(params.dtype).ok_or_else(|| format!("{} is no type of the quantizer", params.dtype))?;
    if !row.grid.uses_all_codes() {
        let (low, high) = row.grid.codes();
        return Err(format!("it uses only the codes {low} to {high} of {}", params.dtype));
    }
    let axis = match params.granularity {
        Granularity::PerTensor => None,
        Granularity::PerChannel { axis } if row.constant.is_some() => Some(axis),
        Granularity::PerChannel { .. } => return Err("only constants can have a scale per channel".to_owned()),
        Granularity::Blocked { .. } => return Err("it has blocks of scales".to_owned()),
    };
    let entry = |(&scale, &zero_point): (&f32, &i32)| {
        // The float64 of a float32 comes back as the same float32.
        let mut entry = json!({ "quant_type": name, "scale": f64::from(scale), "zero_point": zero_point });
        if let (Some(axis), Some(entry)) = (axis, entry.as_object_mut()) {
            entry.insert("axis".to_owned(), json!(axis));
        }
        entry
    };
    Ok(params.scale.iter().zip(&params.zero_point).map(entry).collect())
}

/// `TensorQuantOverrides` of a table.
pub fn overrides(table: &QuantTable) -> Overrides {
    let mut json = Map::new();
    let mut left_out = Vec::new();
    for row in table.rows.iter().filter(|row| row.bias_of.is_none()) {
        match entries(row) {
            Ok(entries) => {
                json.insert(row.tensor.clone(), Value::Array(entries));
            }
            Err(reason) => left_out.push((row.tensor.clone(), reason)),
        }
    }
    Overrides { json: Value::Object(json), left_out }
}

/// Python that quantizes the float model to the same table. `float_file` is the name it is found under.
pub fn snippet(table: &QuantTable, float_file: &str) -> String {
    let Overrides { json, left_out } = overrides(table);
    let text = serde_json::to_string_pretty(&json).unwrap_or_default();
    let most = |constant: bool| {
        let rows = table.rows.iter().filter(|row| row.constant.is_some() == constant && row.bias_of.is_none());
        let known = rows.filter_map(|row| quant_type(row.grid.params.dtype));
        let signed = known.clone().filter(|name| name.starts_with("QI")).count();
        if signed * 2 >= known.count() { "QInt8" } else { "QUInt8" }
    };
    let mut notes = String::new();
    for (tensor, reason) in &left_out {
        notes.push_str(&format!("# Not said by the overrides: {tensor}: {reason}.\n"));
    }
    let (activation, weight) = (most(false), most(true));
    let per_channel = table.rows.iter().any(|row| row.constant.is_some() && row.grid.params.scale.len() > 1);
    format!(
        r#""""Quantizes {float_file} with ONNX Runtime to the scales and zero points of a Quantscope table."""
import json
import sys

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

SOURCE = sys.argv[1] if len(sys.argv) > 1 else {float_name}
TARGET = sys.argv[2] if len(sys.argv) > 2 else "quantized.onnx"
OVERRIDES = json.loads(r'''
{text}
''')
{notes}NUMPY = {{"QInt4": np.int8, "QUInt4": np.uint8, "QInt8": np.int8, "QUInt8": np.uint8, "QInt16": np.int16, "QUInt16": np.uint16}}


def typed(entry):
    """The entry with the types that the quantizer wants."""
    made = dict(entry, quant_type=getattr(QuantType, entry["quant_type"]))
    made["scale"] = np.array(entry["scale"], dtype=np.float32)
    made["zero_point"] = np.array(entry["zero_point"], dtype=NUMPY[entry["quant_type"]])
    return made


class OneRun(CalibrationDataReader):
    """The ranges of all tensors above are given; one input is enough for whatever is not."""

    def __init__(self):
        graph = onnx.load(SOURCE).graph
        constants = {{tensor.name for tensor in graph.initializer}}
        random = np.random.default_rng(0)
        self.inputs = [{{}}]
        for value in graph.input:
            if value.name not in constants:
                dims = [dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim]
                dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
                self.inputs[0][value.name] = random.uniform(0, 1, dims).astype(dtype)

    def get_next(self):
        return self.inputs.pop() if self.inputs else None


quantize_static(
    SOURCE,
    TARGET,
    OneRun(),
    quant_format=QuantFormat.QDQ,
    activation_type=QuantType.{activation},
    weight_type=QuantType.{weight},
    per_channel={per_channel},
    extra_options={{"TensorQuantOverrides": {{name: [typed(entry) for entry in entries] for name, entries in OVERRIDES.items()}}}},
)
"#,
        float_name = Value::from(float_file),
        per_channel = if per_channel { "True" } else { "False" },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::table::{ConstantData, Grid};
    use crate::quant::{QuantParams, TensorKind};
    use crate::tensor::Tensor;

    fn row(tensor: &str, scale: Vec<f32>, granularity: Granularity) -> Row {
        let params = QuantParams { zero_point: vec![0; scale.len()], scale, dtype: DType::Int8, granularity };
        Row::new(tensor, TensorKind::Activation, Grid::of(params).unwrap())
    }

    #[test]
    fn tensors_and_channels() {
        let mut weight = row("w", vec![0.5, 0.25], Granularity::PerChannel { axis: 1 });
        weight.constant = Some(ConstantData::new(Tensor::from_vec(vec![1, 2], vec![1f32, 2.0]).unwrap()));
        let off = Row { enabled: false, ..row("off", vec![1.0], Granularity::PerTensor) };
        let few = row("few", vec![1.0], Granularity::PerTensor);
        let few = Row { grid: Grid { bits: 5, ..few.grid.clone() }, ..few };
        let table = QuantTable {
            rows: vec![row("x", vec![0.1], Granularity::PerTensor), weight, off, few],
            ..QuantTable::default()
        };
        let Overrides { json, left_out } = overrides(&table);
        assert_eq!(json["x"][0]["scale"].as_f64().map(|scale| scale as f32), Some(0.1));
        assert_eq!((json["w"].as_array().map(Vec::len), &json["w"][1]["axis"]), (Some(2), &json!(1)));
        assert_eq!(left_out.iter().map(|(tensor, _)| tensor.as_str()).collect::<Vec<_>>(), ["off", "few"]);
        let python = snippet(&table, "model.onnx");
        assert!(python.contains("per_channel=True") && python.contains("# Not said by the overrides: off"));
    }
}
