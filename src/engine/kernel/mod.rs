//! One kernel per node: what a node does once its inputs are known.
//!
//! Everything with a scale or a zero point is ours; so are the few operators whose stock version differs from ONNX
//! Runtime in a way that quantized models show (`Div`, `Softmax`, `Cast`). All other arithmetic is tract's
//! ([`super::tract_node`]).

mod basic;
mod conv;
mod dynamic;
mod fused;
pub(crate) mod linear;
mod pool;
mod recurrent;
mod softmax;
mod softplus;

use super::integer;
use super::lower::FlatNode;
use super::terms::Semantics;
use super::tract_node::TractNode;
use super::value::{KernelError, Value};
use crate::onnx::NodeExt;
use crate::onnx::proto::NodeProto;

#[cfg(test)]
pub(crate) use dynamic::dynamic_params;
pub(crate) use linear::{Layout, quantize_value, round_steps};
pub(crate) use softmax::softmax_lines;

/// One input of a node.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    /// The value.
    pub value: Value,
    /// Whether it is the same in every run, until its parameters are edited.
    pub constant: bool,
}

/// Inputs by position; `None` where an optional one is left out.
pub(crate) type Inputs<'a> = &'a [Option<Input>];

/// The computation of one node.
pub(crate) trait Kernel: Send {
    /// Computes all outputs. Kernels may keep derived data (packed weights) as long as the inputs stay the same.
    fn run(&mut self, inputs: Inputs<'_>) -> Result<Vec<Value>, KernelError>;

    /// From now on every sum of products is one sum, not one of blocks; see [`super::LivePlan::in_one_go`].
    fn sum_in_one_go(&mut self) {}
}

impl<F: FnMut(Inputs<'_>) -> Result<Vec<Value>, KernelError> + Send> Kernel for F {
    fn run(&mut self, inputs: Inputs<'_>) -> Result<Vec<Value>, KernelError> {
        self(inputs)
    }
}

/// The input at a position, or words for its absence.
pub(crate) fn required<'a>(inputs: Inputs<'a>, position: usize) -> Result<&'a Value, KernelError> {
    optional(inputs, position).ok_or_else(|| format!("the input {position} is missing"))
}

/// The input at a position, if it is there.
pub(crate) fn optional<'a>(inputs: Inputs<'a>, position: usize) -> Option<&'a Value> {
    inputs.get(position)?.as_ref().map(|input| &input.value)
}

/// Where a node keeps the scale and the zero point of one of its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ParamSite {
    /// Input position of the scale.
    pub scale: usize,
    /// Input position of the zero point.
    pub zero_point: usize,
    /// Input position of the tensor they belong to; `None` for the first output.
    pub tensor: Option<usize>,
}

/// Every scale and zero point pair a node reads, by the operator's specification.
pub(crate) fn param_sites(node: &NodeProto) -> Vec<ParamSite> {
    let site = |scale, zero_point, tensor| ParamSite { scale, zero_point, tensor };
    match node.op_type() {
        "QuantizeLinear" => vec![site(1, 2, None)],
        "DequantizeLinear" => vec![site(1, 2, Some(0))],
        "QLinearConv" | "QLinearMatMul" | "QLinearAdd" | "QLinearMul" => {
            vec![site(1, 2, Some(0)), site(4, 5, Some(3)), site(6, 7, None)]
        }
        "QGemm" => vec![site(1, 2, Some(0)), site(4, 5, Some(3)), site(7, 8, None)],
        "QLinearAveragePool"
        | "QLinearGlobalAveragePool"
        | "QLinearSoftmax"
        | "QLinearSigmoid"
        | "QLinearLeakyRelu" => {
            vec![site(1, 2, Some(0)), site(3, 4, None)]
        }
        "QLinearConcat" => {
            let triplets = node.input.len().saturating_sub(2) / 3;
            let inputs = (0..triplets).map(|i| site(3 + 3 * i, 4 + 3 * i, Some(2 + 3 * i)));
            std::iter::once(site(0, 1, None)).chain(inputs).collect()
        }
        "QLinearWhere" => vec![site(2, 3, Some(1)), site(5, 6, Some(4)), site(7, 8, None)],
        _ => Vec::new(),
    }
}

/// The kernel of a node, or the reason why there is none.
pub(crate) fn build(flat: &FlatNode, semantics: Semantics) -> Result<Box<dyn Kernel>, KernelError> {
    let node = &flat.proto;
    let domain = node.domain_name();
    if !matches!(domain, "" | "com.microsoft" | "ai.onnx.ml") {
        return Err(format!(
            "the operator domain '{domain}' is not known, and the model defines no function of this name"
        ));
    }
    if let Some(kernel) = basic::build(flat)? {
        return Ok(kernel);
    }
    if let Some(kernel) = integer::build(flat, semantics)? {
        return Ok(kernel);
    }
    match (domain, node.op_type()) {
        ("" | "com.microsoft", "QuantizeLinear") => Ok(Box::new(linear::Quantize::new(node)?)),
        ("" | "com.microsoft", "DequantizeLinear") => Ok(Box::new(linear::Dequantize::new(node)?)),
        ("", "DynamicQuantizeLinear") => Ok(Box::new(dynamic::dynamic_quantize_linear)),
        ("", "Conv") => Ok(Box::new(conv::Convolution::new(flat)?)),
        ("", "AveragePool") => pool::average(flat),
        ("", "GlobalAveragePool") => Ok(Box::new(pool::global_average)),
        ("", "Softmax" | "LogSoftmax") => Ok(Box::new(softmax::Softmax::new(node, flat.opset))),
        ("", "Softplus") => Ok(Box::new(softplus::softplus)),
        ("", "LSTM" | "GRU" | "RNN") => Ok(Box::new(recurrent::Recurrent::new(node)?)),
        ("com.microsoft", _) => fused::build(flat),
        _ => Ok(Box::new(TractNode::new(flat)?)),
    }
}
