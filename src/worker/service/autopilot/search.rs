//! The state of a search: candidates, what they are made of, and measuring them.

use super::super::corrections::{class_facts, correct_empirically, round_adaptively};
use super::super::feed::Feed;
use super::super::{Failure, Job};
use crate::analysis::{OutputFacts, QualitySums, argmax};
use crate::engine::{EngineError, LivePlan};
use crate::onnx::Document;
use crate::problem::Problem;
use crate::quant::autopilot::{Recipe, RowChange, Split, Standing};
use crate::quant::calibrate::CalibrationMethod;
use crate::quant::quantizer::{
    BiasCorrection, QuantizeError, Quantized, Ranges, adjusted_ranges, quantize, with_zero_biases,
};
use crate::quant::table::{Row, TableFormat, lower};
use crate::worker::protocol::{AutopilotOrder, AutopilotReport, Reply};
use std::rc::Rc;

/// Plans kept: one for each form of the graph that candidates need in turn.
const MOST_PLANS: usize = 4;
/// Images that weights are rounded and biases corrected on, at most.
const MOST_CORRECTING: usize = 96;
/// A partial answer at most this often.
const PARTIAL_EVERY_MS: f64 = 300.0;

/// A candidate and what is known of it.
pub struct Trial {
    pub recipe: Recipe,
    pub bytes: usize,
    /// How it does on the first `seen` of the selection images.
    pub sums: QualitySums,
    pub correct: u64,
    pub seen: usize,
    /// Right and total on the measurement images.
    pub measured: Option<(u64, u64)>,
    /// The model itself, where it takes images to make it again.
    pub made: Option<Rc<Quantized>>,
    pub notes: Vec<String>,
}

/// The float model's output for an image.
pub struct Reference {
    pub output: Vec<f32>,
    /// The class that counts as right: the label, or what the float model says.
    pub right: Option<usize>,
    pub label: Option<u32>,
    /// Whether the float model is right.
    pub correct: bool,
}

/// A plan, the document it is of, and the tensors that have rows in it.
type Kept = (Document, Vec<String>, LivePlan);

/// A running search.
pub struct Search<'a, J> {
    pub feed: Feed<'a>,
    pub job: &'a J,
    pub order: &'a AutopilotOrder,
    pub split: Split,
    /// The folded model, and the equalized one where that is another.
    pub documents: (Document, Option<Document>),
    pub prepared: Vec<String>,
    /// Ranges by method, of the folded and of the equalized model.
    pub ranges: [Vec<(CalibrationMethod, Ranges)>; 2],
    /// The float model on the selection images.
    pub references: Vec<Reference>,
    pub facts: Option<OutputFacts>,
    pub trials: Vec<Trial>,
    pub report: AutopilotReport,
    plans: Vec<Kept>,
    told_ms: f64,
}

/// What went wrong with a candidate or the search, in words.
pub fn problem(feed: &Feed<'_>, place: &str, found: String, advice: &str) -> Problem {
    Problem {
        file: feed.model.summary.file.clone(),
        place: place.to_owned(),
        found,
        expected: "a float classifier that can be quantized".to_owned(),
        advice: advice.to_owned(),
    }
}

impl<'a, J: Job> Search<'a, J> {
    pub fn new(feed: Feed<'a>, job: &'a J, order: &'a AutopilotOrder, split: Split, report: AutopilotReport) -> Self {
        let documents = (feed.model.document.clone(), None);
        Search {
            feed,
            job,
            order,
            split,
            documents,
            prepared: Vec::new(),
            ranges: Default::default(),
            references: Vec::new(),
            facts: None,
            trials: Vec::new(),
            report,
            plans: Vec::new(),
            told_ms: f64::NEG_INFINITY,
        }
    }

    /// Selection images.
    pub fn images(&self) -> usize {
        self.references.len()
    }

    pub async fn checkpoint(&self, done: usize, total: usize) -> Result<(), Failure> {
        match self.job.checkpoint(&self.report.stage, done, total).await {
            true => Ok(()),
            false => Err(Failure::Cancelled),
        }
    }

    pub fn fault(&self, error: &EngineError) -> Failure {
        error.problem(&self.feed.model.summary.file).into()
    }

    /// How a candidate stands on the images that it has seen.
    pub fn standing(&self, trial: &Trial) -> Standing {
        let float_correct = self.references.iter().take(trial.seen).filter(|reference| reference.correct).count();
        Standing {
            bytes: trial.bytes,
            correct: trial.correct,
            total: trial.seen as u64,
            float_correct: float_correct as u64,
            noise: noise(&trial.sums),
        }
    }

    /// The quantized model of a recipe without what takes images: corrections come later.
    pub fn plain(&self, recipe: &Recipe) -> Result<Quantized, QuantizeError> {
        let document = match (recipe.corrections.equalize, &self.documents.1) {
            (true, Some(equalized)) => equalized,
            _ => &self.documents.0,
        };
        let of_model = || self.ranges.get(usize::from(recipe.corrections.equalize)).into_iter().flatten();
        let ranges = of_model().find(|(method, _)| *method == recipe.calibration).map(|(_, ranges)| ranges);
        let none = Ranges::new();
        let ranges = ranges.unwrap_or(&none);
        let mut options = recipe.options();
        // 16 bits have room for the extremes: a range that clips them would keep what it loses.
        let extremes = of_model().find(|(method, _)| *method == CalibrationMethod::MinMax).map(|(_, ranges)| ranges);
        let extremes = extremes.map(|extremes| adjusted_ranges(document, extremes, &options)).unwrap_or_default();
        for (tensor, change) in &recipe.changes {
            if let (RowChange::Wide { constant: false }, Some(changed)) = (change, options.overrides.get_mut(tensor)) {
                changed.range = extremes.get(tensor).copied();
            }
        }
        match recipe.corrections.bias {
            BiasCorrection::None => quantize(document, ranges, &options),
            _ => quantize(&with_zero_biases(document)?.0, ranges, &options),
        }
    }

    /// The model of a recipe with its corrections, and what was done.
    async fn corrected(&self, recipe: &Recipe) -> Result<(Quantized, Vec<String>), Failure> {
        let refuse = |error: QuantizeError| {
            Failure::from(problem(&self.feed, "quantizing", error.to_string(), "Choose another model."))
        };
        let mut quantized = self.plain(recipe).map_err(refuse)?;
        let items = super::super::corrections::spaced(&self.split.calibration, MOST_CORRECTING);
        let mut notes: Vec<String> = quantized.notes.iter().map(ToString::to_string).collect();
        if recipe.corrections.adaptive_rounding {
            notes.extend(round_adaptively(&self.feed, &items, &mut quantized, self.job).await?.1);
        }
        if recipe.corrections.bias != BiasCorrection::None {
            notes.extend(correct_empirically(&self.feed, &items, &mut quantized, self.job).await?.1);
        }
        Ok((quantized, notes))
    }

    /// The model of a candidate.
    pub fn model_of(&self, trial: usize) -> Result<Rc<Quantized>, Failure> {
        let Some(trial) = self.trials.get(trial) else { return Err(Failure::Cancelled) };
        match &trial.made {
            Some(made) => Ok(made.clone()),
            None => self
                .plain(&trial.recipe)
                .map(Rc::new)
                .map_err(|error| problem(&self.feed, "quantizing", error.to_string(), "Choose another model.").into()),
        }
    }

    /// Makes a candidate; `Ok(None)` where the recipe is there already or cannot be made for this model.
    pub async fn propose(&mut self, recipe: Recipe) -> Result<Option<usize>, Failure> {
        if self.trials.iter().any(|trial| trial.recipe == recipe) {
            return Ok(None);
        }
        let takes_images = recipe.corrections.adaptive_rounding || recipe.corrections.bias != BiasCorrection::None;
        let (made, notes) = match takes_images {
            true => {
                let (made, notes) = self.corrected(&recipe).await?;
                (made, notes)
            }
            // A recipe that this model has no types for is no candidate; if none is, the search says so.
            false => match self.plain(&recipe) {
                Ok(made) => {
                    let notes = made.notes.iter().map(ToString::to_string).collect();
                    (made, notes)
                }
                Err(_) => return Ok(None),
            },
        };
        let Ok(file) = lower(&made.document, &made.table, TableFormat::Qdq) else { return Ok(None) };
        self.trials.push(Trial {
            recipe,
            bytes: file.encode().len(),
            sums: QualitySums::default(),
            correct: 0,
            seen: 0,
            measured: None,
            made: takes_images.then(|| Rc::new(made)),
            notes,
        });
        Ok(Some(self.trials.len() - 1))
    }

    /// A plan with the rows of this table.
    fn plan(&mut self, quantized: &Quantized) -> Result<LivePlan, EngineError> {
        let rows: Vec<&str> = quantized.table.rows.iter().map(|row| row.tensor.as_str()).collect();
        let same = |(document, names, _): &Kept| {
            names.iter().map(String::as_str).eq(rows.iter().copied()) && document.proto() == quantized.document.proto()
        };
        match self.plans.iter().position(same) {
            Some(at) => {
                let (_, _, mut plan) = self.plans.remove(at);
                quantized.table.rows.iter().try_for_each(|row| plan.set_row(row))?;
                Ok(plan)
            }
            None => LivePlan::compile(&quantized.document, &quantized.table),
        }
    }

    /// Keeps a plan for the next candidate of the same graph.
    fn keep(&mut self, quantized: &Quantized, plan: LivePlan) {
        let rows = quantized.table.rows.iter().map(|row| row.tensor.clone()).collect();
        self.plans.push((quantized.document.clone(), rows, plan));
        if self.plans.len() > MOST_PLANS {
            self.plans.remove(0);
        }
    }

    /// Measures a candidate on the first `images` selection images; those that it has seen are not run again.
    pub async fn advance(&mut self, trial: usize, images: usize, progress: (usize, usize)) -> Result<(), Failure> {
        let first = self.trials.get(trial).map_or(0, |trial| trial.seen);
        if first >= images.min(self.images()) {
            return Ok(());
        }
        let quantized = self.model_of(trial)?;
        let mut plan = self.plan(&quantized).map_err(|error| self.fault(&error))?;
        for at in first..images.min(self.images()) {
            self.checkpoint(progress.0, progress.1).await?;
            let Some(&item) = self.split.selection.get(at) else { break };
            let inputs = self.feed.inputs(plan.plan().inputs(), item)?;
            plan.run(&inputs).map_err(|error| self.fault(&error))?;
            let found = output(&plan);
            let (Some(reference), Some(trial)) = (self.references.get(at), self.trials.get_mut(trial)) else { break };
            // Outputs of other lengths cannot be: the graph is the same.
            let _ = trial.sums.add(&reference.output, &found, self.facts, reference.label);
            trial.correct += u64::from(argmax(&found) == reference.right && reference.right.is_some());
            trial.seen = at + 1;
        }
        self.keep(&quantized, plan);
        self.tell();
        Ok(())
    }

    /// The noise of the output, over the first `images` selection images, with each of these rows in place of the
    /// model's own, one at a time; and with none.
    pub async fn noise_with(
        &mut self,
        quantized: &Quantized,
        rows: &[Row],
        images: usize,
    ) -> Result<(f64, Vec<f64>), Failure> {
        let mut plan = self.plan(quantized).map_err(|error| self.fault(&error))?;
        let mut own = QualitySums::default();
        let mut sums = vec![QualitySums::default(); rows.len()];
        let images = images.min(self.images());
        for at in 0..images {
            let (Some(&item), Some(reference)) = (self.split.selection.get(at), self.references.get(at)) else { break };
            let inputs = self.feed.inputs(plan.plan().inputs(), item)?;
            plan.run(&inputs).map_err(|error| self.fault(&error))?;
            let _ = own.add(&reference.output, &output(&plan), self.facts, reference.label);
            let base = plan.snapshot();
            for (position, (row, sums)) in rows.iter().zip(&mut sums).enumerate() {
                self.checkpoint(at * rows.len() + position, images * rows.len()).await?;
                plan.set_row(row).and_then(|()| plan.rerun().map(drop)).map_err(|error| self.fault(&error))?;
                let _ = sums.add(&reference.output, &output(&plan), self.facts, reference.label);
                plan.restore(&base);
            }
        }
        self.keep(quantized, plan);
        Ok((noise(&own), sums.iter().map(noise).collect()))
    }

    /// Right answers of a candidate on measurement images.
    pub async fn measure(
        &mut self,
        trial: usize,
        feed: &Feed<'_>,
        items: &[usize],
        references: &[Option<usize>],
    ) -> Result<(), Failure> {
        let quantized = self.model_of(trial)?;
        let mut plan = self.plan(&quantized).map_err(|error| self.fault(&error))?;
        let mut correct = 0;
        for (done, (&item, right)) in items.iter().zip(references).enumerate() {
            self.checkpoint(done, items.len()).await?;
            let inputs = feed.inputs(plan.plan().inputs(), item)?;
            plan.run(&inputs).map_err(|error| self.fault(&error))?;
            correct += u64::from(right.is_some() && argmax(&output(&plan)) == *right);
        }
        self.keep(&quantized, plan);
        if let Some(trial) = self.trials.get_mut(trial) {
            trial.measured = Some((correct, items.len() as u64));
        }
        self.tell();
        Ok(())
    }

    /// Tells what has been found so far, now and then.
    pub fn tell(&mut self) {
        let now_ms = self.job.now_ms();
        if now_ms - self.told_ms >= PARTIAL_EVERY_MS {
            self.told_ms = now_ms;
            self.report.points = self.points();
            self.job.partial(Reply::Autopilot(Box::new(self.report.clone())));
        }
    }
}

/// The output as the outside sees it.
pub fn output(plan: &LivePlan) -> Vec<f32> {
    let name = plan.plan().outputs().first();
    name.and_then(|name| plan.plan().seen_reals(name)).map(std::borrow::Cow::into_owned).unwrap_or_default()
}

/// `10^(-SQNR / 10)`; 0 without error.
fn noise(sums: &QualitySums) -> f64 {
    sums.quality().output_sqnr_db.map_or(0.0, |sqnr_db| 10f64.powf(-sqnr_db / 10.0))
}

/// What is known of a model's first output; fails where it is no vector of class scores.
pub fn facts(feed: &Feed<'_>, name: &str, shape: Option<&[usize]>) -> Result<OutputFacts, Problem> {
    class_facts(feed, name, shape).ok_or_else(|| Problem {
        file: feed.model.summary.file.clone(),
        place: format!("the output '{name}'"),
        found: "it is not a vector of class scores".to_owned(),
        expected: "[classes] or [1, classes]".to_owned(),
        advice: "The autopilot weighs size against accuracy: it takes classifiers only.".to_owned(),
    })
}
