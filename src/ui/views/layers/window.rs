//! Drawing only the rows in sight, where there are many.

use super::rows::Row;
use crate::platform::{Element, Event};
use leptos::html::Div;
use leptos::prelude::*;

/// Height of a row in the style sheet.
const ROW_PX: usize = 26;
/// Up to this many rows are drawn at once; a tree of thousands would block the page while it is built.
const ALL_ROWS: usize = 300;
/// Rows drawn in a window.
const WINDOW_ROWS: usize = 120;

/// The part of the rows that is drawn.
#[derive(Clone, Copy)]
pub struct Window {
    /// The scrolling element.
    pub frame: NodeRef<Div>,
    rows: Memo<Vec<Row>>,
    first: RwSignal<usize>,
}

impl Window {
    /// A window over `rows`, at their start.
    pub fn new(rows: Memo<Vec<Row>>) -> Self {
        Window { frame: NodeRef::new(), rows, first: RwSignal::new(0) }
    }

    /// Moves the window to where the frame is scrolled. Small scrolls stay inside the window.
    pub fn follow(self, event: &Event) {
        let top_px: i32 = event_target::<Element>(event).scroll_top();
        let top = usize::try_from(top_px).unwrap_or(0) / ROW_PX;
        let first = top.saturating_sub(WINDOW_ROWS / 3);
        if self.first.get_untracked().abs_diff(first) > WINDOW_ROWS / 6 || first == 0 {
            self.first.set(first);
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

    /// The rows to draw, with their places.
    pub fn visible(self) -> Vec<(usize, Row)> {
        let (first, end) = self.bounds();
        self.rows.with(|rows| rows[first..end].iter().cloned().enumerate().map(|(i, row)| (first + i, row)).collect())
    }

    /// Height of the rows left out above.
    pub fn before_px(self) -> usize {
        self.bounds().0 * ROW_PX
    }

    /// Height of the rows left out below.
    pub fn after_px(self) -> usize {
        (self.rows.with(Vec::len) - self.bounds().1) * ROW_PX
    }
}
