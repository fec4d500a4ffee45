//! What all charts share: margins, grid, ticks, axis titles, the empty state.

use super::{Anchor, Point, Rect, Scene, Shape, Stroke, at};
use crate::chart::axis::{AxisMap, Scale};
use crate::chart::format;
use crate::chart::theme::{LABEL_SIZE_PX, TICK_SIZE_PX, Theme};
use crate::chart::view::Viewport;

/// Room between the ticks' labels and the plot.
const TICK_GAP_PX: f64 = 7.0;
/// Room right of the plot, so that the last tick's label is not cut.
const RIGHT_PX: f64 = 12.0;
/// A line of tick labels.
const TICK_LINE_PX: f64 = 20.0;
/// A line with an axis title.
const TITLE_LINE_PX: f64 = 17.0;
/// One tick per so many pixels.
const X_TICK_EVERY_PX: f64 = 60.0;
const Y_TICK_EVERY_PX: f64 = 25.0;

/// Where the plot goes when the y axis has the given title and tick labels as wide as `label_room_px`.
pub fn plot_area(viewport: &Viewport, label_room_px: f64, x_title: &str, y_title: &str) -> Rect {
    let left = (label_room_px + TICK_GAP_PX).clamp(20.0, (viewport.width_px * 0.5).max(20.0));
    let top = if y_title.is_empty() { 8.0 } else { TITLE_LINE_PX + 5.0 };
    let bottom = TICK_LINE_PX + if x_title.is_empty() { 0.0 } else { TITLE_LINE_PX };
    Rect {
        x: left,
        y: top,
        width: (viewport.width_px - left - RIGHT_PX).max(1.0),
        height: (viewport.height_px - top - bottom).max(1.0),
    }
}

/// The width that the labels of a y axis over `range` need.
pub fn y_label_room_px(range: (f64, f64), scale: Scale, height_px: f64) -> f64 {
    let axis = AxisMap::new(range, (height_px, 0.0), scale);
    let (ticks, step) = axis.ticks(y_tick_count(height_px));
    let widest = ticks.iter().map(|tick| format::text_width_px(&label(*tick, step, scale), TICK_SIZE_PX));
    widest.fold(0.0, f64::max)
}

fn y_tick_count(height_px: f64) -> usize {
    ((height_px / Y_TICK_EVERY_PX) as usize).clamp(2, 8)
}

fn label(tick: f64, step: f64, scale: Scale) -> String {
    match scale {
        Scale::Linear => format::tick(tick, step),
        Scale::Log10 => format::tick(tick, if step > 0.0 { step } else { tick }),
    }
}

/// A tick's text.
pub fn tick_text(place: Point, text: String, anchor: Anchor, theme: &Theme) -> Shape {
    Shape::Text { at: place, text, color: theme.ink3, size_px: TICK_SIZE_PX, strong: false, anchor }
}

/// A label that carries a value.
pub fn strong_text(place: Point, text: String, anchor: Anchor, theme: &Theme) -> Shape {
    Shape::Text { at: place, text, color: theme.ink, size_px: LABEL_SIZE_PX, strong: true, anchor }
}

/// The middle of a device pixel at ratio 1, where a hairline is sharp.
pub fn crisp(px: f64) -> f64 {
    px.floor() + 0.5
}

/// Horizontal grid lines with their labels; the base line is stronger.
pub fn y_grid(shapes: &mut Vec<Shape>, axis: &AxisMap, plot: &Rect, theme: &Theme) {
    let (ticks, step) = axis.ticks(y_tick_count(plot.height));
    for tick in ticks {
        let y = axis.px(tick);
        let color = if tick == 0.0 { theme.line2 } else { theme.grid };
        let (from, to) = (at(plot.x, crisp(y)), at(plot.right(), crisp(y)));
        shapes.push(Shape::line(from, to, Stroke::solid(color, 1.0)));
        shapes.push(tick_text(at(plot.x - TICK_GAP_PX, y), label(tick, step, axis.scale), Anchor::End, theme));
    }
}

/// Labels under the plot at round values of a continuous x axis.
pub fn x_ticks(shapes: &mut Vec<Shape>, axis: &AxisMap, plot: &Rect, theme: &Theme) {
    let most = ((plot.width / X_TICK_EVERY_PX) as usize).clamp(2, 12);
    let (ticks, step) = axis.ticks(most);
    for tick in ticks {
        let x = axis.px(tick);
        let (from, to) = (at(crisp(x), plot.bottom()), at(crisp(x), plot.bottom() + 4.0));
        shapes.push(Shape::line(from, to, Stroke::solid(theme.line2, 1.0)));
        let place = at(x, plot.bottom() + 12.0);
        shapes.push(tick_text(place, label(tick, step, axis.scale), Anchor::Middle, theme));
    }
}

/// Labels under the plot for positions `0..count`: the ends and round numbers between, by `name`.
pub fn index_ticks(shapes: &mut Vec<Shape>, axis: &AxisMap, count: usize, plot: &Rect, theme: &Theme) {
    let most = ((plot.width / 48.0) as usize).clamp(2, 16);
    let (ticks, _) = axis.ticks(most);
    for tick in ticks.into_iter().filter(|tick| tick.fract() == 0.0 && (0.0..count as f64).contains(tick)) {
        shapes.push(tick_text(
            at(axis.px(tick), plot.bottom() + 12.0),
            format::count(tick as u64),
            Anchor::Middle,
            theme,
        ));
    }
}

/// The axis titles: y above its ticks where it is read first, x under the middle.
pub fn titles(shapes: &mut Vec<Shape>, plot: &Rect, x_title: &str, y_title: &str, theme: &Theme) {
    if !y_title.is_empty() {
        shapes.push(tick_text(at(2.0, 8.0), y_title.to_owned(), Anchor::Start, theme));
    }
    if !x_title.is_empty() {
        let place = at(plot.x + plot.width / 2.0, plot.bottom() + TICK_LINE_PX + 8.0);
        shapes.push(tick_text(place, x_title.to_owned(), Anchor::Middle, theme));
    }
}

/// A chart without data says so.
pub fn empty(viewport: &Viewport, theme: &Theme) -> Scene {
    let plot = Rect { x: 0.0, y: 0.0, width: viewport.width_px.max(1.0), height: viewport.height_px.max(1.0) };
    let middle = at(plot.width / 2.0, plot.height / 2.0);
    Scene {
        width_px: plot.width,
        height_px: plot.height,
        plot,
        x: AxisMap::new((0.0, 1.0), (0.0, plot.width), Scale::Linear),
        y: None,
        full_x: (0.0, 1.0),
        shapes: vec![tick_text(middle, "No values to show".into(), Anchor::Middle, theme)],
        marks: Vec::new(),
        handles: Vec::new(),
    }
}

/// The domain of a count or magnitude axis over the visible values, with room above for linear and a decade's foot
/// for log: half of the smallest positive value, so that a single count still has a bar.
pub fn magnitude_range(values: impl Iterator<Item = f64> + Clone, scale: Scale) -> (f64, f64) {
    let finite = values.filter(|value| value.is_finite());
    let most = finite.clone().fold(0.0, f64::max);
    let least = finite.clone().fold(0.0, f64::min);
    match scale {
        Scale::Linear if most == 0.0 && least == 0.0 => (0.0, 1.0),
        Scale::Linear => (least * 1.06, most * 1.06),
        Scale::Log10 => {
            let foot = finite.filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
            if foot.is_finite() { (foot * 0.5, most * 1.5) } else { (0.5, 1.5) }
        }
    }
}

/// Parallel diagonal lines over an area: what is cut off there is told apart without colour too.
pub fn hatch(shapes: &mut Vec<Shape>, area: &Rect, stroke: Stroke) {
    const EVERY_PX: f64 = 7.0;
    // Anchored to the origin of the picture, so that the hatching does not swim while the area is dragged.
    let first = ((area.x + area.y) / EVERY_PX).floor() as i64;
    let last = ((area.right() + area.bottom()) / EVERY_PX).ceil() as i64;
    for number in first..=last {
        let sum = number as f64 * EVERY_PX;
        let (top, bottom) = (at(sum - area.y, area.y), at(sum - area.bottom(), area.bottom()));
        for points in super::clip_polyline(&[top, bottom], area) {
            shapes.push(Shape::Polyline { points, stroke });
        }
    }
}
