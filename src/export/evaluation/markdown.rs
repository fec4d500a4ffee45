//! The report as Markdown.

use super::{EvaluatedModel, Thresholds, p_text, percent_text, recommendation};
use std::fmt::Write;

/// A table of the models, one of the classes, what is flagged, and the recommendation.
pub fn evaluation_markdown(models: &[EvaluatedModel], thresholds: &Thresholds) -> String {
    let mut text = String::from("# Evaluation\n\n");
    let mut line = |content: String| {
        text.push_str(&content);
        text.push('\n');
    };
    if let Some(first) = models.first() {
        line(format!("Data: {}. Changes are against {}.\n", first.data, first.model));
    }
    line("| model | backend | size | correct | accuracy | 95 % interval | change | McNemar p |".to_owned());
    line("|---|---|---:|---:|---:|---|---:|---:|".to_owned());
    for model in models {
        let overall = model.evaluation.overall;
        let interval = model.evaluation.interval.map_or_else(String::new, |interval| {
            format!("{:.2} to {:.2} %", 100.0 * interval.low, 100.0 * interval.high)
        });
        let (change, p) = model.comparison.as_ref().map_or((String::new(), String::new()), |comparison| {
            (format!("{:+.2}", comparison.points), p_text(comparison.mcnemar.p_value))
        });
        line(format!(
            "| {} | {} | {} | {} of {} | {} | {interval} | {change} | {p} |",
            escaped(&model.model),
            model.backend,
            kilobytes(model.size_bytes),
            overall.correct,
            overall.total,
            percent_text(&overall),
        ));
    }
    if let Some(first) = models.first() {
        let mut head = String::from("\n| class |");
        let mut rule = String::from("|---|");
        for model in models {
            let _ = write!(head, " {} |", escaped(&model.model));
            rule.push_str("---:|");
        }
        line(head);
        line(rule);
        for (at, class) in first.evaluation.per_class.iter().enumerate() {
            let mut row = format!("| {} |", escaped(&class.class_name));
            for model in models {
                let cell = model.evaluation.per_class.get(at).map_or_else(String::new, |class| {
                    format!(
                        "{} ({} of {})",
                        percent_text(&class.fraction),
                        class.fraction.correct,
                        class.fraction.total
                    )
                });
                let _ = write!(row, " {cell} |");
            }
            line(row);
        }
    }
    let flags: Vec<String> = models
        .iter()
        .flat_map(|model| {
            model.flags(thresholds).into_iter().map(|flag| format!("- {}: {flag}", escaped(&model.model)))
        })
        .collect();
    if !flags.is_empty() {
        line(format!("\n## Flagged\n\n{}", flags.join("\n")));
    }
    if let Some((_, why)) = recommendation(models, thresholds) {
        line(format!("\n## Recommendation\n\n{}", escaped(&why)));
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
}

/// 1 KB is 1000 bytes.
pub(super) fn kilobytes(bytes: u64) -> String {
    format!("{:.1} KB", bytes as f64 / 1000.0)
}
