//! Accuracy on a data set: figures, classes, confusion, and the images that flip.

mod classes;
mod confusion;
mod figures;
mod microscope;
mod report;
mod setup;

use crate::export::{EvaluatedModel, Thresholds};
use crate::ui::session::EvaluationState;
use crate::ui::use_session;
use classes::Classes;
use confusion::Confusion;
use figures::Figures;
use leptos::prelude::*;
use microscope::Microscope;
use report::Reports;
use setup::Setup;

/// The evaluation and its figures, computed once for all the cards below.
#[derive(Clone, PartialEq)]
struct Shown {
    state: EvaluationState,
    evaluated: Vec<EvaluatedModel>,
}

/// The tab.
#[component]
pub fn EvaluateView() -> impl IntoView {
    let session = use_session();
    let thresholds = RwSignal::new(Thresholds::default());
    let shown = Memo::new(move |_| {
        session
            .evaluation
            .with(|state| state.as_ref().map(|state| Shown { state: state.clone(), evaluated: state.evaluated() }))
    });
    view! {
        <div class="evaluate">
            <section class="card" aria-label="Evaluate">
                <header class="card-head"><h3>"Evaluate"</h3><small>"every chosen model on every image, on all cores"</small></header>
                <Setup thresholds />
                {move || shown.with(Option::is_some).then(|| view! { <Figures shown thresholds /> })}
            </section>
            {move || shown.with(Option::is_some).then(|| view! {
                <Classes shown thresholds />
                <Confusion shown />
                <Microscope />
                <Reports shown thresholds />
            })}
        </div>
    }
}
