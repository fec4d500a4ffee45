//! Messages about what went wrong.

use crate::problem::Problem;
use crate::ui::use_session;
use leptos::prelude::*;

/// The messages that the user has not taken away, newest first.
#[component]
pub fn Problems() -> impl IntoView {
    let session = use_session();
    view! {
        <div class="problems" role="alert" aria-label="Problems">
            {move || session.problems.get().into_iter().enumerate().rev().map(|(position, problem)| view! {
                <Message problem />
                <button type="button" class="ghost" aria-label="Dismiss" on:click=move |_| session.dismiss(position)>"×"</button>
            }).map(|message| view! { <div class="problem">{message}</div> }).collect_view()}
        </div>
    }
}

/// One message: file, place, found, expected, what to do.
#[component]
pub fn Message(
    /// What went wrong.
    problem: Problem,
) -> impl IntoView {
    let Problem { file, place, found, expected, advice } = problem;
    view! {
        <div class="message">
            <b>{file}</b>" "<span class="muted">{place}</span>
            <dl class="facts">
                <dt>"found"</dt><dd>{found}</dd>
                <dt>"expected"</dt><dd>{expected}</dd>
            </dl>
            <p>{advice}</p>
        </div>
    }
}
