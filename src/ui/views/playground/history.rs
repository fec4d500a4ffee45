//! What has been edited, and the way back.

use super::describe;
use crate::ui::use_session;
use leptos::prelude::*;

/// Undo, redo, reset.
#[component]
pub fn HistoryButtons() -> impl IntoView {
    let session = use_session();
    let playground = session.playground;
    let can_undo = Memo::new(move |_| playground.can_undo());
    let can_redo = Memo::new(move |_| playground.can_redo());
    let dirty =
        Memo::new(move |_| playground.table.with(|table| table.as_ref().is_some_and(|table| table.history.dirty)));
    view! {
        <span class="history-buttons">
            <button type="button" class="small" title="Ctrl Z" disabled=move || !can_undo.get() on:click=move |_| session.undo()>"Undo"</button>
            <button type="button" class="small" title="Ctrl Shift Z" disabled=move || !can_redo.get() on:click=move |_| session.redo()>"Redo"</button>
            <button type="button" class="small" title="Every tensor as in the file" disabled=move || !dirty.get() on:click=move |_| session.reset()>"Reset"</button>
        </span>
    }
}

/// Every edit by name; those that were taken back stand grey behind.
#[component]
pub fn HistoryList() -> impl IntoView {
    let playground = use_session().playground;
    let history = Memo::new(move |_| {
        playground.table.with(|table| {
            table.as_ref().map(|table| (table.history.entries.clone(), table.history.applied, table.history.dirty))
        })
    });
    let entries =
        move || history.with(|history| history.as_ref().map(|(entries, ..)| entries.clone()).unwrap_or_default());
    let applied = move || history.with(|history| history.as_ref().map_or(0, |(_, applied, _)| *applied));
    let dirty = move || history.with(|history| history.as_ref().is_some_and(|(.., dirty)| *dirty));
    view! {
        <Show when=move || !entries().is_empty() fallback=|| view! { <p class="hint">"Nothing is edited yet: the model is as in its file."</p> }>
            <details class="history" open>
                <summary>{move || describe::count(applied(), "edit")}{move || dirty().then(|| view! { <b class="edit">" ●"</b> })}</summary>
                <ol aria-label="History">
                    {move || entries().into_iter().enumerate().map(|(place, entry)| {
                        let undone = move || place >= applied();
                        let last = move || place + 1 == applied();
                        view! { <li class:undone=undone aria-current=move || last().then_some("step")>{entry}{move || undone().then(|| view! { <span class="visually-hidden">" (taken back)"</span> })}</li> }
                    }).collect_view()}
                </ol>
            </details>
        </Show>
    }
}
