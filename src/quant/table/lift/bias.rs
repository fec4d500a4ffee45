//! Biases whose scale is made of the scales of an input and a weight.

use super::Lift;
use crate::onnx::NodeExt;
use crate::onnx::proto::NodeProto;
use crate::quant::TensorKind;
use crate::quant::table::row::{BiasOf, Row, RowMode};
use crate::tensor::DType;
use std::collections::HashMap;

/// A file's product of the two scales may be rounded differently in its last bits.
const SCALE_TOLERANCE: f32 = 1e-6;

/// Operators that hand a value on, so that the scale in front of them is that of what comes out.
const PASSING: [&str; 7] = ["Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Identity", "MaxPool"];

impl Lift<'_> {
    /// Finds for each int32 row the rows whose scales make its own.
    pub fn find_biases(&mut self) {
        let makers: HashMap<&str, &NodeProto> =
            self.nodes.iter().flat_map(|node| node.output.iter().map(move |output| (output.as_str(), node))).collect();
        let rows: HashMap<&str, &Row> = self.rows.iter().map(|row| (row.tensor.as_str(), row)).collect();
        let mut found: HashMap<String, BiasOf> = HashMap::new();
        for node in &self.nodes {
            let (factors, biases): (&NodeProto, Vec<&str>) = match node.op_type() {
                "Conv" | "Gemm" | "ConvTranspose" => (node, node.input_name(2).into_iter().collect()),
                "Add" => {
                    let mut product = node.input.iter().filter_map(|input| makers.get(input.as_str()));
                    let Some(product) = product.find(|maker| maker.op_type() == "MatMul") else { continue };
                    (product, node.input.iter().map(String::as_str).collect())
                }
                _ => continue,
            };
            let (Some(input), Some(weight)) = (behind(factors, 0, &rows, &makers), behind(factors, 1, &rows, &makers))
            else {
                continue;
            };
            for bias in biases.into_iter().filter_map(|bias| rows.get(bias)) {
                if follows(bias, input, weight) {
                    let of = BiasOf { input: input.tensor.clone(), weight: weight.tensor.clone() };
                    found.entry(bias.tensor.clone()).or_insert(of);
                }
            }
        }
        for row in &mut self.rows {
            row.bias_of = found.remove(&row.tensor);
            if row.bias_of.is_some() {
                row.kind = TensorKind::Bias;
            }
        }
    }
}

/// The row whose codes an input has: its own, or that of what it was reshaped from.
fn behind<'a>(
    node: &NodeProto,
    position: usize,
    rows: &HashMap<&str, &'a Row>,
    makers: &HashMap<&str, &NodeProto>,
) -> Option<&'a Row> {
    let mut value = node.input_name(position)?;
    for _ in 0..=makers.len() {
        if let Some(row) = rows.get(value) {
            return Some(row);
        }
        value = makers.get(value).filter(|maker| PASSING.contains(&maker.op_type()))?.input_name(0)?;
    }
    None
}

/// Whether a row is an int32 constant with scale = input scale x weight scale and zero point 0.
fn follows(bias: &Row, input: &Row, weight: &Row) -> bool {
    let (params, weights) = (&bias.grid.params, &weight.grid.params.scale);
    let [input_scale] = input.grid.params.scale.as_slice() else { return false };
    let near = |(found, weight): (&f32, &f32)| (found - input_scale * weight).abs() <= found.abs() * SCALE_TOLERANCE;
    params.dtype == DType::Int32
        && input.mode == RowMode::Fixed
        && bias.constant.is_some()
        && params.zero_point.iter().all(|&zero_point| zero_point == 0)
        && (params.scale.len() == weights.len() || weights.len() == 1)
        && params.scale.iter().zip(weights.iter().cycle()).all(near)
}
