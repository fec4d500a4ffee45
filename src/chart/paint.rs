//! A scene on a canvas, by plotters over the plotters-canvas backend.
//!
//! Why plotters' drawing layer and not its axes: the backends take whole pixels, and the axes measure every label by
//! putting a span into the document, a layout each. So the scene is laid out beforehand in f64, and plotters draws its
//! shapes in units of 1/16 CSS pixel. The context's transform, through which the backend draws, scales these units to
//! device pixels: lines keep their sub-pixel places and text is rasterized at the device's resolution.

use super::color::Color;
use super::scene::{Anchor, Point, Rect, Scene, Shape, Stroke, at};
use super::theme::FONT_FAMILY;
use plotters::element::{DashedPathElement, Drawable};
use plotters::prelude::{DrawingBackend, RGBAColor, ShapeStyle, TextStyle};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, IntoFont};
use plotters_canvas::CanvasBackend;
use std::f64::consts::FRAC_PI_2;
use wasm_bindgen::JsCast;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement};

/// Units per CSS pixel.
const UNITS: f64 = 16.0;
/// Beyond this a canvas is refused by some browser (Safari on a phone allows 16 million pixels).
const MOST_DEVICE_PIXELS: f64 = 16.0e6;
/// And no browser allows a longer side (Firefox 32,767, Chromium 65,535 pixels, Safari 16,384).
const LONGEST_SIDE_PIXELS: f64 = 16_384.0;

/// Painting failed.
#[derive(Debug, thiserror::Error)]
pub enum PaintError {
    /// The canvas has no 2d context: lost, or taken for something else.
    #[error("the canvas has no 2d context")]
    NoContext,
    /// The backend refused a shape.
    #[error("the canvas refused to draw: {0}")]
    Draw(String),
}

/// Sizes the canvas for the device and draws the scene; what was there before is erased.
///
/// `pixel_ratio` is device pixels per CSS pixel; it is lowered where the backing store would outgrow what browsers allow.
pub fn paint(canvas: &HtmlCanvasElement, scene: &Scene, pixel_ratio: f64) -> Result<(), PaintError> {
    let ratio = allowed_ratio(scene.width_px, scene.height_px, pixel_ratio);
    let context = canvas.get_context("2d").ok().flatten().ok_or(PaintError::NoContext)?;
    let context: CanvasRenderingContext2d = context.dyn_into().map_err(|_| PaintError::NoContext)?;
    // Setting the size erases the canvas and resets its transform. `as u32` saturates.
    canvas.set_width((scene.width_px * ratio).ceil().max(1.0) as u32);
    canvas.set_height((scene.height_px * ratio).ceil().max(1.0) as u32);
    let scale = ratio / UNITS;
    let refused = |_| PaintError::Draw("the transform was refused".into());
    context.set_transform(scale, 0.0, 0.0, scale, 0.0, 0.0).map_err(refused)?;
    context.set_line_join("round");
    let mut backend = CanvasBackend::with_canvas_object(canvas.clone()).ok_or(PaintError::NoContext)?;
    scene.shapes.iter().try_for_each(|shape| draw(&mut backend, shape))
}

fn allowed_ratio(width_px: f64, height_px: f64, pixel_ratio: f64) -> f64 {
    let wanted = if pixel_ratio.is_finite() { pixel_ratio.clamp(0.5, 8.0) } else { 1.0 };
    let side = LONGEST_SIDE_PIXELS / width_px.max(height_px).max(1.0);
    wanted.min((MOST_DEVICE_PIXELS / (width_px.max(1.0) * height_px.max(1.0))).sqrt()).min(side)
}

/// Draws one shape on any plotters backend whose unit is 1/16 CSS pixel.
fn draw<B: DrawingBackend>(backend: &mut B, shape: &Shape) -> Result<(), PaintError> {
    let done = match shape {
        Shape::Rect { rect, fill, stroke, radius_px } => {
            let outline = outline(rect, *radius_px);
            let filled = match fill {
                Some(fill) if *radius_px <= 0.0 => {
                    let (from, to) = (units(at(rect.x, rect.y)), units(at(rect.right(), rect.bottom())));
                    backend.draw_rect(from, to, &rgba(*fill), true)
                }
                Some(fill) => backend.fill_polygon(outline.iter().copied().map(units), &rgba(*fill)),
                None => Ok(()),
            };
            filled.and_then(|()| match stroke {
                Some(stroke) => backend.draw_path(outline.iter().copied().map(units), &line_style(stroke)),
                None => Ok(()),
            })
        }
        Shape::Polyline { points, stroke } => {
            let points = points.iter().copied().map(units);
            match stroke.dash_px {
                None => backend.draw_path(points, &line_style(stroke)),
                Some((dash, gap)) => {
                    let (dash, gap) = (whole(dash), whole(gap));
                    let element = DashedPathElement::new(points.clone(), dash, gap, line_style(stroke));
                    element.draw(points, backend, (0, 0))
                }
            }
        }
        Shape::Circle { center, radius_px, fill, stroke } => {
            let radius = whole(*radius_px).unsigned_abs();
            let filled = match fill {
                Some(fill) => backend.draw_circle(units(*center), radius, &rgba(*fill), true),
                None => Ok(()),
            };
            filled.and_then(|()| match stroke {
                Some(stroke) => backend.draw_circle(units(*center), radius, &line_style(stroke), false),
                None => Ok(()),
            })
        }
        Shape::Text { at, text, color, size_px, strong, anchor } => {
            let weight = if *strong { FontStyle::Bold } else { FontStyle::Normal };
            let h_pos = match anchor {
                Anchor::Start => HPos::Left,
                Anchor::Middle => HPos::Center,
                Anchor::End => HPos::Right,
            };
            let font = (FONT_FAMILY, *size_px * UNITS, weight).into_font();
            let color = rgba(*color);
            let style = TextStyle::from(font).color(&color).pos(Pos::new(h_pos, VPos::Center));
            backend.draw_text(text, &style, units(*at))
        }
    };
    done.map_err(|error| PaintError::Draw(error.to_string()))
}

fn whole(px: f64) -> i32 {
    // `as` saturates, so a shape far outside the canvas stays outside.
    (px * UNITS + 0.5).floor() as i32
}

fn units(point: Point) -> (i32, i32) {
    (whole(point.x), whole(point.y))
}

fn rgba(color: Color) -> RGBAColor {
    RGBAColor(color.red, color.green, color.blue, color.alpha)
}

fn line_style(stroke: &Stroke) -> ShapeStyle {
    ShapeStyle { color: rgba(stroke.color), filled: false, stroke_width: whole(stroke.width_px).unsigned_abs() }
}

/// The closed outline of a rectangle whose corners are quarter circles of eight segments.
fn outline(rect: &Rect, radius_px: f64) -> Vec<Point> {
    const SEGMENTS: u32 = 8;
    let radius = radius_px.min(rect.width / 2.0).min(rect.height / 2.0).max(0.0);
    let (left, right) = (rect.x + radius, rect.right() - radius);
    let (top, bottom) = (rect.y + radius, rect.bottom() - radius);
    let corners = [(right, top, -1.0), (right, bottom, 0.0), (left, bottom, 1.0), (left, top, 2.0)];
    let mut points = Vec::new();
    for (x, y, quarter) in corners {
        let steps = if radius > 0.0 { SEGMENTS } else { 0 };
        for step in 0..=steps {
            let angle = (quarter + f64::from(step) / f64::from(SEGMENTS)) * FRAC_PI_2;
            points.push(at(x + radius * angle.cos(), y + radius * angle.sin()));
        }
    }
    points.extend(points.first().copied());
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backing_store_stays_within_what_browsers_allow() {
        assert_eq!(allowed_ratio(800.0, 200.0, 2.0), 2.0);
        let ratio = allowed_ratio(2000.0, 20_000.0, 3.0);
        assert!(2000.0 * ratio * 20_000.0 * ratio <= MOST_DEVICE_PIXELS * 1.000_001, "{ratio}");
        // A network of two thousand layers: its area would do, its height would not.
        assert!(200_000.0 * allowed_ratio(300.0, 200_000.0, 1.0) <= LONGEST_SIDE_PIXELS);
        assert_eq!(allowed_ratio(10.0, 10.0, f64::NAN), 1.0);
    }

    #[test]
    fn a_pill_is_closed_and_stays_in_its_box() {
        let rect = Rect { x: 1.0, y: 2.0, width: 14.0, height: 30.0 };
        let points = outline(&rect, 99.0);
        assert_eq!(points.first(), points.last());
        let slack = Rect { x: rect.x - 1e-9, y: rect.y - 1e-9, width: rect.width + 2e-9, height: rect.height + 2e-9 };
        assert!(points.iter().all(|point| slack.contains(*point)));
        assert_eq!(outline(&rect, 0.0).len(), 5);
    }

    #[test]
    fn units_round_half_up_and_saturate() {
        assert_eq!(units(at(0.5, -0.5)), (8, -8));
        assert_eq!(units(at(1e12, f64::NAN)), (i32::MAX, 0));
    }
}
