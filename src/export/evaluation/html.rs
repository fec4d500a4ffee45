//! The report as one page that needs nothing else: figures, bars and confusion matrices.

use super::markdown::kilobytes;
use super::{EvaluatedModel, Thresholds, p_text, percent_text, recommendation};
use std::fmt::Write;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1b2430;background:#fff}\
table{border-collapse:collapse;margin:1rem 0}th,td{padding:.25rem .6rem;border-bottom:1px solid #d8dee6;text-align:right}\
th:first-child,td:first-child{text-align:left}.bar{background:#0b6aa2;height:.7rem;display:inline-block;vertical-align:middle}\
.flag{color:#a13200}.matrix td{min-width:2.2rem;text-align:center;border:0}figure{margin:1.5rem 0;overflow-x:auto}\
@media(prefers-color-scheme:dark){body{color:#e3e8ee;background:#12171d}th,td{border-color:#333d48}.bar{background:#58b4e8}.flag{color:#ffa27a}}";

/// Renders the page. No script, no link, no request.
pub fn evaluation_html(models: &[EvaluatedModel], thresholds: &Thresholds) -> String {
    let mut page = String::new();
    // Writing into a string cannot fail.
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Evaluation</title><style>{STYLE}</style><h1>Evaluation</h1>"
    );
    if let Some(first) = models.first() {
        let _ = write!(page, "<p>Data: {}. Changes are against {}.</p>", escaped(&first.data), escaped(&first.model));
    }
    page.push_str(
        "<table><thead><tr><th>model<th>backend<th>size<th>correct<th>accuracy<th>95 % interval<th>change<th>McNemar p</tr></thead><tbody>",
    );
    for model in models {
        overall_row(&mut page, model);
    }
    page.push_str("</tbody></table>");
    for model in models {
        for flag in model.flags(thresholds) {
            let _ = write!(page, "<p class=\"flag\">{}: {}</p>", escaped(&model.model), escaped(&flag));
        }
    }
    if let Some((_, why)) = recommendation(models, thresholds) {
        let _ = write!(page, "<h2>Recommendation</h2><p>{}</p>", escaped(&why));
    }
    page.push_str("<h2>Per class</h2>");
    classes(&mut page, models);
    for model in models {
        matrix(&mut page, model);
    }
    page.push_str("</html>\n");
    page
}

fn overall_row(page: &mut String, model: &EvaluatedModel) {
    let overall = model.evaluation.overall;
    let interval = model
        .evaluation
        .interval
        .map_or_else(String::new, |interval| format!("{:.2} to {:.2} %", 100.0 * interval.low, 100.0 * interval.high));
    let (change, p) = model.comparison.as_ref().map_or((String::new(), String::new()), |comparison| {
        (format!("{:+.2}", comparison.points), escaped(&p_text(comparison.mcnemar.p_value)))
    });
    let _ = write!(
        page,
        "<tr><td>{}<td>{}<td>{}<td>{} of {}<td>{}<td>{interval}<td>{change}<td>{p}</tr>",
        escaped(&model.model),
        escaped(&model.backend),
        kilobytes(model.size_bytes),
        overall.correct,
        overall.total,
        percent_text(&overall),
    );
}

fn classes(page: &mut String, models: &[EvaluatedModel]) {
    let Some(first) = models.first() else { return };
    page.push_str("<table><thead><tr><th>class<th>model<th>accuracy<th>correct<th>change</tr></thead><tbody>");
    for (at, class) in first.evaluation.per_class.iter().enumerate() {
        for model in models {
            let Some(own) = model.evaluation.per_class.get(at) else { continue };
            let change = model
                .comparison
                .as_ref()
                .and_then(|comparison| comparison.per_class.get(at)?.points)
                .map_or_else(String::new, |points| format!("{points:+.2}"));
            let _ = write!(
                page,
                "<tr><td>{}<td>{}<td><span class=\"bar\" style=\"width:{:.2}rem\"></span> {}<td>{} of {}<td>{change}</tr>",
                escaped(&class.class_name),
                escaped(&model.model),
                8.0 * own.fraction.accuracy.unwrap_or(0.0),
                percent_text(&own.fraction),
                own.fraction.correct,
                own.fraction.total,
            );
        }
    }
    page.push_str("</tbody></table>");
}

fn matrix(page: &mut String, model: &EvaluatedModel) {
    let classes = model.evaluation.per_class.len();
    if classes == 0 {
        return;
    }
    let _ = write!(
        page,
        "<figure><figcaption>Confusion of {}: rows true, columns predicted</figcaption><table class=\"matrix\"><thead><tr><th>",
        escaped(&model.model)
    );
    for class in &model.evaluation.per_class {
        let _ = write!(page, "<th>{}", escaped(&class.class_name));
    }
    page.push_str("</tr></thead><tbody>");
    for (class, row) in model.evaluation.per_class.iter().zip(model.evaluation.confusion.chunks(classes)) {
        let _ = write!(page, "<tr><th>{}", escaped(&class.class_name));
        for &count in row {
            let share = count as f64 / class.fraction.total.max(1) as f64;
            let _ = write!(page, "<td style=\"background:rgba(11,106,162,{share:.3})\">{count}");
        }
        page.push_str("</tr>");
    }
    page.push_str("</tbody></table></figure>");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
