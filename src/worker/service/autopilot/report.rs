//! What the page is told of a search.

use super::super::Job;
use super::super::feed::Feed;
use super::search::Search;
use crate::analysis::{Fraction, wilson_95};
use crate::quant::autopilot::{Split, Standing, front};
use crate::worker::protocol::{AutopilotOrder, AutopilotPoint, AutopilotReport, ChosenModel, Share};

/// Right of total, with its interval.
pub fn of(correct: u64, total: u64) -> Share {
    Share { fraction: Fraction::new(correct, total), interval: wilson_95(correct, total) }
}

/// A report without candidates.
pub fn begun(
    order: &AutopilotOrder,
    calibration: &Feed<'_>,
    measurement: &Feed<'_>,
    split: &Split,
    measured: usize,
    labels: &[Option<u32>],
) -> AutopilotReport {
    let selected = split.selection.len();
    AutopilotReport {
        target: order.target,
        stage: String::new(),
        float_selection: Fraction::default(),
        float_measured: Share::default(),
        float_bytes: calibration.model.source.len(),
        selected_on: format!("{selected} images of {} that did not calibrate", calibration.source.name),
        measured_on: format!("{measured} images of {}", measurement.source.name),
        labelled: labels.iter().any(Option::is_some),
        points: Vec::new(),
        chosen: None,
    }
}

impl<J: Job> Search<'_, J> {
    /// The candidates as the page shows them.
    pub fn points(&self) -> Vec<AutopilotPoint> {
        let whole: Vec<Standing> = self
            .trials
            .iter()
            .map(|trial| match trial.seen == self.images() {
                true => self.standing(trial),
                false => Standing::default(),
            })
            .collect();
        let on_front = front(&whole);
        let point = |(trial, on_front): (&super::search::Trial, bool)| AutopilotPoint {
            label: trial.recipe.label(),
            bytes: trial.bytes,
            selection: of(trial.correct, trial.seen as u64),
            drop_points: self.standing(trial).drop_points(),
            output_sqnr_db: trial.sums.quality().output_sqnr_db,
            measured: trial.measured.map(|(correct, total)| of(correct, total)),
            on_front,
        };
        self.trials.iter().zip(on_front).map(point).collect()
    }

    /// The chosen model and why it is it.
    pub fn told(&self, chosen: usize, stopped: bool) -> Option<ChosenModel> {
        let trial = self.trials.get(chosen)?;
        let (standing, target) = (self.standing(trial), &self.order.target);
        let (fits, keeps) = (target.fits(&standing), target.keeps(&standing));
        let right = if self.report.labelled { "right" } else { "as the float model says" };
        let mut why = vec![
            format!("Of {} candidates: {}.", self.trials.len(), trial.recipe.label()),
            format!(
                "{} bytes, of at most {}{}.",
                trial.bytes,
                target.max_bytes,
                if fits { "" } else { ": nothing that was tried is small enough" }
            ),
            format!(
                "On {}, which chose: {} of {} {right}, {:.2} points {} the float model, of at most {} below{}.",
                self.report.selected_on,
                standing.correct,
                standing.total,
                standing.drop_points().abs(),
                if standing.drop_points() < 0.0 { "above" } else { "below" },
                target.max_drop_points,
                if keeps { "" } else { ": nothing that is small enough loses less" }
            ),
        ];
        if fits && keeps {
            why.push("Among those that meet both, its output is nearest to the float model's.".to_owned());
        }
        if let Some((correct, total)) = trial.measured {
            let measured = of(correct, total);
            let float = self.report.float_measured.fraction.correct;
            let interval = measured.interval.map_or(String::new(), |interval| {
                format!(" (95 % interval {:.2} to {:.2} %)", 100.0 * interval.low, 100.0 * interval.high)
            });
            why.push(format!(
                "On {}, which chose nothing: {correct} of {total} {right}, {:.2} %{interval}; the float model {float}. \
                 Measured on the file as it is written.",
                self.report.measured_on,
                measured.fraction.percent().unwrap_or(0.0)
            ));
        }
        if stopped {
            why.push("The search was stopped: this is the best so far.".to_owned());
        }
        Some(ChosenModel {
            point: chosen,
            recipe: trial.recipe.clone(),
            name: format!("{}_autopilot.onnx", self.feed.model.summary.name),
            why,
            target_met: fits && keeps,
            stopped,
            notes: self.prepared.iter().chain(&trial.notes).cloned().collect(),
        })
    }
}
