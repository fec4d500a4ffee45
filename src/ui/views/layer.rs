//! Everything about the selected layer.

use super::activations::Activations;
use super::channels::ChannelCharts;
use super::distribution::WeightDistribution;
use super::predictions::Results;
use crate::ui::turns::Later;
use crate::ui::use_session;
use leptos::prelude::*;

/// The second tab.
#[component]
pub fn LayerView() -> impl IntoView {
    let session = use_session();
    let selected = Memo::new(move |_| {
        session.workspace.with(|workspace| {
            session.selection.with(|selection| selection.layer_in(workspace).map(|(_, row)| row.clone()))
        })
    });
    let missing = move || {
        let name = session.selection.with(|selection| selection.layer.clone())?;
        let open = session.workspace.with(|workspace| !workspace.layers.is_empty());
        (open && selected.with(Option::is_none)).then(|| format!("No open model has a layer called {name}."))
    };
    view! {
        {move || selected.get().map(|row| view! {
            <div class="title">
                <h2 class="name">{row.name.clone()}</h2>
                <span class="sub">{row.op.clone()}" "{row.detail.clone()}</span>
            </div>
        })}
        <Show when=move || selected.with(Option::is_none)>
            <p class="empty card">{move || missing().unwrap_or_else(|| "Choose a layer on the left: its weights, its scales and, after a run, what it puts out are shown here.".to_owned())}</p>
        </Show>
        <Show when=move || selected.with(|row| row.as_ref().is_some_and(|row| !row.parameters.is_empty()))>
            <Later><WeightDistribution /></Later>
            <Later><ChannelCharts /></Later>
        </Show>
        <Show when=move || selected.with(Option::is_some)>
            <Later><Activations /></Later>
            <Show when=move || session.result.with(Option::is_some)><Later><Results /></Later></Show>
        </Show>
    }
}
