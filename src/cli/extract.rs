//! `extract`: every quantized operation with its scales, zero points and attributes.

use super::job::TerminalJob;
use super::{Ended, Outcome, files, print, print_json};
use crate::onnx::proto::AttributeProto;
use crate::onnx::proto::attribute_proto::AttributeType;
use crate::onnx::{Document, NodeExt, Signature, is_dequantize, is_quantize};
use crate::worker::service::Service;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// Arguments of `extract`.
#[derive(clap::Args)]
pub struct Extract {
    /// The model.
    model: PathBuf,
    /// Write the JSON to a file instead of standard output.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// The operations of one model.
#[derive(Serialize)]
struct Operations {
    model_path: String,
    opset_version: Option<i64>,
    operations: Vec<Operation>,
    summary: Summary,
}

/// How many nodes of the graph are quantized operations, and of which kinds; the first four kinds are always there.
#[derive(Serialize)]
struct Summary {
    total_nodes: usize,
    qlinear_nodes: usize,
    op_type_counts: Map<String, Value>,
}

impl Summary {
    fn of(document: &Document, operations: &[Operation]) -> Summary {
        let mut kinds = vec!["QLinearConv", "QLinearMatMul", "QuantizeLinear", "DequantizeLinear"];
        for operation in operations {
            if !kinds.contains(&operation.op_type.as_str()) {
                kinds.push(&operation.op_type);
            }
        }
        let count = |kind: &str| operations.iter().filter(|operation| operation.op_type == kind).count();
        Summary {
            total_nodes: document.graph().node.len(),
            qlinear_nodes: operations.len(),
            op_type_counts: kinds.into_iter().map(|kind| (kind.to_owned(), json!(count(kind)))).collect(),
        }
    }
}

/// A quantized operation. A scale or a zero point of one element is a number, of several a list; one that is computed
/// at run time is null.
#[derive(Serialize)]
struct Operation {
    name: String,
    op_type: String,
    domain: String,
    inputs: Vec<String>,
    outputs: Vec<String>,
    attributes: Map<String, Value>,
    scales: Map<String, Value>,
    zero_points: Map<String, Value>,
}

impl Extract {
    /// Prints the operations.
    pub fn run(self, json: bool) -> Outcome {
        let job = TerminalJob::new();
        let mut service = Service::default();
        let workspace = files::open(&mut service, std::slice::from_ref(&self.model), &job)?;
        job.finish();
        let models = files::models(&workspace, std::slice::from_ref(&self.model))?;
        let document = models.first().and_then(|model| service.document(model.id));
        let document = document.ok_or_else(|| vec![files::internal("an opened model is not there")])?;
        let found = operations(document);
        let operations = Operations {
            model_path: self.model.display().to_string(),
            opset_version: document.opset(""),
            summary: Summary::of(document, &found),
            operations: found,
        };
        if let Some(out) = &self.out {
            let text =
                serde_json::to_string_pretty(&operations).map_err(|error| vec![files::internal(&error.to_string())])?;
            files::write(out, text.as_bytes()).map_err(|problem| vec![problem])?;
        } else if json {
            print_json(&operations)?;
        } else {
            for operation in &operations.operations {
                print(&format!(
                    "{} {} scales {} zero points {}",
                    operation.op_type,
                    operation.name,
                    Value::Object(operation.scales.clone()),
                    Value::Object(operation.zero_points.clone())
                ));
            }
        }
        Ok(Ended::Well)
    }
}

fn operations(document: &Document) -> Vec<Operation> {
    let mut found = Vec::new();
    for node in &document.graph().node {
        let signature = Signature::of(node);
        let positions: (Vec<usize>, Vec<usize>) = if is_quantize(node) || is_dequantize(node) {
            (vec![1], vec![2])
        } else if signature.quantized || matches!(node.op_type(), "ConvInteger" | "MatMulInteger") {
            let result = signature.result;
            (
                signature
                    .operands
                    .iter()
                    .filter_map(|operand| operand.scale)
                    .chain(result.map(|(scale, _)| scale))
                    .collect(),
                signature
                    .operands
                    .iter()
                    .filter_map(|operand| operand.zero_point)
                    .chain(result.map(|(_, zero)| zero))
                    .collect(),
            )
        } else if node.op_type() == "DynamicQuantizeLinear" {
            (Vec::new(), Vec::new())
        } else {
            continue;
        };
        let values = |positions: &[usize]| {
            let names = positions.iter().filter_map(|&at| node.input_name(at));
            names.map(|name| (name.to_owned(), constant(document, name))).collect()
        };
        found.push(Operation {
            name: node.name().to_owned(),
            op_type: node.op_type().to_owned(),
            domain: node.domain_name().to_owned(),
            inputs: node.input.clone(),
            outputs: node.output.clone(),
            attributes: node.attribute.iter().map(|a| (a.name().to_owned(), attribute(a))).collect(),
            scales: values(&positions.0),
            zero_points: values(&positions.1),
        });
    }
    found
}

fn constant(document: &Document, name: &str) -> Value {
    let Some(Ok(tensor)) = document.constant(&document.origin(name)) else { return Value::Null };
    let values: Vec<Value> = match tensor.to_i64() {
        Ok(integers) if !tensor.dtype().is_float() => integers.into_iter().map(|value| json!(value)).collect(),
        _ => tensor.to_f64().unwrap_or_default().into_iter().map(|value| json!(value)).collect(),
    };
    match values.as_slice() {
        [single] => single.clone(),
        _ => Value::Array(values),
    }
}

fn attribute(attribute: &AttributeProto) -> Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match attribute.r#type() {
        AttributeType::Float => json!(attribute.f()),
        AttributeType::Int => json!(attribute.i()),
        AttributeType::String => json!(text(attribute.s())),
        AttributeType::Floats => json!(attribute.floats),
        AttributeType::Ints => json!(attribute.ints),
        AttributeType::Strings => json!(attribute.strings.iter().map(|bytes| text(bytes)).collect::<Vec<_>>()),
        // Tensors and graphs are what `inspect` is for.
        other => json!(format!("{other:?}").to_lowercase()),
    }
}
