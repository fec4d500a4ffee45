//! The list behind `?`.

use super::ReferenceTask;
use crate::ui::keyboard::SHORTCUTS;
use leptos::prelude::*;

/// A dialog with every shortcut.
#[component]
pub fn Shortcuts(
    /// Whether it is open.
    open: RwSignal<bool>,
) -> impl IntoView {
    let dialog = NodeRef::<leptos::html::Dialog>::new();
    Effect::new(move |_| {
        let Some(dialog) = dialog.get() else { return };
        if open.get() {
            // Refused only where it is open already.
            let _ = dialog.show_modal();
        } else {
            dialog.close();
        }
    });
    let keys = SHORTCUTS.map(|(keys, what)| view! { <kbd>{keys}</kbd><span>{what}</span> });
    view! {
        <dialog node_ref=dialog aria-labelledby="shortcuts-title" on:close=move |_| open.set(false)>
            <h2 id="shortcuts-title">"Keyboard"</h2>
            <div class="keys">{keys.into_iter().collect_view()}</div>
            <ReferenceTask />
            <div class="dialog-foot"><button type="button" on:click=move |_| open.set(false)>"Close"</button></div>
        </dialog>
    }
}
