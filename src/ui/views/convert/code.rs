//! The code in a model file.

use super::Code;
use crate::ui::views::controls::Choice;
use crate::worker::ConversionCard;
use leptos::prelude::*;

/// The region; nothing for a file without code.
#[component]
pub fn SourceCode(
    /// What is known of the model.
    card: ReadSignal<Option<ConversionCard>>,
) -> impl IntoView {
    let path = RwSignal::new(String::new());
    let codes = Memo::new(move |_| card.with(|card| card.as_ref().map(|card| card.code.clone()).unwrap_or_default()));
    let paths = move || codes.get().into_iter().map(|(path, _)| (path.clone(), path)).collect::<Vec<_>>();
    let shown = Memo::new(move |_| {
        codes
            .with(|codes| codes.iter().find(|(own, _)| *own == path.get()).or(codes.first()).cloned())
            .unwrap_or_default()
    });
    view! {
        {move || codes.with(|codes| !codes.is_empty()).then(|| view! {
            <section class="card" aria-label="Source code">
                <header class="card-head"><h3>"Source code"</h3><small>"as it is in the file; read, never executed"</small></header>
                <div class="tools form">
                    <Choice label="File" choices=Signal::derive(paths) value=Signal::derive(move || shown.get().0) choose=move |chosen: String| path.set(chosen) />
                </div>
                <Code label="source code" text=Signal::derive(move || shown.get().1) />
            </section>
        })}
    }
}
