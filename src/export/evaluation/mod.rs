//! The evaluation report: JSON, CSV, Markdown and a page that needs nothing else.

mod csv;
mod html;
mod json;
mod markdown;

pub use csv::evaluation_csv;
pub use html::evaluation_html;
pub use json::{ClassReport, EvaluationReport, evaluation_json};
pub use markdown::evaluation_markdown;

use crate::analysis::{Comparison, Evaluation};
use serde::{Deserialize, Serialize};

/// Version of the report's fields.
pub const EVALUATION_SCHEMA_VERSION: u32 = 1;

/// One model's evaluation as the exporters take it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluatedModel {
    /// File name of the model.
    pub model: String,
    /// Name of the data set.
    pub data: String,
    /// What computed it: "quantscope simulate" or "quantscope integer".
    pub backend: String,
    /// Size of the model's file.
    pub size_bytes: u64,
    /// The figures.
    pub evaluation: Evaluation,
    /// Against the first model of the report; `None` for that one.
    pub comparison: Option<Comparison>,
}

/// When a figure is flagged.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// A drop of the accuracy by more than this many points.
    pub drop_points: f64,
    /// An accuracy below this many percent.
    pub accuracy_percent: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Thresholds { drop_points: 5.0, accuracy_percent: 85.0 }
    }
}

impl EvaluatedModel {
    /// What is wrong with it, in words; empty where nothing is.
    pub fn flags(&self, thresholds: &Thresholds) -> Vec<String> {
        let mut flags = Vec::new();
        let percent = 100.0 * self.evaluation.overall.accuracy;
        if self.evaluation.overall.total > 0 && percent < thresholds.accuracy_percent {
            flags.push(format!("accuracy {percent:.2} % is under {} %", thresholds.accuracy_percent));
        }
        if let Some(comparison) = &self.comparison {
            if -comparison.points > thresholds.drop_points {
                flags.push(format!(
                    "{:.2} points below the baseline, more than {}",
                    -comparison.points, thresholds.drop_points
                ));
            }
            for class in comparison.per_class.iter().filter(|class| -class.points > thresholds.drop_points) {
                flags.push(format!("{}: {:.2} points below the baseline", class.class_name, -class.points));
            }
        }
        flags
    }
}

/// Which model to take, and why: the smallest one among those within the thresholds whose difference from the baseline
/// may be chance (McNemar p >= 0.05) or is a gain; without such, the one that loses least.
pub fn recommendation(models: &[EvaluatedModel], thresholds: &Thresholds) -> Option<(usize, String)> {
    let baseline = models.first()?;
    let percent = |model: &EvaluatedModel| 100.0 * model.evaluation.overall.accuracy;
    let overall_ok = |model: &EvaluatedModel| {
        let drop = model.comparison.as_ref().map_or(0.0, |comparison| -comparison.points);
        percent(model) >= thresholds.accuracy_percent && drop <= thresholds.drop_points
    };
    let others = || models.iter().enumerate().skip(1);
    let even = |model: &EvaluatedModel| {
        model
            .comparison
            .as_ref()
            .is_none_or(|comparison| comparison.points >= 0.0 || comparison.mcnemar.p_value >= 0.05)
    };
    let smallest = |pick: &dyn Fn(&EvaluatedModel) -> bool| {
        let fitting = others().filter(|(_, model)| pick(model));
        // Of equal sizes the more accurate one.
        fitting.min_by(|(_, a), (_, b)| a.size_bytes.cmp(&b.size_bytes).then(percent(b).total_cmp(&percent(a))))
    };
    let reduction =
        |model: &EvaluatedModel| 100.0 * (1.0 - model.size_bytes as f64 / baseline.size_bytes.max(1) as f64);
    let facts = |model: &EvaluatedModel| {
        let comparison = model.comparison.as_ref();
        format!(
            "{:.2} % correct ({:+.2} points, McNemar p = {:.3}), {:.1} % smaller than {}",
            percent(model),
            comparison.map_or(0.0, |comparison| comparison.points),
            comparison.map_or(1.0, |comparison| comparison.mcnemar.p_value),
            reduction(model),
            baseline.model
        )
    };
    if let Some((at, model)) = smallest(&|model| overall_ok(model) && even(model)) {
        return Some((
            at,
            format!("{}: {}; its difference from the baseline may be chance.", model.model, facts(model)),
        ));
    }
    if let Some((at, model)) = smallest(&overall_ok) {
        return Some((at, format!("{}: {}; it loses something, within the thresholds.", model.model, facts(model))));
    }
    let (at, model) = others().max_by(|(_, a), (_, b)| percent(a).total_cmp(&percent(b)))?;
    Some((at, format!("None is within the thresholds. {} loses least: {}.", model.model, facts(model))))
}
