//! A number for each pair of two choices, as colour and as text.

use super::frame;
use super::{Anchor, Mark, Rect, Scene, Shape, Stroke, at};
use crate::chart::axis::{AxisMap, Scale};
use crate::chart::color::Color;
use crate::chart::data::Heatmap;
use crate::chart::format;
use crate::chart::theme::{LABEL_SIZE_PX, TICK_SIZE_PX, Theme};
use crate::chart::view::Viewport;

/// Cells smaller than this have no room for their number.
const NUMBER_PX: (f64, f64) = (34.0, 15.0);
/// Between cells.
const GAP_PX: f64 = 1.0;
const BLACK: Color = Color::hex(0);
const WHITE: Color = Color::hex(0xff_ff_ff);
/// Lowest contrast of a number with its cell, by WCAG's formula for text.
#[cfg(test)]
const CONTRAST: f64 = 4.5;

pub fn layout(map: &Heatmap, viewport: &Viewport, theme: &Theme) -> Scene {
    let (columns, rows) = (map.columns.len(), map.rows.len());
    if columns == 0 || rows == 0 {
        return frame::empty(viewport, theme);
    }
    let full_x = (-0.5, columns as f64 - 0.5);
    let x_range = viewport.view.x_range.unwrap_or(full_x);
    let (x_title, y_title) = (map.x.label(), map.y.label());
    let room = map.rows.iter().map(|row| format::text_width_px(row, TICK_SIZE_PX)).fold(0.0, f64::max);
    let plot = frame::plot_area(viewport, room, &x_title, &y_title);
    let x = AxisMap::new(x_range, (plot.x, plot.right()), Scale::Linear);
    let height = plot.height / rows as f64;
    let mut shapes = Vec::new();
    let mut marks = Vec::new();
    for (row, name) in map.rows.iter().enumerate() {
        let top = plot.y + row as f64 * height;
        let place = at(plot.x - 7.0, top + height / 2.0);
        shapes.push(frame::tick_text(place, name.clone(), Anchor::End, theme));
        for column in 0..columns {
            let (left, right) = (x.px(column as f64 - 0.5), x.px(column as f64 + 0.5));
            let area = Rect::between(at(left, top), at(right, top + height));
            let Some(area) = area.clipped_to(&plot) else { continue };
            let index = row * columns + column;
            cell(&mut shapes, map, index, &area, theme);
            marks.push(Mark { span: index..index + 1, area, anchor: at(area.x + area.width / 2.0, area.y) });
        }
    }
    for (column, name) in map.columns.iter().enumerate() {
        let middle = x.px(column as f64);
        if (plot.x..=plot.right()).contains(&middle) {
            let place = at(middle, plot.bottom() + 12.0);
            shapes.push(frame::tick_text(place, name.clone(), Anchor::Middle, theme));
        }
    }
    frame::titles(&mut shapes, &plot, &x_title, &y_title, theme);
    let (width_px, height_px) = (viewport.width_px, viewport.height_px);
    Scene { width_px, height_px, plot, x, y: None, full_x, shapes, marks, handles: Vec::new() }
}

fn cell(shapes: &mut Vec<Shape>, map: &Heatmap, index: usize, area: &Rect, theme: &Theme) {
    let rect = Rect {
        x: area.x + GAP_PX,
        y: area.y + GAP_PX,
        width: (area.width - 2.0 * GAP_PX).max(0.0),
        height: (area.height - 2.0 * GAP_PX).max(0.0),
    };
    let value = map.at(index);
    if value.is_nan() {
        // Not there is not little: an empty frame.
        let stroke = Some(Stroke::solid(theme.grid, 1.0));
        shapes.push(Shape::Rect { rect, fill: None, stroke, radius_px: 2.0 });
        return;
    }
    let width = map.range.1 - map.range.0;
    let share = if width > 0.0 { (value - map.range.0) / width } else { 1.0 };
    let fill = theme.sequential_at(share.clamp(0.0, 1.0));
    let strong = map.selected == Some(index);
    let stroke = strong.then(|| Stroke::solid(theme.accent, 2.0));
    shapes.push(Shape::Rect { rect, fill: Some(fill), stroke, radius_px: 2.0 });
    if rect.width >= NUMBER_PX.0 && rect.height >= NUMBER_PX.1 {
        // Whichever is easier to read there; the theme's own ink and paper are too near to the ramp's middle.
        let color = if BLACK.contrast(fill) >= WHITE.contrast(fill) { BLACK } else { WHITE };
        let text = format!("{value:.*}", map.decimals);
        let middle = at(rect.x + rect.width / 2.0, rect.y + rect.height / 2.0);
        shapes.push(Shape::Text { at: middle, text, color, size_px: LABEL_SIZE_PX, strong, anchor: Anchor::Middle });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::data::Axis;
    use crate::chart::view::View;

    fn map() -> Heatmap {
        Heatmap {
            x: Axis::new("activations", "bits"),
            y: Axis::new("weights", "bits"),
            z: Axis::new("accuracy", "%"),
            columns: vec!["4".into(), "8".into(), "float".into()],
            rows: vec!["8".into(), "4".into()],
            values: vec![10.0, 90.0, 95.5, f64::NAN, 40.0, f64::NAN],
            range: (0.0, 100.0),
            decimals: 1,
            ..Heatmap::default()
        }
    }

    fn viewport(width_px: f64, height_px: f64) -> Viewport {
        Viewport { width_px, height_px, scroll_px: 0.0, view: View::default() }
    }

    #[test]
    fn cells_tile_the_plot_and_carry_their_numbers() {
        let scene = layout(&map(), &viewport(600.0, 200.0), &Theme::LIGHT);
        assert_eq!(scene.marks.len(), 6);
        let area: f64 = scene.marks.iter().map(|mark| mark.area.width * mark.area.height).sum();
        assert!((area - scene.plot.width * scene.plot.height).abs() < 1e-6);
        let texts: Vec<&str> = scene
            .shapes
            .iter()
            .filter_map(|shape| if let Shape::Text { text, .. } = shape { Some(text.as_str()) } else { None })
            .collect();
        for wanted in ["10.0", "90.0", "95.5", "40.0", "float", "4", "activations (bits)", "weights (bits)"] {
            assert!(texts.contains(&wanted), "{wanted}: {texts:?}");
        }
        // Where there is no room, colour alone is there; the table has the numbers.
        let small = layout(&map(), &viewport(100.0, 60.0), &Theme::LIGHT);
        assert!(!small.shapes.iter().any(|shape| matches!(shape, Shape::Text { text, .. } if text == "90.0")));
    }

    #[test]
    fn a_number_can_be_read_on_every_colour_of_the_ramp() {
        for theme in [Theme::LIGHT, Theme::DARK] {
            for share in 0..=100 {
                let fill = theme.sequential_at(f64::from(share) / 100.0);
                let contrast = BLACK.contrast(fill).max(WHITE.contrast(fill));
                assert!(contrast >= CONTRAST, "{share} %: {contrast}");
            }
        }
    }

    #[test]
    fn odd_maps_are_drawn() {
        for map in [Heatmap::default(), Heatmap { values: vec![], ..map() }, Heatmap { range: (1.0, 1.0), ..map() }] {
            layout(&map, &viewport(300.0, 100.0), &Theme::DARK);
            layout(&map, &viewport(0.0, 0.0), &Theme::DARK);
        }
    }
}
