//! Each row of the table switched off alone, and on alone.

use super::super::model::OpenModel;
use super::super::{Failure, Job, Service};
use super::measure::{Item, add, output};
use super::runs::{Runs, engine_fault};
use super::session::Session;
use crate::analysis::{OutputFacts, QualitySums};
use crate::engine::{EngineError, LivePlan};
use crate::quant::table::Row;
use crate::worker::protocol::{Images, PlaygroundReply, Reply, SensitivityReport, SensitivityRow};

/// A partial answer at most this often.
const PARTIAL_EVERY_MS: f64 = 400.0;

/// Sums of one row, on and off.
#[derive(Clone, Copy, Default)]
struct Switched {
    off: QualitySums,
    on: QualitySums,
    measured: bool,
}

/// Everything summed so far.
struct Progress {
    images: Images,
    count: usize,
    quantized: QualitySums,
    float: QualitySums,
    rows: Vec<Switched>,
    facts: Option<OutputFacts>,
}

impl Service {
    /// Measures every row that is on. Image by image, and in an image row by row: only what is downstream of the row is
    /// computed, on the image's values that are there.
    pub(super) async fn sensitivity(
        &self,
        session: &mut Session,
        model: &OpenModel,
        images: Images,
        job: &impl Job,
    ) -> Result<SensitivityReport, Failure> {
        let (images, items) = self.items(session, model, images)?;
        let Some(kept) = session.runs.as_ref().map(Runs::keep) else { return Err(Failure::Cancelled) };
        let rows: Vec<Row> = session.edited.rows.iter().filter(|row| row.enabled).cloned().collect();
        let mut progress = Progress {
            images,
            count: 0,
            quantized: QualitySums::default(),
            float: QualitySums::default(),
            rows: vec![Switched::default(); rows.len()],
            facts: None,
        };
        let done = self.switch_rows(session, model, &rows, &items, &mut progress, job).await;
        if let Some(runs) = session.runs.as_mut() {
            runs.give_back(&kept);
        }
        done?;
        Ok(report(session, &rows, &progress))
    }

    async fn switch_rows(
        &self,
        session: &mut Session,
        model: &OpenModel,
        rows: &[Row],
        items: &[Item],
        progress: &mut Progress,
        job: &impl Job,
    ) -> Result<(), Failure> {
        let fault = |error: EngineError| engine_fault(&error);
        let mut told_ms = job.now_ms();
        let total = items.len() * rows.len();
        for (done, item) in items.iter().enumerate() {
            let float_model = session.float_model;
            let Some(runs) = session.runs.as_mut() else { return Err(Failure::Cancelled) };
            let inputs = self.item_input(runs, model, item)?;
            self.run_reference(runs, float_model, &inputs, item)?;
            runs.float.run(&inputs).map_err(fault)?;
            runs.edited.run(&inputs).map_err(fault)?;
            progress.facts = session.score_facts(model);
            let facts = progress.facts;
            let Some(reference) = session.reference_output() else { return Err(Failure::Cancelled) };
            let Some(runs) = session.runs.as_mut() else { return Err(Failure::Cancelled) };
            add(&mut progress.quantized, &reference, &output(&runs.edited), facts, item.label);
            add(&mut progress.float, &reference, &output(&runs.float), facts, item.label);
            let base = runs.keep();
            for (position, row) in rows.iter().enumerate() {
                if !job.checkpoint("Switching each row", done * rows.len() + position, total).await {
                    return Err(Failure::Cancelled);
                }
                let Some(runs) = session.runs.as_mut() else { return Err(Failure::Cancelled) };
                let off = switched(&mut runs.edited, &Row { enabled: false, ..row.clone() }).map_err(fault)?;
                let on = switched(&mut runs.float, row).map_err(fault)?;
                runs.give_back(&base);
                if let Some(sums) = progress.rows.get_mut(position) {
                    add(&mut sums.off, &reference, &off, facts, item.label);
                    add(&mut sums.on, &reference, &on, facts, item.label);
                    sums.measured = true;
                }
                // In the first image rows come one by one; later ones make all rows better together.
                let now_ms = job.now_ms();
                let whole = position + 1 == rows.len();
                progress.count = done + usize::from(whole || done == 0);
                if now_ms - told_ms >= PARTIAL_EVERY_MS
                    && (whole || done == 0)
                    && done + 1 < items.len() + usize::from(!whole)
                {
                    told_ms = now_ms;
                    let partial = PlaygroundReply::Sensitivity(report(session, rows, progress));
                    job.partial(Reply::Playground(Box::new(partial)));
                }
            }
            progress.count = done + 1;
        }
        Ok(())
    }
}

/// The output with a row changed.
fn switched(live: &mut LivePlan, row: &Row) -> Result<Vec<f32>, EngineError> {
    live.set_row(row)?;
    live.rerun()?;
    Ok(output(live))
}

fn report(session: &Session, rows: &[Row], progress: &Progress) -> SensitivityReport {
    let measured = rows.iter().zip(&progress.rows).filter(|(_, sums)| sums.measured);
    SensitivityReport {
        images: progress.images,
        count: progress.count,
        total: rows.len(),
        quantized: progress.quantized.quality(),
        float: progress.float.quality(),
        rows: measured
            .map(|(row, sums)| SensitivityRow {
                tensor: row.tensor.clone(),
                kind: row.kind,
                layer: session.layers.get(&row.tensor).copied(),
                off: sums.off.quality(),
                on: sums.on.quality(),
            })
            .collect(),
    }
}
