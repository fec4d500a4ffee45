//! Equalization, adaptive rounding and bias correction of a model that is being quantized, each measured.

use super::feed::Feed;
use super::scores::output_facts;
use super::{Failure, Job};
use crate::analysis::{OutputFacts, Quality, QualitySums};
use crate::engine::{EngineError, LivePlan, Observe, Plan, PlanOptions, Semantics};
use crate::onnx::Document;
use crate::quant::quantizer::{
    BiasCorrection, BiasSite, ChannelMeans, CorrectionStep, Corrections, QuantizeError, Quantized, RoundingSite,
    bias_sites, equalize, expected_inputs, rounding_sites, weight_error_means, with_zero_biases,
};
use crate::quant::table::{QuantTable, Row};
use crate::worker::protocol::StepEffect;
use std::collections::BTreeMap;

/// Images that correct, at most: their means settle long before.
const MOST_CORRECTING: usize = 128;
/// Images that measure, at most.
const MOST_MEASURING: usize = 256;
/// Places of a layer's outputs that rounding looks at, about: some for each of the most inputs that a layer may have.
const ROUNDING_PLACES: usize = 6144;
/// Bytes of products that are collected in one pass over the images.
const PASS_BYTES: usize = 64 << 20;
/// Output channels that are rounded between two looks at the outside.
const ROUNDED_AT_A_TIME: usize = 4;
/// Passes of empirical bias correction at most; in each, as many layers as come to it are corrected together.
const MOST_BIAS_PASSES: usize = 16;

/// Makes the corrections that are asked for, says what it did to which layer, and measures each.
pub struct Corrector<'a> {
    feed: &'a Feed<'a>,
    wanted: Corrections,
    /// Images that correct.
    correcting: Vec<usize>,
    /// Images that measure.
    measuring: Vec<usize>,
    /// Means of inputs by batch normalization, as the file has it.
    expected: BTreeMap<String, Vec<f64>>,
    /// What was done to which layer.
    pub notes: Vec<String>,
    /// What it has brought.
    pub effects: Vec<StepEffect>,
    /// The images that measure, in words.
    pub measured_on: String,
    last: Option<Quality>,
}

/// `count` of the items, evenly spaced.
pub fn spaced(items: &[usize], count: usize) -> Vec<usize> {
    let count = count.min(items.len());
    (0..count).filter_map(|at| items.get(at * items.len() / count.max(1)).copied()).collect()
}

impl<'a> Corrector<'a> {
    /// For a model calibrated on these items. What they have left over of the data set measures, or else they do.
    pub fn new(feed: &'a Feed<'a>, items: &[usize], wanted: Corrections) -> Self {
        let mut left: Vec<usize> = Vec::new();
        if wanted.any() {
            let used: std::collections::HashSet<usize> = items.iter().copied().collect();
            left = (0..feed.count()).filter(|item| !used.contains(item)).collect();
        }
        let (pool, kind) = match left.is_empty() {
            true => (items, "calibration images"),
            false => (left.as_slice(), "images that did not calibrate"),
        };
        let measuring = spaced(pool, MOST_MEASURING);
        let measured_on = format!("{} {kind} of {}", measuring.len(), feed.source.name);
        Corrector {
            feed,
            wanted,
            correcting: spaced(items, MOST_CORRECTING),
            measuring,
            // Before anything is folded: afterwards nothing is left to read.
            expected: match wanted.bias {
                BiasCorrection::Analytic => expected_inputs(&feed.model.document),
                _ => BTreeMap::new(),
            },
            notes: Vec::new(),
            effects: Vec::new(),
            measured_on: if wanted.any() { measured_on } else { String::new() },
            last: None,
        }
    }

    /// The document with a bias wherever one will be corrected.
    pub fn prepare(&mut self, document: &Document) -> Result<Document, QuantizeError> {
        let biases = match self.wanted.bias {
            BiasCorrection::None => false,
            BiasCorrection::Empirical => true,
            BiasCorrection::Analytic => !self.expected.is_empty(),
        };
        if !biases {
            return Ok(document.clone());
        }
        let (document, made) = with_zero_biases(document)?;
        self.notes.extend(made.iter().map(|layer| format!("{layer} was given a bias to be corrected")));
        Ok(document)
    }

    /// The document equalized; `None` where that is not asked for or there is nothing to equalize.
    pub fn equalized(&mut self, document: &Document) -> Result<Option<Document>, QuantizeError> {
        if !self.wanted.equalize {
            return Ok(None);
        }
        let equalized = equalize(document)?;
        if equalized.pairs.is_empty() {
            let why = "no two convolutions follow each other with nothing but Relu and pools between";
            self.notes.push(format!("nothing was equalized: {why}"));
            return Ok(None);
        }
        let told = |pair: &crate::quant::quantizer::EqualizedPair| {
            format!("{} channels between {} and {} were equalized", pair.channels, pair.first, pair.second)
        };
        self.notes.extend(equalized.pairs.iter().map(told));
        // What batch normalization tells of a tensor was divided with it.
        for (tensor, divisors) in &equalized.divisors {
            if let Some(means) = self.expected.get_mut(tensor) {
                means.iter_mut().zip(divisors).for_each(|(mean, divisor)| *mean /= divisor);
            }
        }
        Ok(Some(equalized.document))
    }

    /// Measures a model before and after equalization.
    pub async fn measure_equalization(
        &mut self,
        before: &Quantized,
        after: &Quantized,
        job: &impl Job,
    ) -> Result<(), Failure> {
        let pairs = self.notes.iter().filter(|note| note.ends_with("were equalized")).count();
        self.last = Some(self.measured(before, job).await?);
        self.told(CorrectionStep::Equalization, pairs, after, job).await
    }

    /// Rounds adaptively and corrects biases, as asked for.
    pub async fn correct(&mut self, quantized: &mut Quantized, job: &impl Job) -> Result<(), Failure> {
        if self.wanted.adaptive_rounding {
            self.measure_before(quantized, job).await?;
            let (layers, mut notes) = round_adaptively(self.feed, &self.correcting, quantized, job).await?;
            self.notes.append(&mut notes);
            self.told(CorrectionStep::AdaptiveRounding, layers, quantized, job).await?;
        }
        if self.wanted.bias == BiasCorrection::None {
            return Ok(());
        }
        self.measure_before(quantized, job).await?;
        let (layers, mut notes) = match self.wanted.bias {
            BiasCorrection::Analytic => {
                correct_analytically(quantized, &self.expected).map_err(|error| self.wrong(&error))?
            }
            _ => correct_empirically(self.feed, &self.correcting, quantized, job).await?,
        };
        self.notes.append(&mut notes);
        self.told(CorrectionStep::BiasCorrection, layers, quantized, job).await
    }

    async fn measure_before(&mut self, quantized: &Quantized, job: &impl Job) -> Result<(), Failure> {
        if self.last.is_none() {
            self.last = Some(self.measured(quantized, job).await?);
        }
        Ok(())
    }

    /// Notes what a step has brought.
    async fn told(
        &mut self,
        step: CorrectionStep,
        layers: usize,
        quantized: &Quantized,
        job: &impl Job,
    ) -> Result<(), Failure> {
        let without = self.last.unwrap_or_default();
        let with = if layers == 0 { without } else { self.measured(quantized, job).await? };
        self.effects.push(StepEffect { step, layers, without, with });
        self.last = Some(with);
        Ok(())
    }

    /// The quality of a table on the measuring images, against the float model as it was opened.
    async fn measured(&self, quantized: &Quantized, job: &impl Job) -> Result<Quality, Failure> {
        let model = self.feed.model;
        let fault = |error: EngineError| error.problem(&model.summary.file);
        let mut float =
            Plan::compile(&model.document, Semantics::Simulate, &PlanOptions { observe: Observe::OutputsOnly })
                .map_err(fault)?;
        let mut live = LivePlan::compile(&quantized.document, &quantized.table).map_err(fault)?;
        let mut sums = QualitySums::default();
        for (done, &item) in self.measuring.iter().enumerate() {
            if !job.checkpoint("Measuring the corrections", done, self.measuring.len()).await {
                return Err(Failure::Cancelled);
            }
            let inputs = self.feed.inputs(float.inputs(), item)?;
            float.run(&inputs).map_err(fault)?;
            live.run(&inputs).map_err(fault)?;
            let Some(name) = float.outputs().first() else { continue };
            let found = live.plan().outputs().first().and_then(|name| live.plan().seen_reals(name));
            if let (Some(wanted), Some(found)) = (float.reals(name), found) {
                let facts = class_facts(self.feed, name, float.shape(name));
                // Outputs of other lengths cannot be: the graph is the same.
                let _ = sums.add(&wanted, &found, facts, self.feed.source.label(item));
            }
        }
        Ok(sums.quality())
    }

    fn wrong(&self, error: &QuantizeError) -> Failure {
        wrong(self.feed, error)
    }
}

/// What is known of the scores in an output; `None` where it is no vector of class scores.
pub fn class_facts(feed: &Feed<'_>, output: &str, shape: Option<&[usize]>) -> Option<OutputFacts> {
    let shape = shape?;
    let classes: usize = shape.iter().product();
    (classes > 1 && shape.contains(&classes)).then(|| output_facts(feed.model, output))
}

fn wrong(feed: &Feed<'_>, error: &QuantizeError) -> Failure {
    Failure::from(crate::problem::Problem {
        file: feed.model.summary.file.clone(),
        place: "correcting".to_owned(),
        found: error.to_string(),
        expected: "a model whose weights and biases can be changed".to_owned(),
        advice: "Quantize it without corrections.".to_owned(),
    })
}

/// The table with every row off: readers see what the float model has, clipped where a quantizer has taken a Relu's place.
pub fn switched_off(table: &QuantTable) -> QuantTable {
    let rows = table.rows.iter().map(|row| Row { enabled: false, ..row.clone() });
    QuantTable { rows: rows.collect(), ..table.clone() }
}

/// Rounds every weight that can be so that its layer's output on these images is nearest to the float layer's. The
/// products of inputs of as many layers as fit into [`PASS_BYTES`] are summed in one pass. Gives the number of layers
/// and what was done to each.
pub async fn round_adaptively(
    feed: &Feed<'_>,
    items: &[usize],
    quantized: &mut Quantized,
    job: &impl Job,
) -> Result<(usize, Vec<String>), Failure> {
    let fault = |error: EngineError| error.problem(&feed.model.summary.file);
    let (sites, mut notes) = rounding_sites(quantized);
    let mut layers = 0;
    let mut float = LivePlan::compile(&quantized.document, &switched_off(&quantized.table)).map_err(fault)?;
    let mut waiting = sites.as_slice();
    while !waiting.is_empty() {
        let mut bytes = 0usize;
        let fitting = waiting.iter().take_while(|site| {
            bytes = bytes.saturating_add(site.bytes());
            bytes <= PASS_BYTES
        });
        let (now, later) = waiting.split_at(fitting.count().max(1).min(waiting.len()));
        waiting = later;
        let mut sums: Vec<_> = now.iter().map(RoundingSite::grams).collect();
        for (done, &item) in items.iter().enumerate() {
            if !job.checkpoint("Looking at the inputs of layers", done, items.len()).await {
                return Err(Failure::Cancelled);
            }
            let inputs = feed.inputs(float.plan().inputs(), item)?;
            float.run(&inputs).map_err(fault)?;
            let plan = float.plan();
            for (site, grams) in now.iter().zip(&mut sums) {
                let seen = (plan.seen_reals(&site.input), plan.shape(&site.input), plan.shape(&site.output));
                if let (Some(values), Some(shape), Some(output)) = seen {
                    let every = (site.places(output) * items.len()).div_ceil(ROUNDING_PLACES);
                    site.add(&values, shape, output, every, grams);
                }
            }
        }
        for (site, grams) in now.iter().zip(&sums) {
            let mut codes = Vec::new();
            for first in (0..site.outputs).step_by(ROUNDED_AT_A_TIME) {
                if !job.checkpoint(&format!("Rounding {}", site.layer), first, site.outputs).await {
                    return Err(Failure::Cancelled);
                }
                let end = (first + ROUNDED_AT_A_TIME).min(site.outputs);
                codes.extend(site.round(quantized, grams, first..end).map_err(|error| wrong(feed, &error))?);
            }
            let changed = site.store(quantized, &codes).map_err(|error| wrong(feed, &error))?;
            layers += usize::from(changed > 0);
            notes.push(format!("{changed} of {} weights of {} were rounded the other way", codes.len(), site.layer));
        }
    }
    if sites.is_empty() {
        notes.push("no weight was rounded to data: no layer has one that can be".to_owned());
    }
    Ok((layers, notes))
}

/// Adds to each bias what the means of the quantized layer's channels are below the float one's on these images. Layers
/// are corrected in the order in which they run, because what is corrected changes what the next ones see; in at most
/// [`MOST_BIAS_PASSES`] passes. Gives the number of layers and what was done to each.
pub async fn correct_empirically(
    feed: &Feed<'_>,
    items: &[usize],
    quantized: &mut Quantized,
    job: &impl Job,
) -> Result<(usize, Vec<String>), Failure> {
    let fault = |error: EngineError| error.problem(&feed.model.summary.file);
    let mut notes = Vec::new();
    let sites = bias_sites(&quantized.document);
    if sites.is_empty() {
        return Ok((0, vec!["no bias was corrected: no layer has a constant one of its own".to_owned()]));
    }
    let at_once = sites.len().div_ceil(MOST_BIAS_PASSES);
    let passes = sites.len().div_ceil(at_once) + 1;
    let mut float = LivePlan::compile(&quantized.document, &switched_off(&quantized.table)).map_err(fault)?;
    let wanted = means(feed, items, &mut float, &sites, (0, passes), job).await?;
    drop(float);
    let mut live = LivePlan::compile(&quantized.document, &quantized.table).map_err(fault)?;
    let mut layers = 0;
    for (pass, sites) in sites.chunks(at_once).enumerate() {
        let found = means(feed, items, &mut live, sites, (pass + 1, passes), job).await?;
        let additions = wanted.minus(&found);
        let mut anew = false;
        for site in sites {
            let Some(addition) = additions.get(&site.output) else { continue };
            let changed = site.add(quantized, addition).map_err(|error| wrong(feed, &error))?;
            let row = changed.and_then(|tensor| quantized.table.row(&tensor));
            match row {
                Some(row) => live.set_row(row).map_err(fault)?,
                None => anew = true,
            }
            layers += 1;
            notes.push(corrected(site, addition));
        }
        if anew {
            live = LivePlan::compile(&quantized.document, &quantized.table).map_err(fault)?;
        }
    }
    Ok((layers, notes))
}

fn corrected(site: &BiasSite, addition: &[f64]) -> String {
    let farthest = addition.iter().fold(0.0f64, |far, value| far.max(value.abs()));
    format!("the bias of {} was corrected by up to {farthest:.3e}", site.layer)
}

/// Means of what the layers make, before it is rounded.
async fn means(
    feed: &Feed<'_>,
    items: &[usize],
    live: &mut LivePlan,
    sites: &[BiasSite],
    (pass, passes): (usize, usize),
    job: &impl Job,
) -> Result<ChannelMeans, Failure> {
    let mut means = ChannelMeans::default();
    for (done, &item) in items.iter().enumerate() {
        if !job.checkpoint("Correcting biases", pass * items.len() + done, passes * items.len()).await {
            return Err(Failure::Cancelled);
        }
        let inputs = feed.inputs(live.plan().inputs(), item)?;
        live.run(&inputs).map_err(|error| error.problem(&feed.model.summary.file))?;
        for site in sites {
            let plan = live.plan();
            if let (Some(values), Some(shape)) = (plan.reals(&site.output), plan.shape(&site.output)) {
                means.add(&site.output, &values, shape, site.channel_axis);
            }
        }
    }
    Ok(means)
}

/// Adds to each bias what rounded weights take from the mean, where batch normalization tells the means of the inputs.
fn correct_analytically(
    quantized: &mut Quantized,
    expected: &BTreeMap<String, Vec<f64>>,
) -> Result<(usize, Vec<String>), QuantizeError> {
    if expected.is_empty() {
        let why = "the file has no BatchNormalization to tell the means; the empirical correction takes images";
        return Ok((0, vec![format!("no bias was corrected: {why}")]));
    }
    let additions = weight_error_means(&quantized.document, &quantized.table, expected);
    let (mut layers, mut notes) = (0, Vec::new());
    for site in bias_sites(&quantized.document) {
        match additions.get(&site.output) {
            Some(addition) => {
                site.add(quantized, addition)?;
                layers += 1;
                notes.push(corrected(&site, addition));
            }
            None => notes
                .push(format!("the bias of {} stays: no batch normalization tells the mean of its input", site.layer)),
        }
    }
    Ok((layers, notes))
}
