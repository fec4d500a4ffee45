//! The lines and boxes of one drawing.

use super::board::Board;
use super::near::{Near, near};
use super::shown::{Shown, label};
use crate::chart::graph::figure::{LINES_Y_PX, RADIUS_PX, STRIPE_PX, TEXT_X_PX, lines};
use crate::platform;
use crate::ui::views::layers::tile;
use crate::worker::GraphNodeKind;
use leptos::prelude::*;
use std::fmt::Write;
use std::sync::Arc;

/// Shades that far-away boxes are drawn in: one path each.
const SHADES: usize = 12;

/// Everything inside the drawing's own coordinates.
#[component]
pub fn Picture(
    /// What the parts share.
    board: Board,
    /// The drawing.
    shown: Arc<Shown>,
) -> impl IntoView {
    let (near, drawn) = near(board, shown.clone());
    let (all, of_selected, outlined, boxed) = (shown.clone(), shown.clone(), shown.clone(), shown);
    let path = Memo::new(move |_| near.with(|near| line_path(&all, near, |_, _| true)));
    let selected_path = Memo::new(move |_| {
        let selected = board.selected.get();
        near.with(|near| line_path(&of_selected, near, |from, to| Some(from) == selected || Some(to) == selected))
    });
    let outlines = move || {
        let colors = board.colors.get();
        near.with(|near| outlines(&outlined, near, &colors))
            .into_iter()
            .map(|(color, path)| view! { <path class="net-outlines" d=path style=color.map(|color| format!("fill:{color};stroke:{color}")).unwrap_or_default() /> })
            .collect_view()
    };
    view! {
        <path class="net-lines" d=move || path.get() />
        <path class="net-lines selected" d=move || selected_path.get() />
        {outlines}
        <For each=move || drawn.get() key=|node| *node let:node>
            <Node board shown=boxed.clone() node />
        </For>
    }
}

/// The lines that `wanted` (from, to), as one path.
fn line_path(shown: &Shown, near: &Near, wanted: impl Fn(usize, usize) -> bool) -> String {
    let mut out = String::new();
    let lines = shown.network.lines.iter().filter(|line| wanted(line.from, line.to));
    for line in lines.filter(|line| near.area.is_none_or(|area| line.touches(&area))) {
        line.write_path(&mut out);
    }
    out
}

/// The boxes that have no text, as a path for each shade of their colour; those without one first.
fn outlines(shown: &Shown, near: &Near, colors: &[Option<crate::chart::Color>]) -> Vec<(Option<String>, String)> {
    let mut paths: Vec<(Option<String>, String)> = Vec::new();
    for &node in &near.outlines {
        let Some(area) = shown.network.boxes.get(node).map(|node| node.area) else { continue };
        let color = colors.get(node).copied().flatten().map(coarse);
        let place = paths.iter().position(|(other, _)| *other == color).unwrap_or_else(|| {
            paths.push((color, String::new()));
            paths.len() - 1
        });
        if let Some((_, path)) = paths.get_mut(place) {
            // Writing into a String cannot fail.
            let _ =
                write!(path, "M{:.0} {:.0}h{:.0}v{:.0}h{:.0}z", area.x, area.y, area.width, area.height, -area.width);
        }
    }
    paths
}

/// One of a few shades: the colour with its channels on a raster.
fn coarse(color: crate::chart::Color) -> String {
    let step = 255 / SHADES as u8;
    let channel = |value: u8| (value / step).saturating_mul(step);
    let (red, green, blue) = (channel(color.red), channel(color.green), channel(color.blue));
    crate::chart::Color { red, green, blue, alpha: 1.0 }.to_hex()
}

/// One box: a button with its operator, its name and its shape.
#[component]
fn Node(
    /// What the parts share.
    board: Board,
    /// The drawing.
    shown: Arc<Shown>,
    /// The box's position.
    node: usize,
) -> impl IntoView {
    let (drawn, place) = (shown.drawing.nodes.get(node)?.clone(), shown.network.boxes.get(node)?.clone());
    let class = match drawn.kind {
        GraphNodeKind::Operation => tile(drawn.op.rsplit('.').next().unwrap_or_default()).1,
        GraphNodeKind::Plumbing => "quant",
        GraphNodeKind::Input | GraphNodeKind::Output => "port",
    };
    let selected = Memo::new(move |_| board.selected.get() == Some(node));
    let tab_stop = Memo::new(move |_| board.tab_stop.get() == node);
    let dimmed = Memo::new(move |_| {
        board.found.with(|found| found.as_ref().is_some_and(|found| !found.get(node).copied().unwrap_or(false)))
    });
    let color = Memo::new(move |_| board.colors.with(|colors| colors.get(node).copied().flatten()));
    let figure = Memo::new(move |_| {
        board.shading.with(|shading| {
            let shading = shading.as_ref()?;
            Some(shading.words(shading.figures.get(node).copied().flatten()?))
        })
    });
    let area = place.area;
    let (shape, quantized) = (place.shape.clone(), place.quantized);
    let description = move || {
        let known = Some(shape.clone()).filter(|shape| !shape.is_empty());
        let parts = [quantized.then(|| "quantized".to_owned()), known, figure.get()];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    };
    let text = Memo::new(move |_| figure.with(|figure| lines(&place, figure.as_deref())));
    let line = move |line: usize| move || text.with(|text| text[line].clone());
    let at = |line: usize| (TEXT_X_PX.to_string(), LINES_Y_PX[line].to_string());
    let ((x, first), (_, second), (_, third)) = (at(0), at(1), at(2));
    let right = (area.width - 8.0).to_string();
    let placed = format!("translate({:.1} {:.1})", area.x, area.y);
    Some(view! {
        <g class=format!("net-box {class}") class:selected=move || selected.get() class:dimmed=move || dimmed.get() class:shaded=move || color.get().is_some()
            role="button" tabindex=move || if tab_stop.get() { "0" } else { "-1" }
            aria-label=label(&drawn) aria-description=description aria-pressed=move || selected.get().to_string()
            transform=placed.clone()
            style=move || color.get().map(|color| format!("--shade:{}", color.to_hex())).unwrap_or_default()
            on:click=move |_| if !board.dragged.get_value() { board.choose(node) }
            on:focus=move |event| {
                board.tab_stop.set(node);
                // A pointer sees what it presses; what moved under it would not be pressed any more.
                if platform::is_inside(&event, ":focus-visible") {
                    board.reveal(node);
                }
            }
        >
            <rect class="face" width=area.width.to_string() height=area.height.to_string() rx=RADIUS_PX.to_string()></rect>
            <rect class="stripe" width=STRIPE_PX.to_string() height=area.height.to_string() rx=(STRIPE_PX / 2.0).to_string()></rect>
        </g>
        // Not inside of the button: its name and its description say all of it, and drawn, a long name is cut.
        <g class="net-text" class:dimmed=move || dimmed.get() aria-hidden="true" transform=placed>
            <text class="op-name" x=x.clone() y=first.clone()>{line(0)}</text>
            <text class="name" x=x.clone() y=second>{line(1)}</text>
            <text class="shape" x=x y=third.clone()>{line(2)}</text>
            {quantized.then(|| view! { <text class="q-mark" x=right.clone() y=first>"[Q]"</text> })}
            <text class="figure" x=right y=third>{move || figure.get()}</text>
        </g>
    })
}

#[cfg(test)]
mod tests {
    use super::super::shown::tests::shown;
    use super::*;
    use crate::chart::Color;

    #[test]
    fn far_boxes_of_one_shade_are_one_path() {
        let near = Near { outlines: vec![0, 1, 2], ..Near::default() };
        let dark = Some(Color::hex(0x10_20_30));
        // A step of colour that nobody sees is the same shade.
        let almost = Some(Color::hex(0x11_20_30));
        let paths = outlines(&shown(), &near, &[dark, None, almost]);
        assert_eq!(paths.len(), 2);
        assert_eq!(paths[0].1.matches('M').count(), 2);
        assert_eq!(paths[1], (None, "M0 0h100v50h-100z".to_owned()));
    }
}
