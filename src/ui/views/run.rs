//! Input, run, predictions.

use super::Dot;
use super::preprocess::PreprocessEditor;
use crate::platform;
use crate::ui::{format, roles, use_session};
use crate::worker::{InputChoice, ModelRun, Picture, Reply, Request, RunResult, Semantics, SourceSummary};
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
        <div class="two run">
            <section class="card" aria-label="Input">
                <header class="card-head"><h3>"Input"</h3></header>
                <InputPicker />
                <PreprocessEditor />
                <SemanticsChoice />
                <div class="actions">
                    <button type="button" class="primary" disabled=move || !can_run(session) on:click=move |_| session.run()>"Run"</button>
                    <span class="hint">{move || blocked(session)}</span>
                </div>
            </section>
            <section class="card" aria-label="Results">
                <header class="card-head"><h3>"Predictions"</h3><small>{move || session.result.with(|result| result.as_ref().map(|result| result.input.clone()))}</small></header>
                {move || match session.result.get() {
                    Some(result) => view! { <Predictions result /> }.into_any(),
                    None => view! { <p class="empty">"Run an input: the classes with their probabilities stand here, all open variants side by side, and every intermediate tensor is kept for the Layer tab."</p> }.into_any(),
                }}
                <Exports />
            </section>
        </div>
    }
}

/// At least one open model can run, and the engine is there.
fn can_run(session: crate::ui::Session) -> bool {
    session.workspace.with(|workspace| workspace.models.iter().any(|model| model.unsupported.is_empty()))
}

/// Why models cannot run, by node.
fn blocked(session: crate::ui::Session) -> Option<String> {
    session.workspace.with(|workspace| {
        let blocked = workspace.models.iter().filter(|model| !model.unsupported.is_empty());
        let line = |model: &crate::worker::ModelSummary| {
            let nodes: Vec<String> = model.unsupported.iter().take(5).map(|node| format!("{} ({})", node.node, node.op_type)).collect();
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
    let chosen_source = move || match session.input.get() {
        Some(InputChoice::Item { source, .. }) => sources().into_iter().find(|open| open.id == source),
        _ => None,
    };
    let index = move || match session.input.get() {
        Some(InputChoice::Item { index, .. }) => index,
        _ => 0,
    };
    let seed = move || match session.input.get() {
        Some(InputChoice::Random { seed }) => seed,
        _ => 0,
    };
    let choose = move |value: String| match value.parse() {
        Ok(source) => session.input.set(Some(InputChoice::Item { source, index: 0 })),
        Err(_) => session.input.set(Some(InputChoice::Random { seed: 0 })),
    };
    let step_to = move |source: &SourceSummary, index: usize| {
        let index = index.min(source.count.saturating_sub(1));
        session.input.set(Some(InputChoice::Item { source: source.id, index }));
    };
    view! {
        <div class="field">
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
                view! {
                    <div class="field">
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
            InputChoice::Random { .. } => None,
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

/// Classes by falling probability, a column per variant.
#[component]
fn Predictions(
    /// What the run gave.
    result: RunResult,
) -> impl IntoView {
    let session = use_session();
    let names = result.class_names.clone();
    let class_name = move |index: usize| names.as_ref().and_then(|names| names.get(index).cloned()).unwrap_or_else(|| format!("class {index}"));
    let models = session.workspace.with_untracked(|workspace| workspace.models.clone());
    let runs: Vec<_> = result
        .outcomes
        .iter()
        .filter_map(|outcome| Some((models.iter().find(|model| model.id == outcome.model)?.clone(), outcome.result.clone().ok()?)))
        .collect();
    let truth = result.label.map(|label| class_name(label as usize));
    let depth = runs.iter().filter_map(|(_, run)| run.predictions.as_ref().map(|predictions| predictions.top.len())).max().unwrap_or(0);
    let label = result.label;
    let cell = {
        move |colour: &str, run: &ModelRun, rank: usize| {
            let prediction = run.predictions.as_ref().and_then(|predictions| predictions.top.get(rank).cloned());
            prediction.map_or_else(
                || view! { <td></td> }.into_any(),
                |prediction| {
                    let right = label.is_some_and(|label| label as usize == prediction.index);
                    let probability = prediction.probability;
                    view! {
                        <td class:right=right>
                            <div class="pred">
                                <span>{prediction.class}</span>
                                <span class="bar" aria-hidden="true"><u style=format!("width:{:.1}%;background:{colour}", probability * 100.0)></u></span>
                                <span class="mono">{format!("{:.2} %", probability * 100.0)}</span>
                            </div>
                        </td>
                    }.into_any()
                },
            )
        }
    };
    let header = runs.iter().map(|(model, _)| view! {
        <th scope="col"><Dot model=model.id />" "{model.name.clone()}</th>
    }).collect_view();
    let colour = move |model| session.workspace.with_untracked(|workspace| roles::role_of(workspace, model).css_variable());
    let rows = (0..depth).map(|rank| {
        let cells = runs.iter().map(|(model, run)| cell(&colour(model.id), run, rank)).collect_view();
        view! { <tr><th scope="row">{rank + 1}</th>{cells}</tr> }
    }).collect_view();
    let times = runs.iter().map(|(_, run)| view! {
        <td class="hint">{format!("{}, {} tensors kept", format::duration(run.run_ms), run.captured)}</td>
    }).collect_view();
    let other = runs.iter().filter(|(_, run)| run.predictions.is_none()).map(|(model, run)| {
        let outputs = run.outputs.iter().map(|port| format!("{} {}[{}]", port.name, port.dtype, port.shape.join(", "))).collect::<Vec<_>>();
        view! { <p class="hint">{format!("{}: the output is not a vector of class scores: {}. Its values stand on the Layer tab.", model.name, outputs.join("; "))}</p> }
    }).collect_view();
    view! {
        {truth.map(|truth| view! { <p>"label: "<b>{truth}</b></p> })}
        <div class="scroll-x" tabindex="0">
            <table class="data predictions" aria-label="Predictions">
                <thead><tr><th scope="col"><span class="visually-hidden">"rank"</span></th>{header}</tr></thead>
                <tbody>{rows}</tbody>
                <tfoot><tr><th scope="row"><span class="visually-hidden">"time"</span></th>{times}</tr></tfoot>
            </table>
        </div>
        {other}
    }
}

/// What can be saved of a run.
#[component]
fn Exports() -> impl IntoView {
    let session = use_session();
    let models = move || {
        let ran: Vec<_> = session.result.with(|result| {
            result.iter().flat_map(|result| &result.outcomes).filter(|outcome| outcome.result.is_ok()).map(|outcome| outcome.model).collect()
        });
        session.workspace.with(|workspace| workspace.models.iter().filter(|model| ran.contains(&model.id)).cloned().collect::<Vec<_>>())
    };
    let chosen = RwSignal::new(None);
    let current = move || {
        let models = models();
        let chosen = models.iter().find(|model| Some(model.id) == chosen.get()).map(|model| model.id);
        chosen.or_else(|| models.first().map(|model| model.id))
    };
    view! {
        <div class="actions" class:hidden=move || models().is_empty()>
            <label for="export-model">"variant"</label>
            <select id="export-model" on:change=move |event| chosen.set(event_target_value(&event).parse().ok())>
                {move || models().into_iter().map(|model| view! { <option value=model.id.to_string() selected=current() == Some(model.id)>{model.name}</option> }).collect_view()}
            </select>
            <button type="button" on:click=move |_| if let Some(model) = current() { session.export_activations(model) }>"Export activations"</button>
        </div>
    }
}
