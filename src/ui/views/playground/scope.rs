//! The images that everything below is measured on.

use crate::platform::HtmlInputElement;
use crate::ui::session::playground::Scope;
use crate::ui::{format, use_session};
use leptos::prelude::*;

/// Source and number of images.
#[component]
pub fn ScopeBar() -> impl IntoView {
    let session = use_session();
    let scope = session.playground.measures.scope;
    let sources = Memo::new(move |_| {
        session.workspace.with(|workspace| {
            let many = workspace.sources.iter().filter(|source| source.count > 1);
            many.map(|source| (source.id, source.name.clone(), source.count)).collect::<Vec<_>>()
        })
    });
    // A data set that was closed is no longer measured on.
    Effect::new(move |_| {
        let gone = |source| sources.with(|sources| sources.iter().all(|(id, ..)| *id != source));
        if scope.get_untracked().source.is_some_and(gone) {
            session.measure_on(Scope { source: None, count: 1 });
        }
    });
    let usual = Memo::new(move |_| session.usual_source());
    // More than one image can only come from a data set.
    let set_count = move |text: String| {
        if let Ok(count) = text.trim().parse::<usize>() {
            let now = scope.get_untracked();
            let source = if count > 1 { now.source.or(usual.get_untracked()) } else { now.source };
            session.measure_on(Scope { source, count });
        }
    };
    let set_source = move |text: String| {
        let source = text.parse().ok();
        session.measure_on(Scope {
            source,
            count: scope.get_untracked().count.max(if source.is_some() { 16 } else { 1 }),
        });
    };
    let most = move || {
        let source = scope.get().source.or(usual.get());
        sources.with(|sources| sources.iter().find(|(id, ..)| Some(*id) == source).map_or(1, |(.., count)| *count))
    };
    view! {
        <div class="scope" role="group" aria-label="Measured on">
            <h2>"Measured on"</h2>
            <label class="inline">"Images"
                <input type="number" class="mono short" min="1" max=move || most().to_string() prop:value=move || scope.get().count.to_string()
                    on:change=move |event| {
                        set_count(event_target_value(&event));
                        let input: HtmlInputElement = event_target(&event);
                        input.set_value(&scope.get_untracked().count.to_string());
                    } />
            </label>
            <label class="inline">"of"
                <select on:change=move |event| set_source(event_target_value(&event))>
                    <option value="" selected=move || scope.get().source.is_none()>"the last input"</option>
                    {move || sources.get().into_iter().map(|(id, name, count)| {
                        view! { <option value=id.to_string() selected=move || scope.get().source == Some(id)>{format!("{name} ({})", format::grouped(count as u64))}</option> }
                    }).collect_view()}
                </select>
            </label>
            <span class="hint grow">{move || session.playground.table.with(|table| table.as_ref().and_then(|table| table.float_model.is_none().then(|| table.float_words.clone())))}</span>
            <Notes />
        </div>
    }
}

/// Constants whose floats are not the open float model's.
#[component]
fn Notes() -> impl IntoView {
    let session = use_session();
    let notes = Memo::new(move |_| {
        session.playground.table.with(|table| table.as_ref().map(|table| table.notes.clone()).unwrap_or_default())
    });
    view! {
        <Show when=move || notes.with(|notes| !notes.is_empty())>
            <details class="hint">
                <summary>{move || format!("{} constants without the float model's values", notes.with(Vec::len))}</summary>
                <ul class="plain">{move || notes.get().into_iter().take(200).map(|note| view! { <li>{note}</li> }).collect_view()}</ul>
            </details>
        </Show>
    }
}
