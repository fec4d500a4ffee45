//! Which open model is the float variant of a quantized one, and which of its values mean the same.

use super::super::Service;
use super::super::model::OpenModel;
use crate::onnx::{Alignment, Document, LayerRef, align};
use crate::quant::table::{FloatVariant, QuantTable};
use crate::worker::protocol::{ModelId, Variant};
use std::collections::{HashMap, HashSet};

/// An open float model, aligned with the quantized one.
pub struct FloatModel {
    /// Which.
    pub id: ModelId,
    /// With the float model at 0 and the quantized one at 1.
    alignment: Alignment,
    /// What it knows better than the quantized file.
    pub variant: FloatVariant,
}

/// Weights this parallel are the same weights before and after quantization.
const SAME_WEIGHT_COSINE: f64 = 0.95;

/// How well a float model fits: first weights that are the same, then layers that have a counterpart.
type Fit = (usize, usize);

/// The open float model whose layers and weights fit best; `None` where none has counterparts for more than half of the
/// layers. Of equal ones the first that was opened.
pub fn choose(service: &Service, model: &OpenModel) -> Option<FloatModel> {
    let floats = service.models.iter().filter(|open| open.id != model.id && open.summary.variant == Variant::Float);
    let mut best: Option<(Fit, FloatModel)> = None;
    for float in floats {
        let Some((fit, found)) = compare(float, model) else { continue };
        if best.as_ref().is_none_or(|(other, _)| fit > *other) {
            best = Some((fit, found));
        }
    }
    best.map(|(_, found)| found)
}

fn compare(float: &OpenModel, model: &OpenModel) -> Option<(Fit, FloatModel)> {
    let weights = |document: &Document, value: &str| {
        let side = if std::ptr::eq(document, &float.document) { float } else { model };
        side.weight(value)?.ok().map(|view| view.real)
    };
    let alignment = align(&[&float.document, &model.document], &weights);
    let mut fit = (0, 0);
    for layer in &alignment.layers {
        let [Some(ours), Some(theirs)] = layer.members.as_slice() else { continue };
        fit.1 += 1;
        for (role, value) in ours.weights.iter().filter(|(role, _)| role == "weight") {
            let other = theirs.weights.iter().find(|(other, _)| other == role);
            let pair =
                other.and_then(|(_, other)| Some((weights(&float.document, value)?, weights(&model.document, other)?)));
            fit.0 += usize::from(pair.is_some_and(|(a, b)| cosine(&a, &b) >= SAME_WEIGHT_COSINE));
        }
    }
    if fit.1 * 2 <= alignment.layers.len().max(model.layers.len()) {
        return None;
    }
    let variant = FloatVariant::of(&alignment, (0, &float.document), (1, &model.document));
    Some((fit, FloatModel { id: float.id, alignment, variant }))
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let sum = |f: &dyn Fn(f64, f64) -> f64| a.iter().zip(b).map(|(&a, &b)| f(a.into(), b.into())).sum::<f64>();
    let norms = (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt();
    if a.len() == b.len() && norms > 0.0 { sum(&|a, b| a * b) / norms } else { 0.0 }
}

impl FloatModel {
    /// For values of the lifted graph the float model's value of the same meaning: what the readers see there.
    ///
    /// Layers are matched by structure. Graph inputs go by their order. What remains goes by its name, where the float
    /// model has a value of that name that means nothing else.
    pub fn names(
        &self,
        float: &OpenModel,
        model: &OpenModel,
        lifted: &Document,
        table: &QuantTable,
    ) -> HashMap<String, String> {
        let mut names = HashMap::new();
        let inputs =
            |document: &Document| -> Vec<String> { document.inputs().map(|input| input.name().to_owned()).collect() };
        names.extend(inputs(lifted).into_iter().zip(inputs(&float.document)));
        let pairs: Vec<(&LayerRef, &LayerRef)> = self
            .alignment
            .layers
            .iter()
            .filter_map(|layer| match layer.members.as_slice() {
                [Some(ours), Some(theirs)] => Some((ours, theirs)),
                _ => None,
            })
            .collect();
        let taken: HashSet<&str> = pairs.iter().map(|(ours, _)| ours.output.as_str()).collect();
        let counterpart =
            |value: &str| pairs.iter().find(|(_, theirs)| theirs.output == value).map(|(ours, _)| ours.output.clone());
        for row in table.rows.iter().filter(|row| row.constant.is_none()) {
            let stored = [row.names.dequantized.as_str(), row.names.quantized.as_str()];
            let behind = |theirs: &LayerRef| {
                theirs.comparable.as_deref().is_some_and(|value| !value.is_empty() && stored.contains(&value))
            };
            // The last layer that ends behind the quantizer: the activation function that it has absorbed.
            let found = pairs.iter().rev().find(|(_, theirs)| behind(theirs)).map(|(ours, _)| ours.output.clone());
            let found = found.or_else(|| counterpart(row.source.as_ref().unwrap_or(&row.tensor)));
            if let Some(found) = found.filter(|_| !names.contains_key(&row.tensor)) {
                names.insert(row.tensor.clone(), found);
            }
        }
        for node in &lifted.graph().node {
            for value in node.output.iter().filter(|value| !value.is_empty()) {
                if names.contains_key(value) {
                    continue;
                }
                let same_name = || {
                    let there = float.document.producer_node(value)?;
                    (there.op_type() == node.op_type() && !taken.contains(value.as_str())).then(|| value.clone())
                };
                // A quantized model that is float here may write the value under the stored name.
                let found = counterpart(value).or_else(same_name);
                if let Some(found) = found {
                    names.insert(value.clone(), found);
                }
            }
        }
        let _ = model;
        names
    }
}
