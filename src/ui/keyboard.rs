//! Keys that work everywhere on the page.

use super::Session;
use crate::platform;
use crate::platform::KeyboardEvent;
use leptos::prelude::*;

/// Every shortcut with what it does, for the list behind `?`.
pub const SHORTCUTS: [(&str, &str); 13] = [
    ("Ctrl O", "Open files"),
    ("Ctrl F", "Find a layer; ↓ or Enter go to the first that is found"),
    ("↑ ↓", "Previous, next layer in the tree"),
    ("← →", "Fold, unfold; step through a chart's values"),
    ("↑ ↓ ← →", "On a box of the graph: along the lines; beside the boxes, and with Shift: move the graph"),
    ("+ − 0", "Zoom a chart or the graph in, out, and back to all of it"),
    ("R", "Run"),
    ("Ctrl Z", "Undo the last edit of a quantization table"),
    ("Ctrl Shift Z", "Redo it; also Ctrl Y"),
    ("Ctrl Shift E", "Export the focused chart, or the first, as PNG"),
    ("Ctrl Alt E", "The same as SVG"),
    ("Esc", "Reset a chart's zoom; close a dialog"),
    ("?", "This list"),
];

/// Listens for the page's life.
pub fn listen(session: Session, help: RwSignal<bool>) {
    platform::on_document_event("keydown", move |event: KeyboardEvent| {
        let command = event.ctrl_key() || event.meta_key();
        let typing = platform::is_typing(&event);
        match (command, event.key().to_lowercase().as_str()) {
            (true, "e") if event.shift_key() => export_chart("png"),
            (true, "e") if event.alt_key() => export_chart("svg"),
            (true, "o") => {
                platform::click_element("#open-files");
            }
            (true, "f") => {
                platform::focus_element("#find-layer");
            }
            // In a text field these take typing back; the editor's own fields hold the table's numbers.
            (true, "z" | "y") if typing && !platform::is_inside(&event, ".editor") => return,
            (true, "z") if event.shift_key() => session.redo(),
            (true, "z") => session.undo(),
            (true, "y") => session.redo(),
            (false, "?") if !typing => help.update(|open| *open = !*open),
            (false, "r") if !typing && !event.alt_key() => session.run(),
            _ => return,
        }
        event.prevent_default();
    });
}

/// Exports the chart that has the focus; without one, the first on the page.
fn export_chart(format: &str) {
    let focused = platform::click_element(&format!(".chart:focus-within [data-export={format}]"));
    if !focused {
        platform::click_element(&format!("[data-export={format}]"));
    }
}
