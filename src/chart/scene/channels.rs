//! A value per channel: bars or dots, whiskers, one highlighted.

use super::frame;
use super::{Anchor, Mark, Rect, Scene, Shape, Stroke, at};
use crate::chart::axis::{AxisMap, Scale, extent};
use crate::chart::data::{ChannelMarks, Channels, Series};
use crate::chart::format;
use crate::chart::theme::Theme;
use crate::chart::view::Viewport;
use std::ops::Range;

/// Channels narrower than this are drawn in groups, as the range of the group: more marks than pixels show nothing.
const NARROWEST_CHANNEL_PX: f64 = 2.0;

pub fn layout(channels: &Channels, viewport: &Viewport, theme: &Theme) -> Scene {
    let view = &viewport.view;
    let count =
        channels.series.iter().map(|series| series.values.len()).max().unwrap_or(0).max(channels.whiskers.len());
    if count == 0 {
        return frame::empty(viewport, theme);
    }
    let shown: Vec<&Series> = channels.series.iter().filter(|series| view.shows(&series.name)).collect();
    let bars = channels.marks == ChannelMarks::Bars;
    let scale = if view.log_y && bars { Scale::Log10 } else { Scale::Linear };
    // A channel is a cell from index - 0.5 to index + 0.5, so that its tick stands in its middle.
    let full_x = (-0.5, count as f64 - 0.5);
    let x_range = view.x_range.unwrap_or(full_x);
    let visible = visible_channels(x_range, count);
    let y_range = view.y_range.unwrap_or_else(|| y_range(channels, &shown, visible.clone(), scale, bars));

    let (x_title, y_title) = (channels.x.label(), channels.y.label());
    let room = frame::y_label_room_px(y_range, scale, viewport.height_px);
    let plot = frame::plot_area(viewport, room, &x_title, &y_title);
    let x = AxisMap::new(x_range, (plot.x, plot.right()), Scale::Linear);
    let y = AxisMap::new(y_range, (plot.bottom(), plot.y), scale);
    let mut shapes = Vec::new();
    frame::y_grid(&mut shapes, &y, &plot, theme);

    let cell_px = plot.width / (x_range.1 - x_range.0);
    let group = if cell_px >= NARROWEST_CHANNEL_PX { 1 } else { (NARROWEST_CHANNEL_PX / cell_px).ceil() as usize };
    let mut marks = Vec::new();
    let mut start = visible.start;
    while start < visible.end {
        let span = start..(start + group).min(visible.end);
        start = span.end;
        let left = x.px(span.start as f64 - 0.5);
        let right = x.px(span.end as f64 - 0.5);
        let Some(area) = Rect::between(at(left, plot.y), at(right, plot.bottom())).clipped_to(&plot) else { continue };
        let highlighted = channels.highlighted.is_some_and(|channel| span.contains(&channel));
        let cell = Cell { left, width: right - left, highlighted, span: span.clone() };
        cell.draw(&mut shapes, channels, &shown, &y, &plot, theme);
        marks.push(Mark { span, area, anchor: at(area.x + area.width / 2.0, plot.y) });
    }
    index_labels(&mut shapes, channels, &x, count, &plot, theme);
    frame::titles(&mut shapes, &plot, &x_title, &y_title, theme);
    let (width_px, height_px) = (viewport.width_px, viewport.height_px);
    Scene { width_px, height_px, plot, x, y: Some(y), full_x, shapes, marks, handles: Vec::new() }
}

fn visible_channels((lo, hi): (f64, f64), count: usize) -> Range<usize> {
    let first = (lo + 0.5).floor().max(0.0) as usize;
    let last = ((hi + 0.5).ceil().max(0.0) as usize).min(count);
    first.min(last)..last
}

fn y_range(channels: &Channels, shown: &[&Series], visible: Range<usize>, scale: Scale, bars: bool) -> (f64, f64) {
    let whiskers = visible.clone().filter_map(|index| channels.whiskers.get(index)).flat_map(|(lo, hi)| [*lo, *hi]);
    let values = shown.iter().flat_map(|series| visible.clone().map(|index| series.at(index))).chain(whiskers);
    if bars {
        return frame::magnitude_range(values, scale);
    }
    let (lo, hi) = extent(values).unwrap_or((0.0, 1.0));
    let air = if hi > lo { (hi - lo) * 0.08 } else { 1.0 };
    (lo - air, hi + air)
}

/// The place of one channel, or of a group of channels.
struct Cell {
    left: f64,
    width: f64,
    highlighted: bool,
    span: Range<usize>,
}

impl Cell {
    fn draw(
        &self,
        shapes: &mut Vec<Shape>,
        channels: &Channels,
        shown: &[&Series],
        y: &AxisMap,
        plot: &Rect,
        theme: &Theme,
    ) {
        let middle = self.left + self.width / 2.0;
        if self.highlighted {
            let band = Rect { x: self.left, y: plot.y, width: self.width, height: plot.height };
            shapes.extend(band.clipped_to(plot).map(|rect| Shape::fill(rect, theme.accent.with_alpha(0.12))));
        }
        let whisker =
            extent(self.span.clone().filter_map(|index| channels.whiskers.get(index)).flat_map(|(lo, hi)| [*lo, *hi]));
        for (place, series) in shown.iter().enumerate() {
            let Some((lo, hi)) = extent(self.span.clone().map(|index| series.at(index))) else { continue };
            let own = theme.role(series.role);
            let color = if self.highlighted && shown.len() == 1 { theme.accent } else { own };
            let width = self.width / shown.len() as f64;
            let left = self.left + width * place as f64;
            match channels.marks {
                ChannelMarks::Bars => {
                    let gap = (width * 0.14).min(2.0);
                    let base = y.px(if y.scale == Scale::Linear { 0.0 } else { y.lo });
                    // Of a group the value farthest from zero is drawn: the outlier is what one looks for.
                    let far = if hi.abs() >= lo.abs() { hi } else { lo };
                    let bar = Rect::between(at(left + gap / 2.0, y.px(far)), at(left + width - gap / 2.0, base));
                    let alpha = if self.highlighted { 1.0 } else { 0.62 };
                    let radius_px = (width * 0.2).min(1.5);
                    if let Some(rect) = bar.clipped_to(plot) {
                        shapes.push(Shape::Rect { rect, fill: Some(color.with_alpha(alpha)), stroke: None, radius_px });
                    }
                }
                ChannelMarks::Dots => {
                    let center_x = left + width / 2.0;
                    let radius_px = (width * 0.34).clamp(1.2, 3.5) + if self.highlighted { 1.0 } else { 0.0 };
                    for value in if lo == hi { vec![lo] } else { vec![lo, hi] } {
                        let center = at(center_x, y.px(value));
                        if plot.contains(center) {
                            shapes.push(Shape::Circle { center, radius_px, fill: Some(color), stroke: None });
                        }
                    }
                }
            }
        }
        if let Some((lo, hi)) = whisker {
            let stroke = Stroke::solid(theme.ink2, 1.0);
            let (top, bottom) = (at(middle, y.px(hi)), at(middle, y.px(lo)));
            let half_cap = (self.width * 0.22).min(3.0);
            let mut lines = vec![vec![top, bottom]];
            if half_cap >= 1.0 {
                lines.extend([top, bottom].map(|end| vec![at(end.x - half_cap, end.y), at(end.x + half_cap, end.y)]));
            }
            for line in lines {
                let parts = super::clip_polyline(&line, plot);
                shapes.extend(parts.into_iter().map(|points| Shape::Polyline { points, stroke }));
            }
        }
    }
}

/// Tick labels, without those that the highlighted channel's own label would touch.
fn index_labels(shapes: &mut Vec<Shape>, channels: &Channels, x: &AxisMap, count: usize, plot: &Rect, theme: &Theme) {
    let mut ticks = Vec::new();
    frame::index_ticks(&mut ticks, x, count, plot, theme);
    let highlighted =
        channels.highlighted.filter(|channel| *channel < count).map(|channel| (channel, x.px(channel as f64)));
    let highlighted = highlighted.filter(|(_, px)| (plot.x..=plot.right()).contains(px));
    shapes.extend(ticks.into_iter().filter(|tick| match (tick, highlighted) {
        (Shape::Text { at, .. }, Some((_, px))) => (at.x - px).abs() > 22.0,
        _ => true,
    }));
    if let Some((channel, px)) = highlighted {
        let place = at(px, plot.bottom() + 12.0);
        shapes.push(frame::strong_text(place, format::count(channel as u64), Anchor::Middle, theme));
    }
}
