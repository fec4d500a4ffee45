//! The input of a run and how it is computed.

use super::controls::Check;
use super::predictions::Results;
use super::preprocess::PreprocessEditor;
use crate::platform;
use crate::ui::turns::Later;
use crate::ui::{format, use_session};
use crate::worker::{InputChoice, Picture, Reply, Request, Semantics, SourceKind, SourceSummary};
use leptos::prelude::*;

/// The tab with the input on the left and what the models say of it on the right.
#[component]
pub fn RunView() -> impl IntoView {
    let session = use_session();
    let nothing = move || session.workspace.with(|workspace| workspace.models.is_empty());
    view! {
        <Show when=nothing>
            <p class="empty card">"Open a model first: drop an .onnx file anywhere. Then choose an input here and run it through every open variant at once."</p>
        </Show>
        <div class="run">
            <section class="card" aria-label="Input">
                <header class="card-head"><h3>"Input"</h3></header>
                <Later><InputPicker /></Later>
                <Later><PreprocessEditor /></Later>
                <SemanticsChoice />
                <p class="hint">{move || blocked(session)}</p>
            </section>
            <Later><Results /></Later>
        </div>
    }
}

/// Why models cannot run, by node.
fn blocked(session: crate::ui::Session) -> Option<String> {
    session.workspace.with(|workspace| {
        let blocked = workspace.models.iter().filter(|model| !model.unsupported.is_empty());
        let line = |model: &crate::worker::ModelSummary| {
            let nodes: Vec<String> =
                model.unsupported.iter().take(5).map(|node| format!("{} ({})", node.node, node.op_type)).collect();
            format!("{} cannot run: {}", model.name, nodes.join(", "))
        };
        let lines: Vec<String> = blocked.map(line).collect();
        (!lines.is_empty()).then(|| lines.join("; "))
    })
}

/// A sample of an open data set, an image, an array, or seeded random values.
#[component]
fn InputPicker() -> impl IntoView {
    let session = use_session();
    let sources = move || session.workspace.with(|workspace| workspace.sources.clone());
    let chosen_source = move || {
        let chosen = session.input.get().and_then(|input| input.source());
        sources().into_iter().find(|open| Some(open.id) == chosen)
    };
    let whole = move || matches!(session.input.get(), Some(InputChoice::Whole { .. }));
    let index = move || match session.input.get() {
        Some(InputChoice::Item { index, .. }) => index,
        _ => 0,
    };
    let seed = move || match session.input.get() {
        Some(InputChoice::Random { seed }) => seed,
        _ => 0,
    };
    let choose = move |value: String| {
        let source = value.parse::<u32>().ok().and_then(|id| sources().into_iter().find(|open| open.id == id));
        session.input.set(Some(source.map_or(InputChoice::Random { seed: 0 }, |source| source.first_input())));
    };
    let step_to = move |source: &SourceSummary, index: usize| {
        let index = index.min(source.count.saturating_sub(1));
        session.input.set(Some(InputChoice::Item { source: source.id, index }));
    };
    view! {
        <div class="field stacked">
            <label for="input-source">"source"</label>
            <select id="input-source" on:change=move |event| choose(event_target_value(&event))>
                {move || sources().into_iter().map(|source| {
                    let id = source.id;
                    view! { <option value=id.to_string() selected=move || chosen_source().is_some_and(|open| open.id == id)>{source.name}</option> }
                }).collect_view()}
                <option value="random" selected=move || chosen_source().is_none()>"Seeded random values"</option>
            </select>
        </div>
        {move || match chosen_source() {
            Some(source) => {
                let (back, on, typed) = (source.clone(), source.clone(), source.clone());
                let (id, is_array) = (source.id, source.kind == SourceKind::Array);
                let take_whole = move |on: bool| session.input.set(Some(match on {
                    true => InputChoice::Whole { source: id },
                    false => InputChoice::Item { source: id, index: 0 },
                }));
                view! {
                    {is_array.then(|| view! { <Check label="The whole array in one run" value=Signal::derive(whole) choose=take_whole /> })}
                    <div class="field" hidden=whole>
                        <label for="input-index">"item"</label>
                        <div class="stepper">
                            <button type="button" aria-label="Previous item" on:click=move |_| step_to(&back, index().saturating_sub(1))>"‹"</button>
                            <input id="input-index" type="number" min="0" max=source.count.saturating_sub(1).to_string() prop:value=move || index().to_string()
                                on:change=move |event| step_to(&typed, event_target_value(&event).parse().unwrap_or(0)) />
                            <button type="button" aria-label="Next item" on:click=move |_| step_to(&on, index() + 1)>"›"</button>
                            <span class="hint">{format!("of {}", format::grouped(source.count as u64))}</span>
                        </div>
                    </div>
                    <Thumbnail />
                }.into_any()
            }
            None => view! {
                <div class="field">
                    <label for="input-seed">"seed"</label>
                    <input id="input-seed" type="number" min="0" prop:value=move || seed().to_string()
                        on:change=move |event| session.input.set(Some(InputChoice::Random { seed: event_target_value(&event).parse().unwrap_or(0) })) />
                </div>
            }.into_any(),
        }}
    }
}

/// The chosen image as it is in the data set.
#[component]
fn Thumbnail() -> impl IntoView {
    let session = use_session();
    let picture = session.query(
        move || match session.input.get()? {
            InputChoice::Item { source, index } => Some(Request::Thumbnail { source, index }),
            InputChoice::Whole { .. } | InputChoice::Random { .. } => None,
        },
        |reply, blob| match (reply, blob) {
            (Reply::Picture(picture), Some(pixels)) => Some((picture, pixels)),
            _ => None,
        },
    );
    let canvas = NodeRef::<leptos::html::Canvas>::new();
    Effect::new(move |_| {
        if let (Some((Picture { width, height }, pixels)), Some(canvas)) = (picture.answer.get(), canvas.get()) {
            // A picture that cannot be painted leaves the canvas empty; the run does not depend on it.
            let _ = platform::canvas::put_pixels(&canvas, width, height, &pixels);
        }
    });
    view! { <canvas class="thumbnail" node_ref=canvas role="img" aria-label="The chosen input image"
    hidden=move || picture.answer.with(Option::is_none)></canvas> }
}

/// How quantized operators are computed.
#[component]
fn SemanticsChoice() -> impl IntoView {
    let session = use_session();
    let option = move |semantics: Semantics, label: &'static str, meaning: &'static str| {
        let on = move || session.semantics.get() == semantics;
        view! {
            <button type="button" aria-pressed=move || on().to_string() title=meaning on:click=move |_| session.semantics.set(semantics)>{label}</button>
        }
    };
    view! {
        <div class="field">
            <span id="semantics-label">"semantics"</span>
            <div class="seg" role="group" aria-labelledby="semantics-label">
                {option(Semantics::Simulate, "simulate", "f32 between DequantizeLinear and QuantizeLinear: ONNX Runtime with graph optimizations off")}
                {option(Semantics::Integer, "integer", "integer kernels, as ONNX Runtime's QOperator kernels and an int8 device compute")}
            </div>
        </div>
    }
}
