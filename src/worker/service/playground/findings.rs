//! What could be better, with one fix each that is kept only when it measures better.

use super::super::model::OpenModel;
use super::super::{Failure, Job, Service};
use super::compare::spread;
use super::layer_errors::constant_errors;
use super::measure::{Item, add, output};
use super::residuals::{joins, only_moves, row_behind};
use super::runs::{Runs, before_rounding, engine_fault};
use super::session::Session;
use crate::analysis::{
    ClippingSums, ErrorSums, Fault, Measured, Quality, QualitySums, mismatched_branches, quantized_twice,
    quantized_two_ways, row_faults,
};
use crate::onnx::NodeExt;
use crate::problem::Problem;
use crate::quant::table::{Change, Edit, Row};
use crate::tensor::Channels;
use crate::worker::protocol::{Finding, Fixed, Images};
use std::collections::HashMap;

/// Values of a tensor kept for choosing a range.
const KEPT_VALUES: usize = 20_000;

/// What was measured on a row.
#[derive(Clone, Default)]
struct RowMeasure {
    /// For each scale of the row.
    spans: Vec<(f32, f32)>,
    clipping: ClippingSums,
    local: ErrorSums,
    values: Vec<f32>,
}

impl RowMeasure {
    fn add(&mut self, before: &[f32], after: &[f32], (channels, reach): (Channels, Vec<(f32, f32)>), images: usize) {
        // A range has to hold 0.
        self.spans.resize(reach.len(), (0.0, 0.0));
        for (index, &value) in before.iter().enumerate().filter(|(_, value)| value.is_finite()) {
            if let Some((low, high)) = self.spans.get_mut(channels.of(index)) {
                (*low, *high) = (low.min(value), high.max(value));
            }
        }
        self.clipping.add(before, after, channels, &reach);
        // Both are of one value, so their lengths agree.
        let _ = self.local.add(before, after);
        let room = (KEPT_VALUES / images.max(1)).max(1);
        self.values.extend(before.iter().step_by(before.len().div_ceil(room).max(1)));
    }
}

impl Service {
    /// Every finding, worst first. Their fixes are kept for [`Service::apply_fix`].
    pub(super) async fn findings(
        &self,
        session: &mut Session,
        model: &OpenModel,
        images: Images,
        job: &impl Job,
    ) -> Result<(Images, usize, Vec<Finding>), Failure> {
        let (images, items) = self.items(session, model, images)?;
        let Some(kept) = session.runs.as_ref().map(Runs::keep) else { return Err(Failure::Cancelled) };
        let found = self.look(session, model, &items, job).await;
        if let Some(runs) = session.runs.as_mut() {
            runs.give_back(&kept);
        }
        let mut found = found?;
        found.sort_by(|a, b| b.1.total_cmp(&a.1));
        session.fixes.clear();
        let mut findings = Vec::with_capacity(found.len());
        for (id, (fault, weight)) in (1u32..).zip(found) {
            let layer = session.layers.get(&fault.tensor).copied();
            let Fault { title, evidence, tensor, fix: (fix, edits) } = fault;
            session.fixes.insert(id, edits);
            findings.push(Finding { id, title, evidence, tensor, layer, fix, weight });
        }
        Ok((images, items.len(), findings))
    }

    async fn look(
        &self,
        session: &mut Session,
        model: &OpenModel,
        items: &[Item],
        job: &impl Job,
    ) -> Result<Vec<(Fault, f64)>, Failure> {
        let mut measures: HashMap<String, RowMeasure> = HashMap::new();
        for (done, item) in items.iter().enumerate() {
            if !job.checkpoint("Looking at every row", done, items.len()).await {
                return Err(Failure::Cancelled);
            }
            let Some(runs) = session.runs.as_mut() else { return Err(Failure::Cancelled) };
            let inputs = self.item_input(runs, model, item)?;
            runs.edited.run(&inputs).map_err(|error| engine_fault(&error))?;
            for row in session.edited.rows.iter().filter(|row| row.constant.is_none()) {
                let plan = runs.edited.plan();
                let (before, after) = (before_rounding(&runs.edited, row), plan.seen_reals(&row.tensor));
                if let (Some(before), Some(after), Some(shape)) = (before, after, plan.shape(&row.tensor)) {
                    let measure = measures.entry(row.tensor.clone()).or_default();
                    measure.add(&before, &after, spread(row, shape), items.len());
                }
            }
        }
        let faults = faults(session, &measures);
        self.weigh(session, model, faults, items, job).await
    }

    /// Ranks faults by the share of the output's error that their rows cause alone.
    async fn weigh(
        &self,
        session: &mut Session,
        model: &OpenModel,
        faults: Vec<Fault>,
        items: &[Item],
        job: &impl Job,
    ) -> Result<Vec<(Fault, f64)>, Failure> {
        let mut whole = QualitySums::default();
        let mut alone = vec![QualitySums::default(); faults.len()];
        for (done, item) in items.iter().enumerate() {
            let Some(runs) = session.runs.as_mut() else { return Err(Failure::Cancelled) };
            let inputs = self.item_input(runs, model, item)?;
            runs.edited.run(&inputs).map_err(|error| engine_fault(&error))?;
            runs.float.run(&inputs).map_err(|error| engine_fault(&error))?;
            let float = output(&runs.float);
            add(&mut whole, &float, &output(&runs.edited), None, None);
            let base = runs.float.snapshot();
            for (fault, sums) in faults.iter().zip(&mut alone) {
                if !job.checkpoint("Weighing what was found", done, items.len()).await {
                    return Err(Failure::Cancelled);
                }
                let Some(row) = session.edited.row(&fault.tensor) else { continue };
                let on = runs.float.set_row(row).and_then(|()| runs.float.rerun());
                on.map_err(|error| engine_fault(&error))?;
                add(sums, &float, &output(&runs.float), None, None);
                runs.float.restore(&base);
            }
        }
        let share =
            |sums: &QualitySums| if whole.noise() > 0.0 { (sums.noise() / whole.noise()).min(1.0) } else { 0.0 };
        let weights: Vec<f64> = alone.iter().map(share).collect();
        Ok(faults.into_iter().zip(weights).collect())
    }

    /// Applies a finding's edits, measures before and after, and takes them back where it is not better.
    pub(super) async fn apply_fix(
        &self,
        session: &mut Session,
        model: &OpenModel,
        finding: u32,
        images: Images,
        job: &impl Job,
    ) -> Result<Fixed, Failure> {
        let began_ms = job.now_ms();
        let edits = session.fixes.get(&finding).cloned().ok_or_else(|| {
            Failure::from(Problem {
                file: model.summary.file.clone(),
                place: format!("finding {finding}"),
                found: "no fix of this number".to_owned(),
                expected: "a finding of the last list, with a fix".to_owned(),
                advice: "Look for findings again.".to_owned(),
            })
        })?;
        let (_, items) = self.items(session, model, images)?;
        let before = self.quality(session, model, &items, "Measuring without the fix", job).await?;
        let name = edits.first().map_or_else(String::new, |edit| format!("Fix: {}", edit.tensor));
        let mark = session.timeline.applied();
        let mut edited = self.edit_all(session, model, &edits, name, job)?;
        if edited.refused.is_some() {
            return Ok(Fixed { finding, before, after: before, kept: false, edited });
        }
        let after = self.quality(session, model, &items, "Measuring with the fix", job).await;
        let kept = matches!(&after, Ok(after) if after.is_better_than(&before));
        if !kept && session.timeline.applied() > mark {
            // It was tried, not done: the history does not speak of it.
            edited = self.take_back(session, model, job)?;
        }
        edited.worker_ms = job.now_ms() - began_ms;
        Ok(Fixed { finding, before, after: after?, kept, edited })
    }

    /// How good the edited version is.
    async fn quality(
        &self,
        session: &mut Session,
        model: &OpenModel,
        items: &[Item],
        words: &str,
        job: &impl Job,
    ) -> Result<Quality, Failure> {
        let Some(kept) = session.runs.as_ref().map(Runs::keep) else { return Err(Failure::Cancelled) };
        let mut sums = QualitySums::default();
        let mut outcome = Ok(());
        for (done, item) in items.iter().enumerate() {
            if !job.checkpoint(words, done, items.len()).await {
                outcome = Err(Failure::Cancelled);
                break;
            }
            if let Err(problem) = self.add_quality(session, model, item, &mut sums) {
                outcome = Err(problem.into());
                break;
            }
        }
        if let Some(runs) = session.runs.as_mut() {
            runs.give_back(&kept);
        }
        outcome.map(|()| sums.quality())
    }

    fn add_quality(
        &self,
        session: &mut Session,
        model: &OpenModel,
        item: &Item,
        sums: &mut QualitySums,
    ) -> Result<(), Problem> {
        let float_model = session.float_model;
        let Some(runs) = session.runs.as_mut() else { return Ok(()) };
        let inputs = self.item_input(runs, model, item)?;
        self.run_reference(runs, float_model, &inputs, item)?;
        runs.edited.run(&inputs).map_err(|error| engine_fault(&error))?;
        let found = output(&runs.edited);
        let facts = session.score_facts(model);
        if let Some(reference) = session.reference_output() {
            add(sums, &reference, &found, facts, item.label);
        }
        Ok(())
    }
}

/// Everything that the rows and the graph show.
fn faults(session: &Session, measures: &HashMap<String, RowMeasure>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for row in &session.edited.rows {
        let measured = match (&row.constant, measures.get(&row.tensor)) {
            (Some(_), _) => constant_measure(row),
            (None, Some(measure)) => (measure.clone(), measure.local.metrics().sqnr_db),
            (None, None) => continue,
        };
        let (RowMeasure { spans, clipping, .. }, local_sqnr_db) = &measured;
        let (clipping, local_sqnr_db) = (clipping.shares(), *local_sqnr_db);
        faults.extend(row_faults(&Measured { row, spans, clipping, local_sqnr_db }));
    }
    share_ranges(session, &mut faults);
    for join in joins(&session.lifted, &session.edited) {
        let rows: Vec<&Row> = join.branches.iter().map(|(_, row)| row).collect();
        let scale = |row: &Row| row.grid.params.scale.first().copied().unwrap_or(0.0);
        let coarse = rows.iter().max_by(|a, b| scale(a).total_cmp(&scale(b)));
        let values =
            coarse.and_then(|row| measures.get(&row.tensor)).map_or(&[][..], |measure| measure.values.as_slice());
        faults.extend(mismatched_branches(&join.node, &rows, values));
    }
    for row in session.edited.rows.iter().filter(|row| row.constant.is_none()) {
        // A row on a value that was rounded before and only moved since.
        let maker = session.lifted.producer_node(&row.tensor).filter(|node| only_moves(node.op_type()));
        let before = maker.and_then(|node| row_behind(&session.lifted, &session.edited, node.input_name(0)?));
        faults.extend(before.and_then(|before| quantized_twice(before, row)));
    }
    faults.extend(rounded_two_ways(session));
    faults
}

/// Values that are rounded in more ways than one, each for readers of its own.
fn rounded_two_ways(session: &Session) -> Vec<Fault> {
    let table = &session.edited;
    let copies = || table.rows.iter().filter(|row| row.enabled && row.constant.is_none());
    let mut faults = Vec::new();
    for (at, row) in copies().enumerate() {
        // A copy of what a row rounds is that row's value rounded twice.
        let Some(source) = row.source.as_ref().filter(|source| table.row(source).is_none()) else { continue };
        let before = copies().take(at).find(|other| other.source.as_ref() == Some(source));
        faults.extend(before.and_then(|before| quantized_two_ways(source, before, row)));
    }
    faults
}

/// Rows of values that are only moved have the range of the value they come from, so they get a new one together: one
/// fault, not two.
fn share_ranges(session: &Session, faults: &mut Vec<Fault>) {
    let mut joined: Vec<String> = Vec::new();
    for fault in faults.iter_mut() {
        let (_, edits) = &mut fault.fix;
        let [edit] = edits.as_slice() else { continue };
        let Change::Range { .. } = edit.change else { continue };
        if joined.contains(&fault.tensor) {
            continue;
        }
        let followers = followers(session, &fault.tensor);
        let moved = followers.iter().map(|tensor| Edit { tensor: tensor.clone(), change: edit.change.clone() });
        let moved: Vec<Edit> = moved.collect();
        edits.extend(moved);
        joined.extend(followers);
    }
    faults.retain(|fault| !joined.contains(&fault.tensor) || fault.fix.1.len() > 1);
}

/// Rows of the same grid on what is made of a row's value by moving it.
fn followers(session: &Session, tensor: &str) -> Vec<String> {
    let Some(first) = session.edited.row(tensor) else { return Vec::new() };
    let mut found: Vec<String> = Vec::new();
    // In graph order, so that a row behind a follower finds it.
    for row in session.edited.rows.iter().filter(|row| row.enabled && row.constant.is_none() && row.grid == first.grid)
    {
        let maker = session.lifted.producer_node(&row.tensor).filter(|node| only_moves(node.op_type()));
        let before = maker.and_then(|node| row_behind(&session.lifted, &session.edited, node.input_name(0)?));
        if before.is_some_and(|before| before.tensor == tensor || found.contains(&before.tensor)) {
            found.push(row.tensor.clone());
        }
    }
    found
}

fn constant_measure(row: &Row) -> (RowMeasure, Option<f64>) {
    let floats = row.constant.as_ref().and_then(|constant| constant.float.to_f32().ok());
    let seen = row.seen_constant().and_then(Result::ok).and_then(|seen| seen.to_f32().ok());
    let mut measure = RowMeasure::default();
    if let (Some(floats), Some(seen), Some(constant)) = (floats, seen, &row.constant) {
        measure.add(&floats, &seen, spread(row, constant.float.shape()), 1);
    }
    (measure, constant_errors(row).0.sqnr_db)
}
