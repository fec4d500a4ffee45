//! The figures of all models, and what follows from them.

use super::Shown;
use crate::export::{EvaluatedModel, Thresholds, p_text, percent_text, recommendation};
use crate::ui::format;
use crate::ui::views::Dot;
use leptos::prelude::*;

/// A row per model; flags; the recommendation.
#[component]
pub fn Figures(
    /// The evaluation.
    shown: Memo<Option<Shown>>,
    /// When a figure is flagged.
    thresholds: RwSignal<Thresholds>,
) -> impl IntoView {
    let seen = move || {
        shown.with(|shown| {
            shown.as_ref().map(|shown| {
                let done: usize = shown.state.models.iter().map(|model| model.scores.len()).sum();
                let total = shown.state.count * shown.state.models.len();
                let rate = format!("{:.0} images/s", shown.state.rate);
                if shown.state.running {
                    format!(
                        "{} of {} · {rate} · partial results",
                        format::grouped(done as u64),
                        format::grouped(total as u64)
                    )
                } else if done < total {
                    format!(
                        "stopped after {} of {} · {rate}",
                        format::grouped(done as u64),
                        format::grouped(total as u64)
                    )
                } else {
                    format!("{} images each · {rate}", format::grouped(shown.state.count as u64))
                }
            })
        })
    };
    let rows = move || {
        shown.with(|shown| {
            let shown = shown.as_ref();
            let ids = shown.iter().flat_map(|shown| &shown.state.models).map(|own| own.model.id);
            let evaluated = shown.iter().flat_map(|shown| &shown.evaluated);
            let baseline = shown.and_then(|shown| shown.evaluated.first()).map_or(0, |first| first.size_bytes);
            ids.zip(evaluated).enumerate().map(|(at, (id, model))| row(id, model, baseline, at == 0)).collect_view()
        })
    };
    let flags = move || {
        let limits = thresholds.get();
        shown.with(|shown| {
            let evaluated = shown.iter().flat_map(|shown| &shown.evaluated);
            evaluated
                .flat_map(|model| model.flags(&limits).into_iter().map(|flag| format!("{}: {flag}", model.model)))
                .collect::<Vec<_>>()
        })
    };
    let advice = move || {
        let limits = thresholds.get();
        shown.with(|shown| {
            let shown = shown.as_ref().filter(|shown| !shown.state.running)?;
            recommendation(&shown.evaluated, &limits).map(|(_, why)| why)
        })
    };
    view! {
        <p class="hint" role="status" aria-label="Evaluation progress">{seen}</p>
        <div class="scroll-x" tabindex="0">
            <table class="data" aria-label="Accuracy">
                <thead><tr>
                    <th scope="col">"model"</th><th scope="col" class="num">"correct"</th><th scope="col" class="num">"accuracy"</th>
                    <th scope="col">"95 % interval"</th><th scope="col" class="num" title="in points, on the images that both have seen">"change"</th><th scope="col" class="num">"McNemar p"</th>
                    <th scope="col" class="num">"top 2"</th><th scope="col" class="num">"top 5"</th><th scope="col" class="num">"cross-entropy"</th>
                    <th scope="col" class="num">"size"</th><th scope="col" class="num">"smaller by"</th>
                </tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
        <ul class="flags" aria-label="Flags">{move || flags().into_iter().map(|flag| view! { <li>{flag}</li> }).collect_view()}</ul>
        {move || advice().map(|why| view! { <p class="advice" role="note" aria-label="Recommendation"><b>"Recommendation. "</b>{why}</p> })}
    }
}

fn row(id: u32, model: &EvaluatedModel, baseline_bytes: u64, is_baseline: bool) -> impl IntoView + use<> {
    let evaluation = &model.evaluation;
    let overall = evaluation.overall;
    let interval = evaluation
        .interval
        .map_or_else(String::new, |interval| format!("{:.2} … {:.2} %", 100.0 * interval.low, 100.0 * interval.high));
    let comparison = model.comparison.as_ref();
    let change = match comparison {
        Some(comparison) => format!("{:+.2}", comparison.points),
        None if is_baseline => "baseline".to_owned(),
        None => "—".to_owned(),
    };
    let p = comparison.map(|comparison| p_text(comparison.mcnemar.p_value));
    let top = |k: usize| evaluation.top_k.get(k - 1).map(percent_text);
    let smaller = 100.0 * (1.0 - model.size_bytes as f64 / baseline_bytes.max(1) as f64);
    view! {
        <tr>
            <th scope="row"><Dot model=id />" "{model.model.clone()}</th>
            <td class="num">{format!("{} of {}", format::grouped(overall.correct), format::grouped(overall.total))}</td>
            <td class="num"><b>{percent_text(&overall)}</b></td>
            <td>{interval}</td>
            <td class="num">{change}</td>
            <td class="num">{p}</td>
            <td class="num">{top(2)}</td>
            <td class="num">{top(5)}</td>
            <td class="num">{evaluation.cross_entropy.map(|value| format!("{value:.4}"))}</td>
            <td class="num">{format::bytes(model.size_bytes)}</td>
            <td class="num">{(!is_baseline).then(|| format!("{smaller:.1} %"))}</td>
        </tr>
    }
}
