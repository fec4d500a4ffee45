//! Keys that work everywhere on the page.

use super::Session;
use crate::platform;
use leptos::prelude::*;
use crate::platform::KeyboardEvent;

/// Every shortcut with what it does, for the list behind `?`.
pub const SHORTCUTS: [(&str, &str); 7] = [
    ("Ctrl O", "Open files"),
    ("Ctrl F", "Find a layer"),
    ("↑ ↓", "Previous, next layer in the tree"),
    ("← →", "Fold, unfold; step through a chart's values"),
    ("R", "Run"),
    ("Esc", "Reset a chart's zoom; close a dialog"),
    ("?", "This list"),
];

/// Listens for the page's life.
pub fn listen(session: Session, help: RwSignal<bool>) {
    platform::on_document_event("keydown", move |event: KeyboardEvent| {
        let command = event.ctrl_key() || event.meta_key();
        let typing = platform::is_typing(&event);
        match (command, event.key().as_str()) {
            (true, "o" | "O") => platform::click_element("#open-files"),
            (true, "f" | "F") => platform::focus_element("#find-layer"),
            (false, "?") if !typing => help.update(|open| *open = !*open),
            (false, "r") if !typing && !event.alt_key() => session.run(),
            (false, "Escape") if help.get_untracked() => help.set(false),
            _ => return,
        }
        event.prevent_default();
    });
}
