//! The whole network as a file, under a name that follows from the model.

use super::board::Board;
use crate::chart::graph::figure;
use crate::chart::svg;
use crate::platform::canvas::download_png;
use crate::platform::download::{download, file_name};
use crate::ui::chart::use_appearance;
use leptos::prelude::*;

/// Pixels per CSS pixel of an exported PNG; fewer where the picture would be larger than browsers allow.
const PNG_RATIO: f64 = 2.0;

/// The two buttons. Ctrl+Alt+E and Ctrl+Shift+E press them.
#[component]
pub fn Exports(
    /// What the parts share.
    board: Board,
) -> impl IntoView {
    let theme = use_appearance().theme;
    let session = board.session;
    // The scene, its title, and the file's name without its extension.
    let drawn = move || {
        let model = session.graph_model()?.name;
        let scene = board.shown.with_untracked(|shown| {
            let shown = shown.as_ref()?;
            let shading = board.shading.get_untracked();
            Some(figure(&shown.network, &model, shading.as_ref(), &theme.get_untracked()))
        })?;
        let by = session.graph.color_by.get_untracked().label().replace(' ', "-");
        let colored = if board.shading.with_untracked(Option::is_some) { format!("-{by}") } else { String::new() };
        Some((scene, format!("Network of {model}"), format!("{model}-graph{colored}")))
    };
    let refused = move |error: String| {
        session.say("the graph", &error, "a download", "Allow downloads for this page, or export the SVG.");
    };
    let save_svg = move |_| {
        let Some((scene, title, stem)) = untrack(drawn) else { return };
        let document = svg::svg(&scene, &title);
        if let Err(error) = download(&file_name(&stem, "svg"), "image/svg+xml", document.as_bytes()) {
            refused(error.to_string());
        }
    };
    let save_png = move |_| {
        let Some((scene, _, stem)) = untrack(drawn) else { return };
        leptos::task::spawn_local(async move {
            if let Err(error) = download_png(&scene, PNG_RATIO, &file_name(&stem, "png")).await {
                refused(error.to_string());
            }
        });
    };
    let nothing = move || board.shown.with(Option::is_none);
    view! {
        <button type="button" class="small" data-export="svg" disabled=nothing on:click=save_svg>"Export SVG"</button>
        <button type="button" class="small" data-export="png" disabled=nothing on:click=save_png>"Export PNG"</button>
    }
}
