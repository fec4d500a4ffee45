//! Biases whose scale is made of the scales of an input and a weight.

use super::Lift;
use crate::onnx::NodeExt;
use crate::onnx::proto::NodeProto;
use crate::quant::TensorKind;
use crate::quant::table::bias::follows;
use crate::quant::table::row::{BiasOf, Row, RowMode};
use crate::quant::table::transparent::moves_integers;
use std::collections::HashMap;

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
                if input.mode == RowMode::Fixed && follows(bias, &input.grid, &weight.grid) {
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
        value = makers.get(value).filter(|maker| moves_integers(maker))?.input_name(0)?;
    }
    None
}
