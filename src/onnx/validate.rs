//! Rules of the ONNX specification that a file can break without being unreadable. Breaking one keeps a model from
//! running, not from being inspected.

use super::attributes::NodeExt;
use super::error::OnnxError;
use super::external::{ExternalFiles, for_each_tensor};
use super::index::node_place;
use super::payload;
use super::proto::attribute_proto::AttributeType;
use super::proto::tensor_shape_proto::dimension;
use super::proto::{GraphProto, ModelProto, NodeProto, ValueInfoProto, type_proto};
use super::subgraph::subgraphs;
use std::collections::HashSet;

/// The oldest `ai.onnx` operator set that is run: 7 brought today's broadcasting rules.
pub const OLDEST_OPSET: i64 = 7;

/// The newest one that is known (onnx 1.21).
pub const NEWEST_OPSET: i64 = 26;

/// No tensor of a real model has more elements; larger products are declarations by mistake or malice.
const MOST_ELEMENTS: i64 = 1 << 48;

/// Everything that is wrong beyond the links of the main graph, which [`super::Index`] checks.
pub(super) fn model(model: &ModelProto, files: &ExternalFiles) -> Vec<OnnxError> {
    let mut issues = Vec::new();
    opsets(model, &mut issues);
    for_each_tensor(model, &mut |tensor| issues.extend(payload::check(tensor, files).err()));
    if let Some(graph) = &model.graph {
        for info in graph.input.iter().chain(&graph.output).chain(&graph.value_info) {
            issues.extend(declared_shape(info).err());
        }
        nodes(graph, &mut issues);
    }
    functions(model, &mut issues);
    issues
}

fn opsets(model: &ModelProto, issues: &mut Vec<OnnxError>) {
    let plain = |domain: &str| domain.is_empty() || domain == "ai.onnx";
    let mut main = model.opset_import.iter().filter(|import| plain(import.domain()));
    let version = main.next().map(|import| import.version());
    if let Some(second) = main.next().filter(|second| Some(second.version()) != version) {
        issues.push(OnnxError::Invalid {
            place: "opset_import".to_owned(),
            found: format!("ai.onnx {} and ai.onnx {}", version.unwrap_or(0), second.version()),
            expected: "one version of each operator set".to_owned(),
        });
    }
    let uses_main = model.graph.iter().flat_map(|graph| &graph.node).any(|node| node.domain_name().is_empty());
    match version {
        Some(version) if !(OLDEST_OPSET..=NEWEST_OPSET).contains(&version) => {
            let (oldest, newest) = (OLDEST_OPSET, NEWEST_OPSET);
            issues.push(OnnxError::Opset { domain: "ai.onnx".to_owned(), version, oldest, newest });
        }
        None if uses_main => issues.push(OnnxError::Missing {
            place: "opset_import".to_owned(),
            what: "the version of the ai.onnx operator set".to_owned(),
        }),
        _ => {}
    }
}

/// Checks declared dims; -1 passes, because older exporters write it for a dim that is not known.
fn declared_shape(info: &ValueInfoProto) -> Result<(), OnnxError> {
    let Some(type_proto::Value::TensorType(tensor)) = info.r#type.as_ref().and_then(|kind| kind.value.as_ref()) else {
        return Ok(());
    };
    let invalid = |found: String, expected: &str| OnnxError::Invalid {
        place: format!("value '{}'", info.name()),
        found,
        expected: expected.to_owned(),
    };
    let mut elements = 1i64;
    for dim in tensor.shape.iter().flat_map(|shape| &shape.dim) {
        let Some(dimension::Value::DimValue(dim)) = dim.value else { continue };
        if dim < -1 {
            return Err(invalid(format!("dim {dim}"), "dims of 0 or more"));
        }
        elements = elements.saturating_mul(dim.max(1));
    }
    match elements > MOST_ELEMENTS {
        true => Err(invalid(format!("dims of {elements} elements or more"), "a tensor that fits into memory")),
        false => Ok(()),
    }
}

fn nodes(graph: &GraphProto, issues: &mut Vec<OnnxError>) {
    for (position, node) in graph.node.iter().enumerate() {
        let place = || node_place(position, node);
        if node.op_type().is_empty() {
            issues.push(OnnxError::Missing { place: place(), what: "op_type".to_owned() });
        }
        let mut names = HashSet::new();
        for attribute in &node.attribute {
            if !names.insert(attribute.name()) {
                issues.push(OnnxError::Invalid {
                    place: place(),
                    found: format!("attribute '{}' twice", attribute.name()),
                    expected: "each attribute once".to_owned(),
                });
            }
        }
        issues.extend(attribute_types(node).map(|(found, expected)| OnnxError::Invalid {
            place: place(),
            found,
            expected,
        }));
        subgraphs(node).for_each(|graph| nodes(graph, issues));
    }
}

/// The type that an attribute of this name has in every operator of `ai.onnx` and `com.microsoft` that has it.
fn expected_type(name: &str) -> Option<AttributeType> {
    Some(match name {
        "axis"
        | "batch_dims"
        | "block_size"
        | "ceil_mode"
        | "channels_last"
        | "count_include_pad"
        | "group"
        | "keepdims"
        | "noop_with_empty_axes"
        | "output_dtype"
        | "saturate"
        | "select_last_index"
        | "storage_order"
        | "to"
        | "transA"
        | "transB"
        | "allowzero" => AttributeType::Int,
        "dilations" | "kernel_shape" | "output_padding" | "output_shape" | "pads" | "perm" | "strides" => {
            AttributeType::Ints
        }
        "alpha" | "beta" | "epsilon" | "gamma" | "momentum" => AttributeType::Float,
        "auto_pad" => AttributeType::String,
        "then_branch" | "else_branch" | "body" => AttributeType::Graph,
        _ => return None,
    })
}

fn attribute_types(node: &NodeProto) -> impl Iterator<Item = (String, String)> {
    let known = matches!(node.domain_name(), "" | "com.microsoft");
    node.attribute.iter().filter(move |_| known).filter_map(|attribute| {
        // Without a declared type (files before IR version 2) the filled field decides.
        let found = match attribute.r#type() {
            AttributeType::Undefined if attribute.i.is_some() => AttributeType::Int,
            AttributeType::Undefined if attribute.f.is_some() => AttributeType::Float,
            AttributeType::Undefined if attribute.s.is_some() => AttributeType::String,
            AttributeType::Undefined if !attribute.ints.is_empty() => AttributeType::Ints,
            AttributeType::Undefined if !attribute.floats.is_empty() => AttributeType::Floats,
            declared => declared,
        };
        let expected = expected_type(attribute.name())?;
        let same = found == expected || found == AttributeType::Undefined || !attribute.ref_attr_name().is_empty();
        let name = attribute.name();
        (!same)
            .then(|| (format!("attribute '{name}' of type {}", found.as_str_name()), expected.as_str_name().to_owned()))
    })
}

fn functions(model: &ModelProto, issues: &mut Vec<OnnxError>) {
    let mut seen = HashSet::new();
    for function in &model.functions {
        if !seen.insert((function.domain(), function.name(), function.overload())) {
            issues.push(OnnxError::Invalid {
                place: "functions".to_owned(),
                found: format!("a second function '{}' of '{}'", function.name(), function.domain()),
                expected: "each function once".to_owned(),
            });
        }
    }
}
