//! Which part of a network a frame shows, and how large.

use crate::chart::scene::{Point, Rect, at};

/// At most this many pixels for one of the network's.
const LARGEST: f64 = 3.0;
/// At least this many, where the whole is not larger still.
const SMALLEST: f64 = 0.1;
/// Smaller letters cannot be read: a network that would have to shrink further begins at its top instead.
const READABLE: f64 = 0.75;
/// Room around what is shown.
const AIR_PX: f64 = 24.0;
/// So much of a network always stays in its frame.
const KEPT_PX: f64 = 48.0;

/// A place in the network and a magnification.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    /// What is at the frame's top left corner, in the network's pixels.
    pub origin: Point,
    /// Pixels of the frame for one of the network's.
    pub scale: f64,
}

/// Width and height, of a network or of a frame.
pub type Size = (f64, f64);

impl Camera {
    /// The whole network in the middle of the frame, never enlarged.
    pub fn fit(network: Size, frame: Size) -> Self {
        let room = |frame: f64, network: f64| (frame - AIR_PX).max(1.0) / network.max(1.0);
        let scale = room(frame.0, network.0).min(room(frame.1, network.1)).min(1.0);
        let middle = |frame: f64, network: f64| (network - frame / scale) / 2.0;
        Camera { origin: at(middle(frame.0, network.0), middle(frame.1, network.1)), scale }
    }

    /// What is shown first: the whole network where it can be read like that, else its top, or the box that is
    /// selected.
    pub fn start(network: Size, frame: Size, top: Point, selected: Option<Rect>) -> Self {
        let whole = Camera::fit(network, frame);
        if whole.scale >= READABLE {
            return whole;
        }
        let wide = (frame.0 - AIR_PX).max(1.0) / network.0.max(1.0);
        let scale = wide.clamp(READABLE, 1.0);
        let camera = Camera { origin: at(top.x - frame.0 / scale / 2.0, top.y - AIR_PX), scale };
        let shown = selected.map_or(camera, |area| camera.centred(area, frame));
        shown.kept(network, frame)
    }

    /// The part of the network that the frame shows.
    pub fn seen(&self, frame: Size) -> Rect {
        Rect { x: self.origin.x, y: self.origin.y, width: frame.0 / self.scale, height: frame.1 / self.scale }
    }

    /// A point of the frame, in the network.
    pub fn in_network(&self, point: Point) -> Point {
        at(self.origin.x + point.x / self.scale, self.origin.y + point.y / self.scale)
    }

    /// Magnified by `factor`, so that what is at `around` in the frame stays there.
    pub fn zoomed(&self, factor: f64, around: Point, network: Size, frame: Size) -> Self {
        let least = SMALLEST.min(Camera::fit(network, frame).scale);
        let scale = (self.scale * factor).clamp(least, LARGEST);
        let fixed = self.in_network(around);
        let origin = at(fixed.x - around.x / scale, fixed.y - around.y / scale);
        Camera { origin, scale }.kept(network, frame)
    }

    /// Moved so that what was at a place in the frame is so many pixels further right and down.
    pub fn dragged(&self, dx: f64, dy: f64, network: Size, frame: Size) -> Self {
        let origin = at(self.origin.x - dx / self.scale, self.origin.y - dy / self.scale);
        Camera { origin, ..*self }.kept(network, frame)
    }

    /// With an area in the middle of the frame.
    pub fn centred(&self, area: Rect, frame: Size) -> Self {
        let seen = self.seen(frame);
        let x = area.x + area.width / 2.0 - seen.width / 2.0;
        let y = area.y + area.height / 2.0 - seen.height / 2.0;
        Camera { origin: at(x, y), ..*self }
    }

    /// Moved no further than it takes to have an area in sight, with some air around it.
    pub fn revealing(&self, area: Rect, frame: Size) -> Self {
        let seen = self.seen(frame);
        let air = AIR_PX / self.scale;
        let along = |seen: f64, room: f64, from: f64, length: f64| {
            if length + 2.0 * air > room {
                from + length / 2.0 - room / 2.0
            } else {
                seen.min(from - air).max(from + length + air - room)
            }
        };
        let x = along(seen.x, seen.width, area.x, area.width);
        let y = along(seen.y, seen.height, area.y, area.height);
        Camera { origin: at(x, y), ..*self }
    }

    /// Moved back so that the frame is never empty.
    fn kept(self, network: Size, frame: Size) -> Self {
        let margin = KEPT_PX / self.scale;
        let along = |origin: f64, network: f64, frame: f64| {
            let (least, most) = (margin - frame / self.scale, network - margin);
            origin.clamp(least.min(most), most.max(least))
        };
        let origin = at(along(self.origin.x, network.0, frame.0), along(self.origin.y, network.1, frame.1));
        Camera { origin, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Size = (400.0, 300.0);

    #[test]
    fn a_small_network_stands_in_the_middle_as_it_is() {
        let camera = Camera::fit((200.0, 100.0), FRAME);
        assert_eq!(camera, Camera { origin: at(-100.0, -100.0), scale: 1.0 });
        assert_eq!(Camera::start((200.0, 100.0), FRAME, at(100.0, 0.0), None), camera);
    }

    #[test]
    fn a_deep_network_begins_readable_at_its_top_or_at_what_is_selected() {
        let network = (300.0, 50_000.0);
        let camera = Camera::start(network, FRAME, at(150.0, 24.0), None);
        assert!(camera.scale >= READABLE && camera.origin.y < 24.0);
        assert!((camera.in_network(at(200.0, 0.0)).x - 150.0).abs() < 1e-9);
        let area = Rect { x: 100.0, y: 20_000.0, width: 100.0, height: 50.0 };
        let seen = Camera::start(network, FRAME, at(150.0, 24.0), Some(area)).seen(FRAME);
        assert!((seen.y + seen.height / 2.0 - 20_025.0).abs() < 1e-6);
    }

    #[test]
    fn what_is_under_the_pointer_stays_there() {
        let (network, camera) = ((2000.0, 2000.0), Camera { origin: at(300.0, 500.0), scale: 0.8 });
        let pointer = at(120.0, 80.0);
        let zoomed = camera.zoomed(1.5, pointer, network, FRAME);
        let (before, after) = (camera.in_network(pointer), zoomed.in_network(pointer));
        assert!((before.x - after.x).abs() < 1e-9 && (before.y - after.y).abs() < 1e-9);
        assert_eq!(camera.zoomed(1e9, pointer, network, FRAME).scale, LARGEST);
        assert_eq!(camera.zoomed(1e-9, pointer, network, FRAME).scale, SMALLEST);
    }

    #[test]
    fn a_box_comes_into_sight_by_the_shortest_way() {
        let camera = Camera { origin: at(0.0, 0.0), scale: 1.0 };
        let inside = Rect { x: 50.0, y: 50.0, width: 100.0, height: 50.0 };
        assert_eq!(camera.revealing(inside, FRAME), camera);
        let below = Rect { y: 1000.0, ..inside };
        assert_eq!(camera.revealing(below, FRAME).origin, at(0.0, 1050.0 + AIR_PX - FRAME.1));
        let wide = Rect { x: 0.0, width: 1000.0, ..inside };
        assert_eq!(camera.revealing(wide, FRAME).origin.x, 300.0, "its middle");
    }

    #[test]
    fn a_network_cannot_be_dragged_out_of_its_frame() {
        let network = (200.0, 100.0);
        let camera = Camera::fit(network, FRAME).dragged(5000.0, -5000.0, network, FRAME);
        let seen = camera.seen(FRAME);
        assert_eq!((seen.right(), seen.y), (KEPT_PX, 100.0 - KEPT_PX));
    }
}
