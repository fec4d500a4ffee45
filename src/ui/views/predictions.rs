//! What the models made of the input.

use super::Dot;
use crate::ui::turns::in_turn;
use crate::ui::{format, roles, use_session};
use crate::worker::{ModelRun, RunResult};
use leptos::prelude::*;

/// The card with predictions and what can be saved of a run.
#[component]
pub fn Results() -> impl IntoView {
    let session = use_session();
    let result = in_turn(session.result);
    view! {
        <section class="card" aria-label="Results">
            <header class="card-head"><h3>"Predictions"</h3><small>{move || session.result.with(|result| result.as_ref().map(|result| result.input.clone()))}</small></header>
            {move || match result.get() {
                Some(result) => view! { <Predictions result /> }.into_any(),
                None => view! { <p class="hint">"Run an input: the classes with their probabilities stand here, all open variants side by side, and every intermediate tensor is kept for the Layer tab."</p> }.into_any(),
            }}
            <Exports />
        </section>
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
    let class_name = move |index: usize| {
        names.as_ref().and_then(|names| names.get(index).cloned()).unwrap_or_else(|| format!("class {index}"))
    };
    let models = session.workspace.with_untracked(|workspace| workspace.models.clone());
    let runs: Vec<_> = result
        .outcomes
        .iter()
        .filter_map(|outcome| {
            Some((models.iter().find(|model| model.id == outcome.model)?.clone(), outcome.result.clone().ok()?))
        })
        .collect();
    let truth = result.label.map(|label| class_name(label as usize));
    let depth = runs
        .iter()
        .filter_map(|(_, run)| run.predictions.as_ref().map(|predictions| predictions.top.len()))
        .max()
        .unwrap_or(0);
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
    let header = runs
        .iter()
        .map(|(model, _)| {
            view! {
                <th scope="col"><Dot model=model.id />" "{model.name.clone()}</th>
            }
        })
        .collect_view();
    let colour =
        move |model| session.workspace.with_untracked(|workspace| roles::role_of(workspace, model).css_variable());
    let rows = (0..depth)
        .map(|rank| {
            let cells = runs.iter().map(|(model, run)| cell(&colour(model.id), run, rank)).collect_view();
            view! { <tr><th scope="row">{rank + 1}</th>{cells}</tr> }
        })
        .collect_view();
    let times = runs
        .iter()
        .map(|(_, run)| {
            view! {
                <td class="hint">{format!("{}, {} tensors kept", format::duration(run.run_ms), run.captured)}</td>
            }
        })
        .collect_view();
    let other = runs.iter().filter(|(_, run)| run.predictions.is_none()).map(|(model, run)| {
        let outputs = run.outputs.iter().map(|port| format!("{} {}[{}]", port.name, port.dtype, port.shape.join(", "))).collect::<Vec<_>>();
        view! { <p class="hint">{format!("{}: the output is not a vector of class scores: {}. Its values stand on the Layer tab.", model.name, outputs.join("; "))}</p> }
    }).collect_view();
    let random = runs.iter().filter(|(_, run)| !run.random_inputs.is_empty()).map(|(model, run)| {
        view! { <p class="hint">{format!("{}: no array for '{}': random values were taken there, so its answer says little.", model.name, run.random_inputs.join("', '"))}</p> }
    }).collect_view();
    view! {
        {random}
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
            result
                .iter()
                .flat_map(|result| &result.outcomes)
                .filter(|outcome| outcome.result.is_ok())
                .map(|outcome| outcome.model)
                .collect()
        });
        session.workspace.with(|workspace| {
            workspace.models.iter().filter(|model| ran.contains(&model.id)).cloned().collect::<Vec<_>>()
        })
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
