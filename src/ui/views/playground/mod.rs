//! The playground: change a scale and watch the answer move.
//!
//! Left what is seen (the tensor in three versions, what the model says, the error of every layer and where it comes
//! from), right what is held in hand (the editor, findings, what is taken home). On a narrow screen the editor comes
//! right under the histogram.

mod before_after;
mod channels;
mod codes;
pub(super) mod describe;
mod editor;
mod fields;
mod findings;
mod histogram;
mod history;
mod layer_error;
mod ledger;
mod measure_head;
mod outcomes;
mod residuals;
mod rows;
mod scope;
mod sensitivity;
pub(super) mod table;
mod take_home;
mod values;

use super::Dot;
use crate::ui::session::playground::quantized;
use crate::ui::turns::Later;
use crate::ui::use_session;
use crate::worker::{ModelId, ModelSummary};
use before_after::BeforeAndAfter;
use editor::Editor;
use findings::Findings;
use layer_error::LayerError;
use ledger::{ErrorLedger, ErrorSources};
use leptos::prelude::*;
use residuals::Residuals;
use scope::ScopeBar;
use sensitivity::Sensitivity;
use take_home::TakeHome;

/// The tab.
#[component]
pub fn PlaygroundView() -> impl IntoView {
    let session = use_session();
    let playground = session.playground;
    let there = Memo::new(move |_| playground.table.with(Option::is_some));
    view! {
        <Show when=move || !session.has_table()>
            <p class="empty card">"Open a quantized model first, best beside its float original. Its scales, zero points and bits can be changed here, and what every change does is seen at once."</p>
        </Show>
        <Show when=move || session.has_table()>
            <Title />
            <Show when=move || there.get() fallback=move || view! {
                <p class="hint" role="status">{move || if playground.absent.get() {
                    "This model could not be lifted into a float graph and a table; the message above says why."
                } else {
                    "Lifting the model into a float graph and its quantization table…"
                }}</p>
            }>
                <div class="playground">
                    <div class="play-main"><BeforeAndAfter /></div>
                    <div class="play-side">
                        <Editor />
                        <Later><ErrorSources /></Later>
                        <Later><TakeHome /></Later>
                        <Later><Findings /></Later>
                    </div>
                    <div class="play-more">
                        <ScopeBar />
                        <Later><LayerError /></Later>
                        <Later><ErrorLedger /></Later>
                        <Later><Sensitivity /></Later>
                        <Later><Residuals /></Later>
                        <Later><AsWritten /></Later>
                    </div>
                </div>
            </Show>
        </Show>
    }
}

/// Which model and layer, and how far they are off.
#[component]
fn Title() -> impl IntoView {
    let session = use_session();
    let playground = session.playground;
    let models = Memo::new(move |_| {
        session.workspace.with(|workspace| quantized(workspace).cloned().collect::<Vec<ModelSummary>>())
    });
    let layer = move || {
        session.workspace.with(|workspace| {
            let row = playground.row()?;
            let layer = workspace.layers.get(row.layer?)?;
            Some((layer.name.clone(), format!("{} {}", layer.op, layer.detail)))
        })
    };
    let name = move || layer().map(|(name, _)| name).or_else(|| playground.tensor.get());
    let figures = move || {
        let tensor = playground.tensor.get()?;
        playground.measures.layer_errors.with(|taken| {
            let row = taken.as_ref()?.answer.rows.iter().find(|row| row.tensor == tensor)?;
            let cumulative = row.cumulative.as_ref().map(describe::sqnr);
            Some((cumulative, describe::sqnr(&row.local)))
        })
    };
    view! {
        <div class="title">
            <h2 class="name">{name}</h2>
            <span class="sub">{move || layer().map(|(_, detail)| detail)}</span>
            <span class="grow"></span>
            {move || figures().map(|(cumulative, local)| view! {
                <span class="sub">{cumulative.map(|cumulative| view! { "cumulative "<b>{cumulative}</b>" · " })}"local "<b>{local}</b></span>
            })}
            <ModelChoice models />
        </div>
    }
}

/// Which quantized model, where there are several.
#[component]
fn ModelChoice(
    /// Those that are open.
    models: Memo<Vec<ModelSummary>>,
) -> impl IntoView {
    let session = use_session();
    let chosen = session.playground.model;
    let edits = move |model: ModelId| session.playground.edits.with(|edits| edits.get(&model).copied().unwrap_or(0));
    let choose = move |value: String| {
        if let Ok(model) = value.parse::<ModelId>() {
            chosen.set(Some(model));
        }
    };
    view! {
        <span class="inline">
            {move || chosen.get().map(|model| view! { <Dot model /> })}
            <label for="playground-model" class="visually-hidden">"Model"</label>
            <select id="playground-model" disabled=move || models.with(Vec::len) < 2 on:change=move |event| choose(event_target_value(&event))>
                {move || models.get().into_iter().map(|model| {
                    let id = model.id;
                    let mark = move || if edits(id) > 0 { " ●" } else { "" };
                    view! { <option value=id.to_string() selected=move || chosen.get() == Some(id)>{model.name}{mark}</option> }
                }).collect_view()}
            </select>
        </span>
    }
}

/// Nodes that stay as the file has them.
#[component]
fn AsWritten() -> impl IntoView {
    let session = use_session();
    let nodes = Memo::new(move |_| {
        session.playground.table.with(|table| table.as_ref().map(|table| table.as_written.clone()).unwrap_or_default())
    });
    view! {
        <Show when=move || nodes.with(|nodes| !nodes.is_empty())>
            <details class="card">
                <summary>{move || format!("{} nodes run as the file has them", nodes.with(Vec::len))}</summary>
                <ul class="plain">
                    {move || nodes.get().into_iter().take(200).map(|node| view! { <li><b class="value">{node.node}</b>" "{node.op}": "{node.reason}</li> }).collect_view()}
                </ul>
            </details>
        </Show>
    }
}
