//! The list behind `?`.

use crate::ui::keyboard::SHORTCUTS;
use leptos::prelude::*;

/// A dialog with every shortcut.
#[component]
pub fn Shortcuts(
    /// Whether it is open.
    open: RwSignal<bool>,
) -> impl IntoView {
    let rows = || SHORTCUTS.map(|(keys, what)| view! { <tr><td><kbd>{keys}</kbd></td><td>{what}</td></tr> });
    Effect::new(move |_| {
        if open.get() {
            crate::platform::focus_element("#shortcuts button");
        }
    });
    view! {
        <Show when=move || open.get()>
            <div class="backdrop" on:click=move |_| open.set(false)>
                <div id="shortcuts" class="dialog card" role="dialog" aria-modal="true" aria-labelledby="shortcuts-title"
                    on:click=|event| event.stop_propagation()>
                    <h2 id="shortcuts-title">"Keyboard"</h2>
                    <table><tbody>{rows().into_iter().collect_view()}</tbody></table>
                    <button type="button" on:click=move |_| open.set(false)>"Close"</button>
                </div>
            </div>
        </Show>
    }
}
