//! The whole model on one screen: minimum to maximum of every layer, a row each.
//!
//! Only the rows in the scrolled window are laid out, so a model of thousands of layers costs what is seen, and no
//! canvas outgrows what a browser can allocate. The axis stays at the top while the rows pass under it.

use super::frame::{self, crisp};
use super::{Anchor, Mark, Rect, Scene, Shape, Stroke, at};
use crate::chart::axis::{AxisMap, Scale, extent};
use crate::chart::data::{RangeColor, RangeRow, Ranges};
use crate::chart::format;
use crate::chart::theme::{LABEL_SIZE_PX, Theme};
use crate::chart::view::{View, Viewport};

const AXIS_PX: f64 = 40.0;
const BAR_PX: f64 = 6.0;
const BAR_GAP_PX: f64 = 2.0;
const ROW_AIR_PX: f64 = 9.0;
const LOWEST_ROW_PX: f64 = 20.0;
const BOTTOM_PX: f64 = 6.0;
const RIGHT_PX: f64 = 12.0;

fn shown_series(ranges: &Ranges, view: &View) -> Vec<usize> {
    (0..ranges.series.len())
        .filter(|index| ranges.series.get(*index).is_some_and(|(name, _)| view.shows(name)))
        .collect()
}

fn row_height_px(ranges: &Ranges, view: &View) -> f64 {
    let bars = shown_series(ranges, view).len().max(1) as f64;
    (bars * BAR_PX + (bars - 1.0) * BAR_GAP_PX + ROW_AIR_PX).max(LOWEST_ROW_PX)
}

pub fn content_height_px(ranges: &Ranges, view: &View) -> f64 {
    AXIS_PX + ranges.rows.len().max(1) as f64 * row_height_px(ranges, view) + BOTTOM_PX
}

pub fn scroll_to_row(ranges: &Ranges, viewport: &Viewport, row: usize) -> f64 {
    let height = row_height_px(ranges, &viewport.view);
    let (top, bottom) = (row as f64 * height, (row + 1) as f64 * height);
    let window = (viewport.height_px - AXIS_PX - BOTTOM_PX).max(height);
    viewport.scroll_px.clamp((bottom - window).max(0.0), top.max((bottom - window).max(0.0)))
}

pub fn layout(ranges: &Ranges, viewport: &Viewport, theme: &Theme) -> Scene {
    if ranges.rows.is_empty() {
        return frame::empty(viewport, theme);
    }
    let view = &viewport.view;
    let shown = shown_series(ranges, view);
    let spans = |row: &RangeRow| -> Vec<(usize, (f64, f64))> {
        shown.iter().filter_map(|series| Some((*series, (*row.spans.get(*series)?)?))).collect()
    };
    let widest = ranges.rows.iter().map(|row| format::text_width_px(&row.label, LABEL_SIZE_PX)).fold(0.0, f64::max);
    let label_room = widest.min(viewport.width_px * 0.36).min(220.0);
    let labels = format::ellipsize_all(ranges.rows.iter().map(|row| row.label.as_str()), label_room, LABEL_SIZE_PX);
    let plot = Rect {
        x: label_room + 12.0,
        y: AXIS_PX,
        width: (viewport.width_px - label_room - 12.0 - RIGHT_PX).max(1.0),
        height: (viewport.height_px - AXIS_PX - BOTTOM_PX).max(1.0),
    };
    let ends = ranges.rows.iter().flat_map(|row| spans(row).into_iter().flat_map(|(_, (lo, hi))| [lo, hi]));
    let (lo, hi) = extent(ends.chain([0.0])).unwrap_or((0.0, 1.0));
    let air = (hi - lo) * 0.02;
    let full_x = (lo - air, hi + air);
    let x = AxisMap::new(view.x_range.unwrap_or(full_x), (plot.x, plot.right()), Scale::Linear);
    let full_x = if full_x.1 > full_x.0 { full_x } else { (x.lo, x.hi) };
    let width_of = |(lo, hi): (f64, f64)| hi - lo;
    let widths = extent(ranges.rows.iter().flat_map(|row| spans(row).into_iter().map(|(_, span)| width_of(span))));

    let mut shapes = Vec::new();
    let row_px = row_height_px(ranges, view);
    let mut marks = Vec::new();
    let mut bars = Vec::new();
    for (index, row) in ranges.rows.iter().enumerate() {
        let top = plot.y + index as f64 * row_px - viewport.scroll_px;
        let band = Rect { x: 0.0, y: top, width: viewport.width_px, height: row_px };
        let window = Rect { x: 0.0, y: plot.y, width: viewport.width_px, height: plot.height + BOTTOM_PX };
        let Some(area) = band.clipped_to(&window) else { continue };
        let selected = ranges.selected == Some(index);
        if selected {
            shapes.push(Shape::fill(area, theme.accent_soft));
            shapes.push(Shape::fill(Rect { width: 2.0, ..area }, theme.accent));
        }
        let middle = top + row_px / 2.0;
        if area.contains(at(0.0, middle - 5.0)) && area.contains(at(0.0, middle + 5.0)) {
            bars.push(Shape::Text {
                at: at(label_room + 4.0, middle),
                text: labels.get(index).cloned().unwrap_or_default(),
                color: if selected { theme.ink } else { theme.ink2 },
                size_px: LABEL_SIZE_PX,
                strong: selected,
                anchor: Anchor::End,
            });
        }
        let block = shown.len() as f64 * BAR_PX + (shown.len() as f64 - 1.0).max(0.0) * BAR_GAP_PX;
        for (series, span) in spans(row) {
            let place = shown.iter().position(|shown| *shown == series).unwrap_or(0) as f64;
            let y = middle - block / 2.0 + place * (BAR_PX + BAR_GAP_PX);
            let (left, right) = (x.px(span.0), x.px(span.1));
            // A constant tensor still has a place: never thinner than a visible line.
            let rect = Rect { x: left, y, width: (right - left).max(1.5), height: BAR_PX };
            let Some(rect) = rect.clipped_to(&Rect { height: plot.height + BOTTOM_PX, ..plot }) else { continue };
            let identity = ranges.series.get(series).map_or(theme.neutral, |(_, role)| theme.role(*role));
            let fill = match (ranges.color, widths) {
                (RangeColor::ByWidth, Some((narrow, wide))) => {
                    theme.sequential_at(if wide > narrow { (width_of(span) - narrow) / (wide - narrow) } else { 0.0 })
                }
                _ => identity,
            };
            bars.push(Shape::Rect { rect, fill: Some(fill), stroke: None, radius_px: 1.5 });
        }
        marks.push(Mark { span: index..index + 1, area, anchor: at(plot.x + plot.width / 2.0, area.y) });
    }
    axis(&mut shapes, &x, &plot, &ranges.x.label(), theme);
    shapes.extend(bars);
    let (width_px, height_px) = (viewport.width_px, viewport.height_px);
    Scene { width_px, height_px, plot, x, y: None, full_x, shapes, marks, handles: Vec::new() }
}

fn axis(shapes: &mut Vec<Shape>, x: &AxisMap, plot: &Rect, title: &str, theme: &Theme) {
    let (ticks, step) = x.ticks(((plot.width / 64.0) as usize).clamp(2, 12));
    for tick in ticks {
        let px = x.px(tick);
        let color = if tick == 0.0 { theme.line2 } else { theme.grid };
        let (from, to) = (at(crisp(px), plot.y), at(crisp(px), plot.bottom()));
        shapes.push(Shape::line(from, to, Stroke::solid(color, 1.0)));
        shapes.push(frame::tick_text(at(px, plot.y - 11.0), format::tick(tick, step), Anchor::Middle, theme));
    }
    if !title.is_empty() {
        shapes.push(frame::tick_text(at(plot.x + plot.width / 2.0, 9.0), title.to_owned(), Anchor::Middle, theme));
    }
}
