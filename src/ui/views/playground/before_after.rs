//! Original, edited and float side by side.

use super::histogram::TensorHistogram;
use super::outcomes::{Logits, VersionPredictions};
use super::values::Values;
use crate::ui::turns::Later;
use crate::ui::use_session;
use leptos::prelude::*;

/// The region: the tensor, what the model says, the numbers.
#[component]
pub fn BeforeAndAfter() -> impl IntoView {
    let session = use_session();
    let ran = Memo::new(move |_| session.result.with(Option::is_some));
    view! {
        <section class="stack" aria-label="Before and after">
            <TensorHistogram />
            <Show when=move || ran.get() fallback=move || view! {
                <p class="card hint">"Run an input, and what the float, the original and the edited model say of it stands here. "
                    <button type="button" class="small" on:click=move |_| session.run()>"Run an input"</button></p>
            }>
                <div class="two">
                    <VersionPredictions />
                    <Later><Logits /></Later>
                </div>
            </Show>
            <Later><Values /></Later>
        </section>
    }
}
