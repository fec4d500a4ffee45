//! Points with intervals over two measures, and what is asked of both.

use super::frame::{self, crisp};
use super::{Mark, Rect, Scene, Shape, Stroke, at, clip_polyline};
use crate::chart::axis::{AxisMap, Scale, extent};
use crate::chart::data::{Scatter, ScatterPoint};
use crate::chart::theme::Theme;
use crate::chart::view::Viewport;

const RADIUS_PX: f64 = 4.0;
/// Half the side of the square that the pointer hits.
const REACH_PX: f64 = 8.0;
/// Air around the data, as a share of its extent.
const AIR: f64 = 0.05;

pub fn layout(scatter: &Scatter, viewport: &Viewport, theme: &Theme) -> Scene {
    let view = &viewport.view;
    let shown = |point: &&(usize, &ScatterPoint)| {
        scatter.groups.get(point.1.group).is_some_and(|group| view.shows(&group.name))
            && point.1.x.is_finite()
            && point.1.y.is_finite()
    };
    let all: Vec<(usize, &ScatterPoint)> = scatter.points.iter().enumerate().collect();
    let points: Vec<(usize, &ScatterPoint)> = all.iter().filter(shown).copied().collect();
    if scatter.points.is_empty() {
        return frame::empty(viewport, theme);
    }
    let roomy = |range: Option<(f64, f64)>| {
        let (lo, hi) = range.unwrap_or((0.0, 1.0));
        let air = if hi > lo { (hi - lo) * AIR } else { hi.abs().max(1.0) * AIR };
        (lo - air, hi + air)
    };
    let full_x = roomy(extent(points.iter().map(|(_, point)| point.x).chain(scatter.x_limit)));
    let x_range = view.x_range.unwrap_or(full_x);
    // What was looked at briefly has a wide interval, which would press what matters into a line: the intervals of hollow
    // points are cut where they leave the others' room.
    let solid = |point: &ScatterPoint| scatter.groups.get(point.group).is_some_and(|group| group.joined);
    let whiskers = points.iter().filter(|(_, point)| solid(point)).filter_map(|(_, point)| point.whisker);
    let heights = points.iter().map(|(_, point)| point.y).chain(whiskers.flat_map(|(lo, hi)| [lo, hi]));
    let full_y = roomy(extent(heights.chain(scatter.y_limit)));
    let y_range = view.y_range.unwrap_or(full_y);
    let (x_title, y_title) = (scatter.x.label(), scatter.y.label());
    let room = frame::y_label_room_px(y_range, Scale::Linear, viewport.height_px);
    let plot = frame::plot_area(viewport, room, &x_title, &y_title);
    let x = AxisMap::new(x_range, (plot.x, plot.right()), Scale::Linear);
    let y = AxisMap::new(y_range, (plot.bottom(), plot.y), Scale::Linear);

    let mut shapes = Vec::new();
    frame::y_grid(&mut shapes, &y, &plot, theme);
    frame::x_ticks(&mut shapes, &x, &plot, theme);
    let dashed = Stroke::dashed(theme.accent, 1.0, 4.0, 3.0);
    let mut limit = |from, to| {
        let lines = clip_polyline(&[from, to], &plot).into_iter();
        shapes.extend(lines.map(|points| Shape::Polyline { points, stroke: dashed }));
    };
    if let Some(px) = scatter.x_limit.map(|limit| crisp(x.px(limit))) {
        limit(at(px, plot.y), at(px, plot.bottom()));
    }
    if let Some(px) = scatter.y_limit.map(|limit| crisp(y.px(limit))) {
        limit(at(plot.x, px), at(plot.right(), px));
    }
    for (index, group) in scatter.groups.iter().enumerate().filter(|(_, group)| group.joined) {
        let mut joined: Vec<_> =
            points.iter().filter(|(_, point)| point.group == index).map(|(_, p)| (p.x, p.y)).collect();
        joined.sort_by(|a, b| a.0.total_cmp(&b.0));
        let line: Vec<_> = joined.into_iter().map(|(px, py)| at(x.px(px), y.px(py))).collect();
        let stroke = Stroke::solid(theme.role(group.role), 1.5);
        shapes.extend(clip_polyline(&line, &plot).into_iter().map(|points| Shape::Polyline { points, stroke }));
    }
    let mut marks = Vec::new();
    for &(index, point) in &points {
        let center = at(x.px(point.x), y.px(point.y));
        if !plot.contains(center) {
            continue;
        }
        let color = theme.role(scatter.groups.get(point.group).map_or(crate::chart::theme::Role::Float, |g| g.role));
        if let Some((lo, hi)) = point.whisker {
            let ends = [at(center.x, y.px(lo)), at(center.x, y.px(hi))];
            let stroke = Stroke::solid(color.with_alpha(0.45), 1.0);
            shapes.extend(clip_polyline(&ends, &plot).into_iter().map(|points| Shape::Polyline { points, stroke }));
        }
        let fill = Some(if solid(point) { color } else { theme.panel });
        let stroke = Some(Stroke::solid(color, 1.5));
        shapes.push(Shape::Circle { center, radius_px: RADIUS_PX, fill, stroke });
        let corners = (at(center.x - REACH_PX, center.y - REACH_PX), at(center.x + REACH_PX, center.y + REACH_PX));
        if let Some(area) = Rect::between(corners.0, corners.1).clipped_to(&plot) {
            marks.push(Mark { span: index..index + 1, area, anchor: at(center.x, center.y - RADIUS_PX) });
        }
    }
    frame::titles(&mut shapes, &plot, &x_title, &y_title, theme);
    let (width_px, height_px) = (viewport.width_px, viewport.height_px);
    Scene { width_px, height_px, plot, x, y: Some(y), full_x, shapes, marks, handles: Vec::new() }
}
