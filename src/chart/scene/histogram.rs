//! Histograms of several variants on one bin grid.

use super::frame::{self, crisp};
use super::{Anchor, HandleSpot, Mark, Rect, Scene, Shape, Stroke, at, clip_polyline};
use crate::chart::axis::{AxisMap, Scale};
use crate::chart::color::Color;
use crate::chart::data::{Histogram, Series};
use crate::chart::format;
use crate::chart::theme::Theme;
use crate::chart::view::{HistogramLayout, Viewport};

/// Below this width a bar has no gap: the gap would be most of it.
const GAP_FROM_PX: f64 = 4.0;
const STRIP_GAP_PX: f64 = 10.0;
const GRIP_WIDTH_PX: f64 = 14.0;
const GRIP_HEIGHT_PX: f64 = 30.0;

struct Layout<'a> {
    histogram: &'a Histogram,
    theme: &'a Theme,
    x: AxisMap,
    plot: Rect,
}

pub fn layout(histogram: &Histogram, viewport: &Viewport, theme: &Theme) -> Scene {
    let view = &viewport.view;
    let (Some(first), Some(last)) = (histogram.edges.first(), histogram.edges.last()) else {
        return frame::empty(viewport, theme);
    };
    if histogram.edges.len() < 2 {
        return frame::empty(viewport, theme);
    }
    let scale = if view.log_y { Scale::Log10 } else { Scale::Linear };
    let full_x = (*first, *last);
    let x_range = view.x_range.unwrap_or(full_x);
    let shown: Vec<&Series> = histogram.series.iter().filter(|series| view.shows(&series.name)).collect();
    let bins = bins_within(&histogram.edges, x_range);
    let values = shown.iter().flat_map(|series| bins.clone().map(|bin| series.at(bin)));
    let y_range = view.y_range.unwrap_or_else(|| frame::magnitude_range(values, scale));

    let (x_title, y_title) = (histogram.x.label(), histogram.y.label());
    let room = frame::y_label_room_px(y_range, scale, viewport.height_px);
    let plot = frame::plot_area(viewport, room, &x_title, &y_title);
    let x = AxisMap::new(x_range, (plot.x, plot.right()), Scale::Linear);
    let layout = Layout { histogram, theme, x, plot };

    let mut shapes = Vec::new();
    let strips = if view.layout == HistogramLayout::Strips { shown.len().max(1) } else { 1 };
    let strip_height = ((plot.height - STRIP_GAP_PX * (strips - 1) as f64) / strips as f64).max(1.0);
    let mut y_of_all = None;
    for strip in 0..strips {
        let area = Rect { y: plot.y + strip as f64 * (strip_height + STRIP_GAP_PX), height: strip_height, ..plot };
        let y = AxisMap::new(y_range, (area.bottom(), area.y), scale);
        frame::y_grid(&mut shapes, &y, &area, theme);
        layout.shade(&mut shapes, &area);
        match view.layout {
            HistogramLayout::Overlaid => {
                for (place, series) in shown.iter().enumerate() {
                    if place == 0 {
                        layout.bars(&mut shapes, series, (0, 1), &y, &area, theme.fill_alpha());
                    } else {
                        layout.outline(&mut shapes, series, &y, &area);
                    }
                }
            }
            HistogramLayout::Grouped => {
                for (place, series) in shown.iter().enumerate() {
                    layout.bars(&mut shapes, series, (place, shown.len()), &y, &area, 0.85);
                }
            }
            HistogramLayout::Strips => {
                if let Some(series) = shown.get(strip) {
                    layout.bars(&mut shapes, series, (0, 1), &y, &area, 0.7);
                    let place = at(area.right() - 4.0, area.y + 7.0);
                    shapes.push(frame::strong_text(place, series.name.clone(), Anchor::End, theme));
                }
            }
        }
        y_of_all = (strips == 1).then_some(y);
    }
    frame::x_ticks(&mut shapes, &x, &plot, theme);
    frame::titles(&mut shapes, &plot, &x_title, &y_title, theme);
    let handles = layout.handles(&mut shapes);
    let marks = bins
        .filter_map(|bin| {
            let area = layout.column(bin)?.clipped_to(&plot)?;
            Some(Mark { span: bin..bin + 1, area, anchor: at(area.x + area.width / 2.0, plot.y) })
        })
        .collect();
    Scene {
        width_px: viewport.width_px,
        height_px: viewport.height_px,
        plot,
        x,
        y: y_of_all,
        full_x,
        shapes,
        marks,
        handles,
    }
}

/// The bins that touch a range.
fn bins_within(edges: &[f64], (lo, hi): (f64, f64)) -> std::ops::Range<usize> {
    let bins = edges.len().saturating_sub(1);
    let first = edges.partition_point(|edge| *edge <= lo).saturating_sub(1);
    let last = edges.partition_point(|edge| *edge < hi).min(bins);
    first.min(last)..last
}

impl Layout<'_> {
    fn column(&self, bin: usize) -> Option<Rect> {
        let (left, right) = (self.histogram.edges.get(bin)?, self.histogram.edges.get(bin + 1)?);
        Some(Rect::between(at(self.x.px(*left), self.plot.y), at(self.x.px(*right), self.plot.bottom())))
    }

    fn is_clipped(&self, bin: usize) -> bool {
        let middle = |bin: usize| Some((self.histogram.edges.get(bin)? + self.histogram.edges.get(bin + 1)?) / 2.0);
        match (self.histogram.clip, middle(bin)) {
            (Some((lo, hi)), Some(middle)) => middle < lo || middle > hi,
            _ => false,
        }
    }

    /// Bars of one series; `(place, of)` is its share of the bin's width.
    fn bars(
        &self,
        shapes: &mut Vec<Shape>,
        series: &Series,
        share: (usize, usize),
        y: &AxisMap,
        area: &Rect,
        alpha: f64,
    ) {
        let color = self.theme.role(series.role);
        for (bin, value) in series.values.iter().enumerate().filter(|(_, value)| **value != 0.0 && !value.is_nan()) {
            let Some(column) = self.column(bin) else { continue };
            let width = column.width / share.1 as f64;
            let left = column.x + width * share.0 as f64;
            let gap = if width >= GAP_FROM_PX && share.0 + 1 == share.1 { 1.0 } else { 0.0 };
            let base = y.px(if y.scale == Scale::Linear { 0.0 } else { y.lo });
            let bar = Rect::between(at(left + gap / 2.0, y.px(*value)), at(left + width - gap / 2.0, base));
            let fill = if self.is_clipped(bin) { self.theme.clip.with_alpha(0.9) } else { color.with_alpha(alpha) };
            // A bar of one count among thousands is less than a pixel high; the outliers are what one looks for.
            let bar = if bar.height < 1.0 { Rect { y: base - 1.0, height: 1.0, ..bar } } else { bar };
            if let Some(rect) = bar.clipped_to(area) {
                shapes.push(Shape::fill(rect, fill));
            }
        }
    }

    /// A stepped outline of one series.
    fn outline(&self, shapes: &mut Vec<Shape>, series: &Series, y: &AxisMap, area: &Rect) {
        let base = y.px(if y.scale == Scale::Linear { 0.0 } else { y.lo });
        let mut points = Vec::with_capacity(2 * self.histogram.edges.len() + 2);
        for (bin, pair) in self.histogram.edges.windows(2).enumerate() {
            let value = series.at(bin);
            let top = if value.is_nan() { base } else { y.px(value) };
            if points.is_empty() {
                points.push(at(self.x.px(pair[0]), base));
            }
            points.push(at(self.x.px(pair[0]), top));
            points.push(at(self.x.px(pair[1]), top));
        }
        if let Some(last) = points.last().copied() {
            points.push(at(last.x, base));
        }
        let stroke = Stroke::solid(self.theme.role(series.role), 1.6);
        shapes.extend(clip_polyline(&points, area).into_iter().map(|points| Shape::Polyline { points, stroke }));
    }

    /// The sub-range that is looked at, and what saturation cuts off.
    fn shade(&self, shapes: &mut Vec<Shape>, area: &Rect) {
        let band = |lo: f64, hi: f64| {
            Rect::between(at(self.x.px(lo), area.y), at(self.x.px(hi), area.bottom())).clipped_to(area)
        };
        let edge = |shapes: &mut Vec<Shape>, value: f64, stroke: Stroke| {
            let x = crisp(self.x.px(value));
            if (area.x..=area.right()).contains(&x) {
                shapes.push(Shape::line(at(x, area.y), at(x, area.bottom()), stroke));
            }
        };
        if let Some((lo, hi)) = self.histogram.shaded {
            let accent = self.theme.accent;
            shapes.extend(band(lo, hi).map(|rect| Shape::fill(rect, accent.with_alpha(0.08))));
            for value in [lo, hi] {
                edge(shapes, value, Stroke::solid(accent.with_alpha(0.55), 1.0));
            }
        }
        if let Some((lo, hi)) = self.histogram.rounded {
            let round = self.theme.round;
            shapes.extend(band(lo, hi).map(|rect| Shape::fill(rect, round.with_alpha(0.07))));
        }
        if let Some((lo, hi)) = self.histogram.clip {
            let clip = self.theme.clip;
            for rect in [band(f64::NEG_INFINITY, lo), band(hi, f64::INFINITY)].into_iter().flatten() {
                shapes.push(Shape::fill(rect, clip.with_alpha(0.08)));
                frame::hatch(shapes, &rect, Stroke::solid(clip.with_alpha(0.16), 1.0));
            }
        }
    }

    fn handles(&self, shapes: &mut Vec<Shape>) -> Vec<HandleSpot> {
        let mut spots = Vec::new();
        for handle in &self.histogram.handles {
            let x = self.x.px(handle.x);
            if !(self.plot.x - 0.5..=self.plot.right() + 0.5).contains(&x) {
                continue;
            }
            let color = self.theme.role(handle.role);
            let middle = self.plot.y + self.plot.height / 2.0;
            let line = Stroke::dashed(color, 1.5, 4.0, 3.0);
            shapes.push(Shape::line(at(x, self.plot.y), at(x, self.plot.bottom()), line));
            let grip = Rect {
                x: x - GRIP_WIDTH_PX / 2.0,
                y: middle - GRIP_HEIGHT_PX / 2.0,
                width: GRIP_WIDTH_PX,
                height: GRIP_HEIGHT_PX,
            };
            shapes.push(Shape::Rect {
                rect: grip,
                fill: Some(self.theme.raise),
                stroke: Some(Stroke::solid(color, 1.4)),
                radius_px: GRIP_WIDTH_PX / 2.0,
            });
            for dx in [-2.0, 2.0] {
                let groove = Stroke::solid(color, 1.0);
                shapes.push(Shape::line(at(x + dx, middle - 6.0), at(x + dx, middle + 6.0), groove));
            }
            self.handle_label(shapes, handle.x, at(x, grip.bottom() + 11.0));
            let (id, label, value) = (handle.id.clone(), handle.label.clone(), handle.x);
            spots.push(HandleSpot { id, label, value, grip });
        }
        spots
    }

    /// The value under a grip, on a plate, because bars pass behind it.
    fn handle_label(&self, shapes: &mut Vec<Shape>, value: f64, place: super::Point) {
        let text = format::value(value, 4);
        let half = format::text_width_px(&text, crate::chart::theme::LABEL_SIZE_PX) / 2.0 + 5.0;
        let x = place.x.clamp(half, (self.plot.right() + 12.0 - half).max(half));
        let plate = Rect { x: x - half, y: place.y - 8.0, width: 2.0 * half, height: 16.0 };
        let fill: Option<Color> = Some(self.theme.panel.with_alpha(0.82));
        shapes.push(Shape::Rect { rect: plate, fill, stroke: None, radius_px: 4.0 });
        shapes.push(frame::strong_text(at(x, place.y), text, Anchor::Middle, self.theme));
    }
}
