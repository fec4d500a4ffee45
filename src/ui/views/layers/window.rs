//! Drawing only the rows in sight, where there are many, and never too many in one turn.

use super::rows::Row;
use crate::platform::{Element, Event};
use crate::ui::turns::in_own_turn;
use leptos::html::Div;
use leptos::prelude::*;
use std::collections::HashSet;

/// Height of a row in the style sheet, until one is there to be measured.
const ROW_PX: f64 = 25.0;
/// Up to this many rows are drawn, more are a window; the browser's layout takes its time for each of them.
const ALL_ROWS: usize = 300;
/// Rows drawn in a window.
const WINDOW_ROWS: usize = 120;
/// New rows in a turn: a screen of them is two turns, and a turn stays far below the 50 ms that a hand notices.
const ROWS_PER_TURN: usize = 20;

/// A row and its place among all.
pub type Placed = (usize, Row);

/// The part of the rows that is drawn.
#[derive(Clone, Copy)]
pub struct Window {
    /// The scrolling element.
    pub frame: NodeRef<Div>,
    /// The rows that are drawn by now.
    pub drawn: RwSignal<Vec<Placed>>,
    rows: Memo<Vec<Row>>,
    first: RwSignal<usize>,
    row_px: RwSignal<f64>,
    round: StoredValue<u32>,
}

impl Window {
    /// A window over `rows`, at their start.
    pub fn new(rows: Memo<Vec<Row>>) -> Self {
        let window = Window {
            frame: NodeRef::new(),
            drawn: RwSignal::new(Vec::new()),
            rows,
            first: RwSignal::new(0),
            row_px: RwSignal::new(ROW_PX),
            round: StoredValue::new(0),
        };
        Effect::new(move |_| {
            let wanted = window.wanted();
            window.round.update_value(|round| *round = round.wrapping_add(1));
            window.draw(wanted, window.round.get_value());
        });
        window
    }

    /// Draws the wanted rows that are there already and the next few of the others; the rest has its own turns. A newer
    /// round ends an older one.
    fn draw(self, wanted: Vec<Placed>, round: u32) {
        if self.round.try_get_value() != Some(round) {
            return;
        }
        let mut room = ROWS_PER_TURN;
        let next: Vec<Placed> = self.drawn.with_untracked(|drawn| {
            let there: HashSet<&Placed> = drawn.iter().collect();
            let has_room = |row: &&Placed| {
                there.contains(row) || {
                    let fits = room > 0;
                    room = room.saturating_sub(1);
                    fits
                }
            };
            wanted.iter().filter(has_room).cloned().collect()
        });
        let complete = next.len() == wanted.len();
        self.drawn.set(next);
        if !complete {
            in_own_turn(move || self.draw(wanted, round));
        }
    }

    /// Moves the window to where the frame is scrolled. Small scrolls stay inside the window.
    pub fn follow(self, event: &Event) {
        let frame = event_target::<Element>(event);
        // A finger's rows are taller than a mouse's.
        let row = frame.query_selector(".row").ok().flatten().map_or(0, |row| row.client_height());
        if row > 0 && (self.row_px.get_untracked() - f64::from(row)).abs() >= 0.5 {
            self.row_px.set(f64::from(row));
        }
        // `as` saturates: a frame that is scrolled beyond its start is at its start.
        let top = (f64::from(frame.scroll_top()) / self.row_px.get_untracked()) as usize;
        let first = top.saturating_sub(WINDOW_ROWS / 3);
        let now = self.first.get_untracked();
        if now != first && (now.abs_diff(first) > WINDOW_ROWS / 6 || first == 0) {
            self.first.set(first);
        }
    }

    /// Scrolls the frame, if it must, so that a row is in sight.
    pub fn reveal(self, place: usize) {
        let Some(frame) = self.frame.try_get_untracked().flatten() else { return };
        let row = self.row_px.get_untracked();
        let (top, seen, height) = (place as f64 * row, f64::from(frame.scroll_top()), f64::from(frame.client_height()));
        if height > 0.0 && (top < seen || top + row > seen + height) {
            frame.set_scroll_top((top - height / 3.0).max(0.0) as i32);
        }
    }

    fn bounds(self) -> (usize, usize) {
        let count = self.rows.with(Vec::len);
        if count <= ALL_ROWS {
            return (0, count);
        }
        let first = self.first.get().min(count - 1);
        (first, (first + WINDOW_ROWS).min(count))
    }

    fn wanted(self) -> Vec<Placed> {
        let (first, end) = self.bounds();
        self.rows.with(|rows| (first..end).filter_map(|place| Some((place, rows.get(place)?.clone()))).collect())
    }

    /// Height of the rows left out above.
    pub fn before_px(self) -> f64 {
        self.bounds().0 as f64 * self.row_px.get()
    }

    /// Height of the rows that are not drawn, or not yet, below.
    pub fn after_px(self) -> f64 {
        let before = self.bounds().0 + self.drawn.with(Vec::len);
        self.rows.with(Vec::len).saturating_sub(before) as f64 * self.row_px.get()
    }
}
