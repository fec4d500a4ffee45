//! Accuracy per class.

use super::Shown;
use crate::export::{Thresholds, percent_text};
use crate::ui::views::Dot;
use crate::ui::{roles, use_session};
use leptos::prelude::*;

/// A row per class, a column per model with the change from the baseline.
#[component]
pub fn Classes(
    /// The evaluation.
    shown: Memo<Option<Shown>>,
    /// When a change is flagged.
    thresholds: RwSignal<Thresholds>,
) -> impl IntoView {
    let session = use_session();
    let head = move || {
        shown.with(|shown| {
            let models = shown.iter().flat_map(|shown| &shown.state.models);
            models
                .map(|own| view! { <th scope="col"><Dot model=own.model.id />" "{own.model.name.clone()}</th> })
                .collect_view()
        })
    };
    let rows = move || {
        let most = thresholds.get().drop_points;
        shown.with(|shown| {
            let evaluated = shown.as_ref().map(|shown| shown.evaluated.as_slice()).unwrap_or_default();
            let classes = evaluated.first().map(|first| first.evaluation.per_class.as_slice()).unwrap_or_default();
            // A bar has the colour that its model has everywhere.
            let ids = shown.iter().flat_map(|shown| &shown.state.models).map(|own| own.model.id);
            let colours: Vec<String> = session.workspace.with(|workspace| {
                ids.map(|id| roles::role_of(workspace, id).css_variable()).collect()
            });
            let cell = |at: usize, model: &crate::export::EvaluatedModel, colour: &str| {
                let class = model.evaluation.per_class.get(at)?;
                let change = model.comparison.as_ref().and_then(|comparison| comparison.per_class.get(at)?.points);
                let percent = class.fraction.percent().unwrap_or(0.0);
                Some(view! {
                    <td class:flagged=change.is_some_and(|points| -points > most)>
                        <span class="bar" aria-hidden="true"><u style=format!("width:{percent:.1}%;background:{colour}")></u></span>
                        <span class="mono">{format!(" {} ", percent_text(&class.fraction))}</span>
                        <small>{format!("{} of {}", class.fraction.correct, class.fraction.total)}</small>
                        {change.map(|points| view! { <b class="mono">{format!(" {points:+.2}")}</b> })}
                    </td>
                })
            };
            classes
                .iter()
                .enumerate()
                .map(|(at, class)| view! {
                    <tr><th scope="row">{class.class_name.clone()}</th>{evaluated.iter().zip(&colours).map(|(model, colour)| cell(at, model, colour)).collect_view()}</tr>
                })
                .collect_view()
        })
    };
    view! {
        <section class="card" aria-label="Per class">
            <header class="card-head"><h3>"Per class"</h3><small>"accuracy, and the change from the baseline in points on the images that both have seen"</small></header>
            <div class="scroll-x" tabindex="0">
                <table class="data classes" aria-label="Accuracy per class">
                    <thead><tr><th scope="col">"class"</th>{head}</tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </section>
    }
}
