//! What ONNX Runtime's quantizer is told so that it quantizes the tensors of a table and no others.

use super::calibrated::{calibration_tensors, prepared_ranges};
use super::graph::Graph;
use super::options::QuantizeOptions;
use super::selection::Selection;
use super::{Ranges, qdq, qoperator};
use crate::onnx::{Document, OnnxError};
use crate::quant::table::{QuantTable, Repetition, Row, RowMode, TableFormat};
use crate::tensor::DType;
use std::collections::{BTreeSet, HashMap, HashSet};

/// Chooses nodes of the float model that are left out, so that a table whose model is quantized in part, or whose rows
/// are off in part, is repeated. `tensors` names the float model's tensor of each row, by [`Row::tensor`].
///
/// The quantizer's own rules are followed: a node that is quantized has all its inputs and outputs quantized, so a node
/// that reads or makes a tensor without a row is left out, until no other tensors than the table's are quantized. What
/// is then missing, because a node cannot be quantized in part, is noted.
pub fn repetition(
    float: &Document,
    table: &QuantTable,
    tensors: HashMap<String, String>,
) -> Result<Repetition, OnnxError> {
    let named = float.edit(|model| {
        let nodes = model.graph.iter_mut().flat_map(|graph| graph.node.iter_mut()).enumerate();
        for (position, node) in nodes.filter(|(_, node)| node.name().is_empty()) {
            node.name = Some(Repetition::node_name(node.op_type(), position));
        }
    })?;
    let search = Search { float: &named, table, tensors: &tensors };
    let mut found = search.leave_out(false);
    // Relu and Clip that stand between rows of their own.
    if table.format == TableFormat::Qdq && !found.missing.is_empty() {
        let other = search.leave_out(true);
        if other.missing.len() < found.missing.len() {
            found = other;
        }
    }
    let unnamed = |name: &String| !float.graph().node.iter().any(|node| node.name() == name);
    let (op_types, nodes_excluded) = search.by_type(&found.options);
    Ok(Repetition {
        number_nodes: nodes_excluded.iter().any(unnamed),
        op_types,
        nodes_excluded,
        float_biases: !found.options.quantize_bias,
        keep_activation_functions: found.options.keep_activation_functions,
        notes: search.notes(&found),
        tensors,
    })
}

struct Search<'a> {
    /// With a name for every node.
    float: &'a Document,
    table: &'a QuantTable,
    tensors: &'a HashMap<String, String>,
}

/// What was chosen.
struct Found {
    options: QuantizeOptions,
    selection: Selection,
    /// Rows that the quantizer makes no scale for.
    missing: Vec<String>,
}

fn is_bias(row: &Row) -> bool {
    row.bias_of.is_some() || row.grid.params.dtype == DType::Int32
}

impl Search<'_> {
    /// Rows with a tensor of the float model.
    fn rows(&self) -> impl Iterator<Item = (&Row, &str)> {
        let rows = self.table.rows.iter().filter(|row| row.enabled && row.mode == RowMode::Fixed);
        rows.filter_map(|row| Some((row, self.tensors.get(&row.tensor)?.as_str())))
    }

    /// Leaves nodes out until nothing is quantized that has no row.
    fn leave_out(&self, keep_activation_functions: bool) -> Found {
        let wanted: HashSet<&str> = self.rows().map(|(_, tensor)| tensor).collect();
        let biases = self.rows().any(|(row, _)| is_bias(row));
        let operators = self.table.format == TableFormat::QOperator;
        let mut options = QuantizeOptions {
            format: self.table.format,
            keep_activation_functions,
            quantize_bias: biases || operators,
            ..QuantizeOptions::default()
        };
        loop {
            let selection = self.select(&options);
            let extra = self.extra(&selection, &wanted);
            let apart = self.apart(&selection, &wanted);
            let touches = |value: &String| extra.contains(value.as_str());
            let nodes = self.float.graph().node.iter();
            let chosen = nodes.filter(|node| options.quantizes_node(node.op_type(), node.name()));
            let out: Vec<String> = chosen
                .filter(|node| {
                    let made = node.output.first().is_some_and(|output| apart.contains(output.as_str()));
                    made || node.input.iter().chain(&node.output).any(touches)
                })
                .map(|node| node.name().to_owned())
                .collect();
            if out.is_empty() {
                let marked = marked(&selection, &options);
                let missing = self.rows().filter(|(row, tensor)| !is_bias(row) && !marked.contains(*tensor));
                let missing = missing.map(|(_, tensor)| tensor.to_owned()).collect();
                return Found { options, selection, missing };
            }
            options.nodes_excluded.extend(out);
        }
    }

    /// What the quantizer would do. Which tensors it takes does not depend on their ranges, as long as it knows them.
    fn select(&self, options: &QuantizeOptions) -> Selection {
        let mut graph = Graph::of(self.float);
        let tensors = calibration_tensors(self.float, options);
        let ranges: Ranges = tensors.into_iter().map(|tensor| (tensor, (0.0, 1.0))).collect();
        let ranges = prepared_ranges(&graph, &ranges, options);
        match options.format {
            TableFormat::Qdq => qdq::select(&mut graph, &ranges, options),
            TableFormat::QOperator => qoperator::select(&mut graph, &ranges, options),
        }
    }

    /// Tensors that are quantized and have no row, under all names they go by. In QOperator form a tensor that shares
    /// another's scale has no row of its own, and a bias without one keeps the operator float.
    fn extra(&self, selection: &Selection, wanted: &HashSet<&str>) -> HashSet<String> {
        let operators = self.table.format == TableFormat::QOperator;
        let marks = selection.marks.in_order().into_iter();
        let own = marks.filter(|(_, mark)| !(operators && mark.shared_with.is_some())).map(|(tensor, _)| tensor);
        let biases = selection.marks.biases.iter().map(|mark| mark.bias.as_str()).filter(|_| operators);
        own.chain(biases)
            .filter(|tensor| !wanted.contains(tensor) && !wanted.contains(selection.known_as(tensor)))
            .flat_map(|tensor| [tensor.to_owned(), selection.known_as(tensor).to_owned()])
            .collect()
    }

    /// For the QOperator form: what nodes make that the quantizer would give the scale of what went in, and that has a row
    /// of its own all the same, or a scale that is named after it. In the table's model these nodes compute floats.
    fn apart<'a>(&self, selection: &'a Selection, wanted: &HashSet<&str>) -> HashSet<&'a str> {
        let named = self.rows().filter(|(row, tensor)| row.names.scale.strip_suffix("_scale") == Some(*tensor));
        let named: HashSet<&str> = named.map(|(_, tensor)| tensor).collect();
        let own = |(made, before): &(&String, &String)| {
            wanted.contains(made.as_str()) && (wanted.contains(before.as_str()) || named.contains(made.as_str()))
        };
        let absorbed = selection.renamed.iter().filter(own);
        let moved = selection.moved.iter().filter(|(made, _)| wanted.contains(made.as_str()));
        absorbed.chain(moved).map(|(made, _)| made.as_str()).collect()
    }

    /// The operator types to quantize and the nodes left out of them; nothing where all are quantized.
    fn by_type(&self, options: &QuantizeOptions) -> (Vec<String>, Vec<String>) {
        if options.nodes_excluded.is_empty() {
            return Default::default();
        }
        let graph = self.float.graph();
        let known = || graph.node.iter().filter(move |node| options.quantizes_op(node.op_type()));
        let inside = |name: &str| !options.nodes_excluded.contains(name);
        let types: BTreeSet<&str> = known().filter(|node| inside(node.name())).map(|node| node.op_type()).collect();
        // Without any type there would be no choice of types at all.
        let of_type = |op_type: &str| types.is_empty() || types.contains(op_type);
        let out = known().filter(|node| !inside(node.name()) && of_type(node.op_type()));
        let out = out.map(|node| node.name().to_owned()).collect();
        let some = known().any(|node| !of_type(node.op_type()));
        (types.into_iter().filter(|_| some).map(str::to_owned).collect(), out)
    }

    fn notes(&self, found: &Found) -> Vec<String> {
        let mut notes: Vec<String> = found
            .missing
            .iter()
            .map(|tensor| format!("'{tensor}' stays float: its nodes have inputs or outputs that do"))
            .collect();
        let rows: HashMap<&str, &Row> = self.rows().map(|(row, tensor)| (tensor, row)).collect();
        for (tensor, mark) in found.selection.marks.in_order() {
            let (Some(row), Some(owner)) = (rows.get(tensor), mark.shared_with.as_ref()) else { continue };
            if rows.get(owner.as_str()).is_some_and(|owner| owner.grid != row.grid) {
                notes.push(format!("'{tensor}' has the scale of '{owner}'"));
            }
        }
        if found.options.quantize_bias {
            let biases = found.selection.marks.biases.iter().filter(|mark| !rows.contains_key(mark.bias.as_str()));
            notes.extend(biases.map(|mark| format!("the bias '{}' is quantized", mark.bias)));
        }
        notes
    }
}

/// Every tensor that gets a scale, under all names it goes by.
fn marked(selection: &Selection, options: &QuantizeOptions) -> HashSet<String> {
    let marks = selection.marks.in_order().into_iter().map(|(tensor, _)| tensor);
    let biases = selection.marks.biases.iter().map(|mark| mark.bias.as_str()).filter(|_| options.quantize_bias);
    marks.chain(biases).flat_map(|tensor| [tensor.to_owned(), selection.known_as(tensor).to_owned()]).collect()
}
