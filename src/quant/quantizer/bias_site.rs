//! The layers of a quantized model whose biases can be corrected.

use super::bias::add_to_biases;
use super::clamp::node_label;
use super::error::QuantizeError;
use super::fold::real_tensor;
use super::{Quantized, bias};
use crate::onnx::proto::NodeProto;
use crate::onnx::{Document, NodeExt};
use crate::quant::table::{Change, Edit, QuantTable, apply};
use crate::tensor::DType;
use std::collections::BTreeMap;

/// A layer with a constant bias: a convolution, a `Gemm`, or a `MatMul` with a constant added to what it makes.
#[derive(Clone, Debug, PartialEq)]
pub struct BiasSite {
    /// The node.
    pub layer: String,
    /// The tensor that it makes, whose channel means tell how far the bias is off.
    pub output: String,
    /// The axis of its channels, from the end where negative.
    pub channel_axis: i64,
    /// Number of channels.
    pub channels: usize,
    /// The constant.
    bias: String,
    /// What a `Gemm` multiplies its bias with.
    beta: f32,
}

/// The layers whose bias is a constant of one number per output channel that nobody else reads, in the order in which
/// they run.
pub fn bias_sites(document: &Document) -> Vec<BiasSite> {
    let order = document.index().order().iter();
    order.filter_map(|&position| site(document, document.node(position)?)).collect()
}

fn site(document: &Document, node: &NodeProto) -> Option<BiasSite> {
    if !node.domain_name().is_empty() {
        return None;
    }
    let output = node.output_name(0)?;
    let weight = document.constant(node.input_name(1)?)?.ok()?;
    let (bias, channels, channel_axis) = match node.op_type() {
        "Conv" | "ConvTranspose" => (node.input_name(2)?, bias::output_count(node, weight.shape())?, 1),
        "Gemm" => (node.input_name(2)?, bias::output_count(node, weight.shape())?, -1),
        "MatMul" => {
            let [slot] = document.index().consumers(output) else { return None };
            let add = document.node(slot.node).filter(|add| add.op_type() == "Add")?;
            let own = add.input_name(0) == Some(output);
            (add.input_name(usize::from(own))?, *weight.shape().last()?, -1)
        }
        _ => return None,
    };
    let values = document.constant(bias)?.ok()?;
    // One number per channel along the last axis: [n] or [1, .., 1, n].
    let fits = values.len() == channels && values.shape().last() == Some(&channels);
    let own = document.index().consumers(bias).len() == 1 && document.index().initializer(bias).is_some();
    let external = document.graph().output.iter().any(|port| port.name() == bias);
    let beta = node.float("beta").filter(|_| node.op_type() == "Gemm").unwrap_or(1.0);
    (fits && own && !external && beta != 0.0).then(|| BiasSite {
        layer: node_label(node),
        output: output.to_owned(),
        channel_axis,
        channels,
        bias: bias.to_owned(),
        beta,
    })
}

impl BiasSite {
    /// Adds a number per channel to what the layer makes, by way of its bias: the codes of a quantized bias are made
    /// anew (int32: the quotient in f64, half to even; a constant that is added gets the scale of its new range), a
    /// float bias is changed in the document. Gives the tensor of the row that changed, or `None` where the document
    /// did. Numbers that are not finite count as 0.
    pub fn add(&self, quantized: &mut Quantized, addition: &[f64]) -> Result<Option<String>, QuantizeError> {
        let finite: Vec<f64> = addition.iter().map(|value| if value.is_finite() { *value } else { 0.0 }).collect();
        let Some(row) = quantized.table.row_mut(&self.bias) else {
            self.change_document(quantized, &finite)?;
            return Ok(None);
        };
        let (enabled, follows, symmetric) = (row.enabled, row.bias_of.is_some(), row.grid.is_symmetric());
        if let Some(constant) = &mut row.constant
            && let Ok(old) = constant.float.to_f64()
        {
            let sum = old.iter().zip(&finite).map(|(old, addition)| old + addition / f64::from(self.beta));
            if let Some(sum) = real_tensor(DType::Float32, constant.float.shape(), sum) {
                (constant.float, constant.stored) = (sum, None);
            }
        }
        if !follows {
            let edit = Edit { tensor: self.bias.clone(), change: Change::Symmetric(symmetric) };
            // A range that is not finite is refused; the grid that was there then stays.
            let _ = apply(&mut quantized.table, &QuantTable::default(), &edit, None);
        }
        if !enabled {
            self.change_document(quantized, &finite)?;
        }
        Ok(Some(self.bias.clone()))
    }

    fn change_document(&self, quantized: &mut Quantized, addition: &[f64]) -> Result<(), QuantizeError> {
        let one = BTreeMap::from([(self.output.clone(), addition.to_vec())]);
        quantized.document = add_to_biases(&quantized.document, &one)?.0;
        Ok(())
    }
}
