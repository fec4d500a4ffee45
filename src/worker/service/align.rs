//! The layers of all open models, aligned, as the tree shows them.

use super::model::OpenModel;
use super::weights;
use crate::export::UnmatchedTensor;
use crate::onnx::{AlignedLayer, Alignment, Dim, Document, Layer, LayerRef, NodeExt, Unmatched, align, macs};
use crate::worker::protocol::{LayerRow, ParameterRow};
use std::collections::HashSet;

/// A row's layer in one model.
#[derive(Clone, Debug)]
pub struct Member {
    /// The operation there.
    pub operation: LayerRef,
    /// Its position in [`OpenModel::layers`]; `None` where a quantizer has absorbed it.
    pub layer: Option<usize>,
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
    /// What has no counterpart.
    pub unmatched: Vec<Unmatched>,
    /// What was found of models that are weights alone, in words.
    pub found: Vec<String>,
}

impl Layout {
    /// Aligns the models by structure. Layers that only a later model has get rows of their own at the end.
    pub fn of(models: &[OpenModel]) -> Self {
        let documents: Vec<&Document> = models.iter().map(|model| &model.document).collect();
        let weights = |document: &Document, value: &str| {
            let model = models.iter().find(|model| std::ptr::eq(&model.document, document))?;
            model.weight(value)?.ok().map(|view| view.real)
        };
        let Alignment { mut layers, mut unmatched, .. } = align(&documents, &weights);
        // Weights alone have no operations that could be missed.
        let alone = |position: usize| models.get(position).is_some_and(|model| model.layers.is_empty());
        unmatched.retain(|unmatched| !alone(unmatched.missing_in));
        for (position, model) in models.iter().enumerate() {
            let alone = model.layers.iter().filter(|layer| !is_aligned(&layers, position, layer.node));
            let alone: Vec<AlignedLayer> = alone.map(|layer| own_row(models.len(), position, layer)).collect();
            layers.extend(alone);
        }
        let found = weights::place(models, &mut layers);
        let prefix = common_scope(models);
        let mut names = HashSet::new();
        let mut layout = Layout { unmatched, found, ..Layout::default() };
        for aligned in layers {
            let roles = roles(&aligned);
            let member = |(model, operation): (&OpenModel, &Option<LayerRef>)| {
                let operation = operation.clone()?;
                let value = |role: &String| {
                    operation.weights.iter().find(|(own, _)| own == role).map(|(_, value)| value.clone())
                };
                let layer = model.layers.iter().position(|layer| layer.node == operation.node);
                Some(Member { values: roles.iter().map(value).collect(), layer, operation })
            };
            let members: Vec<Option<Member>> = models.iter().zip(&aligned.members).map(member).collect();
            layout.rows.push(row(models, &aligned, &members, &roles, &prefix, &mut names));
            layout.members.push(members);
        }
        layout
    }

    /// The unmatched layers in words.
    pub fn unmatched_lines(&self) -> Vec<String> {
        let unmatched = self.unmatched.iter().map(|unmatched| unmatched.reason.clone());
        unmatched.chain(self.found.iter().cloned()).collect()
    }

    /// The same for the report.
    pub fn unmatched_tensors(&self, models: &[OpenModel]) -> Vec<UnmatchedTensor> {
        let tensor = |unmatched: &Unmatched| {
            let model = models.get(unmatched.model)?;
            let layer = model.layers.iter().find(|layer| layer.node == unmatched.node)?;
            let (model, tensor) = (model.summary.name.clone(), layer.output.clone());
            Some(UnmatchedTensor { model, tensor, reason: unmatched.reason.clone() })
        };
        self.unmatched.iter().filter_map(tensor).collect()
    }
}

fn is_aligned(layers: &[AlignedLayer], model: usize, node: usize) -> bool {
    layers.iter().any(|layer| {
        let member = layer.members.get(model).and_then(Option::as_ref);
        member.is_some_and(|member| member.node == node && !member.absorbed)
    })
}

/// A row for a layer that one model alone has.
fn own_row(models: usize, model: usize, layer: &Layer) -> AlignedLayer {
    let own = LayerRef {
        node: layer.node,
        output: layer.output.clone(),
        comparable: Some(layer.dequantized.clone().unwrap_or_else(|| layer.output.clone())),
        weights: layer.weights.clone(),
        absorbed: false,
    };
    let mut members = vec![None; models];
    if let Some(slot) = members.get_mut(model) {
        *slot = Some(own);
    }
    AlignedLayer { label: layer.name.clone(), op: layer.op.clone(), members }
}

/// The roles of the constants that any member has, in the order of the first that has them.
fn roles(aligned: &AlignedLayer) -> Vec<String> {
    let mut roles: Vec<String> = Vec::new();
    for (role, _) in aligned.members.iter().flatten().flat_map(|member| &member.weights) {
        if !roles.contains(role) {
            roles.push(role.clone());
        }
    }
    roles
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
fn row(
    models: &[OpenModel],
    aligned: &AlignedLayer,
    members: &[Option<Member>],
    roles: &[String],
    prefix: &[String],
    names: &mut HashSet<String>,
) -> LayerRow {
    let present: Vec<(&OpenModel, &Layer)> = models
        .iter()
        .zip(members)
        .filter_map(|(model, member)| Some((model, model.layers.get(member.as_ref()?.layer?)?)))
        .collect();
    let base = short_name(&aligned.label, prefix);
    // Two layers may have one name in different models; the address needs one of its own for each.
    let numbered = (2..).map(|number| format!("{base} ({number})"));
    let name = std::iter::once(base.clone()).chain(numbered).find(|name| !names.contains(name)).unwrap_or_default();
    names.insert(name.clone());
    let values = |position: usize| -> Vec<Option<String>> {
        members.iter().map(|member| member.as_ref()?.values.get(position).cloned().flatten()).collect()
    };
    let parameters: Vec<ParameterRow> =
        roles.iter().enumerate().map(|(position, role)| parameter(models, role, values(position))).collect();
    LayerRow {
        name,
        op: aligned.op.clone(),
        detail: present.first().map_or_else(String::new, |(model, layer)| detail(model, layer)),
        quantized: present.iter().any(|(_, layer)| layer.quantized)
            || members.iter().flatten().any(|member| member.operation.absorbed)
            || parameters.iter().any(|parameter| parameter.quantized),
        composite: present.iter().any(|(_, layer)| layer.is_function_call || layer.has_subgraph),
        parameters,
        outputs: members
            .iter()
            .map(|member| Some(member.as_ref()?.operation.output.clone()).filter(|output| !output.is_empty()))
            .collect(),
    }
}

/// The name without the common scopes.
fn short_name(label: &str, prefix: &[String]) -> String {
    let parts: Vec<&str> = label.split('/').filter(|part| !part.is_empty()).collect();
    let shared = prefix.iter().zip(&parts).take_while(|(a, b)| a == b).count();
    if shared == prefix.len() && shared < parts.len() { parts[shared..].join("/") } else { label.to_owned() }
}

fn parameter(models: &[OpenModel], role: &str, values: Vec<Option<String>>) -> ParameterRow {
    let mut shape = None;
    let mut width = None;
    let mut quantized = false;
    for (model, value) in models.iter().zip(&values) {
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
    ParameterRow { role: role.to_owned(), shape: shape.unwrap_or_default(), values, quantized, width }
}

/// A dim as a title says it: a batch without a name of its own is N. (tf2onnx calls an unnamed dim `unk__` and a number.)
fn title_dim((place, dim): (usize, &Dim)) -> String {
    let invented = |name: &str| {
        name.strip_prefix("unk__").is_some_and(|number| number.bytes().all(|digit| digit.is_ascii_digit()))
    };
    let unnamed = match dim {
        Dim::Known(_) => false,
        Dim::Symbol(name) => name.is_empty() || invented(name),
        Dim::Unknown => true,
    };
    match (unnamed, place) {
        (true, 0) => "N".to_owned(),
        (true, _) => "?".to_owned(),
        (false, _) => dim.to_string(),
    }
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
            parts.push(format!(
                "stride {}",
                node.ints("strides").iter().map(i64::to_string).collect::<Vec<_>>().join("×")
            ));
        }
        if node.int("group").is_some_and(|group| group > 1) {
            parts.push(format!("{} groups", node.int("group").unwrap_or(1)));
        }
    }
    if let Some(shape) = model.facts.shape(&layer.output) {
        parts.push(format!("→ {}", shape.iter().enumerate().map(title_dim).collect::<Vec<_>>().join("×")));
    }
    if let Some(count) = macs(&model.document, &model.facts, layer.node).filter(|&count| count > 0) {
        parts.push(match count {
            0..1_000_000 => format!("{:.1} K MAC", count as f64 / 1e3),
            _ => format!("{:.2} M MAC", count as f64 / 1e6),
        });
    }
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unnamed_batch_is_n() {
        let shape = [Dim::Symbol("unk__169".into()), Dim::Known(32), Dim::Symbol("width".into()), Dim::Unknown];
        let words: Vec<String> = shape.iter().enumerate().map(title_dim).collect();
        assert_eq!(words, ["N", "32", "width", "?"]);
        assert_eq!(title_dim((0, &Dim::Symbol("batch".into()))), "batch");
    }
}
