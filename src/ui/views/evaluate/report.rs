//! The report, to take home.

use super::Shown;
use crate::export::{Thresholds, evaluation_csv, evaluation_html, evaluation_json, evaluation_markdown};
use crate::ui::use_session;
use leptos::prelude::*;

/// Buttons for the four forms.
#[component]
pub fn Reports(
    /// The evaluation.
    shown: Memo<Option<Shown>>,
    /// When a figure is flagged.
    thresholds: RwSignal<Thresholds>,
) -> impl IntoView {
    let session = use_session();
    let save = move |form: &'static str| {
        let limits = thresholds.get_untracked();
        shown.with_untracked(|shown| {
            let Some(shown) = shown else { return };
            let models = &shown.evaluated;
            let (media_type, text) = match form {
                "json" => ("application/json", evaluation_json(models).unwrap_or_default()),
                "csv" => ("text/csv", evaluation_csv(models).and_then(|table| table.to_csv()).unwrap_or_default()),
                "md" => ("text/markdown", evaluation_markdown(models, &limits)),
                _ => ("text/html", evaluation_html(models, &limits)),
            };
            session.save_text(&format!("evaluation.{form}"), media_type, &text);
        });
    };
    view! {
        <div class="actions" role="group" aria-label="Evaluation report">
            <button type="button" on:click=move |_| save("json")>"Report JSON"</button>
            <button type="button" on:click=move |_| save("csv")>"Report CSV"</button>
            <button type="button" on:click=move |_| save("md")>"Report Markdown"</button>
            <button type="button" on:click=move |_| save("html")>"Report HTML"</button>
        </div>
    }
}
