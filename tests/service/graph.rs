//! The network as a drawing: what is a box, what is linked, and that it can be read.

use super::{VARIANTS, ask, fixture, open, open_bytes};
use prost::Message;
use quantscope::onnx::proto::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorShapeProto, TypeProto, ValueInfoProto,
    tensor_shape_proto, type_proto,
};
use quantscope::worker::service::Service;
use quantscope::worker::{GraphDrawing, GraphNode, GraphNodeKind, GraphQuery, ModelId, Reply, Request, Workspace};
use std::collections::HashSet;
use std::time::Instant;

fn drawing(service: &mut Service, model: ModelId, quantizers: bool) -> GraphDrawing {
    match ask(service, Request::Graph(GraphQuery { model, quantizers })).0 {
        Reply::Graph(drawing) => *drawing,
        other => panic!("{other:?}"),
    }
}

/// Boxes apart and inside, lines downwards from box to box, makers before readers.
fn assert_readable(drawing: &GraphDrawing, what: &str) {
    let mut nodes: Vec<&GraphNode> = drawing.nodes.iter().collect();
    nodes.sort_by(|a, b| a.y.total_cmp(&b.y).then(a.x.total_cmp(&b.x)));
    for node in &nodes {
        let inside = node.x >= 0.0 && node.y >= 0.0;
        assert!(
            inside && node.x + node.width <= drawing.width_px && node.y + node.height <= drawing.height_px,
            "{what}"
        );
    }
    for (place, one) in nodes.iter().enumerate() {
        for two in nodes[place + 1..].iter().take_while(|two| two.y < one.y + one.height) {
            let apart = one.x + one.width < two.x || two.x + two.width < one.x;
            assert!(apart, "{what}: {} and {} overlap", one.name, two.name);
        }
    }
    let mut linked = HashSet::new();
    for edge in &drawing.edges {
        let (from, to) = (&drawing.nodes[edge.from], &drawing.nodes[edge.to]);
        assert!(edge.from < edge.to, "{what}: {} is read by {} before it", from.name, to.name);
        assert!(linked.insert((edge.from, edge.to)), "{what}: two lines from {} to {}", from.name, to.name);
        let (first, last) = (edge.points[0], edge.points[edge.points.len() - 1]);
        assert_eq!((first.1, last.1), (from.y + from.height, to.y), "{what}");
        assert!(first.1 < last.1 && edge.points.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{what}");
    }
}

fn named<'a>(drawing: &'a GraphDrawing, name: &str) -> &'a GraphNode {
    drawing.nodes.iter().find(|node| node.name == name).unwrap_or_else(|| panic!("no box {name}"))
}

#[test]
fn every_layer_is_one_box_under_the_name_it_has_in_the_tree() {
    let mut service = Service::default();
    let workspace = open(&mut service, &VARIANTS);
    for (position, model) in workspace.models.iter().enumerate() {
        let drawing = drawing(&mut service, model.id, false);
        assert_eq!(drawing.revision, workspace.revision);
        assert_readable(&drawing, &model.name);
        let rows: HashSet<usize> = drawing.nodes.iter().filter_map(|node| node.layer).collect();
        let operations: Vec<&GraphNode> =
            drawing.nodes.iter().filter(|node| node.kind == GraphNodeKind::Operation).collect();
        assert_eq!(rows.len(), operations.len(), "{}: each box is another layer", model.name);
        for node in &operations {
            let row = &workspace.layers[node.layer.expect("a layer of the tree")];
            assert_eq!(row.name, node.name);
            assert!(row.outputs[position].is_some(), "{} has no {}", model.name, row.name);
            assert!(!node.op.contains("QuantizeLinear"), "{}", node.op);
        }
        let computed = workspace.layers.iter().filter(|row| row.op == "Conv").count();
        assert_eq!(operations.iter().filter(|node| node.op == "Conv").count(), computed);
        let conv = operations.iter().find(|node| node.op == "Conv").expect("a convolution");
        assert_eq!(conv.quantized, position > 0, "{}", model.name);
        assert!(conv.outputs[0].shape.iter().all(|dim| dim != "?"), "{:?}", conv.outputs);
        // Everything hangs together: only inputs read nothing, only outputs are read by nobody.
        for (place, node) in drawing.nodes.iter().enumerate() {
            let read = drawing.edges.iter().any(|edge| edge.to == place);
            assert_eq!(!read, node.kind == GraphNodeKind::Input, "{}: {}", model.name, node.name);
            let reader = drawing.edges.iter().any(|edge| edge.from == place);
            assert_eq!(!reader, node.kind == GraphNodeKind::Output, "{}: {}", model.name, node.name);
        }
    }
}

#[test]
fn with_quantizers_every_node_of_the_file_is_one_box() {
    let mut service = Service::default();
    let workspace = open(&mut service, &VARIANTS);
    for (model, file) in workspace.models.iter().zip(VARIANTS) {
        let drawing = drawing(&mut service, model.id, true);
        assert_readable(&drawing, &model.name);
        let bytes = std::fs::read(fixture(file)).expect("fixture");
        let graph = ModelProto::decode(bytes.as_slice()).expect("a model").graph.expect("a graph");
        let mut written: Vec<&str> = graph.node.iter().map(|node| node.op_type()).collect();
        let mut drawn: Vec<&str> = drawing
            .nodes
            .iter()
            .filter(|node| matches!(node.kind, GraphNodeKind::Operation | GraphNodeKind::Plumbing))
            .map(|node| node.op.as_str())
            .collect();
        written.sort_unstable();
        drawn.sort_unstable();
        assert_eq!(drawn, written, "{}", model.name);
        let made: HashSet<&str> = drawing
            .nodes
            .iter()
            .filter(|node| node.kind != GraphNodeKind::Output)
            .flat_map(|node| &node.outputs)
            .map(|port| port.name.as_str())
            .collect();
        assert!(graph.node.iter().flat_map(|node| &node.output).all(|value| made.contains(value.as_str())));
        // A quantizing node belongs to the layer whose result or weight it quantizes.
        let plumbing: Vec<&GraphNode> =
            drawing.nodes.iter().filter(|node| node.kind == GraphNodeKind::Plumbing).collect();
        let input = drawing.nodes[0].name.as_str();
        let placed = plumbing.iter().filter(|node| node.layer.is_some() || node.inputs[0].starts_with(input)).count();
        assert_eq!(
            placed,
            plumbing.len(),
            "{:?}",
            plumbing.iter().filter(|node| node.layer.is_none()).collect::<Vec<_>>()
        );
    }
}

#[test]
fn every_kind_of_file_is_drawn() {
    let mut names: Vec<String> = std::fs::read_dir(fixture("models"))
        .expect("fixtures")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".onnx"))
        .collect();
    names.sort();
    assert!(names.len() > 15);
    for name in names {
        let mut service = Service::default();
        let workspace: Workspace = open(&mut service, &[&format!("models/{name}")]);
        for quantizers in [false, true] {
            let drawing = drawing(&mut service, workspace.models[0].id, quantizers);
            assert_readable(&drawing, &name);
            let outputs = drawing.nodes.iter().filter(|node| node.kind == GraphNodeKind::Output).count();
            assert_eq!(outputs, workspace.models[0].outputs.len(), "{name}");
            for (place, node) in drawing.nodes.iter().enumerate() {
                let linked = drawing.edges.iter().any(|edge| edge.from == place || edge.to == place);
                let constant = node.kind == GraphNodeKind::Output || node.kind == GraphNodeKind::Input;
                assert!(linked || constant, "{name}: {} {} stands alone", node.op, node.name);
            }
        }
    }
}

/// Residual blocks of three nodes, `count` nodes in all, under names as deep exporters write them.
fn deep_model(count: usize) -> Vec<u8> {
    let port = |name: &str| {
        let dim = tensor_shape_proto::Dimension {
            value: Some(tensor_shape_proto::dimension::Value::DimValue(4)),
            ..Default::default()
        };
        let tensor = type_proto::Tensor { elem_type: Some(1), shape: Some(TensorShapeProto { dim: vec![dim] }) };
        let value = Some(type_proto::Value::TensorType(tensor));
        ValueInfoProto {
            name: Some(name.to_owned()),
            r#type: Some(TypeProto { value, ..Default::default() }),
            ..Default::default()
        }
    };
    let node = |at: usize| {
        let skip = at.checked_sub(2).filter(|_| at % 3 == 2).map(|block| format!("v{block}"));
        NodeProto {
            name: Some(format!("/features/block_{}/step_{at}", at / 3)),
            op_type: Some(if skip.is_some() { "Add" } else { "Relu" }.to_owned()),
            input: std::iter::once(format!("v{at}")).chain(skip).collect(),
            output: vec![format!("v{}", at + 1)],
            ..Default::default()
        }
    };
    let graph = GraphProto {
        name: Some("deep".to_owned()),
        node: (0..count).map(node).collect(),
        input: vec![port("v0")],
        output: vec![port(&format!("v{count}"))],
        ..Default::default()
    };
    let opset = OperatorSetIdProto { domain: None, version: Some(15) };
    let model = ModelProto { ir_version: Some(8), graph: Some(graph), opset_import: vec![opset], ..Default::default() };
    model.encode_to_vec()
}

#[test]
fn two_thousand_nodes_are_laid_out_at_once() {
    let mut service = Service::default();
    let workspace = open_bytes(&mut service, vec![("deep.onnx".to_owned(), deep_model(2000))]);
    assert!(workspace.problems.is_empty(), "{:?}", workspace.problems);
    let since = Instant::now();
    let drawing = drawing(&mut service, workspace.models[0].id, false);
    let took = since.elapsed();
    assert!(took.as_secs_f64() < 5.0, "{took:?}");
    assert_eq!((drawing.nodes.len(), drawing.edges.len()), (2002, 2667));
    assert_readable(&drawing, "deep");
    assert_eq!(named(&drawing, "block_0/step_2").op, "Add");
}

#[test]
fn a_closed_model_has_no_drawing() {
    let mut service = Service::default();
    let workspace = open(&mut service, &["models/tiny.onnx"]);
    let model = workspace.models[0].id;
    let Reply::Workspace(_) = ask(&mut service, Request::CloseModel(model)).0 else { panic!() };
    let Reply::Failed(problems) = ask(&mut service, Request::Graph(GraphQuery { model, quantizers: false })).0 else {
        panic!()
    };
    assert_eq!(problems.len(), 1);
}
