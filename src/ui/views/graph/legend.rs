//! What the colours mean, or why there are none.

use super::board::Board;
use crate::ui::session::ColorBy;
use crate::ui::session::playground::Measurement;
use crate::ui::{format, use_session};
use leptos::prelude::*;

/// The ramp with its ends; for a measure without figures the way to get them.
#[component]
pub fn Legend(
    /// What the parts share.
    board: Board,
) -> impl IntoView {
    let session = use_session();
    let measures = session.playground.measures;
    let by = session.graph.color_by;
    let ends = Memo::new(move |_| {
        board.shading.with(|shading| {
            let shading = shading.as_ref()?;
            let (weak, strong) = shading.ends()?;
            Some((shading.title(), shading.words(weak), shading.words(strong)))
        })
    });
    let ramp = move || {
        ends.get().map(|(title, weak, strong)| {
            let words = format!("{title}: from {weak} to {strong}");
            view! {
                <div class="net-legend" role="img" aria-label=words>
                    <span>{title}</span><span class="num">{weak}</span><i></i><span class="num">{strong}</span>
                </div>
            }
        })
    };
    let measured = move || by.get().is_measured();
    let running = move || measures.running.get() == Some(Measurement::LayerErrors);
    let no_run = move || session.result.with(Option::is_none) && measures.scope.get().source.is_none();
    // On what, and whether that is still so.
    let note = move || {
        if !session.has_table() {
            return Some("Open a quantized model beside the float one: its errors colour the boxes.".to_owned());
        }
        let now = session.playground.subject(session.run_revision.get());
        let of = session.workspace.with(|workspace| {
            let model = session.playground.model.get();
            workspace.models.iter().find(|open| Some(open.id) == model).map(|model| model.name.clone())
        });
        let revision = session.workspace.with(|workspace| workspace.revision);
        measures.layer_errors.with(|taken| match taken {
            Some(taken) if taken.workspace == revision => {
                let images = match taken.answer.count {
                    1 => "1 image".to_owned(),
                    count => format!("{} images", format::grouped(count as u64)),
                };
                let old = if taken.subject == now { "" } else { ", measured before the last change" };
                Some(format!("{} on {images}{old}", of.unwrap_or_default()))
            }
            _ if no_run() => Some("Run an input (R): then the error of every layer can be measured.".to_owned()),
            _ => Some("Not measured yet.".to_owned()),
        })
    };
    view! {
        {ramp}
        <Show when=measured>
            <p class="net-note" role="status" aria-label="Measure">{note}</p>
            <Show when=move || session.has_table()>
                <button type="button" class="small" disabled=move || running() || no_run()
                    on:click=move |_| session.measure(Measurement::LayerErrors)>
                    {move || if running() { "Measuring…" } else { "Measure layer error" }}
                </button>
            </Show>
        </Show>
        <Show when=move || by.get() != ColorBy::None && !measured() && ends.with(Option::is_none)>
            <p class="net-note" role="status" aria-label="Measure">"No layer of this model has a parameter of numbers."</p>
        </Show>
    }
}
