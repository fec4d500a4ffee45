//! The error of every tensor over many images.

use super::super::model::OpenModel;
use super::super::{Failure, Job, Service};
use super::measure::Item;
use super::runs::engine_fault;
use super::session::Session;
use crate::analysis::{ErrorMetrics, ErrorSums, error_metrics};
use crate::engine::LivePlan;
use crate::quant::TensorKind;
use crate::quant::table::Row;
use crate::worker::protocol::{Images, LayerErrorRow};

/// The sums of one row in one version.
#[derive(Clone, Copy, Default)]
struct RowSums {
    local: ErrorSums,
    cumulative: Option<ErrorSums>,
}

impl RowSums {
    fn metrics(&self) -> (ErrorMetrics, Option<ErrorMetrics>) {
        (self.local.metrics(), self.cumulative.map(|sums| sums.metrics()))
    }
}

impl Service {
    /// The error of every row, in graph order.
    pub(super) async fn layer_errors(
        &self,
        session: &mut Session,
        model: &OpenModel,
        images: Images,
        job: &impl Job,
    ) -> Result<(Images, usize, Vec<LayerErrorRow>), Failure> {
        let (images, items) = self.items(session, model, images)?;
        let Some(kept) = session.runs.as_ref().map(super::runs::Runs::keep) else { return Err(Failure::Cancelled) };
        let done = self.sum_errors(session, model, &items, job).await;
        if let Some(runs) = session.runs.as_mut() {
            runs.give_back(&kept);
        }
        let (edited, original) = done?;
        let dirty = !session.dirty_rows().is_empty();
        let mut rows = Vec::with_capacity(session.edited.rows.len());
        for ((row, edited), original) in session.edited.rows.iter().zip(edited).zip(original) {
            let (local, cumulative) = match row.constant {
                Some(_) => constant_errors(row),
                None => edited.metrics(),
            };
            let in_file = session.original.row(&row.tensor).filter(|_| dirty);
            let original =
                in_file.map(|row| if row.constant.is_some() { constant_errors(row) } else { original.metrics() });
            rows.push(LayerErrorRow {
                tensor: row.tensor.clone(),
                kind: row.kind,
                layer: session.layers.get(&row.tensor).copied(),
                local,
                cumulative,
                original,
            });
        }
        Ok((images, items.len(), rows))
    }

    /// The sums of every row in the edited and in the original version; of the latter only where anything is edited.
    async fn sum_errors(
        &self,
        session: &mut Session,
        model: &OpenModel,
        items: &[Item],
        job: &impl Job,
    ) -> Result<(Vec<RowSums>, Vec<RowSums>), Failure> {
        let dirty = !session.dirty_rows().is_empty();
        let rows = session.edited.rows.len();
        let (mut edited, mut original) = (vec![RowSums::default(); rows], vec![RowSums::default(); rows]);
        for (done, item) in items.iter().enumerate() {
            if !job.checkpoint("Measuring the error of every tensor", done, items.len()).await {
                return Err(Failure::Cancelled);
            }
            let float_model = session.float_model;
            let Some(runs) = session.runs.as_mut() else { return Err(Failure::Cancelled) };
            let inputs = self.item_input(runs, model, item)?;
            self.run_reference(runs, float_model, &inputs, item)?;
            runs.edited.run(&inputs).map_err(|error| engine_fault(&error))?;
            if dirty {
                runs.original.run(&inputs).map_err(|error| engine_fault(&error))?;
            }
            let session = &*session;
            let Some(runs) = session.runs.as_ref() else { return Err(Failure::Cancelled) };
            for (row, sums) in session.edited.rows.iter().zip(&mut edited) {
                add(session, &runs.edited, row, sums);
            }
            if dirty {
                for (row, sums) in session.original.rows.iter().zip(&mut original) {
                    add(session, &runs.original, row, sums);
                }
            }
        }
        Ok((edited, original))
    }
}

/// Adds a row's values on the image run last. Local is the value as the file has it, in front of its quantizer and of
/// the activation function that the quantizer has absorbed.
fn add(session: &Session, live: &LivePlan, row: &Row, sums: &mut RowSums) {
    if row.constant.is_some() {
        return;
    }
    let plan = live.plan();
    let (Some(made), Some(seen)) = (plan.reals(&row.tensor), plan.seen_reals(&row.tensor)) else { return };
    // Both are of one value, so their lengths agree.
    let _ = sums.local.add(&made, &seen);
    if let Some(float) = session.reference_value(&row.tensor) {
        let mut cumulative = sums.cumulative.unwrap_or_default();
        // A float tensor of another length is not the same tensor.
        if cumulative.add(&float, &seen).is_ok() {
            sums.cumulative = Some(cumulative);
        }
    }
}

/// A constant's floats against what its codes stand for; the same against the float model, where the floats are its own.
pub fn constant_errors(row: &Row) -> (ErrorMetrics, Option<ErrorMetrics>) {
    let floats = row.constant.as_ref().and_then(|constant| constant.float.to_f32().ok());
    let seen = row.seen_constant().and_then(Result::ok).and_then(|seen| seen.to_f32().ok());
    let metrics = floats.zip(seen).and_then(|(floats, seen)| error_metrics(&floats, &seen).ok()).unwrap_or_default();
    let original = row.constant.as_ref().is_some_and(|constant| constant.float_is_original);
    (metrics, (original || row.kind == TensorKind::Activation).then_some(metrics))
}
