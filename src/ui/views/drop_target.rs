//! Files dropped or pasted anywhere on the page.

use crate::platform;
use crate::platform::{ClipboardEvent, DragEvent};
use crate::ui::use_session;
use leptos::prelude::*;
use leptos::task::spawn_local;

/// The veil that shows while files are dragged over the page.
#[component]
pub fn DropTarget() -> impl IntoView {
    let session = use_session();
    // Entering a child comes before leaving its parent, so entries and exits are counted.
    let depth = RwSignal::new(0i32);
    platform::on_document_event("dragenter", move |event: DragEvent| {
        event.prevent_default();
        depth.update(|depth| *depth += 1);
    });
    platform::on_document_event("dragleave", move |_: DragEvent| depth.update(|depth| *depth = (*depth - 1).max(0)));
    platform::on_document_event("dragover", |event: DragEvent| event.prevent_default());
    platform::on_document_event("drop", move |event: DragEvent| {
        event.prevent_default();
        depth.set(0);
        let files = platform::files_of_drop(&event);
        spawn_local(async move { session.open(files.await) });
    });
    platform::on_document_event("paste", move |event: ClipboardEvent| session.open(platform::files_of_paste(&event)));
    view! {
        <Show when=move || { depth.get() > 0 }>
            <div class="drop" aria-hidden="true"><div><b>"Drop to open"</b><span>"models, images, arrays, data sets: content decides"</span></div></div>
        </Show>
    }
}
