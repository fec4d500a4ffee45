//! A TensorFlow Lite file as plain data.

use super::schema::{CUSTOM, element_type, operator_name};
use super::table::{Flat, Table};
use crate::import::ImportError;
use crate::tensor::{DType, Tensor};
use bytes::Bytes;

/// A TensorFlow Lite model: everything but its operators' options, which are read where an operator is converted.
pub struct TfliteModel {
    /// Version of the schema; 3 in every file of today.
    pub version: u32,
    /// The converter's words.
    pub description: String,
    /// Tensors and operators; the first subgraph is the network, others belong to control flow.
    pub subgraphs: Vec<Subgraph>,
    flat: Flat,
}

/// One graph of a [`TfliteModel`].
#[derive(Clone, Debug, PartialEq)]
pub struct Subgraph {
    /// Its name, often empty.
    pub name: String,
    /// Every tensor, constants and activations.
    pub tensors: Vec<TfliteTensor>,
    /// Positions of the input tensors.
    pub inputs: Vec<usize>,
    /// Positions of the output tensors.
    pub outputs: Vec<usize>,
    /// The operators in the order in which they run.
    pub operators: Vec<Operator>,
}

/// A tensor of a [`Subgraph`].
#[derive(Clone, Debug, PartialEq)]
pub struct TfliteTensor {
    /// Its name as the file has it.
    pub name: String,
    /// Dims; a batch size that is left open stands as 1.
    pub shape: Vec<usize>,
    /// Dims with -1 for those that are left open; `None` where the file does not say.
    pub signature: Option<Vec<i64>>,
    /// Element type, `None` for strings and handles.
    pub dtype: Option<DType>,
    /// The schema's word for the element type.
    pub type_name: String,
    /// Scales and zero points.
    pub quantization: Option<Quantization>,
    /// The stored elements of a constant.
    pub data: Option<Bytes>,
    /// Why the data cannot be taken as a dense tensor, where that is so.
    pub sparse: bool,
}

/// Quantization parameters of a tensor: `real = scale x (q - zero_point)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantization {
    /// One scale, or one for each index along [`Quantization::dimension`].
    pub scale: Vec<f32>,
    /// As many zero points as scales.
    pub zero_point: Vec<i64>,
    /// The axis of per-channel parameters.
    pub dimension: usize,
    /// The smallest real value that the converter saw; often empty.
    pub min: Vec<f32>,
    /// The largest.
    pub max: Vec<f32>,
}

/// An operator of a [`Subgraph`].
#[derive(Clone, Debug, PartialEq)]
pub struct Operator {
    /// The schema's word, or the name of a custom operator.
    pub kind: String,
    /// Whether it is a custom operator.
    pub custom: bool,
    /// Version of the operator.
    pub version: i32,
    /// Positions of the inputs; `None` for an optional one left out.
    pub inputs: Vec<Option<usize>>,
    /// Positions of the outputs.
    pub outputs: Vec<usize>,
    /// Where its options are in the file.
    pub(super) options: Option<usize>,
}

impl TfliteModel {
    /// Reads a `.tflite` file; constants stay slices of `bytes`.
    pub fn read(bytes: Bytes) -> Result<Self, ImportError> {
        let mark = bytes.get(4..8).unwrap_or_default();
        if mark != b"TFL3" {
            let found = format!("'{}'", String::from_utf8_lossy(mark).escape_debug());
            let advice = "Check that this is a TensorFlow Lite file.";
            return Err(ImportError::format("byte 4", found, "the mark TFL3", advice));
        }
        let flat = Flat::new(bytes);
        let (version, description, subgraphs) = {
            let root = flat.root("Model")?;
            let codes = root.tables(1, "operator_codes")?.iter().map(operator_code).collect::<Result<Vec<_>, _>>()?;
            let buffers = root.tables(4, "buffers")?;
            let buffers = buffers.iter().map(|buffer| buffer_data(buffer, &flat)).collect::<Result<Vec<_>, _>>()?;
            let tables = root.tables(2, "subgraphs")?;
            let graphs = tables.iter().map(|table| subgraph(table, &codes, &buffers)).collect::<Result<Vec<_>, _>>()?;
            (root.u32(0, 0)?, root.text(3)?, graphs)
        };
        if subgraphs.is_empty() {
            let advice = "Convert the model again.";
            return Err(ImportError::format("Model.subgraphs", "no subgraph", "the network", advice));
        }
        Ok(TfliteModel { version, description, subgraphs, flat })
    }

    /// The options of an operator; `None` where it has none.
    pub(super) fn options(&self, operator: &Operator) -> Result<Option<Table<'_>>, ImportError> {
        operator.options.map(|position| self.flat.table(position, format!("{}.options", operator.kind))).transpose()
    }
}

impl TfliteTensor {
    /// The stored elements with type and shape; `None` for what is computed in a run.
    pub fn constant(&self) -> Option<Result<Tensor, ImportError>> {
        let data = self.data.clone()?;
        let refuse = |found: String, expected: &str| {
            let advice = "The file is damaged or was written wrongly: convert the model again.";
            ImportError::format(format!("tensor '{}'", self.name), found, expected.to_owned(), advice)
        };
        if self.sparse {
            let advice = "Convert the model without sparsity, or densify it first.";
            return Some(Err(ImportError::unsupported(
                format!("tensor '{}'", self.name),
                "a sparse tensor",
                "a dense one",
                advice,
            )));
        }
        let Some(dtype) = self.dtype else {
            return Some(Err(refuse(format!("elements of {}", self.type_name), "numbers")));
        };
        Some(
            Tensor::new(dtype, self.shape.clone(), data)
                .map_err(|error| refuse(error.to_string(), "as many as its shape takes")),
        )
    }
}

fn operator_code(table: &Table<'_>) -> Result<(i32, String, i32), ImportError> {
    // Files from before the number 127 was passed have the first field only, newer ones both.
    let code = i32::from(table.i8(0, 0)?).max(table.i32(3, 0)?);
    Ok((code, table.text(1)?, table.i32(2, 1)?))
}

fn buffer_data(table: &Table<'_>, flat: &Flat) -> Result<Bytes, ImportError> {
    let (offset, size) = (table.u64(1, 0)?, table.u64(2, 0)?);
    // Large files keep the data behind the tables; offsets of 0 and 1 mean that they do not.
    if offset <= 1 {
        return Ok(table.bytes(0)?.unwrap_or_default());
    }
    let range =
        offset.checked_add(size).and_then(|end| Some(usize::try_from(offset).ok()?..usize::try_from(end).ok()?));
    match range.filter(|range| range.end <= flat.bytes().len()) {
        Some(range) => Ok(flat.bytes().slice(range)),
        None => Err(ImportError::cut_short(
            table.place().to_owned(),
            format!("the end of the file at byte {}", flat.bytes().len()),
            format!("{size} bytes from byte {offset} on"),
        )),
    }
}

fn subgraph(table: &Table<'_>, codes: &[(i32, String, i32)], buffers: &[Bytes]) -> Result<Subgraph, ImportError> {
    let tensors = table.tables(0, "tensors")?.iter().map(|t| tensor(t, buffers)).collect::<Result<Vec<_>, _>>()?;
    let known = |index: i32, place: &str| {
        usize::try_from(index).ok().filter(|&index| index < tensors.len()).ok_or_else(|| {
            let expected = format!("one of its {} tensors", tensors.len());
            ImportError::format(place.to_owned(), format!("tensor {index}"), expected, "Convert the model again.")
        })
    };
    let mut operators = Vec::new();
    for entry in table.tables(3, "operators")? {
        let place = entry.place();
        let index = entry.u32(0, 0)? as usize;
        let (code, custom_name, version) = codes.get(index).ok_or_else(|| {
            let expected = format!("one of {} operator codes", codes.len());
            ImportError::format(
                place.to_owned(),
                format!("operator code {index}"),
                expected,
                "Convert the model again.",
            )
        })?;
        let custom = *code == CUSTOM;
        let input = |&index: &i32| if index == -1 { Ok(None) } else { known(index, place).map(Some) };
        operators.push(Operator {
            kind: if custom { custom_name.clone() } else { operator_name(*code) },
            custom,
            version: *version,
            inputs: entry.ints(1)?.iter().map(input).collect::<Result<_, _>>()?,
            outputs: entry.ints(2)?.iter().map(|&index| known(index, place)).collect::<Result<_, _>>()?,
            options: entry.target(4)?,
        });
    }
    let ends = |field| -> Result<Vec<usize>, ImportError> {
        table.ints(field)?.iter().map(|&index| known(index, table.place())).collect()
    };
    let (inputs, outputs) = (ends(1)?, ends(2)?);
    Ok(Subgraph { name: table.text(4)?, tensors, inputs, outputs, operators })
}

fn tensor(table: &Table<'_>, buffers: &[Bytes]) -> Result<TfliteTensor, ImportError> {
    let name = table.text(3)?;
    let dim = |&dim: &i32| {
        usize::try_from(dim).map_err(|_| {
            let place = format!("{} '{name}'", table.place());
            ImportError::format(place, format!("dim {dim}"), "dims of 0 or more", "Convert the model again.")
        })
    };
    let shape = table.ints(0)?.iter().map(dim).collect::<Result<Vec<_>, _>>()?;
    let signature = table.ints(7)?.into_iter().map(i64::from).collect::<Vec<_>>();
    let signature = (signature.len() == shape.len() && !shape.is_empty()).then_some(signature);
    let (dtype, type_name) = element_type(table.i8(1, 0)?);
    let index = table.u32(2, 0)? as usize;
    let buffer = buffers.get(index).ok_or_else(|| {
        let (place, expected) = (format!("{} '{name}'", table.place()), format!("one of {} buffers", buffers.len()));
        ImportError::format(place, format!("buffer {index}"), expected, "Convert the model again.")
    })?;
    // Buffer 0 is always empty. A constant without elements has an empty buffer of its own.
    let empty_constant = shape.contains(&0) && index != 0;
    let data = (!buffer.is_empty() || empty_constant).then(|| buffer.clone());
    let quantization = table.table(4, "quantization")?.map(|table| quantization(&table, &shape)).transpose()?.flatten();
    let sparse = table.table(6, "sparsity")?.is_some();
    Ok(TfliteTensor { name, shape, signature, dtype, type_name, quantization, data, sparse })
}

fn quantization(table: &Table<'_>, shape: &[usize]) -> Result<Option<Quantization>, ImportError> {
    let scale = table.floats(2)?;
    // Converters write an empty table for float tensors.
    if scale.is_empty() {
        return Ok(None);
    }
    let refuse = |found: String, expected: String| {
        ImportError::format(table.place().to_owned(), found, expected, "Convert the model again.")
    };
    let mut zero_point = table.longs(3)?;
    if zero_point.is_empty() {
        zero_point = vec![0; scale.len()];
    }
    if let ([single], true) = (zero_point.as_slice(), scale.len() > 1) {
        zero_point = vec![*single; scale.len()];
    }
    if zero_point.len() != scale.len() {
        return Err(refuse(
            format!("{} scales and {} zero points", scale.len(), zero_point.len()),
            "as many".to_owned(),
        ));
    }
    if let Some(bad) = scale.iter().find(|scale| !scale.is_finite() || **scale < 0.0) {
        return Err(refuse(format!("scale {bad}"), "scales greater than 0".to_owned()));
    }
    let number = table.i32(6, 0)?;
    let dimension = usize::try_from(number).map_err(|_| refuse(format!("axis {number}"), "an axis".to_owned()))?;
    if scale.len() > 1 && shape.get(dimension) != Some(&scale.len()) {
        let expected = format!("as many as the dim at axis {dimension} of {shape:?}");
        return Err(refuse(format!("{} scales", scale.len()), expected));
    }
    Ok(Some(Quantization { scale, zero_point, dimension, min: table.floats(0)?, max: table.floats(1)? }))
}
