//! QOperator nodes in `simulate` semantics: dequantize, the float operator, quantize.

use super::conv::layout_axes;
use crate::engine::kernel::linear::{dequantize_value, zero_points};
use crate::engine::kernel::{
    self, Input, Inputs, Kernel, Layout, ParamSite, optional, param_sites, quantize_value, required,
};
use crate::engine::lower::FlatNode;
use crate::engine::terms::Semantics;
use crate::engine::value::{KernelError, Value};
use crate::onnx::NodeExt;
use crate::onnx::proto::attribute_proto::AttributeType;
use crate::onnx::proto::{AttributeProto, NodeProto};
use crate::tensor::DType;

/// A QOperator node as the sandwich it stands for.
pub(super) struct Simulated {
    op_type: String,
    sites: Vec<ParamSite>,
    float: Box<dyn Kernel>,
    /// Axis of per-channel weight parameters.
    weight_axis: i64,
    /// Position of an int32 bias whose scale is the product of the factors' scales.
    bias: Option<usize>,
    /// Position of a first input that is not quantized.
    plain: Option<usize>,
    channels_last: bool,
}

impl Simulated {
    pub fn new(flat: &FlatNode) -> Result<Self, KernelError> {
        let node = &flat.proto;
        let op_type = node.op_type();
        let flag = |name: &str| NodeExt::int(node, name).unwrap_or(0) != 0;
        let (float, inputs) = match op_type {
            "QLinearConv" => ("Conv", if node.input_name(8).is_some() { 3 } else { 2 }),
            "QGemm" => ("Gemm", if node.input_name(6).is_some() { 3 } else { 2 }),
            "QLinearWhere" => ("Where", 3),
            "QLinearConcat" => ("Concat", node.input.len().saturating_sub(2) / 3),
            "QLinearMatMul" => ("MatMul", 2),
            "QLinearAdd" => ("Add", 2),
            "QLinearMul" => ("Mul", 2),
            "QLinearAveragePool"
            | "QLinearGlobalAveragePool"
            | "QLinearSoftmax"
            | "QLinearSigmoid"
            | "QLinearLeakyRelu" => (op_type.trim_start_matches("QLinear"), 1),
            _ => return Err("the operator is not known to the engine".to_owned()),
        };
        let ours = ["channels_last", "opset"];
        let mut attributes: Vec<AttributeProto> =
            node.attribute.iter().filter(|a| !ours.contains(&a.name())).cloned().collect();
        if op_type == "QGemm" {
            // The bias is scaled together with the product.
            let beta = NodeExt::float(node, "alpha").unwrap_or(1.0);
            attributes.push(AttributeProto {
                name: Some("beta".to_owned()),
                f: Some(beta),
                r#type: Some(AttributeType::Float as i32),
                ..Default::default()
            });
        }
        let opset = NodeExt::int(node, "opset").unwrap_or(flat.opset);
        let proto = NodeProto {
            op_type: Some(float.to_owned()),
            input: (0..inputs).map(|i| format!("i{i}")).collect(),
            output: vec!["o".to_owned()],
            attribute: attributes,
            ..Default::default()
        };
        let kernel = kernel::build(&FlatNode { proto, opset, captured: Vec::new() }, Semantics::Simulate)?;
        Ok(Simulated {
            op_type: op_type.to_owned(),
            sites: param_sites(node),
            float: kernel,
            weight_axis: match op_type {
                "QLinearConv" => 0,
                "QGemm" if flag("transB") => 0,
                _ => -1,
            },
            bias: match op_type {
                "QLinearConv" => Some(8),
                "QGemm" => Some(6),
                _ => None,
            },
            plain: (op_type == "QLinearWhere").then_some(0),
            channels_last: flag("channels_last"),
        })
    }
}

impl Kernel for Simulated {
    fn run(&mut self, inputs: Inputs<'_>) -> Result<Vec<Value>, KernelError> {
        let constant = |at: usize| inputs.get(at).and_then(Option::as_ref).is_none_or(|i| i.constant);
        let mut fed: Vec<Option<Input>> = self.plain.map(|at| inputs.get(at).cloned().flatten()).into_iter().collect();
        let mut scales: Vec<Vec<f32>> = Vec::new();
        let (to_first, to_last) =
            layout_axes(required(inputs, self.sites.iter().find_map(|s| s.tensor).unwrap_or(0))?.shape().len());
        for (position, site) in self.sites.iter().filter(|s| s.tensor.is_some()).enumerate() {
            let tensor = site.tensor.unwrap_or(0);
            let (x, scale) = (required(inputs, tensor)?, required(inputs, site.scale)?);
            let layout = Layout::of(x.shape(), scale, self.weight_axis, 0)?;
            let scale = scale.to_f32s()?;
            let zero_points = zero_points(optional(inputs, site.zero_point), scale.len())?;
            let mut value = dequantize_value(x, &scale, &zero_points, layout)?;
            if self.channels_last && position == 0 {
                value = value.permuted(&to_first)?;
            }
            let constant = constant(tensor) && constant(site.scale) && constant(site.zero_point);
            fed.push(Some(Input { value, constant }));
            scales.push(scale);
        }
        if let Some((at, bias)) = self.bias.and_then(|at| Some((at, optional(inputs, at)?))) {
            let (Some(a), Some(b)) = (scales.first(), scales.get(1)) else {
                return Err("scales are missing".to_owned());
            };
            let a = a.first().copied().unwrap_or(f32::NAN);
            let columns = b.len().max(1);
            let scale = |index: usize| a * b.get(index % columns).copied().unwrap_or(f32::NAN);
            let numbers: Vec<f32> = bias.to_i64s()?.iter().enumerate().map(|(i, &v)| v as f32 * scale(i)).collect();
            let value = Value::from_vec(DType::Float32, bias.shape(), numbers)?;
            fed.push(Some(Input { value, constant: constant(at) && constant(1) && constant(4) }));
        }
        let result = self.float.run(&fed)?.into_iter().next().ok_or("the operator gave no result")?;
        let result = if self.channels_last { result.permuted(&to_last)? } else { result };
        let Some(site) = self.sites.iter().find(|s| s.tensor.is_none()) else { return Ok(vec![result]) };
        let Some(scale) = optional(inputs, site.scale) else { return Ok(vec![result]) };
        let zero_point = optional(inputs, site.zero_point);
        let first = self.sites.iter().find_map(|s| s.tensor).and_then(|at| optional(inputs, at));
        let dtype = zero_point.or(first).map_or(DType::Uint8, Value::dtype);
        let scale = scale.to_f32s()?;
        if scale.len() != 1 {
            return Err(format!("{} scales were found for the result of {}", scale.len(), self.op_type));
        }
        let zero_points = zero_points(zero_point, 1)?;
        Ok(vec![quantize_value(result.f32s()?, result.shape(), &scale, &zero_points, Layout::Whole, dtype)?])
    }
}
