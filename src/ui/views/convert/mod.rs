//! Other formats: what a model was made of, other options and forms, and proofs that nothing was lost.

mod check;
mod code;
mod options;
mod parity;
mod reference;

use super::Welcome;
use crate::ui::{Session, View, use_session};
use check::Check;
use code::SourceCode;
use leptos::prelude::*;
use options::Options;
use parity::ParityCard;
pub use reference::ReferenceTask;

/// The tab.
#[component]
pub fn ConvertView() -> impl IntoView {
    let session = use_session();
    let there = move || session.workspace.with(|workspace| !workspace.models.is_empty());
    let several = move || session.workspace.with(|workspace| workspace.models.len() > 1);
    let card = session.conversion_card().answer;
    view! {
        <div class="convert">
            {move || there().then(|| view! {
                <Options card />
                <Check card />
                {move || several().then(|| view! { <ParityCard /> })}
                <SourceCode card />
            })}
            {move || (!there()).then(|| view! { <Welcome view=View::Convert /> })}
            <section class="card" aria-label="Repeat the reference task"><ReferenceTask /></section>
        </div>
    }
}

/// Opens a layer of the tree; nothing where a row has none.
fn open_layer(session: Session, name: &str) {
    if !name.is_empty() {
        session.select(name, None);
        session.show(View::Layer);
    }
}

/// A text that can be copied but not changed.
#[component]
fn Code(
    /// Its name.
    label: &'static str,
    /// The text.
    #[prop(into)]
    text: Signal<String>,
) -> impl IntoView {
    let session = use_session();
    view! {
        <div class="code">
            <pre tabindex="0" role="group" aria-label=label>{move || text.get()}</pre>
            <button type="button" class="small" aria-label=format!("Copy {label}") on:click=move |_| session.copy(text.get_untracked())>"Copy"</button>
        </div>
    }
}
