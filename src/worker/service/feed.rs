//! The images of a data set as inputs of a model, and the ranges that they give.

use super::model::OpenModel;
use super::source::OpenSource;
use super::{Failure, Job, Service};
use crate::engine::{InputFact, Observe, Plan, PlanOptions, Semantics, Team};
use crate::import::PreprocessEdits;
use crate::onnx::Document;
use crate::problem::Problem;
use crate::quant::calibrate::{CalibrationMethod, RangeCollector};
use crate::quant::quantizer::{QuantizeOptions, calibration_tensors};
use crate::tensor::Tensor;
use crate::worker::protocol::{CalibrationImages, InputChoice, RunOrder};
use rand_core::{RngCore, SeedableRng};
use rand_pcg::Pcg64Mcg;
use std::collections::BTreeMap;

/// A data set for a model.
pub struct Feed<'a> {
    pub service: &'a Service,
    pub model: &'a OpenModel,
    pub source: &'a OpenSource,
    /// What is set by hand of how an image becomes a tensor; the rest is as read off the model.
    pub preprocess: Option<PreprocessEdits>,
}

impl Feed<'_> {
    /// How many items the data set has for the model.
    pub fn count(&self) -> usize {
        self.service.item_count(self.model, self.source)
    }

    /// Positions of the images, in order.
    pub fn chosen(&self, images: &CalibrationImages) -> Vec<usize> {
        chosen(self.count(), &|item| self.source.label(item), images)
    }

    /// The inputs for an item.
    pub fn inputs(&self, facts: &[InputFact], item: usize) -> Result<Vec<(String, Tensor)>, Problem> {
        let run = RunOrder {
            input: InputChoice::Item { source: self.source.id, index: item },
            preprocess: self.preprocess.clone(),
            semantics: Semantics::Simulate,
        };
        self.service.inputs(self.model, facts, &run)
    }

    /// Collects the values of every tensor that may be quantized, image by image, for all these methods. Methods with
    /// histograms see the images twice, as in ONNX Runtime: once for the extremes that the bins lie between.
    pub async fn calibrated(
        &self,
        document: &Document,
        options: &QuantizeOptions,
        methods: &[CalibrationMethod],
        items: &[usize],
        job: &impl Job,
    ) -> Result<RangeCollector, Failure> {
        let file = &self.model.summary.file;
        let wrong = |error: String| {
            Failure::from(Problem {
                file: file.clone(),
                place: "calibrating".to_owned(),
                found: error,
                expected: "values with a range".to_owned(),
                advice: "Choose another calibration method or other images.".to_owned(),
            })
        };
        let tensors = calibration_tensors(document, options);
        let options = PlanOptions { observe: Observe::All };
        let mut team =
            Team::compile(document, Semantics::Simulate, &options, items.len()).map_err(|error| error.problem(file))?;
        let facts = team.plan().map(|plan| plan.inputs().to_vec()).unwrap_or_default();
        let values = |plan: &Plan, inputs: &[(String, Tensor)]| -> Vec<Option<Tensor>> {
            let given =
                |name: &String| inputs.iter().find(|(input, _)| input == name).map(|(_, tensor)| tensor.clone());
            tensors.iter().map(|name| given(name).or_else(|| plan.value(name))).collect()
        };
        let passes = if RangeCollector::needs_bounds(methods) { 2 } else { 1 };
        let mut known = BTreeMap::new();
        for pass in 1..passes + 1 {
            let extremes: &[_] = &[CalibrationMethod::MinMax];
            let now = if pass < passes { extremes } else { methods };
            let mut collector = RangeCollector::with_bounds(now, std::mem::take(&mut known))
                .map_err(|error| wrong(error.to_string()))?;
            // What a method sees must not depend on the number of threads: images are added in their order.
            let mut add = |runs: Vec<Vec<Option<Tensor>>>| {
                for (name, tensor) in runs.iter().flat_map(|run| tensors.iter().zip(run)) {
                    if let Some(values) = tensor.as_ref().and_then(|tensor| tensor.to_f32().ok()) {
                        collector.add(name, &values);
                    }
                }
            };
            let mut made = Vec::new();
            for (chunk, some) in items.chunks(team.size()).enumerate() {
                let done = (pass - 1) * items.len() + chunk * team.size();
                if !job.checkpoint("Calibrating", done, passes * items.len()).await {
                    return Err(Failure::Cancelled);
                }
                let inputs = some.iter().map(|item| self.inputs(&facts, *item)).collect::<Result<Vec<_>, _>>()?;
                let before = std::mem::take(&mut made);
                made = team.run(&inputs, values, || add(before)).map_err(|error| error.problem(file))?;
            }
            add(made);
            if pass == passes {
                return Ok(collector);
            }
            known = collector.bounds();
        }
        Err(Failure::Cancelled)
    }
}

/// Positions of the images among those that are there, in order.
fn chosen(there: usize, label: &dyn Fn(usize) -> Option<u32>, images: &CalibrationImages) -> Vec<usize> {
    match images {
        CalibrationImages::First(count) => (0..there.min(*count)).collect(),
        CalibrationImages::Listed(items) => items.iter().copied().filter(|item| *item < there).collect(),
        &CalibrationImages::PerClass { count, seed } => {
            let mut classes: BTreeMap<Option<u32>, Vec<usize>> = BTreeMap::new();
            for item in 0..there {
                classes.entry(label(item)).or_default().push(item);
            }
            let mut generator = Pcg64Mcg::seed_from_u64(seed);
            let mut chosen: Vec<usize> = classes
                .into_values()
                .flat_map(|mut items| {
                    // The first steps of a Fisher-Yates shuffle.
                    for at in 0..count.min(items.len()) {
                        let left = (items.len() - at) as u64;
                        items.swap(at, at + (generator.next_u64() % left) as usize);
                    }
                    items.truncate(count);
                    items
                })
                .collect();
            chosen.sort_unstable();
            chosen
        }
    }
}
