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
