//! The whole network as a scene: what an exported SVG or PNG shows.

use super::{Network, NetworkBox, Shading};
use crate::chart::axis::{AxisMap, Scale};
use crate::chart::format::{ellipsize, text_width_px};
use crate::chart::scene::{Anchor, Point, Rect, Scene, Shape, Stroke, at};
use crate::chart::theme::LABEL_SIZE_PX;
use crate::chart::{Color, Theme};

/// Height of the heading over the network.
const HEAD_PX: f64 = 40.0;
/// Width of the coloured stripe on a box's left.
pub const STRIPE_PX: f64 = 6.0;
/// Radius of a box's corners.
pub const RADIUS_PX: f64 = 6.0;
/// From a box's left edge to its text.
pub const TEXT_X_PX: f64 = 16.0;
/// Middle of a box's three lines, from its top.
pub const LINES_Y_PX: [f64; 3] = [15.0, 31.0, 46.0];
/// Size of a box's name.
pub const NAME_SIZE_PX: f64 = 12.0;
/// Width of the legend's ramp.
const RAMP_PX: f64 = 120.0;

/// The text of a box as far as it has room: operator, name, shape.
pub fn lines(node: &NetworkBox, figure: Option<&str>) -> [String; 3] {
    let room = node.area.width - TEXT_X_PX - 10.0;
    let mark = if node.quantized { 24.0 } else { 0.0 };
    let beside = figure.map_or(0.0, |figure| text_width_px(figure, LABEL_SIZE_PX) + 8.0);
    // The domain of an operator is in its title and in the table.
    let op = node.op.rsplit('.').next().unwrap_or_default();
    [
        ellipsize(op, room - mark, NAME_SIZE_PX),
        ellipsize(&node.name, room, NAME_SIZE_PX),
        ellipsize(&node.shape, room - beside, LABEL_SIZE_PX),
    ]
}

/// The whole network under a heading, with the measure's legend where there is one.
pub fn figure(network: &Network, title: &str, shading: Option<&Shading>, theme: &Theme) -> Scene {
    let legend_px = shading.map_or(0.0, |_| 3.0 * RAMP_PX);
    let width = network.width_px.max(text_width_px(title, NAME_SIZE_PX) + legend_px + 64.0).max(240.0);
    let height = network.height_px + HEAD_PX;
    // A network narrower than its heading stands in the middle.
    let shift = at((width - network.width_px) / 2.0, HEAD_PX);
    let all = Rect { x: 0.0, y: 0.0, width, height };
    let mut shapes = vec![Shape::fill(all, theme.panel)];
    shapes.push(text(at(24.0, HEAD_PX / 2.0 + 4.0), title, theme.ink, NAME_SIZE_PX, true, Anchor::Start));
    shapes.extend(shading.into_iter().flat_map(|shading| legend(shading, width, theme)));
    let drawn = network
        .lines
        .iter()
        .map(|line| Shape::Polyline { points: line.polyline(), stroke: Stroke::solid(theme.neutral, 1.2) });
    let mut inside: Vec<Shape> = drawn.collect();
    let colors = shading.map(|shading| shading.colors(theme)).unwrap_or_default();
    for (number, node) in network.boxes.iter().enumerate() {
        let color = colors.get(number).copied().flatten();
        let figure = shading.and_then(|shading| Some(shading.words(shading.figures.get(number).copied().flatten()?)));
        inside.extend(box_shapes(node, color, figure.as_deref(), theme));
    }
    shapes.extend(inside.into_iter().map(|shape| shape.moved(shift.x, shift.y)));
    let nowhere = AxisMap::new((0.0, width), (0.0, width), Scale::Linear);
    Scene {
        width_px: width,
        height_px: height,
        plot: all,
        x: nowhere,
        y: None,
        full_x: (0.0, width),
        shapes,
        marks: Vec::new(),
        handles: Vec::new(),
    }
}

fn box_shapes(node: &NetworkBox, color: Option<Color>, figure: Option<&str>, theme: &Theme) -> Vec<Shape> {
    let area = node.area;
    let edge = color.map_or(Stroke::solid(theme.line2, 1.0), |color| Stroke::solid(color, 2.0));
    let stripe = Rect { width: STRIPE_PX, ..area };
    let [op, name, shape] = lines(node, figure);
    let line = |line: usize| at(area.x + TEXT_X_PX, area.y + LINES_Y_PX[line]);
    let mut shapes = vec![
        Shape::Rect { rect: area, fill: Some(theme.raise), stroke: Some(edge), radius_px: RADIUS_PX },
        Shape::Rect {
            rect: stripe,
            fill: Some(color.unwrap_or(theme.neutral)),
            stroke: None,
            radius_px: STRIPE_PX / 2.0,
        },
        text(line(0), &op, theme.ink2, LABEL_SIZE_PX, false, Anchor::Start),
        text(line(1), &name, theme.ink, NAME_SIZE_PX, true, Anchor::Start),
        text(line(2), &shape, theme.ink3, LABEL_SIZE_PX, false, Anchor::Start),
    ];
    let right = area.right() - 8.0;
    if node.quantized {
        shapes.push(text(at(right, line(0).y), "[Q]", theme.ink2, LABEL_SIZE_PX, true, Anchor::End));
    }
    shapes
        .extend(figure.map(|figure| text(at(right, line(2).y), figure, theme.ink2, LABEL_SIZE_PX, false, Anchor::End)));
    shapes
}

/// The ramp with the figures at its ends, at the right of the heading.
fn legend(shading: &Shading, width: f64, theme: &Theme) -> Vec<Shape> {
    const PIECES: u32 = 24;
    let Some((weak, strong)) = shading.ends() else { return Vec::new() };
    let y = HEAD_PX / 2.0 + 10.0;
    let right = width - 24.0 - text_width_px(&shading.words(strong), LABEL_SIZE_PX) - 6.0;
    let left = right - RAMP_PX;
    let piece = RAMP_PX / f64::from(PIECES);
    let mut shapes: Vec<Shape> = (0..PIECES)
        .map(|number| {
            let rect = Rect { x: left + f64::from(number) * piece, y: y - 5.0, width: piece, height: 10.0 };
            Shape::fill(rect, theme.sequential_at(f64::from(number) / f64::from(PIECES - 1)))
        })
        .collect();
    let words = |at: Point, words: &str, anchor: Anchor| text(at, words, theme.ink2, LABEL_SIZE_PX, false, anchor);
    shapes.push(words(at(left - 6.0, y), &shading.words(weak), Anchor::End));
    shapes.push(words(at(right + 6.0, y), &shading.words(strong), Anchor::Start));
    shapes.push(words(at(width - 24.0, y - 16.0), &shading.title(), Anchor::End));
    shapes
}

fn text(at: Point, text: &str, color: Color, size_px: f64, strong: bool, anchor: Anchor) -> Shape {
    Shape::Text { at, text: text.to_owned(), color, size_px, strong, anchor }
}

#[cfg(test)]
mod tests {
    use super::super::tests::fork;
    use super::*;
    use crate::chart::svg::svg;

    #[test]
    fn the_figure_holds_every_box_and_line_and_is_always_the_same() {
        let network = fork();
        let scene = figure(&network, "resnet", None, &Theme::LIGHT);
        let document = svg(&scene, "Network of resnet");
        for node in &network.boxes {
            assert!(document.contains(&format!(">{}</text>", node.name)), "{document}");
        }
        assert_eq!(document.matches("<polyline").count(), network.lines.len());
        assert_eq!(document.matches(">[Q]<").count(), 1);
        assert_eq!(document, svg(&figure(&network, "resnet", None, &Theme::LIGHT), "Network of resnet"));
    }

    #[test]
    fn a_measure_is_written_and_coloured() {
        let shading = Shading {
            name: "local SQNR".into(),
            unit: "dB".into(),
            direction: crate::chart::Direction::HigherIsBetter,
            figures: vec![Some(40.0), Some(10.5), None, None, None],
        };
        let document = svg(&figure(&fork(), "resnet", Some(&shading), &Theme::DARK), "");
        // In its box, and at its end of the legend.
        assert_eq!(document.matches(">10.5 dB<").count(), 2, "{document}");
        assert!(document.contains("local SQNR, dB, higher is better"));
        assert!(document.contains(&Theme::DARK.sequential[4].to_hex()));
    }

    #[test]
    fn long_names_are_cut_in_the_middle() {
        let node = NetworkBox {
            area: Rect { x: 0.0, y: 0.0, width: 150.0, height: 58.0 },
            op: "com.microsoft.QLinearAdd".into(),
            name: "/features/features.12/block/block.3/add".into(),
            shape: "1 × 3 × 1024 × 1024 × 7 × 9".into(),
            quantized: true,
        };
        let [op, name, shape] = lines(&node, Some("21.8 dB"));
        assert_eq!(op, "QLinearAdd");
        assert!(name.starts_with("/feat") && name.contains('…') && name.ends_with("3/add"), "{name}");
        assert!(shape.contains('…') && shape.starts_with("1 × 3"), "{shape}");
    }
}
