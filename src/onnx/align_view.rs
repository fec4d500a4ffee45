//! A core graph as the matching sees it: operations with labels, and the edges between them.

use super::attributes::NodeExt;
use super::core_graph::CoreOp;
use super::document::Document;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Where an edge leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Another operation.
    Op(usize),
    /// An input of the graph.
    Input,
    /// An output of the graph.
    Output,
}

/// Labels and edges. An operation that is skipped has none; edges pass through it.
pub(super) struct View {
    pub label: Vec<u64>,
    pub skipped: Vec<bool>,
    /// For each operation where its data comes from, with the operand's position (0 where order does not matter).
    pub from: Vec<Vec<(usize, End)>>,
    /// For each operation who reads it, likewise.
    pub to: Vec<Vec<(usize, End)>>,
}

/// Activation functions that a quantizer may absorb.
pub(super) fn is_optional(op: &CoreOp) -> bool {
    matches!(op.op.as_str(), "Relu" | "Clip")
}

/// Operations that may be folded into the one before: products and sums with a constant, batch normalisation.
pub(super) fn is_foldable(op: &CoreOp) -> bool {
    let with_constant = op.operands.iter().any(|operand| operand.constant);
    match op.op.as_str() {
        "Add" | "Mul" | "Sub" | "Div" => with_constant,
        "BatchNormalization" => true,
        _ => false,
    }
}

/// The kind of operation; forms of the same computation have the same.
fn class(op: &str) -> &str {
    match op {
        "Gemm" => "MatMul",
        "Flatten" | "Squeeze" | "Unsqueeze" => "Reshape",
        "GlobalAveragePool" | "ReduceMean" => "AveragePool",
        "GlobalMaxPool" => "MaxPool",
        other => other,
    }
}

fn commutes(op: &str) -> bool {
    matches!(op, "Add" | "Mul" | "Max" | "Min" | "Sum" | "Mean" | "And" | "Or" | "Xor" | "Equal")
}

impl View {
    /// The view of a graph without the operations that `skip` names.
    pub fn new(document: &Document, ops: &[CoreOp], skip: &dyn Fn(&CoreOp) -> bool) -> Self {
        let skipped: Vec<bool> = ops.iter().map(skip).collect();
        let mut makers: HashMap<&str, usize> = HashMap::new();
        for (position, op) in ops.iter().enumerate() {
            makers.extend(op.outputs.iter().map(|output| (output.as_str(), position)));
        }
        let source = |value: &str| {
            let mut value = value;
            for _ in 0..=ops.len() {
                let Some(&maker) = makers.get(value) else { return End::Input };
                if skipped.get(maker) != Some(&true) {
                    return End::Op(maker);
                }
                let data = ops.get(maker).and_then(|op| op.operands.iter().find(|operand| !operand.constant));
                match data {
                    Some(operand) => value = &operand.value,
                    None => return End::Input,
                }
            }
            End::Input
        };
        let mut from = vec![Vec::new(); ops.len()];
        let mut to = vec![Vec::new(); ops.len()];
        for (position, op) in ops.iter().enumerate().filter(|(position, _)| !skipped[*position]) {
            let data = op.operands.iter().filter(|operand| !operand.constant);
            for (slot, operand) in data.enumerate() {
                let slot = if commutes(&op.op) { 0 } else { slot };
                let end = source(&operand.value);
                from[position].push((slot, end));
                if let End::Op(maker) = end {
                    to[maker].push((slot, End::Op(position)));
                }
            }
        }
        for output in &document.graph().output {
            if let End::Op(maker) = source(&document.origin(output.name())) {
                to[maker].push((0, End::Output));
            }
        }
        let label = ops.iter().map(|op| label(document, op)).collect();
        View { label, skipped, from, to }
    }

    /// Refines labels over the edges, as Weisfeiler and Lehman do: operations have equal colours where everything
    /// within `radius` edges is equal. `fixed` gives operations a colour of their own: those matched already.
    pub fn colours(&self, fixed: &[Option<u64>], radius: usize) -> Vec<u64> {
        let mut colours: Vec<u64> =
            self.label.iter().zip(fixed).map(|(label, fixed)| fixed.unwrap_or(*label)).collect();
        for _ in 0..radius {
            let ends = |edges: &[(usize, End)]| {
                let colour = |(slot, end): &(usize, End)| match end {
                    End::Op(op) => (*slot, colours.get(*op).copied().unwrap_or(0)),
                    End::Input => (*slot, 1),
                    End::Output => (*slot, 2),
                };
                let mut around: Vec<(usize, u64)> = edges.iter().map(colour).collect();
                around.sort_unstable();
                around
            };
            let next = |op: usize| match fixed.get(op).copied().flatten() {
                Some(fixed) => fixed,
                None => hash(&(colours[op], ends(&self.from[op]), ends(&self.to[op]))),
            };
            colours = (0..colours.len()).map(next).collect();
        }
        colours
    }
}

pub(super) fn hash(value: &impl Hash) -> u64 {
    // The default hasher has fixed keys: the same graph gives the same colours in every run.
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// What an operation computes by itself: kind, dims of its weight, steps. Dims are sorted and without ones, so that
/// a transposed weight or another layout of a channel constant makes no difference.
fn label(document: &Document, op: &CoreOp) -> u64 {
    let dims = |value: &str| {
        let mut dims: Vec<i64> = match document.constant_proto(value) {
            Some(proto) => proto.dims.iter().copied().filter(|&dim| dim != 1).collect(),
            None => Vec::new(),
        };
        dims.sort_unstable();
        dims
    };
    let class = class(&op.op);
    // A bias may be left out or added later.
    let constants = op.operands.iter().filter(|operand| operand.constant);
    let counted =
        constants.filter(|operand| operand.role != "bias" || !matches!(class, "Conv" | "ConvTranspose" | "MatMul"));
    let mut constants: Vec<Vec<i64>> = counted.map(|operand| dims(&operand.value)).collect();
    constants.sort_unstable();
    let data = op.operands.iter().filter(|operand| !operand.constant).count();
    let node = document.node(op.node);
    let steps = |name: &str| {
        let steps = node.map_or(&[][..], |node| node.ints(name));
        // All ones is what leaving it out means.
        if steps.iter().all(|&step| step == 1) { Vec::new() } else { steps.to_vec() }
    };
    let windows = matches!(class, "Conv" | "ConvTranspose");
    let settings = match windows {
        true => (steps("strides"), steps("dilations"), node.and_then(|node| node.int("group")).unwrap_or(1)),
        false => (Vec::new(), Vec::new(), 0),
    };
    hash(&(class, constants, data, settings))
}
