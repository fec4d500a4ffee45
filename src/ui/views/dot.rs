//! The spot of colour that stands for a model.

use crate::ui::{roles, use_session};
use crate::worker::ModelId;
use leptos::prelude::*;

/// A model's colour, the same as in every chart.
#[component]
pub fn Dot(
    /// Which model.
    model: ModelId,
) -> impl IntoView {
    let session = use_session();
    let colour = move || session.workspace.with(|workspace| roles::role_of(workspace, model).css_variable());
    view! { <span class="dot" style:background=colour aria-hidden="true"></span> }
}
