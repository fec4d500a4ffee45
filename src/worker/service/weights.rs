//! Models that are weights alone, state dicts and safetensors, in the tree beside models with operations.
//!
//! Their tensors go by their values: each into the row of the layer that has the same weights in another model, the
//! others into rows of their own, one for each module that their names tell.

use super::model::OpenModel;
use crate::analysis::match_tensors;
use crate::onnx::{AlignedLayer, LayerRef};
use crate::tensor::Tensor;
use std::collections::HashSet;

/// The operator of a row that is no operation.
const OP: &str = "weights";

/// Puts the tensors of every model without operations into the layers and adds layers for the rest. Gives, in words,
/// how many were found in other models, how far they differ, and which have their dims in another order: a row shows
/// distributions, for which the order does not matter.
pub(super) fn place(models: &[OpenModel], layers: &mut Vec<AlignedLayer>) -> Vec<String> {
    let mut lines = Vec::new();
    for (position, model) in models.iter().enumerate().filter(|(_, model)| model.layers.is_empty()) {
        let tensors = tensors(model);
        let others = constants(models, layers, position);
        let named: Vec<(String, Tensor)> =
            others.iter().enumerate().map(|(at, (.., tensor))| (at.to_string(), tensor.clone())).collect();
        let name = &model.summary.name;
        let mut placed = HashSet::new();
        let mut largest = 0f64;
        for found in match_tensors(&tensors, &named) {
            let Some((row, role, _)) = found.b.parse::<usize>().ok().and_then(|at| others.get(at)) else { continue };
            let Some(layer) = layers.get_mut(*row) else { continue };
            if let Some(order) = &found.transposition {
                let label = &layer.label;
                lines.push(format!("{}, {name}: the {role} of {label} with its dims in the order {order:?}", found.a));
            }
            if let Some(slot) = layer.members.get_mut(position) {
                let member = slot.get_or_insert_with(|| member(Vec::new()));
                member.weights.push((role.clone(), found.a.clone()));
                largest = largest.max(found.max_abs_difference);
                placed.insert(found.a);
            }
        }
        if !placed.is_empty() {
            let (found, all) = (placed.len(), tensors.len());
            lines.push(format!(
                "{name}: {found} of {all} tensors are those of other models, with differences up to {largest:e}"
            ));
        }
        let rest = tensors.into_iter().map(|(name, _)| name).filter(|name| !placed.contains(name));
        own_rows(rest, position, models.len(), layers);
    }
    lines
}

/// What a model without a node has in a row.
fn member(weights: Vec<(String, String)>) -> LayerRef {
    LayerRef { node: usize::MAX, output: String::new(), comparable: None, weights, absorbed: false }
}

/// The tensors of a model as real numbers, without the scales and zero points of others.
fn tensors(model: &OpenModel) -> Vec<(String, Tensor)> {
    let parameters: HashSet<&str> = model
        .quantized
        .iter()
        .flat_map(|tensor| tensor.scale_name.iter().chain(&tensor.zero_point_name))
        .map(String::as_str)
        .collect();
    let names = model.document.graph().initializer.iter().map(|tensor| tensor.name());
    let names = names.filter(|name| !parameters.contains(name));
    names.filter_map(|name| Some((name.to_owned(), real(model, name)?))).collect()
}

fn real(model: &OpenModel, value: &str) -> Option<Tensor> {
    let view = model.weight(value)?.ok()?;
    Tensor::from_vec(view.shape, view.real).ok()
}

/// The constants of every row, told by the first other model that has them: row, role, real numbers.
fn constants(models: &[OpenModel], layers: &[AlignedLayer], without: usize) -> Vec<(usize, String, Tensor)> {
    let mut found: Vec<(usize, String, Tensor)> = Vec::new();
    for (row, layer) in layers.iter().enumerate() {
        let members = models.iter().zip(&layer.members).enumerate().filter(|(position, _)| *position != without);
        for (_, (model, member)) in members {
            for (role, value) in member.iter().flat_map(|member| &member.weights) {
                if found.iter().any(|(known, other, _)| *known == row && other == role) {
                    continue;
                }
                found.extend(real(model, value).map(|tensor| (row, role.clone(), tensor)));
            }
        }
    }
    found
}

/// A row for each module: `layer1.0.conv` with the roles `weight` and `bias`.
fn own_rows(names: impl Iterator<Item = String>, position: usize, models: usize, layers: &mut Vec<AlignedLayer>) {
    let first = layers.len();
    for name in names {
        let (module, role) = name.rsplit_once('.').unwrap_or((&name, "weight"));
        let own = layers.get_mut(first..).unwrap_or_default().iter_mut().find(|layer| layer.label == module);
        let weight = (role.to_owned(), name.clone());
        match own.and_then(|layer| layer.members.get_mut(position)?.as_mut()) {
            Some(member) => member.weights.push(weight),
            None => {
                let mut members = vec![None; models];
                if let Some(slot) = members.get_mut(position) {
                    *slot = Some(member(vec![weight]));
                }
                layers.push(AlignedLayer { label: module.to_owned(), op: OP.to_owned(), members });
            }
        }
    }
}
