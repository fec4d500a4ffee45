//! Running the versions over many images.

use super::super::model::OpenModel;
use super::super::scores::output_facts;
use super::super::{Failure, Service};
use super::runs::{Runs, engine_fault};
use super::session::Session;
use crate::analysis::{OutputFacts, QualitySums};
use crate::engine::{InputFact, LivePlan, LiveSnapshot, Semantics};
use crate::problem::Problem;
use crate::tensor::Tensor;
use crate::worker::protocol::{Images, InputChoice, RunOrder};
use std::borrow::Cow;

/// An image to be measured on.
pub struct Item {
    order: RunOrder,
    /// Whether it is the page's input, some inputs of which may be random: it is looked at as it was run.
    shown: bool,
    /// Its class, where the source has labels.
    pub label: Option<u32>,
}

/// The plans of a session as they were before a measurement.
pub struct Kept {
    float: LiveSnapshot,
    original: LiveSnapshot,
    edited: LiveSnapshot,
}

impl Service {
    /// The images asked for, at most those that are there. Makes the session's plans ready.
    pub(super) fn items(
        &self,
        session: &mut Session,
        model: &OpenModel,
        images: Images,
    ) -> Result<(Images, Vec<Item>), Failure> {
        let order = session.runs(self, model)?.order.clone();
        session.reference(self)?;
        // Measurements are made in f32 between the rows, where every version has every value.
        let order = RunOrder { semantics: Semantics::Simulate, ..order };
        let Some(id) = images.source else {
            let label = match &order.input {
                InputChoice::Item { source, index } => {
                    self.source(*source).ok().and_then(|source| source.label(*index))
                }
                InputChoice::Whole { .. } | InputChoice::Random { .. } => None,
            };
            return Ok((Images { source: None, first: 0, count: 1 }, vec![Item { order, shown: true, label }]));
        };
        let source = self.source(id)?;
        let there = self.item_count(model, source);
        let first = images.first.min(there);
        let end = first.saturating_add(images.count).min(there);
        if first == end {
            return Err(Failure::from(Problem {
                file: source.name.clone(),
                place: "the images to measure on".to_owned(),
                found: format!("{} from item {} on, of {there}", images.count, images.first),
                expected: "at least one image".to_owned(),
                advice: "Choose images that the data set has.".to_owned(),
            }));
        }
        let item = |index| Item {
            order: RunOrder { input: InputChoice::Item { source: id, index }, ..order.clone() },
            shown: false,
            label: source.label(index),
        };
        Ok((Images { source: Some(id), first, count: end - first }, (first..end).map(item).collect()))
    }

    /// The input of the quantized model for an image.
    pub(super) fn item_input(
        &self,
        runs: &Runs,
        model: &OpenModel,
        item: &Item,
    ) -> Result<Vec<(String, Tensor)>, Problem> {
        self.inputs_for(model, runs.edited.plan().inputs(), item)
    }

    fn inputs_for(
        &self,
        model: &OpenModel,
        facts: &[InputFact],
        item: &Item,
    ) -> Result<Vec<(String, Tensor)>, Problem> {
        match item.shown {
            true => Ok(self.inputs_or_random(model, facts, &item.order)?.0),
            false => self.inputs(model, facts, &item.order),
        }
    }

    /// Runs the open float model on an image, where there is one, and else the version without rounding.
    pub(super) fn run_reference(
        &self,
        runs: &mut Runs,
        float_model: Option<u32>,
        inputs: &[(String, Tensor)],
        item: &Item,
    ) -> Result<(), Problem> {
        let float = self.models.iter().find(|open| Some(open.id) == float_model);
        match (&mut runs.reference, float) {
            (Some(plan), Some(float)) => {
                let inputs = self.inputs_for(float, plan.inputs(), item)?;
                plan.run(&inputs).map_err(|error| error.problem(&float.summary.file))
            }
            _ => runs.float.run(inputs).map_err(|error| engine_fault(&error)),
        }
    }
}

impl Runs {
    /// The plans as they are, to be given back after a measurement.
    pub fn keep(&self) -> Kept {
        Kept { float: self.float.snapshot(), original: self.original.snapshot(), edited: self.edited.snapshot() }
    }

    /// Gives the plans back.
    pub fn give_back(&mut self, kept: &Kept) {
        self.float.restore(&kept.float);
        self.original.restore(&kept.original);
        self.edited.restore(&kept.edited);
    }
}

impl Session {
    /// The float model's tensor of the same meaning, on the image run last: of the open float model, or else of the
    /// version without rounding.
    pub fn reference_value(&self, value: &str) -> Option<Cow<'_, [f32]>> {
        let runs = self.runs.as_ref()?;
        match &runs.reference {
            Some(plan) => plan.reals(self.float_names.get(value)?),
            None => runs.float.plan().seen_reals(value),
        }
    }

    /// The float model's output, of the same length as this model's.
    pub fn reference_output(&self) -> Option<Vec<f32>> {
        let runs = self.runs.as_ref()?;
        let own = runs.edited.plan().outputs().first()?;
        let named = self.reference_value(own).map(Cow::into_owned);
        named.or_else(|| {
            let plan = runs.reference.as_ref()?;
            plan.reals(plan.outputs().first()?).map(Cow::into_owned)
        })
    }

    /// What is known of the scores in the first output; `None` where it is no vector of class scores.
    pub fn score_facts(&self, model: &OpenModel) -> Option<OutputFacts> {
        let plan = self.runs.as_ref()?.edited.plan();
        let output = plan.outputs().first()?;
        let shape = plan.shape(output)?;
        let classes: usize = shape.iter().product();
        (classes > 1 && shape.contains(&classes)).then(|| output_facts(model, output))
    }
}

/// A plan's first output, as the outside sees it.
pub fn output(live: &LivePlan) -> Vec<f32> {
    let plan = live.plan();
    let values = plan.outputs().first().and_then(|name| plan.seen_reals(name));
    values.map(Cow::into_owned).unwrap_or_default()
}

/// Adds an image; outputs that cannot be compared count for nothing.
pub fn add(sums: &mut QualitySums, reference: &[f32], found: &[f32], facts: Option<OutputFacts>, label: Option<u32>) {
    // A float model with another output has nothing to say of this one's error.
    let _ = sums.add(reference, found, facts, label);
}
