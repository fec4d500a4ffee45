//! Values that are quantized in each run, and integer operators on them.

use super::{Lower, Row, RowMode};
use crate::onnx::proto::NodeProto;
use crate::onnx::{Attr, NodeExt};
use crate::quant::Granularity;
use crate::quant::table::error::TableError;
use crate::tensor::DType;

impl Lower<'_> {
    /// Writes the `DynamicQuantizeLinear` of a row behind `value`; float readers get it dequantized on demand.
    pub fn quantize_dynamic(&mut self, row: &Row, value: String) -> Result<(), TableError> {
        let tensor = &row.tensor;
        let name = self.name(&row.names.quantized, &format!("{tensor}_quantized"));
        let scale = self.name(&row.names.scale, &format!("{tensor}_scale"));
        let zero_point = self.name(&row.names.zero_point, &format!("{tensor}_zero_point"));
        let template = row.written.as_ref().and_then(|written| written.quantize.clone());
        let node = template.unwrap_or_else(|| NodeProto {
            op_type: Some("DynamicQuantizeLinear".to_owned()),
            name: Some(format!("{tensor}_QuantizeLinear")),
            ..Default::default()
        });
        let output = vec![name.clone(), scale.clone(), zero_point.clone()];
        self.nodes.push(NodeProto { input: vec![value], output, ..node });
        self.scales.insert(tensor.clone(), (scale.clone(), Some(zero_point.clone())));
        let (grid, row_name) = (row.grid.clone(), tensor.clone());
        let integers = super::Integers { name, scale, zero_point: Some(zero_point), grid, row: row_name };
        self.integers.insert(tensor.clone(), integers);
        if self.external.contains(tensor.as_str()) {
            let seen = self.dequantize(row, "")?;
            self.see(tensor, seen);
        }
        Ok(())
    }

    /// Writes an integer operator and its rescaling and gives true, where the input is quantized in each run and the
    /// weight has codes that the operator takes.
    pub fn dynamic(&mut self, node: &NodeProto) -> Result<bool, TableError> {
        let integer = match node.op_type() {
            "Conv" if node.domain_name().is_empty() && node.input_name(2).is_none() => "ConvInteger",
            "MatMul" if node.domain_name().is_empty() => "MatMulInteger",
            _ => return Ok(false),
        };
        let (Some(input), Some(weight), [output]) = (node.input_name(0), node.input_name(1), node.output.as_slice())
        else {
            return Ok(false);
        };
        let on = |value: &str| self.rows.get(value).copied().filter(|row| row.enabled);
        let (Some(input), Some(weight)) = (on(input), on(weight)) else { return Ok(false) };
        let params = &weight.grid.params;
        let rank = self.facts.shape(&weight.tensor).map(<[_]>::len);
        let fits = match (integer, params.dtype, params.granularity) {
            (_, DType::Uint8, Granularity::PerTensor) => true,
            ("MatMulInteger", DType::Int8, Granularity::PerTensor) => true,
            ("MatMulInteger", DType::Uint8 | DType::Int8, Granularity::PerChannel { axis }) => {
                axis == 1 && rank == Some(2)
            }
            _ => false,
        };
        if input.mode != RowMode::Dynamic || weight.constant.is_none() || weight.mode != RowMode::Fixed || !fits {
            return Ok(false);
        }
        if !self.integers.contains_key(&weight.tensor) {
            self.constant(weight)?;
        }
        let (Some(codes), Some(weights)) =
            (self.integers.get(&input.tensor).cloned(), self.integers.get(&weight.tensor).cloned())
        else {
            return Ok(false);
        };
        let template = self.table.written.dynamic.get(output).map_or(&[][..], Vec::as_slice);
        let file = |at: usize| template.get(at).cloned();
        let node_name = node.name();
        let made = |at: usize, op: &str, name: String| {
            let new = || NodeProto { op_type: Some(op.to_owned()), name: Some(name), ..Default::default() };
            file(at).unwrap_or_else(new)
        };
        let name_of = |at: usize| file(at).and_then(|node| node.output_name(0).map(str::to_owned)).unwrap_or_default();
        let sum = self.name(&name_of(0), &format!("{output}_output_quantized"));
        let real = self.name(&name_of(1), &format!("{output}_output_quantized_cast_output"));
        let scales = self.name(&name_of(2), &format!("{node_name}_quant_scales_mul:0"));
        let operator = file(0).unwrap_or_else(|| NodeProto {
            op_type: Some(integer.to_owned()),
            name: Some(format!("{node_name}_quant")),
            ..node.clone()
        });
        let mut inputs = vec![codes.name, weights.name, codes.zero_point.unwrap_or_default()];
        inputs.extend(weights.zero_point);
        let mut cast = made(1, "Cast", format!("{output}_output_quantized_cast"));
        if cast.attribute.is_empty() {
            cast.attribute.push(Attr::Int(DType::Float32.to_onnx().into()).into_proto("to"));
        }
        let product = made(2, "Mul", format!("{node_name}_quant_scales_mul"));
        let last = made(3, "Mul", format!("{node_name}_quant_output_scale_mul"));
        let raw = self.raw_name(output);
        let both = vec![codes.scale, weights.scale];
        self.nodes.push(NodeProto { input: both, output: vec![scales.clone()], ..product });
        self.nodes.push(NodeProto { input: inputs, output: vec![sum.clone()], ..operator });
        self.nodes.push(NodeProto { input: vec![sum], output: vec![real.clone()], ..cast });
        self.nodes.push(NodeProto { input: vec![real, scales], output: vec![raw], ..last });
        self.made(output)?;
        Ok(true)
    }
}
