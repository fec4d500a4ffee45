//! What the user takes home: the model, the edits, and how to repeat them.

use crate::platform::{self, HtmlInputElement};
use crate::ui::use_session;
use crate::worker::{EditsFormat, TableFormat};
use leptos::prelude::*;

/// The card.
#[component]
pub fn TakeHome() -> impl IntoView {
    let session = use_session();
    let playground = session.playground;
    let chosen = RwSignal::new(None::<TableFormat>);
    let written = Memo::new(move |_| playground.table.with(|table| table.as_ref().map(|table| table.format)));
    let format = move || chosen.get().or(written.get()).unwrap_or_default();
    let option = move |value: TableFormat, label: &'static str, hint: &'static str| {
        view! { <button type="button" title=hint aria-pressed=move || (format() == value).to_string() on:click=move |_| chosen.set(Some(value))>{label}</button> }
    };
    let input = NodeRef::<leptos::html::Input>::new();
    let save = move |what: EditsFormat, label: &'static str| {
        view! { <button type="button" class="small" on:click=move |_| session.export_edits(what)>{label}</button> }
    };
    view! {
        <section class="card" aria-label="Take it home">
            <header class="card-head"><h3>"Take it home"</h3></header>
            <div class="actions">
                <div class="seg" role="group" aria-label="ONNX format">
                    {option(TableFormat::Qdq, "QDQ", "QuantizeLinear and DequantizeLinear around float operators")}
                    {option(TableFormat::QOperator, "QOperator", "QLinear operators")}
                </div>
                <button type="button" class="primary" on:click=move |_| session.export_onnx(format())>"Export ONNX"</button>
            </div>
            <p class="hint">"Written, read back, run and compared with what the page shows before it is offered."</p>
            <div class="actions">
                <button type="button" class="small" title="Every tensor of that file on the last input, under its ONNX name, as .npz"
                    on:click=move |_| session.export_edited_activations(format())>"Export edited activations"</button>
            </div>
            <div class="actions">
                {save(EditsFormat::Json, "Export edits")}
                <button type="button" class="small" on:click=move |_| if let Some(input) = input.get() { input.click() }>"Import edits"</button>
                {save(EditsFormat::Overrides, "Export overrides")}
                {save(EditsFormat::Python, "Export Python")}
                <input type="file" hidden accept=".json,application/json" node_ref=input aria-label="Edit list" tabindex="-1" on:change=move |event| {
                    let input: HtmlInputElement = event_target(&event);
                    session.import_edits(platform::files_of_input(&input));
                    // The same file can be chosen again.
                    input.set_value("");
                } />
            </div>
        </section>
    }
}
