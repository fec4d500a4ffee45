//! QLinear operators as float operators with rows.

use super::plan::{OperatorParts, Reader};
use super::{Lift, TensorKind};
use crate::onnx::proto::NodeProto;
use crate::onnx::{Attr, NodeExt, Signature};
use crate::quant::table::Grid;
use crate::quant::table::error::TableError;
use crate::quant::table::row::Row;
use crate::quant::{Granularity, QuantParams};
use crate::tensor::DType;

/// QLinear operators that have a float operator of the same meaning.
const LIFTED: [&str; 11] = [
    "QLinearConv",
    "QLinearMatMul",
    "QGemm",
    "QLinearAdd",
    "QLinearMul",
    "QLinearAveragePool",
    "QLinearGlobalAveragePool",
    "QLinearSigmoid",
    "QLinearLeakyRelu",
    "QLinearSoftmax",
    "QLinearConcat",
];

/// Operators with a data layout attribute.
const CHANNELS_LAST: [&str; 3] = ["QLinearAveragePool", "QLinearGlobalAveragePool", "QLinearConv"];

/// From this `ai.onnx` version on Softmax works along one axis; before it flattened the rest.
const SOFTMAX_ALONG_AXIS: i64 = 13;

/// Whether the operator's attributes can be said of the float operator.
pub(super) fn check(reader: &Reader<'_>, node: &NodeProto, signature: &Signature) -> Result<(), String> {
    let op = node.op_type();
    if !LIFTED.contains(&op) {
        return Err(format!("{op} has no float operator of the same meaning"));
    }
    if CHANNELS_LAST.contains(&op) && node.int("channels_last").unwrap_or(0) != 0 {
        return Err("it reads its channels last".to_owned());
    }
    if op == "QLinearSoftmax" {
        let along = |opset: Option<i64>| opset.unwrap_or(1) >= SOFTMAX_ALONG_AXIS;
        if along(node.int("opset")) != along(reader.document.opset("")) {
            return Err("it is the Softmax of another operator set".to_owned());
        }
    }
    let integers = signature.operands.iter().filter(|operand| operand.scale.is_some()).count();
    match integers {
        0 => Err("it reads no quantized data".to_owned()),
        _ => Ok(()),
    }
}

/// The grid of the int32 bias: scale = input scale x weight scale, zero point 0.
pub(super) fn bias(
    reader: &Reader<'_>,
    node: &NodeProto,
    signature: &Signature,
    operands: &[(usize, Grid)],
) -> Result<Option<(usize, Grid)>, String> {
    let operand = signature.operands.iter().find(|operand| operand.role == "bias" && operand.scale.is_none());
    let Some(operand) = operand else { return Ok(None) };
    let stored = node.input_name(operand.position).ok_or("its bias is missing")?;
    if !reader.document.is_constant(stored) {
        return Err("its bias is no constant".to_owned());
    }
    let [(_, input), (_, weight)] = operands else { return Err("it has no weight".to_owned()) };
    let &[input] = input.params.scale.as_slice() else { return Err("its input has several scales".to_owned()) };
    let scale: Vec<f32> = weight.params.scale.iter().map(|weight| input * weight).collect();
    let rank = reader.facts.shape(stored).map_or(1, <[_]>::len);
    let granularity = match scale.len() {
        1 => Granularity::PerTensor,
        _ => Granularity::PerChannel { axis: rank.saturating_sub(1) },
    };
    let params = QuantParams { zero_point: vec![0; scale.len()], scale, dtype: DType::Int32, granularity };
    let grid = Grid { params, bits: 32, narrow_range: false };
    Ok(Some((operand.position, grid)))
}

impl Lift<'_> {
    /// Writes the float operator and the rows of its operands and its result.
    pub fn operator(&mut self, node: &NodeProto, parts: &OperatorParts) -> Result<(), TableError> {
        self.consume(node);
        let name = |at: usize| node.input_name(at);
        let mut inputs = Vec::new();
        for (at, grid) in &parts.operands {
            let stored = name(*at).unwrap_or_default();
            inputs.push(match self.real_of(stored) {
                Some(real) => real,
                None => self.stored_constant(stored, grid, None, [name(at + 1), name(at + 2)])?,
            });
        }
        if let Some((at, grid)) = &parts.bias {
            inputs.push(self.stored_constant(name(*at).unwrap_or_default(), grid, None, [None, None])?);
        }
        let stored = node.output_name(0).unwrap_or_default();
        let tensor = self.real_name(stored);
        let dropped = ["opset", "channels_last"];
        let kept = node.attribute.iter().filter(|attribute| !dropped.contains(&attribute.name())).cloned();
        // QGemm multiplies its bias by alpha as well.
        let alpha = node.float("alpha").filter(|&alpha| alpha != 1.0 && parts.op == "Gemm" && parts.bias.is_some());
        let beta = alpha.map(|alpha| Attr::Float(alpha).into_proto("beta"));
        self.nodes.push(NodeProto {
            op_type: Some(parts.op.clone()),
            domain: None,
            name: Some(node.name().strip_suffix("_quant").unwrap_or(node.name()).to_owned()),
            input: inputs,
            output: vec![tensor.clone()],
            attribute: kept.chain(beta).collect(),
            ..node.clone()
        });
        self.written.operators.insert(tensor.clone(), node.clone());
        let (grid, scale, zero_point) = &parts.result;
        let mut row = Row::new(tensor.clone(), TensorKind::Activation, grid.clone());
        row.names.quantized = stored.to_owned();
        self.name_scale(&mut row, [name(*scale), name(*zero_point)], None, None);
        self.reals.insert(stored.to_owned(), tensor);
        self.add_row(row, stored);
        Ok(())
    }
}
