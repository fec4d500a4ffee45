//! A quantized model whose inputs and outputs are integers.

use crate::onnx::proto::type_proto::Value;
use crate::onnx::proto::{GraphProto, ModelProto, NodeProto, ValueInfoProto};
use crate::onnx::{Document, Facts, NodeExt, OnnxError, is_dequantize, is_quantize};
use crate::tensor::DType;
use serde::{Deserialize, Serialize};

/// An input or output that became integer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IntegerPort {
    /// Its name, which stays.
    pub name: String,
    /// Its type now.
    pub dtype: DType,
    /// The scale that the outside has to apply.
    pub scale: f32,
    /// The zero point.
    pub zero_point: i64,
}

/// Takes the QuantizeLinear behind each input, and the DequantizeLinear before each output, out of a quantized model:
/// it then takes and gives integers, as microcontrollers want it. An input that others read too, and one with scales
/// along an axis, stays as it is.
pub fn with_integer_io(document: &Document) -> Result<(Document, Vec<IntegerPort>), OnnxError> {
    let facts = Facts::of(document);
    let mut ports = Vec::new();
    let mut model: ModelProto = document.proto().clone();
    let Some(graph) = model.graph.as_mut() else { return Ok((document.clone(), ports)) };
    for at in 0..graph.input.len() {
        let name = graph.input.get(at).map(|input| input.name().to_owned()).unwrap_or_default();
        let readers: Vec<usize> = readers(graph, &name);
        let (1, Some(&position)) = (readers.len(), readers.first()) else { continue };
        let Some(node) = graph.node.get(position).cloned().filter(is_quantize) else { continue };
        let (Some(stored), false) = (node.output_name(0), is_output(graph, &name)) else { continue };
        if is_output(graph, stored) || node.input_name(0) != Some(name.as_str()) {
            continue;
        }
        let Some(port) = port(document, &facts, &node, &name, stored) else { continue };
        graph.node.remove(position);
        rename_inputs(graph, stored, &name);
        graph.input.get_mut(at).into_iter().for_each(|input| set_type(input, port.dtype));
        graph.value_info.retain(|info| info.name() != stored);
        ports.push(port);
    }
    for at in 0..graph.output.len() {
        let name = graph.output.get(at).map(|output| output.name().to_owned()).unwrap_or_default();
        let maker = graph.node.iter().position(|node| node.output_name(0) == Some(name.as_str()));
        let Some((position, node)) = maker.and_then(|at| Some((at, graph.node.get(at).cloned()?))) else { continue };
        let (true, Some(stored)) = (is_dequantize(&node) && readers(graph, &name).is_empty(), node.input_name(0))
        else {
            continue;
        };
        let made = graph.node.iter().any(|node| node.output.iter().any(|output| output == stored));
        let Some(port) = port(document, &facts, &node, &name, stored).filter(|_| made && !is_output(graph, stored))
        else {
            continue;
        };
        graph.node.remove(position);
        rename_inputs(graph, stored, &name);
        for output in graph.node.iter_mut().flat_map(|node| &mut node.output).filter(|output| *output == stored) {
            output.clone_from(&name);
        }
        graph.output.get_mut(at).into_iter().for_each(|output| set_type(output, port.dtype));
        graph.value_info.retain(|info| info.name() != stored);
        ports.push(port);
    }
    match ports.is_empty() {
        true => Ok((document.clone(), ports)),
        false => {
            model.graph.as_mut().into_iter().for_each(super::graph::drop_unread);
            Ok((document.with_proto(model)?, ports))
        }
    }
}

/// Inputs and outputs that are still of floats, each in words with its reason.
pub fn float_ports(document: &Document) -> Vec<String> {
    let facts = Facts::of(document);
    let floats = |name: &str| facts.dtype(name).filter(|dtype| dtype.is_float());
    let inputs = document.inputs().filter_map(|input| {
        let dtype = floats(input.name())?;
        Some(format!("input {} stays {dtype}: not every node that reads it is quantized", input.name()))
    });
    let outputs = document.graph().output.iter().filter_map(|output| {
        let dtype = floats(output.name())?;
        Some(format!("output {} stays {dtype}: the node that gives it is not quantized", output.name()))
    });
    inputs.chain(outputs).collect()
}

/// What the outside has to know of a port, from the node that is taken out; `None` without one constant scale.
fn port(document: &Document, facts: &Facts, node: &NodeProto, name: &str, stored: &str) -> Option<IntegerPort> {
    let scale = document.constant(node.input_name(1)?)?.ok()?.to_f32().ok()?;
    let zero_point = match node.input_name(2) {
        Some(zero_point) => document.constant(zero_point)?.ok()?.to_i64().ok()?,
        None => vec![0],
    };
    let ([scale], [zero_point]) = (scale.as_slice(), zero_point.as_slice()) else { return None };
    let dtype = facts.dtype(stored)?;
    Some(IntegerPort { name: name.to_owned(), dtype, scale: *scale, zero_point: *zero_point })
}

/// Positions of the nodes that read a value, those that capture it included.
fn readers(graph: &GraphProto, value: &str) -> Vec<usize> {
    let captures = |node: &NodeProto| crate::onnx::subgraphs(node).any(|graph| !readers(graph, value).is_empty());
    let reads = |node: &NodeProto| node.input.iter().any(|input| input == value) || captures(node);
    graph.node.iter().enumerate().filter(|(_, node)| reads(node)).map(|(at, _)| at).collect()
}

fn is_output(graph: &GraphProto, value: &str) -> bool {
    graph.output.iter().any(|output| output.name() == value)
}

fn rename_inputs(graph: &mut GraphProto, old: &str, new: &str) {
    for input in graph.node.iter_mut().flat_map(|node| &mut node.input).filter(|input| *input == old) {
        *input = new.to_owned();
    }
}

fn set_type(info: &mut ValueInfoProto, dtype: DType) {
    if let Some(Value::TensorType(tensor)) = info.r#type.as_mut().and_then(|kind| kind.value.as_mut()) {
        tensor.elem_type = Some(dtype.to_onnx());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::{Dim, tensor_to_proto, value_info};
    use crate::tensor::Tensor;

    fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
        NodeProto {
            op_type: Some(op.to_owned()),
            name: Some(output.to_owned()),
            input: inputs.iter().map(|&name| name.to_owned()).collect(),
            output: vec![output.to_owned()],
            ..Default::default()
        }
    }

    fn model(nodes: Vec<NodeProto>) -> Document {
        let shape = [Dim::Known(2)];
        let info = |name| value_info(name, DType::Float32, Some(&shape));
        let graph = GraphProto {
            name: Some("g".to_owned()),
            node: nodes,
            input: vec![info("x")],
            output: vec![info("y")],
            initializer: vec![
                tensor_to_proto("s", &Tensor::from_vec(vec![], vec![0.5f32]).unwrap()),
                tensor_to_proto("z", &Tensor::from_vec(vec![], vec![-3i8]).unwrap()),
            ],
            ..Default::default()
        };
        let opset = crate::onnx::proto::OperatorSetIdProto { domain: Some(String::new()), version: Some(13) };
        let opset_import = vec![opset];
        Document::from_proto(ModelProto { graph: Some(graph), opset_import, ir_version: Some(8), ..Default::default() })
            .unwrap()
    }

    #[test]
    fn integers_go_in_and_come_out() {
        let document = model(vec![
            node("QuantizeLinear", &["x", "s", "z"], "xq"),
            node("Transpose", &["xq"], "yq"),
            node("DequantizeLinear", &["yq", "s", "z"], "y"),
        ]);
        let (integer, ports) = with_integer_io(&document).unwrap();
        assert!(integer.issues().is_empty(), "{:?}", integer.issues());
        let ops: Vec<&str> = integer.graph().node.iter().map(|node| node.op_type()).collect();
        assert_eq!(ops, ["Transpose"]);
        assert_eq!((integer.graph().node[0].input[0].as_str(), integer.graph().node[0].output[0].as_str()), ("x", "y"));
        let facts = Facts::of(&integer);
        assert_eq!((facts.dtype("x"), facts.dtype("y")), (Some(DType::Int8), Some(DType::Int8)));
        assert_eq!(ports.len(), 2);
        assert_eq!(float_ports(&integer), Vec::<String>::new());
        assert_eq!((ports[0].scale, ports[0].zero_point), (0.5, -3));
        assert!(integer.graph().initializer.is_empty());
    }

    #[test]
    fn what_others_read_stays() {
        let document = model(vec![
            node("QuantizeLinear", &["x", "s", "z"], "xq"),
            node("DequantizeLinear", &["xq", "s", "z"], "xd"),
            node("Add", &["xd", "x"], "y"),
        ]);
        let (same, ports) = with_integer_io(&document).unwrap();
        assert_eq!((same.graph().node.len(), ports.len()), (3, 0));
        let told = float_ports(&same);
        assert!(told.len() == 2 && told[0].contains("input x stays float32"), "{told:?}");
    }
}
