//! Float operators that bound a value before it is quantized.

use super::{Clamp, Lower, Row};
use crate::onnx::proto::NodeProto;
use crate::onnx::{Attr, tensor_to_proto};
use crate::quant::Granularity;
use crate::quant::table::error::TableError;
use crate::tensor::Tensor;

/// From this `ai.onnx` version on the bounds of Clip are inputs.
const OPSET_CLIP_INPUTS: i64 = 11;

impl Lower<'_> {
    /// Writes the activation function that the row's saturation stood for; `output` where its name is given.
    pub fn clamp(&mut self, row: &Row, value: &str, clamp: Clamp, output: Option<&str>) -> Result<String, TableError> {
        let op = match clamp {
            Clamp { low: 0.0, high: f32::INFINITY } => "Relu",
            _ => "Clip",
        };
        let output = match output {
            Some(output) => output.to_owned(),
            None => self.names.fresh(&format!("{}_{op}_Output", row.tensor)),
        };
        let node = NodeProto {
            op_type: Some(op.to_owned()),
            name: Some(format!("{}_{op}", row.tensor)),
            input: vec![value.to_owned()],
            output: vec![output.clone()],
            ..Default::default()
        };
        match op {
            "Relu" => self.nodes.push(node),
            _ => self.bounded(node, clamp),
        }
        Ok(output)
    }

    /// Bounds a value to the real numbers of a row's codes, because the stored type has more.
    pub fn clip(&mut self, row: &Row, value: &str) -> Result<String, TableError> {
        let reach = row.grid.reach();
        let output = self.names.fresh(&format!("{}_Clip_Output", row.tensor));
        let node = NodeProto {
            op_type: Some("Clip".to_owned()),
            name: Some(format!("{}_Clip", row.tensor)),
            input: vec![value.to_owned()],
            output: vec![output.clone()],
            ..Default::default()
        };
        if let [(low, high)] = *reach.as_slice() {
            self.bounded(node, Clamp { low, high });
            return Ok(output);
        }
        let Granularity::PerChannel { axis } = row.grid.params.granularity else {
            return Err(TableError::row(&row.tensor, "blocks of an activation cannot have fewer bits than their type"));
        };
        let rank = self.facts.shape(&row.tensor).map(<[_]>::len);
        let rank = rank.ok_or_else(|| TableError::row(&row.tensor, "its rank is not known"))?;
        let mut shape = vec![1; rank.saturating_sub(axis)];
        if let Some(channels) = shape.first_mut() {
            *channels = reach.len();
        }
        let mut bound = |values: Vec<f32>, stem: &str| -> Result<String, TableError> {
            let tensor =
                Tensor::from_vec(shape.clone(), values).map_err(|error| TableError::tensor(&row.tensor, error))?;
            let name = self.names.fresh(&format!("{}_{stem}", row.tensor));
            self.put(tensor_to_proto(&name, &tensor));
            Ok(name)
        };
        let lows = bound(reach.iter().map(|bounds| bounds.0).collect(), "lowest")?;
        let highs = bound(reach.iter().map(|bounds| bounds.1).collect(), "highest")?;
        let between = self.names.fresh(&format!("{}_Max_Output", row.tensor));
        let (max, min) = (Some("Max".to_owned()), Some("Min".to_owned()));
        let name = |op: &str| Some(format!("{}_{op}", row.tensor));
        let (input, first) = (vec![value.to_owned(), lows], vec![between.clone()]);
        self.nodes.push(NodeProto { op_type: max, name: name("Max"), input, output: first, ..Default::default() });
        self.nodes.push(NodeProto { op_type: min, name: name("Min"), input: vec![between, highs], ..node });
        Ok(output)
    }

    /// Writes a Clip with these bounds; an infinite one is left out.
    fn bounded(&mut self, mut node: NodeProto, Clamp { low, high }: Clamp) {
        let bounds = [("min", low), ("max", high)];
        if self.float.opset("").unwrap_or(1) < OPSET_CLIP_INPUTS {
            let finite = bounds.into_iter().filter(|(_, bound)| bound.is_finite());
            node.attribute.extend(finite.map(|(name, bound)| Attr::Float(bound).into_proto(name)));
        } else {
            for (name, bound) in bounds {
                node.input.push(match Tensor::from_vec(vec![], vec![bound]).ok().filter(|_| bound.is_finite()) {
                    Some(tensor) => {
                        let name = self.names.fresh(&format!("{}_{name}", node.name.clone().unwrap_or_default()));
                        self.put(tensor_to_proto(&name, &tensor));
                        name
                    }
                    None => String::new(),
                });
            }
            while node.input.last().is_some_and(String::is_empty) {
                node.input.pop();
            }
        }
        self.nodes.push(node);
    }
}
