//! A part of a model as a model of its own, fed with recorded values.

use quantscope::engine::{Plan, PlanOptions, Semantics};
use quantscope::onnx::Document;
use quantscope::onnx::proto::{
    GraphProto, NodeProto, TensorShapeProto, TypeProto, ValueInfoProto, tensor_shape_proto, type_proto,
};
use quantscope::tensor::Tensor;

/// A declaration of a tensor of this type and shape.
pub fn declared(name: &str, tensor: &Tensor) -> ValueInfoProto {
    let dim = |&size: &usize| tensor_shape_proto::Dimension {
        value: Some(tensor_shape_proto::dimension::Value::DimValue(size as i64)),
        ..Default::default()
    };
    let shape = TensorShapeProto { dim: tensor.shape().iter().map(dim).collect() };
    let tensor = type_proto::Tensor { elem_type: Some(tensor.dtype().to_onnx()), shape: Some(shape) };
    let r#type = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    ValueInfoProto { name: Some(name.to_owned()), r#type: Some(r#type), ..Default::default() }
}

/// Runs the nodes between values for which `given` holds and the target's output; gives ours and the recorded one.
pub fn run(
    document: &Document,
    recorded: &[(String, Tensor)],
    target: &NodeProto,
    given: impl Fn(&str) -> bool,
) -> (Tensor, Tensor) {
    let value = |name: &str| recorded.iter().find(|(n, _)| n == name).map(|(_, t)| t.clone());
    let mut graph = GraphProto { name: Some("cut".to_owned()), ..Default::default() };
    let mut inputs: Vec<(String, Tensor)> = Vec::new();
    let mut wanted: Vec<String> = vec![target.output[0].clone()];
    let mut seen: Vec<String> = Vec::new();
    while let Some(name) = wanted.pop() {
        if name.is_empty() || seen.contains(&name) {
            continue;
        }
        seen.push(name.clone());
        if let Some(position) = document.index().initializer(&name) {
            graph.initializer.push(document.graph().initializer[position].clone());
        } else if given(&name) {
            let tensor = value(&name).unwrap();
            graph.input.push(declared(&name, &tensor));
            inputs.push((name, tensor));
        } else if let Some(slot) = document.index().producer(&name) {
            let node = document.node(slot.node).unwrap();
            wanted.extend(node.input.iter().cloned());
            graph.node.push(node.clone());
        } else {
            let tensor = value(&name).unwrap();
            graph.input.push(declared(&name, &tensor));
            inputs.push((name, tensor));
        }
    }
    let expected = value(&target.output[0]).unwrap();
    graph.output.push(declared(&target.output[0], &expected));
    let mut proto = document.proto().clone();
    proto.graph = Some(graph);
    let cut = Document::from_proto(proto).unwrap();
    let mut plan = Plan::compile(&cut, Semantics::Simulate, &PlanOptions::default()).unwrap();
    plan.run(&inputs).unwrap();
    (plan.value(&target.output[0]).unwrap(), expected)
}

/// How a part of a model answered on recorded inputs.
#[derive(Debug)]
pub struct Block {
    /// The node whose output was compared.
    pub node: String,
    /// Whether the node was alone; otherwise everything back to the codes it depends on ran with it.
    pub alone: bool,
    /// Elements that are equal.
    pub equal: usize,
    /// Elements.
    pub total: usize,
    /// Largest difference.
    pub worst: f64,
}

/// Runs every QuantizeLinear and DequantizeLinear of an activation alone, and every QuantizeLinear together with what lies
/// between it and the codes before it, on recorded inputs.
pub fn every_block(document: &Document, recorded: &[(String, Tensor)]) -> Vec<Block> {
    let compared = |node: &NodeProto, alone: bool, (found, expected): (Tensor, Tensor)| {
        let (f, e) = (found.to_f64().unwrap(), expected.to_f64().unwrap());
        assert_eq!(f.len(), e.len());
        let pairs = || f.iter().zip(&e);
        Block {
            node: node.name().to_owned(),
            alone,
            equal: pairs().filter(|(f, e)| f == e).count(),
            total: e.len(),
            worst: pairs().map(|(f, e)| (f - e).abs()).fold(0.0, f64::max),
        }
    };
    let mut blocks = Vec::new();
    for node in &document.graph().node {
        let quantizes = node.op_type() == "QuantizeLinear";
        if !quantizes && node.op_type() != "DequantizeLinear" {
            continue;
        }
        if document.index().producer(&node.input[0]).is_some() {
            blocks.push(compared(node, true, run(document, recorded, node, |name| name == node.input[0])));
        }
        if quantizes {
            let inputs: Vec<&str> = document.graph().input.iter().map(|input| input.name()).collect();
            let codes = |name: &str| {
                let is_code = || recorded.iter().any(|(n, t)| n == name && t.dtype().is_int());
                name != node.output[0] && (inputs.contains(&name) || is_code())
            };
            blocks.push(compared(node, false, run(document, recorded, node, codes)));
        }
    }
    blocks
}
