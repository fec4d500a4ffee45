//! Models nobody should run: errors that name the node, never a panic.

use crate::cut::declared;
use quantscope::engine::{EngineError, Plan, PlanOptions, Semantics, unsupported};
use quantscope::onnx::Document;
use quantscope::onnx::proto::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    attribute_proto::AttributeType,
};
use quantscope::tensor::Tensor;

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        ints: values.to_vec(),
        r#type: Some(AttributeType::Ints as i32),
        ..Default::default()
    }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        i: Some(value),
        r#type: Some(AttributeType::Int as i32),
        ..Default::default()
    }
}

fn node(op_type: &str, inputs: &[&str], outputs: &[&str], attribute: Vec<AttributeProto>) -> NodeProto {
    let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect();
    NodeProto {
        op_type: Some(op_type.to_owned()),
        name: Some(format!("the {op_type}")),
        input: names(inputs),
        output: names(outputs),
        attribute,
        ..Default::default()
    }
}

fn floats(name: &str, dims: &[i64]) -> TensorProto {
    let count = dims.iter().product::<i64>() as usize;
    TensorProto {
        name: Some(name.to_owned()),
        dims: dims.to_vec(),
        data_type: Some(1),
        float_data: (0..count).map(|v| v as f32 * 0.5 - 1.0).collect(),
        ..Default::default()
    }
}

/// A model with the input `x`, these nodes and initializers, and the output `y`.
fn model(x: &Tensor, nodes: Vec<NodeProto>, initializer: Vec<TensorProto>) -> ModelProto {
    let y = Tensor::from_vec(vec![1], vec![0f32]).unwrap();
    let graph = GraphProto {
        node: nodes,
        initializer,
        input: vec![declared("x", x)],
        output: vec![declared("y", &y)],
        ..Default::default()
    };
    ModelProto {
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(17) }],
        ..Default::default()
    }
}

fn image() -> Tensor {
    Tensor::from_vec(vec![1, 2, 4, 4], (0..32).map(|v| v as f32).collect()).unwrap()
}

fn run(proto: ModelProto, x: &Tensor) -> Result<Option<Tensor>, EngineError> {
    let document = Document::from_proto(proto).unwrap();
    let mut plan = Plan::compile(&document, Semantics::Integer, &PlanOptions::default())?;
    plan.run(&[("x".to_owned(), x.clone())])?;
    Ok(plan.value("y"))
}

/// The model fails, at a node of this operator.
fn refused_at(op_type: &str, proto: ModelProto, x: &Tensor) {
    match run(proto, x) {
        Err(EngineError::Node { op_type: found, node, message }) => {
            assert_eq!(found, op_type, "{message}");
            assert!(node.contains(op_type) && !message.is_empty());
        }
        Err(EngineError::Unsupported(nodes)) => assert!(nodes.iter().any(|n| n.op_type == op_type), "{nodes:?}"),
        other => panic!("{op_type}: {other:?}"),
    }
}

#[test]
fn impossible_convolutions() {
    let x = image();
    let conv = |attributes: Vec<AttributeProto>, w: &[i64]| {
        model(&x, vec![node("Conv", &["x", "w"], &["y"], attributes)], vec![floats("w", w)])
    };
    for (attributes, weights) in [
        (vec![], vec![3, 2, 9, 9]),
        (vec![], vec![3, 5, 3, 3]),
        (vec![], vec![3, 2, 3]),
        (vec![ints("strides", &[0, 0])], vec![3, 2, 3, 3]),
        (vec![ints("strides", &[1])], vec![3, 2, 3, 3]),
        (vec![ints("dilations", &[1 << 40, 1])], vec![3, 2, 3, 3]),
        (vec![ints("pads", &[-5, 0, 0, 0])], vec![3, 2, 3, 3]),
        (vec![ints("pads", &[1, 1])], vec![3, 2, 3, 3]),
        (vec![int("group", 0)], vec![3, 2, 3, 3]),
        (vec![int("group", 3)], vec![3, 2, 3, 3]),
        (vec![ints("kernel_shape", &[2, 2])], vec![3, 2, 3, 3]),
    ] {
        refused_at("Conv", conv(attributes, &weights), &x);
    }
    let bias = model(
        &x,
        vec![node("Conv", &["x", "w", "b"], &["y"], vec![])],
        vec![floats("w", &[3, 2, 3, 3]), floats("b", &[4])],
    );
    refused_at("Conv", bias, &x);
}

#[test]
fn an_empty_trailing_input_is_left_out() {
    let x = image();
    let proto = model(&x, vec![node("Conv", &["x", "w", ""], &["y"], vec![])], vec![floats("w", &[3, 2, 3, 3])]);
    assert_eq!(run(proto, &x).unwrap().unwrap().shape(), [1, 3, 2, 2]);
}

#[test]
fn impossible_pools_shapes_and_divisions() {
    let x = image();
    for op_type in ["MaxPool", "AveragePool"] {
        for attributes in [
            vec![],
            vec![ints("kernel_shape", &[9, 9])],
            vec![ints("kernel_shape", &[2])],
            vec![ints("kernel_shape", &[2, 2]), ints("strides", &[0, 1])],
        ] {
            refused_at(op_type, model(&x, vec![node(op_type, &["x"], &["y"], attributes)], vec![]), &x);
        }
    }
    let shape = |dims: &[i64]| TensorProto {
        name: Some("shape".to_owned()),
        dims: vec![dims.len() as i64],
        data_type: Some(7),
        int64_data: dims.to_vec(),
        ..Default::default()
    };
    for dims in [&[7, 7][..], &[-1, -1], &[1 << 40, 1 << 40], &[(1 << 32) + 32]] {
        refused_at("Reshape", model(&x, vec![node("Reshape", &["x", "shape"], &["y"], vec![])], vec![shape(dims)]), &x);
    }
    refused_at(
        "ConstantOfShape",
        model(&x, vec![node("ConstantOfShape", &["shape"], &["y"], vec![])], vec![shape(&[1 << 20, 1 << 20])]),
        &x,
    );
    refused_at(
        "Expand",
        model(&x, vec![node("Expand", &["x", "shape"], &["y"], vec![])], vec![shape(&[1 << 30, 1, 1, 4, 4])]),
        &x,
    );
    refused_at("MatMul", model(&x, vec![node("MatMul", &["x", "w"], &["y"], vec![])], vec![floats("w", &[3, 3])]), &x);
}

#[test]
fn unknown_operators_are_listed_by_name() {
    let x = image();
    let mut strange = node("Frobnicate", &["x"], &["t"], vec![]);
    strange.domain = Some("example.org".to_owned());
    let proto = model(&x, vec![strange, node("NoSuchOperator", &["t"], &["y"], vec![])], vec![]);
    let document = Document::from_proto(proto).unwrap();
    let found = unsupported(&document);
    let names: Vec<_> = found.iter().map(|n| (n.node.as_str(), n.op_type.as_str(), n.domain.as_str())).collect();
    assert_eq!(names, [("the Frobnicate", "Frobnicate", "example.org"), ("the NoSuchOperator", "NoSuchOperator", "")]);
    assert!(matches!(
        Plan::compile(&document, Semantics::Simulate, &PlanOptions::default()),
        Err(EngineError::Unsupported(nodes)) if nodes == found
    ));
}

#[test]
fn a_function_that_calls_itself_ends() {
    let x = image();
    let mut call = node("Again", &["x"], &["y"], vec![]);
    call.domain = Some("local".to_owned());
    let mut proto = model(&x, vec![call.clone()], vec![]);
    call.input = vec!["a".to_owned()];
    call.output = vec!["b".to_owned()];
    proto.functions.push(FunctionProto {
        name: Some("Again".to_owned()),
        domain: Some("local".to_owned()),
        input: vec!["a".to_owned()],
        output: vec!["b".to_owned()],
        node: vec![call],
        ..Default::default()
    });
    assert!(matches!(run(proto.clone(), &x), Err(EngineError::Graph { .. })));
    assert_eq!(unsupported(&Document::from_proto(proto).unwrap()).len(), 1);
}

#[test]
fn an_output_nobody_makes() {
    let x = image();
    let proto = model(&x, vec![node("Relu", &["x"], &["z"], vec![])], vec![]);
    assert!(matches!(run(proto, &x), Err(EngineError::Graph { place, .. }) if place.contains("'y'")));
}

#[test]
fn wrong_inputs_are_named() {
    let x = image();
    let document = Document::from_proto(model(&x, vec![node("Relu", &["x"], &["y"], vec![])], vec![])).unwrap();
    let mut plan = Plan::compile(&document, Semantics::Simulate, &PlanOptions::default()).unwrap();
    let wrong = Tensor::from_vec(vec![1, 2, 4, 5], vec![0f32; 40]).unwrap();
    let bytes = Tensor::from_vec(vec![1, 2, 4, 4], vec![0u8; 32]).unwrap();
    assert!(plan.run(&[]).is_err());
    assert!(plan.run(&[("x".to_owned(), wrong)]).is_err());
    assert!(plan.run(&[("x".to_owned(), bytes)]).is_err());
    assert!(plan.run(&[("x".to_owned(), x.clone()), ("z".to_owned(), x.clone())]).is_err());
    plan.run(&[("x".to_owned(), x)]).unwrap();
}

#[test]
fn empty_batches_run() {
    let x = Tensor::from_vec(vec![0, 3], Vec::<f32>::new()).unwrap();
    for op_type in ["Relu", "Softmax", "Identity"] {
        let proto = model(&x, vec![node(op_type, &["x"], &["y"], vec![])], vec![]);
        assert_eq!(run(proto, &x).unwrap().unwrap().shape(), [0, 3], "{op_type}");
    }
}

#[test]
fn fake_quantize_is_quantize_and_dequantize() {
    use quantscope::quant::{Granularity, QuantParams, dequantize, quantize};
    use quantscope::tensor::DType;
    let x = image();
    let document = Document::from_proto(model(&x, vec![node("Relu", &["x"], &["y"], vec![])], vec![])).unwrap();
    let mut plan = Plan::compile(&document, Semantics::Simulate, &PlanOptions::default()).unwrap();
    plan.run(&[("x".to_owned(), x.clone())]).unwrap();
    let params =
        QuantParams { scale: vec![0.7], zero_point: vec![-3], dtype: DType::Int4, granularity: Granularity::PerTensor };
    plan.set_fake_quantize("x", Some(&params)).unwrap();
    assert_eq!(plan.rerun().unwrap().values, ["y"]);
    let rounded: Vec<f32> =
        x.to_f32().unwrap().into_iter().map(|v| dequantize(quantize(v, 0.7, -3, -8, 7), 0.7, -3).max(0.0)).collect();
    assert_eq!(plan.value("y").unwrap().to_f32().unwrap(), rounded);
    assert_eq!(plan.value("x").unwrap(), x);
    plan.set_fake_quantize("x", None).unwrap();
    plan.rerun().unwrap();
    assert_eq!(plan.value("y").unwrap().to_f32().unwrap(), x.to_f32().unwrap());
    assert!(plan.set_fake_quantize("nobody", Some(&params)).is_err());
}
