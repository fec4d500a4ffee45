//! The few shapes that every chart is made of, in CSS pixels.

use crate::chart::color::Color;

/// A point in CSS pixels, y downwards.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// From the left.
    pub x: f64,
    /// From the top.
    pub y: f64,
}

/// A point.
pub const fn at(x: f64, y: f64) -> Point {
    Point { x, y }
}

/// A rectangle in CSS pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rect {
    /// Left edge.
    pub x: f64,
    /// Top edge.
    pub y: f64,
    /// Width, never negative.
    pub width: f64,
    /// Height, never negative.
    pub height: f64,
}

impl Rect {
    /// The rectangle between two corners in any order.
    pub fn between(one: Point, two: Point) -> Self {
        let (x, y) = (one.x.min(two.x), one.y.min(two.y));
        Self { x, y, width: (one.x - two.x).abs(), height: (one.y - two.y).abs() }
    }

    /// Right edge.
    pub fn right(&self) -> f64 {
        self.x + self.width
    }

    /// Bottom edge.
    pub fn bottom(&self) -> f64 {
        self.y + self.height
    }

    /// Whether a point is inside or on the edge.
    pub fn contains(&self, point: Point) -> bool {
        (self.x..=self.right()).contains(&point.x) && (self.y..=self.bottom()).contains(&point.y)
    }

    /// The common part; `None` when there is none.
    pub fn clipped_to(&self, other: &Rect) -> Option<Rect> {
        let (left, top) = (self.x.max(other.x), self.y.max(other.y));
        let (right, bottom) = (self.right().min(other.right()), self.bottom().min(other.bottom()));
        (right > left && bottom > top).then_some(Rect { x: left, y: top, width: right - left, height: bottom - top })
    }
}

/// A line's look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stroke {
    /// Its colour.
    pub color: Color,
    /// Its width.
    pub width_px: f64,
    /// Lengths of dash and gap; `None` is solid.
    pub dash_px: Option<(f64, f64)>,
}

impl Stroke {
    /// A solid line.
    pub const fn solid(color: Color, width_px: f64) -> Self {
        Self { color, width_px, dash_px: None }
    }

    /// A dashed line.
    pub const fn dashed(color: Color, width_px: f64, dash_px: f64, gap_px: f64) -> Self {
        Self { color, width_px, dash_px: Some((dash_px, gap_px)) }
    }
}

/// Which part of a text stands at its point; vertically it is always the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The left end.
    Start,
    /// The middle.
    Middle,
    /// The right end.
    End,
}

/// One thing to draw.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A rectangle, with rounded corners if `radius_px` is above 0.
    Rect {
        /// Where.
        rect: Rect,
        /// Its inside.
        fill: Option<Color>,
        /// Its edge.
        stroke: Option<Stroke>,
        /// Radius of the corners.
        radius_px: f64,
    },
    /// An open line through points.
    Polyline {
        /// The points; fewer than two draw nothing.
        points: Vec<Point>,
        /// Its look.
        stroke: Stroke,
    },
    /// A circle.
    Circle {
        /// Its centre.
        center: Point,
        /// Its radius.
        radius_px: f64,
        /// Its inside.
        fill: Option<Color>,
        /// Its edge.
        stroke: Option<Stroke>,
    },
    /// One line of text, vertically centred on its point.
    Text {
        /// Where.
        at: Point,
        /// What.
        text: String,
        /// Its colour.
        color: Color,
        /// Font size.
        size_px: f64,
        /// Whether it is emphasized.
        strong: bool,
        /// Which part stands at the point.
        anchor: Anchor,
    },
}

impl Shape {
    /// A filled rectangle with square corners.
    pub const fn fill(rect: Rect, color: Color) -> Self {
        Shape::Rect { rect, fill: Some(color), stroke: None, radius_px: 0.0 }
    }

    /// A straight line.
    pub fn line(from: Point, to: Point, stroke: Stroke) -> Self {
        Shape::Polyline { points: vec![from, to], stroke }
    }

    /// The same shape elsewhere.
    pub fn moved(self, dx: f64, dy: f64) -> Self {
        let shift = |point: Point| at(point.x + dx, point.y + dy);
        match self {
            Shape::Rect { rect, fill, stroke, radius_px } => {
                Shape::Rect { rect: Rect { x: rect.x + dx, y: rect.y + dy, ..rect }, fill, stroke, radius_px }
            }
            Shape::Polyline { points, stroke } => {
                Shape::Polyline { points: points.into_iter().map(shift).collect(), stroke }
            }
            Shape::Circle { center, radius_px, fill, stroke } => {
                Shape::Circle { center: shift(center), radius_px, fill, stroke }
            }
            Shape::Text { at, text, color, size_px, strong, anchor } => {
                Shape::Text { at: shift(at), text, color, size_px, strong, anchor }
            }
        }
    }
}

/// The parts of a polyline that lie inside `area` (Liang and Barsky's clipping, segment by segment).
pub fn clip_polyline(points: &[Point], area: &Rect) -> Vec<Vec<Point>> {
    let mut parts: Vec<Vec<Point>> = Vec::new();
    for pair in points.windows(2) {
        let [from, to] = pair else { continue };
        let Some((from, to)) = clip_segment(*from, *to, area) else { continue };
        match parts.last_mut() {
            Some(part) if part.last() == Some(&from) => part.push(to),
            _ => parts.push(vec![from, to]),
        }
    }
    parts
}

fn clip_segment(from: Point, to: Point, area: &Rect) -> Option<(Point, Point)> {
    let (dx, dy) = (to.x - from.x, to.y - from.y);
    let (mut enter, mut leave) = (0.0f64, 1.0f64);
    for (direction, distance) in
        [(-dx, from.x - area.x), (dx, area.right() - from.x), (-dy, from.y - area.y), (dy, area.bottom() - from.y)]
    {
        if direction == 0.0 {
            if distance < 0.0 {
                return None;
            }
        } else if direction < 0.0 {
            enter = enter.max(distance / direction);
        } else {
            leave = leave.min(distance / direction);
        }
    }
    // The ends that were inside stay bit-equal, so that neighbouring segments join into one part.
    let along = |share: f64| at(from.x + share * dx, from.y + share * dy);
    (enter <= leave)
        .then(|| (if enter == 0.0 { from } else { along(enter) }, if leave == 1.0 { to } else { along(leave) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AREA: Rect = Rect { x: 0.0, y: 0.0, width: 10.0, height: 10.0 };

    #[test]
    fn a_line_that_leaves_and_returns_becomes_two_parts() {
        let parts = clip_polyline(&[at(1.0, 1.0), at(5.0, 5.0), at(5.0, 15.0), at(8.0, 15.0), at(8.0, 5.0)], &AREA);
        assert_eq!(parts, vec![vec![at(1.0, 1.0), at(5.0, 5.0), at(5.0, 10.0)], vec![at(8.0, 10.0), at(8.0, 5.0)]]);
        assert!(clip_polyline(&[at(20.0, 0.0), at(20.0, 9.0)], &AREA).is_empty());
        assert_eq!(clip_polyline(&[at(-5.0, 5.0), at(15.0, 5.0)], &AREA), vec![vec![at(0.0, 5.0), at(10.0, 5.0)]]);
    }

    #[test]
    fn rectangles_clip() {
        let out = Rect { x: 8.0, y: -5.0, width: 10.0, height: 7.0 };
        assert_eq!(out.clipped_to(&AREA), Some(Rect { x: 8.0, y: 0.0, width: 2.0, height: 2.0 }));
        assert_eq!(Rect { x: 11.0, ..AREA }.clipped_to(&AREA), None);
    }
}
