//! The table's rows, with the names that ONNX Runtime gives.

use super::error::QuantizeError;
use super::graph::Graph;
use super::options::QuantizeOptions;
use super::parameters::{Parameter, Parameters};
use super::selection::Selection;
use crate::onnx::Document;
use crate::quant::TensorKind;
use crate::quant::scales::{ScaleError, quantize_bias};
use crate::quant::table::{BiasOf, ConstantData, Grid, Row, RowNames, TableFormat};
use crate::tensor::Tensor;
use std::collections::HashMap;

/// Makes the rows, in the order in which the graph meets their tensors.
pub(super) fn build(
    document: &Document,
    graph: &Graph,
    selection: &Selection,
    parameters: &Parameters,
    options: &QuantizeOptions,
) -> Result<Vec<Row>, QuantizeError> {
    let kinds = crate::quant::lookup::kinds(document);
    let mut rows = Vec::new();
    let own_row = |tensor: &str| !selection.moved.contains_key(tensor);
    for (tensor, parameter) in parameters.tensors.iter().filter(|(tensor, _)| own_row(tensor)) {
        let kind = match &parameter.constant {
            None => TensorKind::Activation,
            Some(_) => match kinds.get(tensor) {
                Some(TensorKind::Weight) => TensorKind::Weight,
                _ => TensorKind::Constant,
            },
        };
        let names = match (options.format, &parameter.constant) {
            (_, Some(_)) => constant_names(tensor, &parameter.owner),
            (TableFormat::Qdq, None) => qdq_names(tensor, &parameter.owner, graph.is_graph_output(tensor)),
            (TableFormat::QOperator, None) => operator_names(tensor, selection.known_as(tensor), &parameter.owner),
        };
        let mut row = row(tensor, kind, parameter, names)?;
        row.enabled = !options.overrides.get(tensor).is_some_and(|changed| changed.off);
        row.source = selection.copies.get(tensor).cloned();
        row.absorbed = selection.absorbed.get(tensor).copied();
        if kind == TensorKind::Weight {
            row.channel_axis = channel_axis(graph, tensor, parameter);
        }
        rows.push(row);
    }
    for mark in &selection.marks.biases {
        let Some(parameter) = parameters.biases.get(&mark.bias) else { continue };
        let mut row = row(&mark.bias, TensorKind::Bias, parameter, bias_names(&mark.bias))?;
        let made_of = |tensor: &str| selection.row_of(tensor).to_owned();
        row.bias_of = Some(BiasOf { input: made_of(&mark.input), weight: made_of(&mark.weight) });
        if let (Some(constant), Some(bias)) = (&mut row.constant, &parameter.constant) {
            let stored = quantize_bias(bias, &parameter.params);
            constant.stored = Some(stored.map_err(|source| scale_error(&mark.bias, source))?);
        }
        rows.push(row);
    }
    let places = places(graph);
    rows.sort_by_key(|row| places.get(row.tensor.as_str()).copied().unwrap_or(usize::MAX));
    Ok(rows)
}

fn scale_error(tensor: &str, source: ScaleError) -> QuantizeError {
    QuantizeError::Scale { tensor: tensor.to_owned(), source }
}

fn row(tensor: &str, kind: TensorKind, parameter: &Parameter, names: RowNames) -> Result<Row, QuantizeError> {
    let dtype = parameter.params.dtype;
    let grid = Grid::of(parameter.params.clone()).ok_or_else(|| scale_error(tensor, ScaleError::Type(dtype)))?;
    let mut row = Row::new(tensor, kind, grid);
    row.constant = parameter.constant.as_ref().map(|data| real32(tensor, data)).transpose()?.map(ConstantData::new);
    row.names = names;
    Ok(row)
}

/// The values in float32, which holds every float16 exactly.
fn real32(tensor: &str, data: &Tensor) -> Result<Tensor, QuantizeError> {
    let values = data.to_f32().map_err(|source| scale_error(tensor, source.into()))?;
    Tensor::from_vec(data.shape().to_vec(), values).map_err(|source| scale_error(tensor, source.into()))
}

/// Where each tensor is met first.
fn places(graph: &Graph) -> HashMap<&str, usize> {
    let mut places = HashMap::new();
    for value in graph.nodes.iter().flatten().flat_map(|node| node.input.iter().chain(&node.output)) {
        let next = places.len();
        places.entry(value.as_str()).or_insert(next);
    }
    places
}

/// The axis of a weight's output channels, as the operator that reads it says.
fn channel_axis(graph: &Graph, weight: &str, parameter: &Parameter) -> Option<usize> {
    use crate::onnx::NodeExt;
    if let crate::quant::Granularity::PerChannel { axis } = parameter.params.granularity {
        return Some(axis);
    }
    let rank = parameter.constant.as_ref()?.shape().len();
    let reader = graph.nodes.iter().flatten().find(|node| node.input_name(1) == Some(weight))?;
    let axis = match reader.op_type() {
        "Conv" => 0,
        "ConvTranspose" => 1,
        "Gemm" if reader.int("transB").unwrap_or(0) != 0 => 0,
        "Gemm" => 1,
        "MatMul" => rank.checked_sub(1)?,
        _ => return None,
    };
    (axis < rank).then_some(axis)
}

fn constant_names(tensor: &str, owner: &str) -> RowNames {
    RowNames {
        scale: format!("{owner}_scale"),
        zero_point: format!("{owner}_zero_point"),
        quantized: format!("{tensor}_quantized"),
        dequantized: format!("{tensor}_DequantizeLinear_Output"),
        quantize_node: format!("{tensor}_QuantizeLinear"),
        dequantize_node: format!("{tensor}_DequantizeLinear"),
    }
}

/// An output of the graph keeps its name behind the pair; what goes into the pair is renamed.
fn qdq_names(tensor: &str, owner: &str, graph_output: bool) -> RowNames {
    RowNames {
        scale: format!("{owner}_scale"),
        zero_point: format!("{owner}_zero_point"),
        quantized: format!("{tensor}_QuantizeLinear_Output"),
        dequantized: if graph_output { tensor.to_owned() } else { format!("{tensor}_DequantizeLinear_Output") },
        quantize_node: format!("{tensor}_QuantizeLinear"),
        dequantize_node: format!("{tensor}_DequantizeLinear"),
    }
}

/// What an absorbed activation function made is known by the name of what went into it.
fn operator_names(tensor: &str, known_as: &str, owner: &str) -> RowNames {
    RowNames {
        scale: format!("{owner}_scale"),
        zero_point: format!("{owner}_zero_point"),
        quantized: format!("{known_as}_quantized"),
        dequantized: tensor.to_owned(),
        quantize_node: format!("{known_as}_QuantizeLinear"),
        dequantize_node: format!("{tensor}_DequantizeLinear"),
    }
}

/// What dequantizes a bias has the bias's own name: the float one is gone.
fn bias_names(bias: &str) -> RowNames {
    RowNames {
        scale: format!("{bias}_quantized_scale"),
        zero_point: format!("{bias}_quantized_zero_point"),
        quantized: format!("{bias}_quantized"),
        dequantized: bias.to_owned(),
        quantize_node: String::new(),
        dequantize_node: format!("{bias}_DequantizeLinear"),
    }
}
