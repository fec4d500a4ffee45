//! Lines and points over the depth of a network.

use super::frame::{self, crisp};
use super::{Anchor, Mark, Point, Rect, Scene, Shape, Stroke, at, clip_polyline};
use crate::chart::axis::{AxisMap, Scale, extent};
use crate::chart::data::{Depth, Series};
use crate::chart::format;
use crate::chart::theme::{LABEL_SIZE_PX, Role, Theme};
use crate::chart::view::Viewport;

pub fn layout(depth: &Depth, viewport: &Viewport, theme: &Theme) -> Scene {
    let view = &viewport.view;
    let count = depth.labels.len();
    if count == 0 {
        return frame::empty(viewport, theme);
    }
    let shown = |series: &&Series| view.shows(&series.name);
    let lines: Vec<&Series> = depth.lines.iter().filter(shown).collect();
    let points: Vec<&Series> = depth.points.iter().filter(shown).collect();
    let full_x = (-0.5, count as f64 - 0.5);
    let x_range = view.x_range.unwrap_or(full_x);
    let first = (x_range.0.ceil().max(0.0) as usize).min(count);
    let visible = first..((x_range.1.floor() + 1.0).max(0.0) as usize).clamp(first, count);
    let values = lines.iter().chain(&points).flat_map(|series| visible.clone().map(|index| series.at(index)));
    let y_range = view.y_range.unwrap_or_else(|| {
        let (lo, hi) = extent(values).unwrap_or((0.0, 1.0));
        // Zero is the natural foot of an error measure; a negative one gets air below.
        let foot = if lo >= 0.0 { 0.0 } else { lo - (hi - lo) * 0.06 };
        (foot, if hi > foot { hi + (hi - foot) * 0.06 } else { foot + 1.0 })
    });
    let y_title = depth.y.label();
    let room = frame::y_label_room_px(y_range, Scale::Linear, viewport.height_px);
    let x_title = depth.x.label();
    let plot = frame::plot_area(viewport, room, "", &y_title);
    let x = AxisMap::new(x_range, (plot.x, plot.right()), Scale::Linear);
    let y = AxisMap::new(y_range, (plot.bottom(), plot.y), Scale::Linear);

    let mut shapes = Vec::new();
    frame::y_grid(&mut shapes, &y, &plot, theme);
    let spot = |series: &Series, index: usize| -> Option<Point> {
        let value = series.at(index);
        (!value.is_nan()).then(|| at(x.px(index as f64), y.px(value)))
    };
    for series in &points {
        let stroke = Some(Stroke::solid(theme.role(series.role), 1.2));
        for center in visible.clone().filter_map(|index| spot(series, index)).filter(|center| plot.contains(*center)) {
            shapes.push(Shape::Circle { center, radius_px: 2.6, fill: None, stroke });
        }
    }
    for (place, series) in lines.iter().enumerate() {
        // The edited line often lies exactly on another: dashed, both are seen.
        let repeated =
            series.role == Role::Edited || lines.iter().take(place).any(|earlier| earlier.role == series.role);
        let color = theme.role(series.role);
        let stroke = if repeated { Stroke::dashed(color, 1.8, 5.0, 3.0) } else { Stroke::solid(color, 2.0) };
        for run in runs((0..count).map(|index| spot(series, index))) {
            if let [alone] = run.as_slice() {
                // A value between two gaps has no line to show it.
                if plot.contains(*alone) {
                    shapes.push(Shape::Circle { center: *alone, radius_px: 2.0, fill: Some(color), stroke: None });
                }
            }
            shapes.extend(clip_polyline(&run, &plot).into_iter().map(|points| Shape::Polyline { points, stroke }));
        }
    }
    if let Some(selected) = depth.selected.filter(|index| visible.contains(index)) {
        cursor(&mut shapes, depth, &lines, selected, &x, &y, &plot, theme);
    }
    let ends = at(plot.x, plot.bottom() + 12.0);
    let name = |index: usize| depth.labels.get(index).map_or("", String::as_str);
    let room = plot.width * 0.34;
    let cut = |text: &str| format::ellipsize(text, room, crate::chart::theme::TICK_SIZE_PX);
    if let (Some(first), Some(last)) = (visible.clone().next(), visible.clone().last()) {
        shapes.push(frame::tick_text(ends, cut(name(first)), Anchor::Start, theme));
        if last > first {
            shapes.push(frame::tick_text(at(plot.right(), ends.y), cut(name(last)), Anchor::End, theme));
        }
        if format::text_width_px(&x_title, LABEL_SIZE_PX) < plot.width * 0.26 {
            let place = at(plot.x + plot.width / 2.0, ends.y);
            shapes.push(frame::tick_text(place, x_title, Anchor::Middle, theme));
        }
    }
    frame::titles(&mut shapes, &plot, "", &y_title, theme);
    let marks = visible
        .filter_map(|index| {
            let (left, right) = (x.px(index as f64 - 0.5), x.px(index as f64 + 0.5));
            let area = Rect::between(at(left, plot.y), at(right, plot.bottom())).clipped_to(&plot)?;
            Some(Mark { span: index..index + 1, area, anchor: at(x.px(index as f64), plot.y) })
        })
        .collect();
    let (width_px, height_px) = (viewport.width_px, viewport.height_px);
    Scene { width_px, height_px, plot, x, y: Some(y), full_x, shapes, marks, handles: Vec::new() }
}

/// Consecutive values, parted by the gaps.
fn runs(spots: impl Iterator<Item = Option<Point>>) -> Vec<Vec<Point>> {
    let mut runs = vec![Vec::new()];
    for spot in spots {
        match (spot, runs.last_mut()) {
            (Some(point), Some(run)) => run.push(point),
            (None, Some(run)) if !run.is_empty() => runs.push(Vec::new()),
            _ => {}
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

#[allow(clippy::too_many_arguments, reason = "one drawing step of the layout above, which has all of these at hand")]
fn cursor(
    shapes: &mut Vec<Shape>,
    depth: &Depth,
    lines: &[&Series],
    selected: usize,
    x: &AxisMap,
    y: &AxisMap,
    plot: &Rect,
    theme: &Theme,
) {
    let px = x.px(selected as f64);
    let line = Stroke::solid(theme.accent, 1.0);
    shapes.push(Shape::line(at(crisp(px), plot.y), at(crisp(px), plot.bottom()), line));
    for series in lines {
        let value = series.at(selected);
        let center = at(px, y.px(value));
        if !value.is_nan() && plot.contains(center) {
            let stroke = Some(Stroke::solid(theme.panel, 1.5));
            shapes.push(Shape::Circle { center, radius_px: 4.0, fill: Some(theme.role(series.role)), stroke });
        }
    }
    let Some(label) = depth.labels.get(selected) else { return };
    let text = format::ellipsize(label, plot.width * 0.45, LABEL_SIZE_PX);
    let width = format::text_width_px(&text, LABEL_SIZE_PX);
    let fits_right = px + 8.0 + width <= plot.right();
    let (left, anchor) = if fits_right { (px + 4.0, Anchor::Start) } else { (px - 12.0 - width, Anchor::End) };
    let plate = Rect { x: left, y: plot.y + 1.0, width: width + 8.0, height: 16.0 };
    shapes.push(Shape::Rect { rect: plate, fill: Some(theme.panel.with_alpha(0.85)), stroke: None, radius_px: 3.0 });
    let text_x = if fits_right { px + 7.0 } else { px - 7.0 };
    shapes.push(frame::strong_text(at(text_x, plot.y + 9.0), text, anchor, theme));
}
