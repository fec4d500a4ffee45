//! A chart laid out: shapes to draw, marks to point at, axes to invert.

mod channels;
mod depth;
mod frame;
mod heatmap;
mod histogram;
mod ranges;
mod scatter;
mod shape;
#[cfg(test)]
mod tests;

pub use shape::{Anchor, Point, Rect, Shape, Stroke, at, clip_polyline};

use super::axis::AxisMap;
use super::data::{Chart, Plot};
use super::theme::{LABEL_SIZE_PX, Role, Theme};
use super::view::Viewport;
use super::{format, view::View};
use std::ops::Range;

/// What can be pointed at: a bin, a channel (or several, where they are narrower than a pixel), a row, a position.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// The data it stands for: indices of bins, channels, rows or positions.
    pub span: Range<usize>,
    /// Where the pointer hits it. The areas of a chart tile its plot.
    pub area: Rect,
    /// Where its tooltip points.
    pub anchor: Point,
}

/// A handle laid out.
#[derive(Clone, Debug, PartialEq)]
pub struct HandleSpot {
    /// The handle's id.
    pub id: String,
    /// Its accessible name.
    pub label: String,
    /// Where it stands in data.
    pub value: f64,
    /// Its grip.
    pub grip: Rect,
}

/// A chart laid out for one viewport and theme.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// Width in CSS pixels.
    pub width_px: f64,
    /// Height in CSS pixels.
    pub height_px: f64,
    /// Inside the axes.
    pub plot: Rect,
    /// x, to invert a pointer's position.
    pub x: AxisMap,
    /// y where it is one continuous axis.
    pub y: Option<AxisMap>,
    /// The whole data range of x, to zoom and pan within.
    pub full_x: (f64, f64),
    /// What to draw, back to front.
    pub shapes: Vec<Shape>,
    /// What to point at, in the order of the data.
    pub marks: Vec<Mark>,
    /// What to drag.
    pub handles: Vec<HandleSpot>,
}

impl Scene {
    /// The mark under a point.
    pub fn mark_at(&self, point: Point) -> Option<usize> {
        self.marks.iter().position(|mark| mark.area.contains(point))
    }

    /// The mark that holds a data index.
    pub fn mark_of(&self, index: usize) -> Option<usize> {
        self.marks.iter().position(|mark| mark.span.contains(&index))
    }
}

/// Lays a chart out.
pub fn scene(chart: &Chart, viewport: &Viewport, theme: &Theme) -> Scene {
    match &chart.plot {
        Plot::Histogram(histogram) => histogram::layout(histogram, viewport, theme),
        Plot::Channels(channels) => channels::layout(channels, viewport, theme),
        Plot::Ranges(ranges) => ranges::layout(ranges, viewport, theme),
        Plot::Depth(depth) => depth::layout(depth, viewport, theme),
        Plot::Heatmap(map) => heatmap::layout(map, viewport, theme),
        Plot::Scatter(scatter) => scatter::layout(scatter, viewport, theme),
    }
}

/// The height that shows all of a chart: more than `available_px` only for ranges with many rows.
pub fn content_height_px(chart: &Chart, view: &View, available_px: f64) -> f64 {
    match &chart.plot {
        Plot::Ranges(ranges) => ranges::content_height_px(ranges, view),
        Plot::Histogram(_) | Plot::Channels(_) | Plot::Depth(_) | Plot::Heatmap(_) | Plot::Scatter(_) => available_px,
    }
}

/// How far a ranges chart must be scrolled so that a row is seen, given how far it is now.
pub fn scroll_to_row(chart: &Chart, viewport: &Viewport, row: usize) -> f64 {
    match &chart.plot {
        Plot::Ranges(ranges) => ranges::scroll_to_row(ranges, viewport, row),
        Plot::Histogram(_) | Plot::Channels(_) | Plot::Depth(_) | Plot::Heatmap(_) | Plot::Scatter(_) => 0.0,
    }
}

const EXPORT_MARGIN_PX: f64 = 16.0;

/// A chart as a figure that stands alone: on paper, with heading and legend. For the PNG and SVG exports.
pub fn figure(chart: &Chart, viewport: &Viewport, theme: &Theme) -> Scene {
    let mut inner = scene(chart, viewport, theme);
    let (dx, dy) = (EXPORT_MARGIN_PX, EXPORT_MARGIN_PX + 42.0);
    let (width_px, height_px) = (inner.width_px + 2.0 * EXPORT_MARGIN_PX, inner.height_px + dy + EXPORT_MARGIN_PX);
    let paper = Rect { x: 0.0, y: 0.0, width: width_px, height: height_px };
    let mut shapes = vec![Shape::fill(paper, theme.panel)];
    let text = |x: f64, y: f64, text: String, strong: bool, anchor: Anchor| {
        let (color, size_px) = if strong { (theme.ink, 14.0) } else { (theme.ink2, LABEL_SIZE_PX) };
        Shape::Text { at: at(x, y), text, color, size_px, strong, anchor }
    };
    shapes.push(text(dx, EXPORT_MARGIN_PX + 7.0, chart.title.clone(), true, Anchor::Start));
    shapes.push(text(width_px - dx, EXPORT_MARGIN_PX + 7.0, chart.note.clone(), false, Anchor::End));
    let mut x = dx;
    for (name, role) in chart.legend().into_iter().filter(|(name, _)| viewport.view.shows(name)) {
        let y = EXPORT_MARGIN_PX + 30.0;
        shapes.push(swatch(at(x, y), role, theme));
        shapes.push(text(x + 15.0, y, name.to_owned(), false, Anchor::Start));
        x += 15.0 + format::text_width_px(name, LABEL_SIZE_PX) + 16.0;
    }
    shapes.extend(inner.shapes.into_iter().map(|shape| shape.moved(dx, dy)));
    inner.shapes = shapes;
    Scene { width_px, height_px, marks: Vec::new(), handles: Vec::new(), ..inner }
}

fn swatch(middle_left: Point, role: Role, theme: &Theme) -> Shape {
    let rect = Rect { x: middle_left.x, y: middle_left.y - 5.0, width: 10.0, height: 10.0 };
    Shape::Rect { rect, fill: Some(theme.role(role)), stroke: None, radius_px: 2.0 }
}
