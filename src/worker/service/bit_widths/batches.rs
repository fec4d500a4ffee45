//! Images in batches, and their answers.

use super::super::model::OpenModel;
use super::super::{Failure, Job, Service};
use super::study::{BATCH, Study};
use crate::analysis::argmax;
use crate::engine::{EngineError, InputFact, Semantics};
use crate::problem::Problem;
use crate::tensor::Tensor;
use crate::worker::protocol::{InputChoice, RunOrder, SourceId};

/// Images of a source.
pub(super) struct Items {
    pub source: SourceId,
    pub items: Vec<usize>,
}

/// How far an output of a batch may be from that of a single image: sums in another order, relative to the largest.
const SAME: f32 = 1e-3;

impl Items {
    pub fn len(&self) -> usize {
        self.items.len()
    }
}

impl Service {
    /// How many images can go through the network at once: more than one where the inputs leave their first dim open
    /// and two images together give what they give alone.
    pub(super) fn batch_size(&self, study: &mut Study, model: &OpenModel) -> Result<usize, Failure> {
        let source = self.source(study.setting.source)?;
        let open = |fact: &InputFact| matches!(fact.shape.first(), Some(None));
        let facts = study.column.live.plan().inputs();
        if self.item_count(model, source) < 2 || facts.is_empty() || !facts.iter().all(open) {
            return Ok(1);
        }
        let mut alone = Vec::new();
        for item in 0..2 {
            let inputs = self.batch(study, study.setting.source, &[item])?;
            let ran = study.column.live.run(&inputs);
            ran.map_err(|error| error.problem(&model.summary.file))?;
            alone.extend(output(study).and_then(|output| output.to_f32().ok()).unwrap_or_default());
        }
        let inputs = self.batch(study, study.setting.source, &[0, 1])?;
        // What cannot take two images says so here.
        let ran = study.column.live.run(&inputs).is_ok();
        let both = output(study).filter(|output| ran && output.shape().first() == Some(&2));
        let both = both.and_then(|output| output.to_f32().ok()).unwrap_or_default();
        let largest = alone.iter().fold(f32::MIN_POSITIVE, |largest, value| largest.max(value.abs()));
        let same = both.iter().zip(&alone).all(|(both, alone)| (both - alone).abs() <= SAME * largest);
        Ok(if both.len() == alone.len() && same { BATCH } else { 1 })
    }

    /// The inputs of some images, one after the other along the first axis.
    pub(super) fn batch(
        &self,
        study: &Study,
        source: SourceId,
        items: &[usize],
    ) -> Result<Vec<(String, Tensor)>, Failure> {
        let model = self.model(study.setting.model)?;
        let facts = study.column.live.plan().inputs();
        let mut single = Vec::with_capacity(items.len());
        for &index in items {
            let run = RunOrder {
                input: InputChoice::Item { source, index },
                preprocess: study.setting.preprocess.clone(),
                semantics: Semantics::Simulate,
            };
            single.push(self.inputs(model, facts, &run)?);
        }
        let stacked = |position: usize| {
            let tensors: Vec<&Tensor> = single.iter().filter_map(|inputs| Some(&inputs.get(position)?.1)).collect();
            stack(&tensors)
        };
        let stacked = facts.iter().enumerate().map(|(at, fact)| Some((fact.name.clone(), stacked(at)?)));
        let stacked: Option<Vec<(String, Tensor)>> = stacked.collect();
        let different = || study.refused("the images", "images of different shapes".to_owned(), "one shape");
        Ok(stacked.ok_or_else(different)?)
    }

    /// Right answers of images that go through alone or in batches, with the rows as they are.
    pub(super) async fn count(&self, study: &mut Study, items: &Items, job: &impl Job) -> Result<usize, Failure> {
        let mut correct = 0;
        for (done, batch) in items.items.chunks(study.batch).enumerate() {
            if !job.checkpoint("Measuring bit widths", done * study.batch, items.len()).await {
                return Err(Failure::Cancelled);
            }
            let inputs = self.batch(study, items.source, batch)?;
            study.column.live.run(&inputs).map_err(|error| error.problem(&study.file))?;
            correct += self.right(study, output(study), items.source, batch)?;
        }
        Ok(correct)
    }

    /// Right answers of images whose ranges are taken together: every activation is rounded over what all of them
    /// reach, one after the other, before anything behind it is computed.
    pub(super) async fn count_together(
        &self,
        study: &mut Study,
        items: &Items,
        bits: u8,
        together: usize,
        job: &impl Job,
    ) -> Result<usize, Failure> {
        let failed = |file: &str, error: EngineError| Failure::from(error.problem(file));
        let names = study.rounded.activations.clone();
        let steps = names.len() + 1;
        let total = items.len().div_ceil(study.batch) * steps;
        let (mut correct, mut done) = (0, 0);
        for group in items.items.chunks(together.max(1)) {
            study.free_activations()?;
            let mut waves = Vec::new();
            for batch in group.chunks(study.batch) {
                if !job.checkpoint("Measuring bit widths", done, total).await {
                    return Err(Failure::Cancelled);
                }
                let inputs = self.batch(study, items.source, batch)?;
                waves.push(study.column.live.depart(&inputs).map_err(|error| failed(&study.file, error))?);
            }
            for name in names.iter().map(Some).chain([None]) {
                let mut reached: Option<(f32, f32)> = None;
                for (wave, batch) in waves.iter_mut().zip(group.chunks(study.batch)) {
                    if !job.checkpoint("Measuring bit widths", done, total).await {
                        return Err(Failure::Cancelled);
                    }
                    done += 1;
                    let live = &mut study.column.live;
                    live.advance(wave, name.map(String::as_str)).map_err(|error| failed(&study.file, error))?;
                    let live = &study.column.live;
                    match name {
                        Some(name) => reached = widened(reached, live.reach_of(wave, name)),
                        None => {
                            let output = live.plan().outputs().first().and_then(|name| live.value_of(wave, name));
                            correct += self.right(study, output, items.source, batch)?;
                        }
                    }
                }
                if let Some(name) = name {
                    study.round(name, reached.unwrap_or_default(), bits)?;
                }
            }
        }
        Ok(correct)
    }

    /// How many of a batch's images have their class as the largest score, the first of equal ones.
    fn right(
        &self,
        study: &Study,
        output: Option<Tensor>,
        source: SourceId,
        items: &[usize],
    ) -> Result<usize, Failure> {
        let source = self.source(source)?;
        let scores = output.as_ref().and_then(|output| Some((output.to_f32().ok()?, output.shape())));
        let classes = scores.as_ref().map_or(0, |(scores, _)| scores.len() / items.len().max(1));
        // Scores of one image are a vector, whatever dims of 1 stand around it.
        let scores = scores.filter(|(scores, shape)| {
            classes > 0 && scores.len() == classes * items.len() && (classes == 1 || shape.contains(&classes))
        });
        let (scores, _) = scores.ok_or_else(|| Problem {
            file: study.file.clone(),
            place: "the first output".to_owned(),
            found: "it is not a vector of class scores".to_owned(),
            expected: "[classes] for each image".to_owned(),
            advice: "Only classifiers can be measured.".to_owned(),
        })?;
        let is_right = |(scores, item): &(&[f32], &usize)| {
            source.label(**item).is_some_and(|label| argmax(scores) == usize::try_from(label).ok())
        };
        Ok(scores.chunks(classes).zip(items).filter(is_right).count())
    }
}

/// The first output of the last run, as the outside sees it.
fn output(study: &Study) -> Option<Tensor> {
    let plan = study.column.live.plan();
    plan.outputs().first().and_then(|name| plan.rounded(name))
}

/// The range that holds both.
pub(super) fn widened(one: Option<(f32, f32)>, other: Option<(f32, f32)>) -> Option<(f32, f32)> {
    match (one, other) {
        (Some(one), Some(other)) => Some((one.0.min(other.0), one.1.max(other.1))),
        (one, other) => one.or(other),
    }
}

/// Tensors one after the other along their first axis; `None` where they do not fit together. One alone stays itself.
fn stack(tensors: &[&Tensor]) -> Option<Tensor> {
    let (first, others) = tensors.split_first()?;
    if others.is_empty() {
        return Some((*first).clone());
    }
    let rest = first.shape().get(1..)?;
    let fits = |tensor: &&&Tensor| tensor.dtype() == first.dtype() && tensor.shape().get(1..) == Some(rest);
    if others.iter().filter(fits).count() != others.len() || first.dtype().bits()? < 8 {
        return None;
    }
    let count = tensors.iter().map(|tensor| tensor.shape().first().copied().unwrap_or(0)).sum();
    let shape = std::iter::once(count).chain(rest.iter().copied()).collect();
    let bytes: Vec<u8> = tensors.iter().flat_map(|tensor| tensor.bytes().iter().copied()).collect();
    Tensor::new(first.dtype(), shape, bytes.into()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_are_stacked_along_the_first_axis() {
        let tensor = |values: Vec<f32>, shape: Vec<usize>| Tensor::from_vec(shape, values).unwrap();
        let (a, b) = (tensor(vec![1.0, 2.0], vec![1, 2]), tensor(vec![3.0, 4.0], vec![1, 2]));
        let both = stack(&[&a, &b]).unwrap();
        assert_eq!((both.shape(), both.to_f32().unwrap()), ([2, 2].as_slice(), vec![1.0, 2.0, 3.0, 4.0]));
        assert_eq!(stack(&[&a, &tensor(vec![1.0; 3], vec![1, 3])]), None);
        assert_eq!(stack(&[]), None);
        assert_eq!(stack(&[&tensor(vec![1.0], vec![])]).unwrap().shape(), [0usize; 0]);
    }

    #[test]
    fn ranges_widen() {
        assert_eq!(widened(None, Some((0.0, 1.0))), Some((0.0, 1.0)));
        assert_eq!(widened(Some((-1.0, 0.5)), Some((0.0, 1.0))), Some((-1.0, 1.0)));
        assert_eq!(widened(None, None), None);
    }
}
