//! The weights of several models side by side, whatever their formats.

use super::super::model::OpenModel;
use super::super::{Failure, Job, Service};
use super::rows;
use super::weights::{source_tensors, targets};
use crate::analysis::{TensorDifference, compare_tensors, match_tensors};
use crate::problem::Problem;
use crate::tensor::Tensor;
use crate::worker::protocol::{ModelId, Parity, ParityMember, ParityRow};
use std::collections::{HashMap, HashSet};

/// What a file's own tensors, which no layer has as they are, stand under.
const IN_FILE: &str = "in the file";

/// Weights that rounding does not explain any more.
const CLEARLY_APART: f64 = 1e-3;

/// Weights no further apart, relative to their size, are the same ones: 8-bit rounding is a few hundredths.
const SAME_WEIGHTS: f64 = 0.1;

/// A model with the names that its weights have in its file.
struct Side<'a> {
    model: &'a OpenModel,
    /// Position among the open models.
    position: usize,
    /// What the file calls a constant and how it lies there, by the constant's name.
    stored: HashMap<String, (String, Tensor)>,
    /// Source tensors that are no constant as they are: path, tensor.
    rest: Vec<(String, Tensor)>,
}

impl Side<'_> {
    fn member(&self, value: &str) -> Option<(ParityMember, Tensor)> {
        let view = self.model.weight(value)?.ok()?;
        let real = Tensor::from_vec(view.shape, view.real).ok()?;
        // Stored integers are compared as real numbers, like those of other models.
        let stored = self.stored.get(value).cloned();
        let (name, tensor) = match stored {
            Some((path, tensor)) if tensor.dtype().is_float() => (path, tensor),
            Some((path, _)) => (path, real),
            None => (value.to_owned(), real),
        };
        Some((ParityMember { name, shape: tensor.shape().to_vec(), transposition: None, rows: None }, tensor))
    }
}

impl Service {
    /// Compares the weights of these models, layer by layer as they are aligned, then what else their files hold.
    pub(super) async fn parity(&self, ids: &[ModelId], job: &impl Job) -> Result<Parity, Failure> {
        let mut sides = Vec::new();
        for (done, id) in ids.iter().enumerate() {
            let model = self.model(*id)?;
            Self::step(job, &format!("Reading {}", model.summary.name), done, ids.len()).await?;
            let Some(position) = self.models.iter().position(|open| open.id == *id) else { continue };
            let tensors = source_tensors(model)?;
            let targets = targets(model, &tensors)?;
            let (mut stored, mut rest) = (HashMap::new(), Vec::new());
            for source in tensors {
                match targets.get(&source.path) {
                    Some(target) => {
                        stored.insert(target.name.clone(), (source.path, source.tensor));
                    }
                    None => rest.push((source.path, source.tensor)),
                }
            }
            sides.push(Side { model, position, stored, rest });
        }
        if sides.len() < 2 {
            return Err(Failure::from(Problem {
                file: "parity".to_owned(),
                place: "the models".to_owned(),
                found: format!("{} chosen", sides.len()),
                expected: "two or more models of one network".to_owned(),
                advice: "Open the same network in another format.".to_owned(),
            }));
        }
        let mut found = Vec::new();
        let total = self.layout.rows.len();
        for (done, layer) in self.layout.rows.iter().enumerate() {
            Self::step(job, "Comparing layers", done, total).await?;
            for parameter in &layer.parameters {
                let value = |side: &Side| parameter.values.get(side.position).cloned().flatten();
                let members = sides.iter().map(|side| side.member(&value(side)?)).collect();
                let flattened = || sides.iter().find_map(|side| rows::flattened(side.model, &value(side)?));
                found.extend(row(Some(layer.name.clone()), &parameter.role, members, &flattened));
            }
        }
        Self::step(job, "Comparing what else the files hold", total, total).await?;
        found.extend(rest(&sides));
        let notes = self.parity_notes(&found, &sides);
        Ok(Parity { models: ids.to_vec(), rows: found, notes })
    }

    fn parity_notes(&self, rows: &[ParityRow], sides: &[Side]) -> Vec<String> {
        let shared: Vec<&ParityRow> =
            rows.iter().filter(|row| row.members.iter().filter(|member| member.is_some()).count() > 1).collect();
        let equal = shared.iter().filter(|row| row.equal_bits).count();
        let largest = shared.iter().filter_map(|row| row.max_abs_difference).fold(0f64, f64::max);
        let mut notes = vec![format!(
            "{} weights are in two or more of the {} models: {equal} are equal bit by bit, the largest difference is {largest:e}.",
            shared.len(),
            sides.len()
        )];
        let regrouped = |row: &&&ParityRow| row.members.iter().flatten().any(|member| member.rows.is_some());
        let turned = |row: &&&ParityRow| {
            row.members.iter().flatten().any(|member| member.transposition.is_some() && member.rows.is_none())
        };
        let regrouped = shared.iter().filter(regrouped).count();
        if regrouped > 0 {
            notes.push(format!(
                "{regrouped} behind a Flatten have their rows in another order: Keras flattens (height, width, channels), \
                 PyTorch and ONNX (channels, height, width)."
            ));
        }
        let turned = shared.iter().filter(turned).count();
        if turned > 0 {
            notes.push(format!(
                "{turned} lie in another order: Keras and TensorFlow keep kernels as (height, width, in, out), ONNX and \
                 PyTorch as (out, in, height, width)."
            ));
        }
        let apart = shared.iter().filter(|row| row.max_abs_difference.is_some_and(|most| most > CLEARLY_APART)).count();
        if apart > 0 {
            notes.push(format!(
                "{apart} differ by more than {CLEARLY_APART:e}. Where one file has batch normalization folded into its kernels, \
                 convert the others again with Fold batch norm and compare once more."
            ));
        }
        let alone = rows.len() - shared.len();
        if alone > 0 {
            notes.push(format!(
                "{alone} are in one file alone: batch normalization that another file has folded, counters of training, \
                 or layers that the others lack."
            ));
        }
        notes.extend(self.layout.found.iter().cloned());
        notes
    }
}

/// A row of these members, compared with the first; `None` where there are none. `flattened` gives the dims that are
/// flattened into the rows of these weights, for those that do not agree as they are.
fn row(
    layer: Option<String>,
    role: &str,
    members: Vec<Option<(ParityMember, Tensor)>>,
    flattened: &dyn Fn() -> Option<Vec<usize>>,
) -> Option<ParityRow> {
    let reference = members.iter().flatten().next().map(|(_, tensor)| tensor.clone())?;
    let (mut largest, mut equal_bits, mut seen) = (None::<f64>, true, 0usize);
    let mut comparable = true;
    let mut shown = Vec::new();
    for member in members {
        let Some((mut member, tensor)) = member else {
            shown.push(None);
            continue;
        };
        seen += 1;
        if seen > 1 {
            let mut difference = compare_tensors(&reference, &tensor);
            let agree = |difference: &TensorDifference| difference.relative_difference <= SAME_WEIGHTS;
            if tensor.shape().len() == 2
                && !difference.as_ref().is_some_and(agree)
                && let Some(dims) = flattened()
                && let Some((other, dims)) = rows::compare(&reference, &tensor, &dims)
                && agree(&other)
            {
                difference = Some(other);
                member.rows = Some(dims);
            }
            match difference {
                Some(difference) => {
                    member.transposition = difference.transposition;
                    equal_bits &= difference.equal_bits;
                    largest = Some(largest.unwrap_or(0.0).max(difference.max_abs_difference));
                }
                None => comparable = false,
            }
        }
        shown.push(Some(member));
    }
    let max_abs_difference = largest.filter(|_| comparable);
    let equal_bits = equal_bits && comparable && seen > 1;
    Some(ParityRow { layer, role: role.to_owned(), members: shown, max_abs_difference, equal_bits })
}

/// The tensors that no layer has as they are, each with those of other files that have its values.
fn rest(sides: &[Side]) -> Vec<ParityRow> {
    let mut taken: Vec<HashSet<String>> = vec![HashSet::new(); sides.len()];
    let mut rows = Vec::new();
    for (at, side) in sides.iter().enumerate() {
        let mut members: Vec<Vec<Option<(ParityMember, Tensor)>>> = Vec::new();
        let own: Vec<(String, Tensor)> =
            side.rest.iter().filter(|(path, _)| !taken[at].contains(path)).cloned().collect();
        for (path, tensor) in &own {
            let mut list: Vec<Option<(ParityMember, Tensor)>> = sides.iter().map(|_| None).collect();
            let member =
                ParityMember { name: path.clone(), shape: tensor.shape().to_vec(), transposition: None, rows: None };
            if let Some(slot) = list.get_mut(at) {
                *slot = Some((member, tensor.clone()));
            }
            members.push(list);
        }
        for (other_at, other) in sides.iter().enumerate().skip(at + 1) {
            for pair in match_tensors(&own, &other.rest) {
                let (Some(position), Some((path, tensor))) = (
                    own.iter().position(|(path, _)| *path == pair.a),
                    other.rest.iter().find(|(path, _)| *path == pair.b),
                ) else {
                    continue;
                };
                if !taken[other_at].insert(path.clone()) {
                    continue;
                }
                let member = ParityMember {
                    name: path.clone(),
                    shape: tensor.shape().to_vec(),
                    transposition: None,
                    rows: None,
                };
                if let Some(slot) = members.get_mut(position).and_then(|list| list.get_mut(other_at)) {
                    *slot = Some((member, tensor.clone()));
                }
            }
        }
        rows.extend(members.into_iter().filter_map(|list| row(None, IN_FILE, list, &|| None)));
    }
    rows
}
