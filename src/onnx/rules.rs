//! Rules of single operators that a node can break: settings that are no settings, shapes that do not go together.
//!
//! Only what is certain from the file is said; dims that are not known break no rule. Source: docs/Operators.md.

use super::attributes::NodeExt;
use super::document::Document;
use super::error::OnnxError;
use super::facts::{Dim, Facts};
use super::index::node_place;
use super::operands::Signature;
use super::proto::{FunctionProto, NodeProto};
use std::collections::HashSet;

/// The rules broken by the nodes of the main graph and by the functions.
pub(super) fn check(document: &Document, facts: &Facts) -> Vec<OnnxError> {
    let mut issues = Vec::new();
    for (position, node) in document.graph().node.iter().enumerate() {
        if matches!(node.domain_name(), "" | "com.microsoft") && document.called_function(node).is_none() {
            let mut broken = Broken { place: node_place(position, node), issues: &mut issues };
            inputs(node, &mut broken);
            windows(node, facts, &mut broken);
            products(node, facts, &mut broken);
            elementwise(node, facts, &mut broken);
        }
    }
    recursion(document, &mut issues);
    issues
}

struct Broken<'a> {
    place: String,
    issues: &'a mut Vec<OnnxError>,
}

impl Broken<'_> {
    fn say(&mut self, found: String, expected: impl Into<String>) {
        self.issues.push(OnnxError::Invalid { place: self.place.clone(), found, expected: expected.into() });
    }
}

/// How many inputs an operator cannot do without.
fn least_inputs(op: &str) -> usize {
    match op {
        "Conv" | "ConvTranspose" | "MatMul" | "Gemm" | "Add" | "Sub" | "Mul" | "Div" | "Pow" | "PRelu" | "Gather"
        | "ConvInteger" | "MatMulInteger" | "Equal" | "Less" | "Greater" | "And" | "Or" | "FusedConv" => 2,
        "QuantizeLinear" | "DequantizeLinear" => 2,
        "Where" | "LSTM" | "GRU" | "RNN" | "InstanceNormalization" => 3,
        "BatchNormalization" => 5,
        // Zero points may be left out of these, as empty names.
        "QLinearAdd" | "QLinearMul" | "QLinearMatMul" => 7,
        "QLinearConv" => 8,
        "Relu"
        | "Clip"
        | "Softmax"
        | "Sigmoid"
        | "Tanh"
        | "AveragePool"
        | "MaxPool"
        | "GlobalAveragePool"
        | "Flatten"
        | "Transpose"
        | "Reshape"
        | "Concat"
        | "Pad"
        | "Cast"
        | "DynamicQuantizeLinear" => 1,
        _ => 0,
    }
}

fn inputs(node: &NodeProto, broken: &mut Broken) {
    let least = least_inputs(node.op_type());
    let optional = |position: usize| node.op_type().starts_with("QLinear") && position % 3 == 2;
    if let Some(position) = (0..least).find(|&position| node.input_name(position).is_none() && !optional(position)) {
        broken.say(format!("no input {position}"), format!("at least {least} inputs"));
    }
    if node.output.iter().all(String::is_empty) {
        broken.say("no output".to_owned(), "at least one output");
    }
}

/// Strides, dilations, pads, kernel and group of convolutions and pools.
fn windows(node: &NodeProto, facts: &Facts, broken: &mut Broken) {
    let signature = Signature::of(node);
    let convolution = matches!(signature.op.as_str(), "Conv" | "ConvTranspose");
    if !convolution && !matches!(signature.op.as_str(), "MaxPool" | "AveragePool" | "LpPool") {
        return;
    }
    let shape_at = |operand: usize| {
        let position = signature.operands.get(operand)?.position;
        facts.shape(node.input_name(position)?)
    };
    let (input, weight) = (shape_at(0), if convolution { shape_at(1) } else { None });
    let kernel = node.ints("kernel_shape");
    let rank = weight.or(input).map(|shape| shape.len().saturating_sub(2));
    let rank = rank.or((!kernel.is_empty()).then_some(kernel.len()));
    for (name, per_axis) in [("strides", 1), ("dilations", 1), ("kernel_shape", 1), ("pads", 2)] {
        let values = node.ints(name);
        if let Some(rank) = rank.filter(|rank| !values.is_empty() && values.len() != rank * per_axis) {
            broken
                .say(format!("{} {name}", values.len()), format!("{} {name} for {rank} spatial axes", rank * per_axis));
        }
        let least = if name == "pads" { 0 } else { 1 };
        // Negative pads crop; only pools refuse them.
        if values.iter().any(|&value| value < least) && !(name == "pads" && convolution) {
            broken.say(format!("{name} {values:?}"), format!("{name} of {least} or more"));
        }
    }
    let (Some(input), Some(weight)) = (input, weight) else { return };
    if input.len() != weight.len() {
        broken.say(format!("data of rank {} and a weight of rank {}", input.len(), weight.len()), "equal ranks");
        return;
    }
    let given: Vec<Option<usize>> = kernel.iter().map(|&dim| usize::try_from(dim).ok()).collect();
    let dims: Vec<Option<usize>> = weight.iter().skip(2).map(Dim::known).collect();
    if !given.is_empty() && given.len() == dims.len() && dims.iter().all(Option::is_some) && given != dims {
        broken.say(
            format!("kernel_shape {kernel:?}"),
            format!("the weight's {}", list(weight.get(2..).unwrap_or_default())),
        );
    }
    let group = node.int("group").unwrap_or(1);
    let Some(group) = usize::try_from(group).ok().filter(|&group| group > 0) else {
        return broken.say(format!("group {group}"), "a group of 1 or more");
    };
    if node.int("channels_last").unwrap_or(0) != 0 {
        return;
    }
    // Conv's weight is [M, C / group, ...], ConvTranspose's [C, M / group, ...].
    let channels = input.get(1).and_then(Dim::known);
    let first = weight.first().and_then(Dim::known);
    let second = weight.get(1).and_then(Dim::known);
    let expected = if signature.op == "Conv" { second.and_then(|dim| dim.checked_mul(group)) } else { first };
    if let (Some(channels), Some(expected)) = (channels, expected)
        && channels != expected
    {
        broken.say(
            format!("{channels} input channels, group {group} and a weight of {}", list(weight)),
            format!("{expected} input channels"),
        );
    }
    if first.is_some_and(|first| first % group != 0) {
        broken.say(format!("group {group} and a weight of {}", list(weight)), "a group that divides the channels");
    }
}

fn list(dims: &[Dim]) -> String {
    let dims: Vec<String> = dims.iter().map(ToString::to_string).collect();
    format!("[{}]", dims.join(", "))
}

/// The dims that a matrix product sums over.
fn products(node: &NodeProto, facts: &Facts, broken: &mut Broken) {
    let signature = Signature::of(node);
    if !matches!(signature.op.as_str(), "MatMul" | "Gemm") || node.op_type().starts_with("Fused") {
        return;
    }
    let operand = |operand: usize| {
        let name = node.input_name(signature.operands.get(operand)?.position)?;
        Some((name, facts.shape(name)?))
    };
    let (Some((left, a)), Some((right, b))) = (operand(0), operand(1)) else { return };
    let flag = |name: &str| signature.op == "Gemm" && node.int(name).unwrap_or(0) != 0;
    let columns = if flag("transA") { a.first() } else { a.last() };
    let rows = match (flag("transB"), b.len()) {
        (true, _) => b.last(),
        (false, 1) => b.first(),
        (false, rank) => rank.checked_sub(2).and_then(|row| b.get(row)),
    };
    if let (Some(Dim::Known(columns)), Some(Dim::Known(rows))) = (columns, rows)
        && columns != rows
    {
        // The fault may be where an operand is made: a reshape to other dims than were meant.
        broken.say(
            format!("'{left}' {} x '{right}' {}", list(a), list(b)),
            format!("{columns} on both sides of the product"),
        );
    }
}

fn elementwise(node: &NodeProto, facts: &Facts, broken: &mut Broken) {
    let signature = Signature::of(node);
    if !matches!(signature.op.as_str(), "Add" | "Sub" | "Mul" | "Div" | "Pow") {
        return;
    }
    let shape_at = |operand: usize| {
        let position = signature.operands.get(operand)?.position;
        facts.shape(node.input_name(position)?)
    };
    let (Some(a), Some(b)) = (shape_at(0), shape_at(1)) else { return };
    let clash = a.iter().rev().zip(b.iter().rev()).any(|(a, b)| match (a, b) {
        (Dim::Known(a), Dim::Known(b)) => a != b && *a != 1 && *b != 1,
        _ => false,
    });
    if clash {
        broken.say(format!("{} and {}", list(a), list(b)), "shapes that broadcast");
    }
}

/// Functions that call themselves, directly or through others.
fn recursion(document: &Document, issues: &mut Vec<OnnxError>) {
    let key = |function: &FunctionProto| (function.domain().to_owned(), function.name().to_owned());
    for function in &document.proto().functions {
        let mut seen = HashSet::new();
        let mut open = vec![function];
        while let Some(current) = open.pop() {
            for callee in current.node.iter().filter_map(|node| document.called_function(node)) {
                if key(callee) == key(function) {
                    issues.push(OnnxError::Invalid {
                        place: format!("function '{}'", function.name()),
                        found: format!("a call of itself in '{}'", current.name()),
                        expected: "functions that do not call themselves".to_owned(),
                    });
                    open.clear();
                    break;
                }
                if seen.insert(key(callee)) {
                    open.push(callee);
                }
            }
        }
    }
}
