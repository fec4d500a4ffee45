//! Integers that nodes left as written make, or that come from outside: lifted nodes read them through a
//! `DequantizeLinear` that stands in the float graph, so that a node that cannot be lifted costs only itself.

use super::Lift;
use crate::onnx::NodeExt;
use crate::onnx::proto::NodeProto;

impl Lift<'_> {
    /// What an integer value is in the float graph; a `DequantizeLinear` is written for one whose maker is left as
    /// written. `None` where nothing is known of its scale.
    pub fn real_of(&mut self, stored: &str) -> Option<String> {
        if let Some(real) = self.reals.get(stored) {
            return Some(real.clone());
        }
        let (scale, zero_point) = self.plan.scales.get(stored).filter(|_| self.plan.foreign.contains(stored))?;
        let real = self.real_name(stored);
        self.nodes.push(NodeProto {
            op_type: Some("DequantizeLinear".to_owned()),
            name: Some(format!("{real}_DequantizeLinear")),
            input: [stored.to_owned(), scale.clone()].into_iter().chain(zero_point.clone()).collect(),
            output: vec![real.clone()],
            ..Default::default()
        });
        self.know_foreign(stored, &real);
        Some(real)
    }

    /// The file's own `DequantizeLinear` of such integers.
    pub fn keep_dequantize(&mut self, node: &NodeProto) {
        self.keep(node);
        if let (Some(stored), Some(output)) = (node.input_name(0), node.output_name(0)) {
            self.know_foreign(stored, output);
        }
    }

    fn know_foreign(&mut self, stored: &str, real: &str) {
        if let Some(grid) = self.plan.grids.get(stored) {
            self.reals.entry(stored.to_owned()).or_insert_with(|| real.to_owned());
            self.written.foreign.insert(real.to_owned(), grid.clone());
        }
    }
}
