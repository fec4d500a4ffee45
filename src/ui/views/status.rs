//! The status line: the worker, the running job, what can be promised.

use crate::ui::session::{Engine, JobStatus};
use crate::ui::{format, use_session};
use crate::worker::{ModelId, Semantics};
use leptos::prelude::*;

/// The line at the bottom.
#[component]
pub fn StatusLine() -> impl IntoView {
    let session = use_session();
    let state = move || match (session.engine.get(), session.job.with(Option::is_some)) {
        (Engine::Loading, _) => ("loading the engine", "busy"),
        (Engine::Broken(_), _) => ("the engine did not start", "bad"),
        (Engine::Ready, true) => ("working", "busy"),
        (Engine::Ready, false) => ("ready", "good"),
    };
    view! {
        <footer class="status">
            <span class="state" role="status" aria-label="Engine"><span class=move || format!("dot is-{}", state().1)></span>" "{move || state().0}</span>
            {move || session.job.get().map(|job| view! { <Job job /> })}
            {move || session.playground.restored.get().map(|restored| view! { <Restored edits=restored.edits model=restored.model /> })}
            <div class="grow"></div>
            <span class="wide-only">"semantics " <b>{move || match session.semantics.get() {
                Semantics::Simulate => "simulate",
                Semantics::Integer => "integer",
            }}</b></span>
            <span class="wide-only">"nothing leaves this machine"</span>
        </footer>
    }
}

/// Edits of an earlier visit, and the way back from them.
#[component]
fn Restored(
    /// How many.
    edits: usize,
    /// Of which model.
    model: ModelId,
) -> impl IntoView {
    let session = use_session();
    let name = session.workspace.with_untracked(|workspace| {
        workspace.models.iter().find(|open| open.id == model).map(|model| model.name.clone())
    });
    let what = if edits == 1 { "1 edit".to_owned() } else { format!("{edits} edits") };
    view! {
        <span role="status" aria-label="Restored edits">{format!("{what} of an earlier visit applied to {}", name.unwrap_or_default())}</span>
        <button type="button" class="ghost" on:click=move |_| session.discard_restored()>"Discard"</button>
    }
}

/// The running job: what, how far, how long still, and the way out.
#[component]
fn Job(
    /// The job.
    job: JobStatus,
) -> impl IntoView {
    let session = use_session();
    let (done, total) = job.steps;
    let share = if total > 0 { done as f64 / total as f64 } else { 0.0 };
    let steps =
        (total > 1).then(|| format!(" · {} of {}", format::grouped(done as u64), format::grouped(total as u64)));
    let left = job.remaining_ms.filter(|_| total > 1).map(|left| format!(" · {} left", format::duration(left)));
    view! {
        <span class="job">{job.label.clone()}{steps}{left}</span>
        <div class="progress" class:busy=total == 0 role="progressbar" aria-label="Progress" aria-valuemin="0" aria-valuemax="100"
            aria-valuenow=(total > 0).then(|| format!("{:.0}", share * 100.0))>
            <u style:width=(total > 0).then(|| format!("{:.1}%", share * 100.0))></u>
        </div>
        <button type="button" class="ghost" disabled=job.cancelling on:click=move |_| session.cancel()>
            {if job.cancelling { "Cancelling" } else { "Cancel" }}
        </button>
    }
}
