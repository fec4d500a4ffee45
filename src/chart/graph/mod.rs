//! A network as boxes and lines, in CSS pixels at its natural size: what is seen of it (`camera`), how keys walk in it
//! (`walk`), how a measure colours it (`shade`), and the whole of it as a figure (`figure`).
//!
//! Where the boxes stand was decided elsewhere.

pub mod camera;
pub mod figure;
pub mod shade;
pub mod walk;

pub use camera::Camera;
pub use figure::figure;
pub use shade::Shading;
pub use walk::{Step, step};

use super::scene::{Point, Rect, at};
use std::fmt::Write;

/// Pieces that a bend of a line is drawn in where there are no curves.
const BEND_PIECES: u32 = 10;

/// A box of a network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NetworkBox {
    /// Where it is.
    pub area: Rect,
    /// The operator.
    pub op: String,
    /// The name.
    pub name: String,
    /// Dims of what it makes; empty where they are not known.
    pub shape: String,
    /// Whether it is marked as quantized.
    pub quantized: bool,
}

/// A line between two boxes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NetworkLine {
    /// The upper box.
    pub from: usize,
    /// The lower box.
    pub to: usize,
    /// Its corners; between two of them it bends so that it leaves and arrives vertically.
    pub points: Vec<Point>,
}

/// A network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Network {
    /// Width of the whole.
    pub width_px: f64,
    /// Height of the whole.
    pub height_px: f64,
    /// The boxes.
    pub boxes: Vec<NetworkBox>,
    /// The lines.
    pub lines: Vec<NetworkLine>,
}

impl Network {
    /// The boxes whose results a box reads, in the order of the lines.
    pub fn makers(&self, node: usize) -> impl Iterator<Item = usize> + '_ {
        self.lines.iter().filter(move |line| line.to == node).map(|line| line.from)
    }

    /// The boxes that read a box's results.
    pub fn readers(&self, node: usize) -> impl Iterator<Item = usize> + '_ {
        self.lines.iter().filter(move |line| line.from == node).map(|line| line.to)
    }

    /// The boxes of which some part lies in an area.
    pub fn boxes_in(&self, area: &Rect) -> Vec<usize> {
        let seen = |node: &usize| self.boxes[*node].area.clipped_to(area).is_some();
        (0..self.boxes.len()).filter(seen).collect()
    }
}

impl NetworkLine {
    /// The smallest rectangle around it.
    pub fn bounds(&self) -> Rect {
        let Some(&first) = self.points.first() else { return Rect::default() };
        let (mut low, mut high) = (first, first);
        for point in &self.points {
            low = at(low.x.min(point.x), low.y.min(point.y));
            high = at(high.x.max(point.x), high.y.max(point.y));
        }
        Rect::between(low, high)
    }

    /// Whether it may be seen in an area.
    pub fn touches(&self, area: &Rect) -> bool {
        let own = self.bounds();
        own.x <= area.right() && own.right() >= area.x && own.y <= area.bottom() && own.bottom() >= area.y
    }

    /// Appends its way as SVG path commands, in tenths of a pixel.
    pub fn write_path(&self, out: &mut String) {
        // Writing into a String cannot fail.
        if let Some(first) = self.points.first() {
            let _ = write!(out, "M{:.1} {:.1}", first.x, first.y);
        }
        for pair in self.points.windows(2) {
            let [from, to] = pair else { continue };
            let _ = if is_straight(*from, *to) {
                write!(out, "L{:.1} {:.1}", to.x, to.y)
            } else {
                let middle = (from.y + to.y) / 2.0;
                write!(out, "C{:.1} {middle:.1} {:.1} {middle:.1} {:.1} {:.1}", from.x, to.x, to.x, to.y)
            };
        }
    }

    /// The same way in straight pieces.
    pub fn polyline(&self) -> Vec<Point> {
        let mut out: Vec<Point> = self.points.first().copied().into_iter().collect();
        for pair in self.points.windows(2) {
            let [from, to] = pair else { continue };
            if is_straight(*from, *to) {
                out.push(*to);
                continue;
            }
            let middle = (from.y + to.y) / 2.0;
            for piece in 1..=BEND_PIECES {
                let t = f64::from(piece) / f64::from(BEND_PIECES);
                // The cubic with control points at (from.x, middle) and (to.x, middle), by Bernstein's polynomials.
                let [a, b, c, d] = [(1.0 - t).powi(3), 3.0 * t * (1.0 - t).powi(2), 3.0 * t * t * (1.0 - t), t.powi(3)];
                out.push(at((a + b) * from.x + (c + d) * to.x, a * from.y + (b + c) * middle + d * to.y));
            }
        }
        out
    }
}

fn is_straight(from: Point, to: Point) -> bool {
    (from.x - to.x).abs() < 0.5
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fork and its join, 100 x 50 each: 0 over 1 (left) and 2 (right) over 3; 4 stands right of 2 alone.
    pub fn fork() -> Network {
        let area = |x: f64, y: f64| Rect { x, y, width: 100.0, height: 50.0 };
        let places = [(100.0, 0.0), (0.0, 100.0), (200.0, 100.0), (100.0, 200.0), (400.0, 100.0)];
        let make = |(number, (x, y)): (usize, (f64, f64))| NetworkBox {
            area: area(x, y),
            op: "Conv".into(),
            name: format!("conv_{number}"),
            shape: "1 × 8".into(),
            quantized: number == 1,
        };
        let boxes: Vec<NetworkBox> = places.into_iter().enumerate().map(make).collect();
        let line = |(from, to): (usize, usize)| {
            let (one, two): (Rect, Rect) = (boxes[from].area, boxes[to].area);
            let points = vec![at(one.x + 50.0, one.bottom()), at(two.x + 50.0, two.y)];
            NetworkLine { from, to, points }
        };
        let lines = [(0, 1), (0, 2), (1, 3), (2, 3)].map(line).to_vec();
        Network { width_px: 500.0, height_px: 250.0, boxes, lines }
    }

    #[test]
    fn a_line_leaves_and_arrives_vertically() {
        let network = fork();
        let mut path = String::new();
        network.lines[0].write_path(&mut path);
        assert_eq!(path, "M150.0 50.0C150.0 75.0 50.0 75.0 50.0 100.0");
        let pieces = network.lines[0].polyline();
        assert_eq!((pieces[0], pieces[pieces.len() - 1]), (at(150.0, 50.0), at(50.0, 100.0)));
        assert_eq!(pieces[5], at(100.0, 75.0), "by symmetry");
        assert!(pieces.windows(2).all(|pair| pair[0].y <= pair[1].y && pair[0].x >= pair[1].x));
    }

    #[test]
    fn what_is_out_of_sight_is_left_out() {
        let network = fork();
        let seen = Rect { x: 0.0, y: 90.0, width: 150.0, height: 100.0 };
        assert_eq!(network.boxes_in(&seen), [1]);
        let lines: Vec<bool> = network.lines.iter().map(|line| line.touches(&seen)).collect();
        assert_eq!(lines, [true, true, true, true], "a line that may cross the area is drawn");
        assert!(!network.lines[3].touches(&Rect { x: 0.0, y: 0.0, width: 90.0, height: 90.0 }));
        assert_eq!(network.makers(3).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(network.readers(0).collect::<Vec<_>>(), [1, 2]);
    }
}
