//! The evaluation report: JSON, CSV, Markdown and a page that needs nothing else.

mod csv;
mod html;
mod json;
mod markdown;

pub use csv::evaluation_csv;
pub use html::evaluation_html;
pub use json::{ClassReport, EvaluationReport, evaluation_json};
pub use markdown::evaluation_markdown;

use crate::analysis::{Comparison, Evaluation, Fraction};
use crate::export::ModelPreprocessing;
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
    /// How images became its input; `None` where it takes none.
    pub preprocessing: Option<ModelPreprocessing>,
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
        let percent = self.evaluation.overall.percent();
        if let Some(percent) = percent.filter(|percent| *percent < thresholds.accuracy_percent) {
            flags.push(format!("accuracy {percent:.2} % is under {} %", thresholds.accuracy_percent));
        }
        if let Some(comparison) = &self.comparison {
            if -comparison.points > thresholds.drop_points {
                flags.push(format!(
                    "{:.2} points below the baseline, more than {}",
                    -comparison.points, thresholds.drop_points
                ));
            }
            let lost = comparison.per_class.iter().filter_map(|class| Some((class, -class.points?)));
            for (class, points) in lost.filter(|(_, points)| *points > thresholds.drop_points) {
                flags.push(format!("{}: {points:.2} points below the baseline", class.class_name));
            }
        }
        flags
    }
}

/// A p-value for people: three decimals, and "< 0.001" for what they would show as nothing.
pub fn p_text(p_value: f64) -> String {
    if p_value < 0.001 { "< 0.001".to_owned() } else { format!("{p_value:.3}") }
}

/// "87.50 %"; "—" without items.
pub fn percent_text(fraction: &Fraction) -> String {
    fraction.percent().map_or_else(|| "—".to_owned(), |percent| format!("{percent:.2} %"))
}

/// Which model to take, and why: the smallest one among those within the thresholds whose difference from the baseline
/// may be chance (McNemar p >= 0.05) or is a gain; without such, the one that loses least. Models that have seen nothing
/// in common with the baseline take no part.
pub fn recommendation(models: &[EvaluatedModel], thresholds: &Thresholds) -> Option<(usize, String)> {
    let baseline = models.first()?;
    // A model without a comparison has no figures to go by.
    let percent = |model: &EvaluatedModel| model.evaluation.overall.percent().unwrap_or(0.0);
    let overall_ok = |model: &EvaluatedModel| {
        let drop = model.comparison.as_ref().map_or(0.0, |comparison| -comparison.points);
        percent(model) >= thresholds.accuracy_percent && drop <= thresholds.drop_points
    };
    let others = || models.iter().enumerate().skip(1).filter(|(_, model)| model.comparison.is_some());
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
            "{:.2} % correct ({:+.2} points, McNemar p {}), {:.1} % smaller than {}",
            percent(model),
            comparison.map_or(0.0, |comparison| comparison.points),
            comparison.map_or_else(String::new, |comparison| match p_text(comparison.mcnemar.p_value) {
                small if small.starts_with('<') => small,
                number => format!("= {number}"),
            }),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{ItemScore, compare, evaluate, score};

    fn model(name: &str, baseline: Option<&[ItemScore]>, scores: &[ItemScore]) -> EvaluatedModel {
        EvaluatedModel {
            model: name.to_owned(),
            data: "data".to_owned(),
            backend: "quantscope simulate".to_owned(),
            size_bytes: 1000,
            preprocessing: None,
            evaluation: evaluate(scores, &[]),
            comparison: baseline.and_then(|baseline| compare(baseline, scores, &[])),
        }
    }

    /// So many items of class 0, of which `right` are right.
    fn scores(items: u32, right: u32) -> Vec<ItemScore> {
        let outputs = |item| if item < right { [0.9, 0.1] } else { [0.1, 0.9] };
        (0..items).filter_map(|item| score(item, &outputs(item), Some(0), true)).collect()
    }

    #[test]
    fn a_model_that_has_seen_nothing_has_no_figures() {
        let seen = scores(4, 3);
        let models = [model("float", None, &seen), model("int8", Some(&seen), &[])];
        assert_eq!(models[1].flags(&Thresholds::default()), Vec::<String>::new());
        assert_eq!(recommendation(&models, &Thresholds::default()), None);
        let json: serde_json::Value = serde_json::from_str(&evaluation_json(&models).unwrap()).unwrap();
        assert_eq!((&json[1]["overall"]["accuracy"], &json[1]["comparison"]), (&json!(null), &json!(null)));
        assert_eq!(json[0]["overall"]["accuracy"], json!(0.75));
        for text in
            [evaluation_markdown(&models, &Thresholds::default()), evaluation_html(&models, &Thresholds::default())]
        {
            assert!(text.contains('—') && !text.contains("Recommendation") && !text.contains("-75"), "{text}");
        }
        let table = evaluation_csv(&models).and_then(|table| table.to_csv()).unwrap();
        assert!(table.lines().any(|line| line.starts_with("int8,") && line.contains(",all,0,0,,")), "{table}");
    }

    #[test]
    fn a_small_p_value_is_not_nothing() {
        assert_eq!((p_text(0.00099), p_text(0.001), p_text(1.0)), ("< 0.001".into(), "0.001".into(), "1.000".into()));
        // Twenty items that only the baseline gets right: p = 2 / 2^20.
        let seen = scores(20, 20);
        let models = [model("float", None, &seen), model("int8", Some(&seen), &scores(20, 0))];
        let text = evaluation_markdown(&models, &Thresholds::default());
        assert!(
            text.contains("| < 0.001 |") && text.contains("McNemar p < 0.001)") && !text.contains("0.000"),
            "{text}"
        );
        let page = evaluation_html(&models, &Thresholds::default());
        assert!(page.contains("<td>&lt; 0.001") && !page.contains("<td>0.000"), "{page}");
    }

    use serde_json::json;
}
