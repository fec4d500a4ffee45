//! The head of a measured card: what was measured, whether it is old, and the way to measure it again.

use super::table::Exports;
use crate::export::{Table, TableError};
use crate::ui::session::playground::{Measurement, Taken};
use crate::ui::{format, use_session};
use leptos::prelude::*;

/// A measurement's heading: what it is of, whether it is old, the way to measure it, and its exports.
#[component]
pub fn MeasureHead(
    /// The heading.
    title: &'static str,
    /// What its button says.
    measure: &'static str,
    /// Which measurement.
    what: Measurement,
    /// Its state.
    #[prop(into)]
    state: Signal<State>,
    /// The name of exported files.
    stem: &'static str,
    /// The whole table, for the exports.
    export: Callback<(), Option<Result<Table, TableError>>>,
) -> impl IntoView {
    let session = use_session();
    let playground = session.playground;
    let running = move || playground.measures.running.get() == Some(what);
    let note = move || {
        let state = state.get();
        let images = state.images.map(|count| {
            if count == 1 { "1 image".to_owned() } else { format!("{} images", format::grouped(count as u64)) }
        });
        let took = state.took_ms.map(format::duration);
        images.into_iter().chain(took).collect::<Vec<_>>().join(" · ")
    };
    let mark = move || match state.get() {
        State { images: None, .. } => None,
        State { images: Some(count), part_of: Some(all), .. } => {
            let images =
                if count == 1 { "image".to_owned() } else { format!("{} images", format::grouped(count as u64)) };
            Some(format!("the first {images} of {}", format::grouped(all as u64)))
        }
        State { current: false, .. } => Some("measured before the last change".to_owned()),
        State { complete: false, .. } if !running() => Some("stopped before the end".to_owned()),
        _ => None,
    };
    let no_run = move || session.result.with(Option::is_none) && playground.measures.scope.get().source.is_none();
    view! {
        <header class="card-head">
            <h3>{title}</h3>
            <span class="head-tools">
                <small>{note}</small>
                {move || mark().map(|mark| view! { <span class="badge warn">{mark}</span> })}
                <button type="button" class="small" disabled=move || running() || no_run() title=move || no_run().then_some("Run an input first, or choose a data set to measure on")
                    on:click=move |_| session.measure(what)>{move || if running() { "Measuring…" } else { measure }}</button>
                <Exports title stem export />
            </span>
        </header>
    }
}

/// What a measurement's heading says of its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct State {
    /// How many images; `None` without an answer.
    images: Option<usize>,
    /// Whether it is of what is there now.
    current: bool,
    /// Of how many images it has taken the first, to keep up with a drag.
    part_of: Option<usize>,
    complete: bool,
    took_ms: Option<f64>,
}

/// The state of an answer.
pub fn state_of<T: Send + Sync + 'static>(
    answer: RwSignal<Option<Taken<T>>>,
    count: impl Fn(&T) -> usize + Copy + Send + Sync + 'static,
) -> Signal<State> {
    let session = use_session();
    Memo::new(move |_| {
        let now = session.playground.subject(session.run_revision.get());
        answer.with(|taken| {
            taken.as_ref().map_or(State::default(), |taken| State {
                images: Some(count(&taken.answer)),
                current: taken.subject == now,
                part_of: taken.subject.is_part_of(&now).then_some(now.images()),
                complete: taken.complete,
                took_ms: taken.complete.then_some(taken.took_ms),
            })
        })
    })
    .into()
}
