//! A scene as an SVG document.
//!
//! Written by hand instead of with plotters' SVG backend, because that one takes whole pixels and estimates where text
//! goes: the exported figure would differ from the screen. Here every coordinate is the scene's own.

use super::color::Color;
use super::scene::{Anchor, Scene, Shape, Stroke};
use super::theme::FONT_FAMILY;
use std::fmt::Write;

/// The document, with `title` for screen readers.
pub fn svg(scene: &Scene, title: &str) -> String {
    let (width, height) = (number(scene.width_px), number(scene.height_px));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\" font-family=\"{}\" style=\"font-variant-numeric:tabular-nums\">\n<title>{}</title>\n",
        escape(FONT_FAMILY),
        escape(title)
    );
    for shape in &scene.shapes {
        write_shape(&mut out, shape);
    }
    out.push_str("</svg>\n");
    out
}

/// At most a thousandth of a pixel, without trailing zeros: the same scene always gives the same file.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.to_owned() }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML 1.0 has no way to write the other control characters, and a tensor's name may hold any.
            control if control.is_control() && !matches!(control, '\t' | '\n' | '\r') => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

fn paint(attribute: &str, color: Option<Color>) -> String {
    match color {
        None => format!(" {attribute}=\"none\""),
        Some(color) if color.alpha < 1.0 => {
            format!(" {attribute}=\"{}\" {attribute}-opacity=\"{}\"", color.to_hex(), number(color.alpha))
        }
        Some(color) => format!(" {attribute}=\"{}\"", color.to_hex()),
    }
}

fn stroke_of(stroke: Option<&Stroke>) -> String {
    let Some(stroke) = stroke else { return String::new() };
    let dash = stroke.dash_px.map(|(dash, gap)| format!(" stroke-dasharray=\"{} {}\"", number(dash), number(gap)));
    format!(
        "{} stroke-width=\"{}\"{}",
        paint("stroke", Some(stroke.color)),
        number(stroke.width_px),
        dash.unwrap_or_default()
    )
}

fn write_shape(out: &mut String, shape: &Shape) {
    // Writing into a String cannot fail.
    let _ = match shape {
        Shape::Rect { rect, fill, stroke, radius_px } => {
            let radius = if *radius_px > 0.0 { format!(" rx=\"{}\"", number(*radius_px)) } else { String::new() };
            writeln!(
                out,
                "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"{radius}{}{}/>",
                number(rect.x),
                number(rect.y),
                number(rect.width),
                number(rect.height),
                paint("fill", *fill),
                stroke_of(stroke.as_ref())
            )
        }
        Shape::Polyline { points, stroke } => {
            let points: Vec<String> =
                points.iter().map(|point| format!("{},{}", number(point.x), number(point.y))).collect();
            let stroke = stroke_of(Some(stroke));
            writeln!(out, "<polyline points=\"{}\" fill=\"none\" stroke-linejoin=\"round\"{stroke}/>", points.join(" "))
        }
        Shape::Circle { center, radius_px, fill, stroke } => writeln!(
            out,
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\"{}{}/>",
            number(center.x),
            number(center.y),
            number(*radius_px),
            paint("fill", *fill),
            stroke_of(stroke.as_ref())
        ),
        Shape::Text { at, text, color, size_px, strong, anchor } => {
            let anchor = match anchor {
                Anchor::Start => "start",
                Anchor::Middle => "middle",
                Anchor::End => "end",
            };
            let weight = if *strong { " font-weight=\"700\"" } else { "" };
            writeln!(
                out,
                "<text x=\"{}\" y=\"{}\" font-size=\"{}\" text-anchor=\"{anchor}\" dominant-baseline=\"central\"{weight}{}>{}</text>",
                number(at.x),
                number(at.y),
                number(*size_px),
                paint("fill", Some(*color)),
                escape(text)
            )
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::axis::{AxisMap, Scale};
    use crate::chart::scene::{Rect, at};

    #[test]
    fn names_from_files_cannot_break_the_document() {
        let black = Color::hex(0);
        let text = Shape::Text {
            at: at(1.0, 2.5),
            text: "a<b>&\"c\"\u{1}".into(),
            color: black.with_alpha(0.5),
            size_px: 11.0,
            strong: true,
            anchor: Anchor::End,
        };
        let scene = Scene {
            width_px: 10.0,
            height_px: 5.0,
            plot: Rect::default(),
            x: AxisMap::new((0.0, 1.0), (0.0, 1.0), Scale::Linear),
            y: None,
            full_x: (0.0, 1.0),
            shapes: vec![text, Shape::line(at(0.0, 1.0 / 3.0), at(2.0, -0.0), Stroke::dashed(black, 1.5, 4.0, 3.0))],
            marks: Vec::new(),
            handles: Vec::new(),
        };
        let svg = svg(&scene, "x & y");
        assert!(svg.contains("<title>x &amp; y</title>"));
        assert!(svg.contains(">a&lt;b&gt;&amp;&quot;c&quot;\u{fffd}</text>"));
        assert!(svg.contains("points=\"0,0.333 2,0\" fill=\"none\" stroke-linejoin=\"round\" stroke=\"#000000\" stroke-width=\"1.5\" stroke-dasharray=\"4 3\""));
        assert!(svg.contains("fill=\"#000000\" fill-opacity=\"0.5\""));
    }
}
