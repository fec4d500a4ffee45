//! Which boxes are drawn: all of a network that is not large, else those near the frame, and never too many in one turn.

use super::board::Board;
use super::shown::Shown;
use crate::chart::scene::Rect;
use crate::ui::turns::in_own_turn;
use leptos::prelude::*;
use std::collections::HashSet;
use std::sync::Arc;

/// Up to this many boxes all of them are drawn, wherever they are.
const ALL_BOXES: usize = 300;
/// Of a larger network at most this many; where more are in sight they are drawn as their outlines alone, which is
/// all that can be seen of so many.
const MOST_BOXES: usize = 400;
/// New boxes in a turn.
const BOXES_PER_TURN: usize = 30;

/// What is drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Near {
    /// The part of the network in which boxes and lines are drawn; `None`: everywhere.
    pub area: Option<Rect>,
    /// The boxes with their text.
    pub boxes: Vec<usize>,
    /// The boxes of which there is only an outline.
    pub outlines: Vec<usize>,
}

impl Near {
    /// What is drawn for the part that is seen. `always` are drawn wherever they are.
    fn of(shown: &Shown, seen: Option<Rect>, always: &[usize]) -> Near {
        let count = shown.network.boxes.len();
        let Some(seen) = seen.filter(|_| count > ALL_BOXES) else {
            let all = if count > ALL_BOXES { Vec::new() } else { (0..count).collect() };
            return Near { boxes: all, ..Near::default() };
        };
        let area = around(seen);
        let inside = shown.network.boxes_in(&area);
        if inside.len() > MOST_BOXES {
            return Near { area: Some(area), boxes: always.to_vec(), outlines: inside };
        }
        let mut boxes = inside;
        boxes.extend(always);
        boxes.sort_unstable();
        boxes.dedup();
        Near { area: Some(area), boxes, outlines: Vec::new() }
    }
}

/// An area with half of itself around it, on a raster of a quarter: small moves change nothing.
fn around(seen: Rect) -> Rect {
    let along = |from: f64, length: f64| {
        let raster = (length / 4.0).max(1.0);
        (((from - length / 2.0) / raster).floor() * raster, 2.25 * length)
    };
    let ((x, width), (y, height)) = (along(seen.x, seen.width), along(seen.y, seen.height));
    Rect { x, y, width, height }
}

/// What is drawn of a network, and the boxes that are drawn by now.
pub fn near(board: Board, shown: Arc<Shown>) -> (Memo<Near>, RwSignal<Vec<usize>>) {
    let wanted = Memo::new(move |_| {
        let frame = board.frame.get();
        let count = shown.network.boxes.len();
        let always: Vec<usize> = board.selected.get().into_iter().chain([board.tab_stop.get()]).collect();
        let always: Vec<usize> = always.into_iter().filter(|&node| node < count).collect();
        Near::of(&shown, board.camera().map(|camera| camera.seen(frame)), &always)
    });
    let drawn = RwSignal::new(Vec::new());
    let round = StoredValue::new(0u32);
    Effect::new(move |_| {
        let boxes = wanted.with(|near| near.boxes.clone());
        round.update_value(|round| *round = round.wrapping_add(1));
        draw(drawn, boxes, round, round.get_value());
    });
    (wanted, drawn)
}

/// Draws the wanted boxes that are there already and the next few of the others; the rest has its own turns. A newer
/// round ends an older one.
fn draw(drawn: RwSignal<Vec<usize>>, wanted: Vec<usize>, newest: StoredValue<u32>, round: u32) {
    if newest.try_get_value() != Some(round) {
        return;
    }
    let mut room = BOXES_PER_TURN;
    let there: HashSet<usize> = drawn.with_untracked(|drawn| drawn.iter().copied().collect());
    let has_room = |node: &usize| {
        there.contains(node) || {
            let fits = room > 0;
            room = room.saturating_sub(1);
            fits
        }
    };
    let next: Vec<usize> = wanted.iter().copied().filter(has_room).collect();
    let complete = next.len() == wanted.len();
    drawn.set(next);
    if !complete {
        in_own_turn(move || draw(drawn, wanted, newest, round));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::graph::{Network, NetworkBox};

    /// A column of boxes, each 100 x 50, a hundred pixels apart.
    fn column(count: usize) -> Shown {
        let shown = super::super::shown::tests::shown();
        let area = |node: usize| Rect { x: 0.0, y: node as f64 * 100.0, width: 100.0, height: 50.0 };
        let boxes = (0..count).map(|node| NetworkBox { area: area(node), ..NetworkBox::default() }).collect();
        let network = Network { width_px: 100.0, height_px: count as f64 * 100.0, boxes, lines: Vec::new() };
        Shown { network, ..shown }
    }

    #[test]
    fn a_small_network_is_drawn_as_a_whole() {
        let seen = Rect { x: 0.0, y: 0.0, width: 100.0, height: 100.0 };
        let near = Near::of(&column(ALL_BOXES), Some(seen), &[]);
        assert_eq!((near.area, near.boxes.len(), near.outlines.len()), (None, ALL_BOXES, 0));
    }

    #[test]
    fn of_a_large_one_what_is_near_and_what_must_be_there() {
        let shown = column(2000);
        let seen = Rect { x: 0.0, y: 50_000.0, width: 400.0, height: 600.0 };
        let near = Near::of(&shown, Some(seen), &[3]);
        assert!(near.boxes.len() < 20 && near.boxes.starts_with(&[3]), "{:?}", near.boxes);
        assert!((500..506).all(|node| near.boxes.contains(&node)), "what is seen is drawn");
        let moved = Rect { y: 50_010.0, ..seen };
        assert_eq!(Near::of(&shown, Some(moved), &[3]), near, "a small move draws nothing anew");
        assert!(Near::of(&shown, None, &[3]).boxes.is_empty(), "nothing before the frame is known");
    }

    #[test]
    fn from_far_away_only_outlines_are_left() {
        let all = Rect { x: 0.0, y: 0.0, width: 100.0, height: 200_000.0 };
        let near = Near::of(&column(2000), Some(all), &[7]);
        assert_eq!((near.boxes, near.outlines.len()), (vec![7], 2000));
    }
}
