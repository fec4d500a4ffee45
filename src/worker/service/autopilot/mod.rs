//! The autopilot: from a target to a quantized model.
//!
//! The float graph is compiled once for each form that candidates need; a candidate changes the rows of the table on a
//! live plan and is not written. Its size is the length of the lowered file. The chosen one is written, read again and
//! run as written before it is given away.

mod report;
mod search;
mod stages;

use super::feed::Feed;
use super::{Answered, Failure, Job, Service};
use crate::analysis::argmax;
use crate::engine::{LivePlan, Observe, Plan, PlanOptions, Semantics, constant_values};
use crate::onnx::Document;
use crate::quant::autopilot::{Split, first_recipes, split};
use crate::quant::quantizer::{PrepareOptions, Quantized, equalize, prepare, with_quantizers};
use crate::quant::table::{TableFormat, lower};
use crate::worker::protocol::{AutopilotOrder, AutopilotReport, Reply};
use search::{Reference, Search, facts, output, problem};

/// Images that the written file must answer as its table did, bit for bit.
const COMPARED: usize = 8;
/// Candidates on the front that are measured beside the chosen one, at most.
const MOST_MEASURED: usize = 5;

/// The images to measure on, and what is right of each.
struct Measuring {
    items: Vec<usize>,
    right: Vec<Option<usize>>,
}

impl Service {
    /// Searches until the end or a cancel, and gives the best model's file.
    pub(super) async fn autopilot(&self, order: &AutopilotOrder, job: &impl Job) -> Answered {
        let model = self.model(order.model)?;
        Self::can_run(model)?;
        let feed = |source| -> Result<Feed<'_>, Failure> {
            let source = self.source(source)?;
            Ok(Feed { service: self, model, source, preprocess: order.preprocess.clone() })
        };
        let (calibration, measurement) = (feed(order.calibration)?, feed(order.measurement)?);
        let count = calibration.count();
        let labels: Vec<Option<u32>> = (0..count).map(|item| calibration.source.label(item)).collect();
        let split = split(&labels, order.images, order.seed);
        if split.selection.is_empty() {
            let advice = "Choose a data set with images.";
            return Err(problem(&calibration, "the calibration data", "no image".to_owned(), advice).into());
        }
        let items = measuring(order, &split, measurement.count());
        let report = report::begun(order, &calibration, &measurement, &split, items.len(), &labels);
        let mut search = Search::new(calibration, job, order, split, report);
        let mut measuring = Measuring { items, right: Vec::new() };
        let searched = match search.prepare().await {
            Ok(()) => match search.float(&measurement, &mut measuring).await {
                Ok(()) => search.stages().await,
                other => other,
            },
            other => other,
        };
        let mut stopped = match searched {
            Ok(()) => false,
            Err(Failure::Cancelled) => true,
            Err(other) => return Err(other),
        };
        let Some(best) = search.chosen() else { return Err(Failure::Cancelled) };
        let model_of_best = search.model_of(best)?;
        let bytes = search.written(&model_of_best)?;
        if !stopped {
            stopped = match search.measured(best, &measurement, &measuring, &bytes).await {
                Ok(()) => false,
                Err(Failure::Cancelled) => true,
                Err(other) => return Err(other),
            };
        }
        let report = search.finished(best, stopped);
        Ok((Reply::Autopilot(Box::new(report)), Some(bytes)))
    }
}

/// Positions of the measurement images: where they are of the calibration data set, those that are left over of it, or
/// else the selection images.
fn measuring(order: &AutopilotOrder, split: &Split, count: usize) -> Vec<usize> {
    let mut items: Vec<usize> = (0..count).collect();
    if order.measurement == order.calibration {
        let used: std::collections::HashSet<usize> =
            split.calibration.iter().chain(&split.selection).copied().collect();
        items.retain(|item| !used.contains(item));
        if items.is_empty() {
            items.clone_from(&split.selection);
        }
    }
    items.truncate(order.measured_images);
    items
}

impl<J: Job> Search<'_, J> {
    /// Folds, equalizes, and finds the ranges of every calibrator, each in one go over the calibration images.
    async fn prepare(&mut self) -> Result<(), Failure> {
        self.report.stage = "Autopilot: calibrating".to_owned();
        let refuse = |feed: &Feed<'_>, error: crate::quant::quantizer::QuantizeError| {
            Failure::from(problem(feed, "preparing", error.to_string(), "Choose a float model."))
        };
        let (document, raised) = with_quantizers(&self.feed.model.document);
        let prepared = prepare(&document, &PrepareOptions::default(), &constant_values)
            .map_err(|error| refuse(&self.feed, error))?;
        self.prepared = raised.iter().map(ToString::to_string).chain(prepared.notes()).collect();
        let equalized = equalize(&prepared.document).map_err(|error| refuse(&self.feed, error))?;
        self.documents = (prepared.document, (!equalized.pairs.is_empty()).then_some(equalized.document));
        let recipes = first_recipes(self.order.wide_activations);
        let mut methods: Vec<_> = Vec::new();
        for recipe in &recipes {
            if !methods.contains(&recipe.calibration) {
                methods.push(recipe.calibration);
            }
        }
        // Any recipe will do: which tensors are calibrated follows from the operators.
        let options = recipes.first().map(|recipe| recipe.options()).unwrap_or_default();
        let documents = [Some(self.documents.0.clone()), self.documents.1.clone()];
        for (position, document) in documents.iter().enumerate() {
            let Some(document) = document else { continue };
            let items = &self.split.calibration;
            let collector = self.feed.calibrated(document, &options, &methods, items, self.job).await?;
            // A method that finds no range on these values has no candidates.
            let found = methods.iter().filter_map(|method| Some((*method, collector.ranges(method).ok()?)));
            if let Some(slot) = self.ranges.get_mut(position) {
                *slot = found.collect();
            }
        }
        Ok(())
    }

    /// Runs the float model on the selection and on the measurement images.
    async fn float(&mut self, measurement: &Feed<'_>, measuring: &mut Measuring) -> Result<(), Failure> {
        self.report.stage = "Autopilot: running the float model".to_owned();
        let options = PlanOptions { observe: Observe::OutputsOnly };
        let mut plan = Plan::compile(&self.feed.model.document, Semantics::Simulate, &options)
            .map_err(|error| self.fault(&error))?;
        let total = self.split.selection.len() + measuring.items.len();
        let mut correct = 0;
        for done in 0..total {
            self.checkpoint(done, total).await?;
            let selects = done < self.split.selection.len();
            let at = if selects { done } else { done - self.split.selection.len() };
            let (feed, items) =
                if selects { (&self.feed, &self.split.selection) } else { (measurement, &measuring.items) };
            let Some(&item) = items.get(at) else { continue };
            plan.run(&feed.inputs(plan.inputs(), item)?).map_err(|error| self.fault(&error))?;
            let Some(name) = plan.outputs().first() else { continue };
            let facts = facts(&self.feed, name, plan.shape(name))?;
            self.facts = Some(facts);
            let found = plan.reals(name).map(std::borrow::Cow::into_owned).unwrap_or_default();
            let label = feed.source.label(item);
            let said = argmax(&found);
            let right = label.map_or(said, |label| usize::try_from(label).ok());
            if selects {
                self.references.push(Reference { output: found, right, label, correct: said == right });
            } else {
                correct += u64::from(said == right);
                measuring.right.push(right);
            }
        }
        let count = |correct: u64, total: usize| report::of(correct, total as u64);
        let selected = self.references.iter().filter(|reference| reference.correct).count();
        self.report.float_selection = count(selected as u64, self.references.len()).fraction;
        self.report.float_measured = count(correct, measuring.items.len());
        Ok(())
    }

    /// The candidate to give away: the best of those that have seen most.
    fn chosen(&self) -> Option<usize> {
        let most = self.trials.iter().map(|trial| trial.seen).max().filter(|seen| *seen > 0)?;
        let seen = |at: &usize| self.trials.get(*at).is_some_and(|trial| trial.seen == most);
        (0..self.trials.len()).filter(seen).min_by(|a, b| self.order(*a, *b))
    }

    /// The file of a model. It is read again, and must answer some images as the table did, bit for bit.
    fn written(&self, quantized: &Quantized) -> Result<Vec<u8>, Failure> {
        let internal = |found: String| Failure::from(super::internal_problem(&found));
        let file = lower(&quantized.document, &quantized.table, TableFormat::Qdq)
            .map_err(|error| internal(format!("the chosen model cannot be written: {error}")))?;
        let bytes = file.encode();
        let mut plan = self.decoded(&bytes)?;
        let mut live = LivePlan::compile(&quantized.document, &quantized.table).map_err(|error| self.fault(&error))?;
        for &item in self.split.selection.iter().take(COMPARED) {
            let inputs = self.feed.inputs(plan.inputs(), item)?;
            plan.run(&inputs).and_then(|()| live.run(&inputs)).map_err(|error| self.fault(&error))?;
            let found = plan.outputs().first().and_then(|name| plan.reals(name));
            if found.as_deref() != Some(output(&live).as_slice()) {
                return Err(internal("the file of the chosen model answers otherwise than its table".to_owned()));
            }
        }
        Ok(bytes)
    }

    /// A written file, ready to run.
    fn decoded(&self, bytes: &[u8]) -> Result<Plan, Failure> {
        let document = Document::decode(bytes::Bytes::copy_from_slice(bytes));
        let document = document.map_err(|error| error.problem(&self.feed.model.summary.file))?;
        Plan::compile(&document, Semantics::Simulate, &PlanOptions { observe: Observe::OutputsOnly })
            .map_err(|error| self.fault(&error))
    }

    /// Measures the chosen file as it is written, then what else is on the front.
    async fn measured(
        &mut self,
        chosen: usize,
        feed: &Feed<'_>,
        measuring: &Measuring,
        bytes: &[u8],
    ) -> Result<(), Failure> {
        self.report.stage = "Autopilot: measuring the chosen model".to_owned();
        let mut plan = self.decoded(bytes)?;
        let mut correct = 0;
        for (done, (&item, right)) in measuring.items.iter().zip(&measuring.right).enumerate() {
            self.checkpoint(done, measuring.items.len()).await?;
            plan.run(&feed.inputs(plan.inputs(), item)?).map_err(|error| self.fault(&error))?;
            let found = plan.outputs().first().and_then(|name| plan.reals(name));
            correct += u64::from(right.is_some() && found.is_some_and(|found| argmax(&found) == *right));
        }
        if let Some(trial) = self.trials.get_mut(chosen) {
            trial.measured = Some((correct, measuring.items.len() as u64));
        }
        self.tell();
        self.report.stage = "Autopilot: measuring the front".to_owned();
        let front = self.points();
        let mut others: Vec<usize> =
            (0..front.len()).filter(|at| *at != chosen && front.get(*at).is_some_and(|point| point.on_front)).collect();
        others.sort_by(|a, b| self.order(*a, *b));
        others.truncate(MOST_MEASURED);
        for trial in others {
            self.measure(trial, feed, &measuring.items, &measuring.right).await?;
        }
        Ok(())
    }

    /// What the search has found, for good.
    fn finished(&mut self, chosen: usize, stopped: bool) -> AutopilotReport {
        self.report.stage = if stopped { "stopped" } else { "done" }.to_owned();
        self.report.points = self.points();
        self.report.chosen = self.told(chosen, stopped);
        self.report.clone()
    }
}
