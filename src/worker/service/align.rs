//! The layers of all open models, aligned, as the tree shows them.

use super::model::OpenModel;
use crate::export::UnmatchedTensor;
use crate::onnx::{Aligned, Alignment, Dim, Document, Layer, NodeExt, align, macs};
use crate::worker::protocol::{LayerRow, ParameterRow};
use std::collections::HashSet;

/// Where a row's layer is in one model.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Position in [`OpenModel::layers`].
    pub layer: usize,
    /// The model's own value for each of the row's parameters.
    pub values: Vec<Option<String>>,
}

/// The aligned layers.
#[derive(Default)]
pub struct Layout {
    /// What the page is told.
    pub rows: Vec<LayerRow>,
    /// For each row, for each open model.
    pub members: Vec<Vec<Option<Member>>>,
    /// Layers without a partner: model, layer, reason.
    pub unmatched: Vec<(usize, String, String)>,
}

impl Layout {
    /// Aligns the models by structure.
    pub fn of(models: &[OpenModel]) -> Self {
        let documents: Vec<&Document> = models.iter().map(|model| &model.document).collect();
        let weights = |document: &Document, value: &str| {
            let model = models.iter().find(|model| std::ptr::eq(&model.document, document))?;
            model.weight(value)?.ok().map(|view| view.real)
        };
        let Alignment { layers, unmatched } = align(&documents, &weights);
        let prefix = common_scope(models);
        let mut names = HashSet::new();
        let mut layout = Layout { unmatched, ..Layout::default() };
        for aligned in layers {
            layout.rows.push(row(models, &aligned, &prefix, &mut names));
            let member = |(position, layer): (usize, &Option<usize>)| {
                let value = |(_, values): &(String, Vec<Option<String>>)| values.get(position).cloned().flatten();
                Some(Member { layer: (*layer)?, values: aligned.parameters.iter().map(value).collect() })
            };
            layout.members.push(aligned.members.iter().enumerate().map(member).collect());
        }
        layout
    }

    /// The unmatched layers in words.
    pub fn unmatched_lines(&self, models: &[OpenModel]) -> Vec<String> {
        let named = |(model, layer, reason): &(usize, String, String)| {
            let name = models.get(*model).map_or("", |model| model.summary.name.as_str());
            format!("{name}: {layer}: {reason}")
        };
        self.unmatched.iter().map(named).collect()
    }

    /// The same for the report.
    pub fn unmatched_tensors(&self, models: &[OpenModel]) -> Vec<UnmatchedTensor> {
        let tensor = |(model, tensor, reason): &(usize, String, String)| UnmatchedTensor {
            model: models.get(*model).map_or_else(String::new, |model| model.summary.name.clone()),
            tensor: tensor.clone(),
            reason: reason.clone(),
        };
        self.unmatched.iter().map(tensor).collect()
    }
}

/// The scopes that all layers of the first model lie in ("model_1/"): they say nothing, so names go without them.
fn common_scope(models: &[OpenModel]) -> Vec<String> {
    let mut layers = models.iter().take(1).flat_map(|model| &model.layers).filter(|layer| layer.scope.len() > 1);
    let Some(first) = layers.next() else { return Vec::new() };
    let mut common = first.scope[..first.scope.len() - 1].to_vec();
    for layer in layers {
        let same = common.iter().zip(&layer.scope).take_while(|(a, b)| a == b).count();
        common.truncate(same.min(layer.scope.len() - 1));
    }
    common
}

/// The row of an aligned layer, told by the first model that has it.
fn row(models: &[OpenModel], aligned: &Aligned, prefix: &[String], names: &mut HashSet<String>) -> LayerRow {
    let mut present: Vec<(&OpenModel, &Layer)> = Vec::new();
    for (model, layer) in models.iter().zip(&aligned.members) {
        present.extend(layer.and_then(|layer| Some((model, model.layers.get(layer)?))));
    }
    let base = present.first().map_or_else(String::new, |(_, layer)| short_name(layer, prefix));
    // Two layers may have one name in different models; the address needs one of its own for each.
    let numbered = (2..).map(|number| format!("{base} ({number})"));
    let name = std::iter::once(base.clone()).chain(numbered).find(|name| !names.contains(name)).unwrap_or_default();
    names.insert(name.clone());
    let parameters = aligned.parameters.iter().map(|(role, values)| parameter(models, role, values)).collect();
    LayerRow {
        name,
        op: aligned.op.clone(),
        detail: present.first().map_or_else(String::new, |(model, layer)| detail(model, layer)),
        quantized: present.iter().any(|(_, layer)| layer.quantized),
        composite: present.iter().any(|(_, layer)| layer.is_function_call || layer.has_subgraph),
        parameters,
        outputs: models
            .iter()
            .zip(&aligned.members)
            .map(|(model, layer)| Some(model.layers.get((*layer)?)?.output.clone()))
            .collect(),
    }
}

/// The layer's name without the common scopes; tf2onnx's "conv2d_1/BiasAdd" stays as it is.
fn short_name(layer: &Layer, prefix: &[String]) -> String {
    match layer.scope.strip_prefix(prefix) {
        Some(rest) if !rest.is_empty() => rest.join("/"),
        _ => layer.name.clone(),
    }
}

fn parameter(models: &[OpenModel], role: &str, values: &[Option<String>]) -> ParameterRow {
    let mut shape = None;
    let mut width = None;
    let mut quantized = false;
    for (model, value) in models.iter().zip(values) {
        let Some(value) = value else { continue };
        quantized |= model.quantized_among(&[value]).next().is_some();
        // The first variant that has it tells its shape and its width: the float model, where it was opened first.
        if shape.is_none()
            && let Some(Ok(view)) = model.weight(value)
        {
            width = crate::analysis::Span::of(&view.real).map(|span| span.width);
            shape = Some(view.shape);
        }
    }
    ParameterRow { role: role.to_owned(), shape: shape.unwrap_or_default(), values: values.to_vec(), quantized, width }
}

/// Kernel, channels, stride and MACs of a layer, as far as they are known.
fn detail(model: &OpenModel, layer: &Layer) -> String {
    let mut parts = Vec::new();
    if let Some(node) = model.document.node(layer.node) {
        let kernel = node.ints("kernel_shape");
        if !kernel.is_empty() {
            parts.push(kernel.iter().map(i64::to_string).collect::<Vec<_>>().join("×"));
        }
        if node.ints("strides").iter().any(|&stride| stride != 1) {
            parts.push(format!("stride {}", node.ints("strides").iter().map(i64::to_string).collect::<Vec<_>>().join("×")));
        }
        if node.int("group").is_some_and(|group| group > 1) {
            parts.push(format!("{} groups", node.int("group").unwrap_or(1)));
        }
    }
    if let Some(shape) = model.facts.shape(&layer.output) {
        parts.push(format!("→ {}", shape.iter().map(Dim::to_string).collect::<Vec<_>>().join("×")));
    }
    if let Some(count) = macs(&model.document, &model.facts, layer.node).filter(|&count| count > 0) {
        parts.push(match count {
            0..1_000_000 => format!("{:.1} K MAC", count as f64 / 1e3),
            _ => format!("{:.2} M MAC", count as f64 / 1e6),
        });
    }
    parts.join(" · ")
}
