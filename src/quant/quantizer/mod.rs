//! From a float model and calibrated ranges to a quantization table: ONNX Runtime's static quantization.
//!
//! [`quantize`] decides which tensors get a scale as `onnxruntime.quantization.quantize_static` (1.23) does, in its QDQ
//! or its QOperator form, and gives the float graph that the table is for: Relu and Clip that a quantizer's saturation
//! stands for are gone from it, and a bias that two nodes share has become two. Lowering the table writes the model.
//!
//! Where ONNX Runtime's tool changes what a model computes, the result here does not, and a [`Note`] says so.

mod bias;
mod bias_site;
mod calibrated;
mod clamp;
mod corrections;
mod equalize;
mod error;
mod fold;
mod graph;
mod integer_io;
mod marks;
mod names;
mod note;
mod options;
mod parameters;
mod prepare;
mod presets;
mod qdq;
mod qoperator;
mod repeat;
mod rounding;
mod rounding_site;
mod rows;
mod selection;

pub use bias::{ChannelMeans, add_to_biases, expected_inputs, weight_error_means, with_zero_biases};
pub use bias_site::{BiasSite, bias_sites};
pub use calibrated::{adjusted_ranges, calibration_tensors};
pub use corrections::{BiasCorrection, CorrectionStep, Corrections};
pub use equalize::{Equalized, EqualizedPair, equalize};
pub use error::QuantizeError;
pub use integer_io::{IntegerPort, float_ports, with_integer_io};
pub use note::Note;
pub use options::{QDQ_OPS, QOPERATOR_OPS, QuantizeOptions, TensorOverride};
pub use prepare::{Folded, PrepareOptions, Prepared, prepare};
pub use presets::{Preset, complete_for_qnn, presets};
pub use repeat::repetition;
pub use rounding::{Gram, Window, patches, round_to_data};
pub use rounding_site::{RoundingSite, rounding_sites};

use crate::onnx::proto::NodeProto;
use crate::onnx::{Document, NodeExt, is_dequantize, is_quantize};
use crate::quant::table::{QuantTable, TableFormat, has_integer_form};
use crate::tensor::DType;
use graph::Graph;
use std::collections::{BTreeMap, HashSet};

/// The first `ai.onnx` version with QLinear operators.
const OPSET_QLINEAR: i64 = 10;

/// The calibrated range of each tensor: lowest and highest value.
pub type Ranges = BTreeMap<String, (f32, f32)>;

/// A float model with its table.
#[derive(Clone, Debug)]
pub struct Quantized {
    /// The float graph that the table's rows are for.
    pub document: Document,
    /// A row for every quantized tensor.
    pub table: QuantTable,
    /// What a reader of the result should know.
    pub notes: Vec<Note>,
}

/// Quantizes a float model. `ranges` must hold every activation that is quantized ([`calibration_tensors`] lists what
/// may be); the model itself is not changed.
///
/// Fails for a model that is quantized already, for types that do not go together, and where a range is missing.
pub fn quantize(document: &Document, ranges: &Ranges, options: &QuantizeOptions) -> Result<Quantized, QuantizeError> {
    options.check()?;
    if let Some(node) = document.graph().node.iter().find(|node| is_quantize(node) || is_dequantize(node)) {
        return Err(QuantizeError::Quantized { node: clamp::node_label(node), op: node.op_type().to_owned() });
    }
    let inlined = match document.is_self_contained() {
        true => document.clone(),
        false => document.inlined()?,
    };
    let mut graph = Graph::of(&inlined);
    if options.format == TableFormat::QOperator && graph.opset < OPSET_QLINEAR {
        return Err(QuantizeError::Opset { found: graph.opset, needed: OPSET_QLINEAR });
    }
    let ranges = calibrated::prepared_ranges(&graph, ranges, options);
    let mut selection = match options.format {
        TableFormat::Qdq => qdq::select(&mut graph, &ranges, options),
        TableFormat::QOperator => qoperator::select(&mut graph, &ranges, options),
    };
    let mut marked = selection.marks.in_order().into_iter();
    if let Some((tensor, _)) = marked.find(|(tensor, _)| graph.dtype(tensor) == Some(DType::Float16)) {
        return Err(QuantizeError::Float16 { tensor: tensor.to_owned() });
    }
    let mut parameters = parameters::of(&graph, &selection, &ranges, options)?;
    let rows = rows::build(&inlined, &graph, &selection, &parameters, options)?;
    selection.notes.append(&mut parameters.notes);
    let beyond = rows.iter().filter(|row| row.enabled && !row.covers_absorbed());
    selection.notes.extend(beyond.map(|row| Note::ClampRemains { tensor: row.tensor.clone() }));
    let document = graph.finish(&inlined)?;
    let float_nodes = match options.format {
        TableFormat::Qdq => Default::default(),
        TableFormat::QOperator => selection.float_nodes(&document),
    };
    let table = QuantTable { rows, format: options.format, float_nodes, ..Default::default() };
    Ok(Quantized { document, table, notes: selection.notes })
}

/// Notes on nodes that were chosen for the QOperator form and are float all the same in `file`, the lowered document.
pub fn left_float(quantized: &Quantized, file: &Document) -> Vec<Note> {
    if quantized.table.format != TableFormat::QOperator {
        return Vec::new();
    }
    let moves = |node: &NodeProto| matches!(node.op_type(), "Pad" | "Resize") || has_integer_form(node);
    let chosen = |node: &&NodeProto| {
        !node.output_name(0).is_some_and(|output| quantized.table.float_nodes.contains(output)) && moves(node)
    };
    let there: HashSet<(&str, &str)> = file
        .graph()
        .node
        .iter()
        .map(|node| (node.name(), node.op_type()))
        .filter(|(name, _)| !name.is_empty())
        .collect();
    let nodes = quantized.document.graph().node.iter().filter(chosen);
    let float = nodes.filter(|node| there.contains(&(node.name(), node.op_type())));
    float.map(|node| Note::StaysFloat { node: node.name().to_owned(), op: node.op_type().to_owned() }).collect()
}
