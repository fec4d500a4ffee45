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
mod fold_channels;
mod fold_constants;
mod graph;
mod integer_io;
mod marks;
mod names;
mod note;
mod opset;
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
pub use opset::with_quantizers;
pub use options::{QDQ_OPS, QOPERATOR_OPS, QuantizeOptions, TensorOverride};
pub use prepare::{Evaluator, Folded, PrepareOptions, Prepared, Unfolded, computes_nothing, prepare};
pub use presets::{Preset, complete_for_qnn, presets};
pub use repeat::repetition;
pub use rounding::{Gram, Window, patches, round_to_data};
pub use rounding_site::{RoundingSite, rounding_sites};

use crate::onnx::proto::NodeProto;
use crate::onnx::{Document, NodeExt, is_dequantize, is_quantize};
use crate::quant::table::{QuantTable, TableFormat, compares, picks_nearest};
use crate::tensor::DType;
use graph::Graph;
use std::collections::{BTreeMap, HashSet};

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
    if options.format == TableFormat::QOperator && graph.opset < opset::OPSET_QUANTIZERS {
        return Err(QuantizeError::Opset { found: graph.opset, needed: opset::OPSET_QUANTIZERS });
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
    selection.notes.extend(opset::per_channel_note(graph.opset, &rows, options));
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
    // A float node makes the value itself, or what is rounded to it; an integer one has another output.
    let made: HashSet<(&str, &str)> =
        file.graph().node.iter().filter_map(|node| Some((node.op_type(), node.output_name(0)?))).collect();
    let float = |node: &&NodeProto| {
        node.output_name(0).is_some_and(|output| {
            let raw = format!("{output}_QuantizeLinear_Input");
            !quantized.table.float_nodes.contains(output)
                && (made.contains(&(node.op_type(), output)) || made.contains(&(node.op_type(), raw.as_str())))
        })
    };
    // Copies are no nodes of the model, and what only compares gives the same on both.
    let of_model = |node: &&NodeProto| node.op_type() != "Identity" && !compares(node);
    let nodes = quantized.document.graph().node.iter().filter(of_model).filter(float);
    let note = |node: &NodeProto| match node.op_type() {
        "Resize" if !picks_nearest(node) => {
            let mode = node.string("mode").unwrap_or("nearest").to_owned();
            Note::ResizeInFloat { node: clamp::node_label(node), mode }
        }
        op => Note::StaysFloat { node: clamp::node_label(node), op: op.to_owned() },
    };
    nodes.map(note).collect()
}
