//! Feature maps: a grid of small pictures on one colour range.

use super::appearance::use_appearance;
use crate::chart::tiles::pixels;
use crate::chart::{Ramp, Tile};
use crate::platform::canvas::put_pixels;
use leptos::html;
use leptos::prelude::*;

/// A grid of tiles, each an image with a name; the pixels are never smoothed.
#[component]
pub fn TilesView(
    /// The pictures.
    #[prop(into)]
    tiles: Signal<Vec<Tile>>,
    /// The colours, shared by all tiles.
    #[prop(into)]
    ramp: Signal<Ramp>,
    /// The grid's accessible name.
    #[prop(into)]
    label: Signal<String>,
) -> impl IntoView {
    let tile = move |tile: Tile| {
        let name = tile.label.clone();
        view! {
            <span class="tile" role="img" aria-label=name.clone() title=name>
                <TileCanvas tile ramp/>
            </span>
        }
    };
    view! {
        <div class="tiles" role="group" aria-label=label>
            {move || tiles.get().into_iter().map(tile).collect_view()}
        </div>
    }
}

#[component]
fn TileCanvas(tile: Tile, ramp: Signal<Ramp>) -> impl IntoView {
    let canvas = NodeRef::<html::Canvas>::new();
    let theme = use_appearance().theme;
    Effect::new(move |_| {
        let Some(canvas) = canvas.get() else { return };
        let rgba = pixels(&tile, ramp.get(), &theme.get());
        // The sides are within the limit, or there are no pixels.
        let (Ok(width), Ok(height)) = (u32::try_from(tile.width), u32::try_from(tile.height)) else { return };
        if !rgba.is_empty()
            && let Err(error) = put_pixels(&canvas, width, height, &rgba)
        {
            leptos::logging::error!("{error}");
        }
    });
    view! { <canvas node_ref=canvas aria-hidden="true"></canvas> }
}
