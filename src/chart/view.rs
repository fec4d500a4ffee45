//! What the user did to a chart: zoom, hidden series, log axis, table. It outlives the data, so a re-run keeps it.

use super::axis::AxisMap;
use std::collections::BTreeSet;

/// How several histograms share one picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HistogramLayout {
    /// The first filled, the others as outlines over it.
    #[default]
    Overlaid,
    /// The bars of a bin beside each other.
    Grouped,
    /// A strip per series, bins aligned.
    Strips,
}

/// The user's choices for one chart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// The zoomed data range of x; `None` shows everything. Depth and channel charts count positions.
    pub x_range: Option<(f64, f64)>,
    /// The zoomed data range of y; `None` fits what is visible.
    pub y_range: Option<(f64, f64)>,
    /// Logarithmic y.
    pub log_y: bool,
    /// Names of the hidden series.
    pub hidden: BTreeSet<String>,
    /// How histograms share the picture.
    pub layout: HistogramLayout,
    /// The table of the data instead of the picture.
    pub as_table: bool,
}

/// The narrowest zoom, as a share of the full range: beyond it f64 positions and labels stop meaning anything.
const NARROWEST_ZOOM: f64 = 1e-6;

impl View {
    /// Whether a series is shown.
    pub fn shows(&self, name: &str) -> bool {
        !self.hidden.contains(name)
    }

    /// Shows a hidden series or hides a shown one.
    pub fn toggle(&mut self, name: &str) {
        if !self.hidden.remove(name) {
            self.hidden.insert(name.to_owned());
        }
    }

    /// Whether anything is zoomed.
    pub fn is_zoomed(&self) -> bool {
        self.x_range.is_some() || self.y_range.is_some()
    }

    /// Back to everything; hidden series, log axis and layout stay.
    pub fn reset_zoom(&mut self) {
        self.x_range = None;
        self.y_range = None;
    }

    /// Zooms x by `factor` (below 1 magnifies) around the value `around`, within `full`; the full range is no zoom.
    pub fn zoom_x(&mut self, factor: f64, around: f64, shown: (f64, f64), full: (f64, f64)) {
        let full_width = full.1 - full.0;
        let width = (shown.1 - shown.0) * factor;
        if !(width.is_finite() && full_width > 0.0 && around.is_finite()) {
            return;
        }
        if width >= full_width {
            self.x_range = None;
            return;
        }
        let width = width.max(full_width * NARROWEST_ZOOM);
        let share = ((around - shown.0) / (shown.1 - shown.0)).clamp(0.0, 1.0);
        let lo = (around - share * width).clamp(full.0, full.1 - width);
        self.x_range = Some((lo, lo + width));
    }

    /// Moves the zoomed window by `share` of its width, within `full`.
    pub fn pan_x(&mut self, share: f64, full: (f64, f64)) {
        if let Some((lo, hi)) = self.x_range {
            let width = hi - lo;
            let lo = (lo + share * width).clamp(full.0, (full.1 - width).max(full.0));
            self.x_range = Some((lo, lo + width));
        }
    }

    /// Zooms to the box between two pixels. A box flatter (or narrower) than [`BOX_THRESHOLD_PX`] zooms one axis only.
    pub fn zoom_to_box(&mut self, from: (f64, f64), to: (f64, f64), x: &AxisMap, y: Option<&AxisMap>) {
        let range = |one: f64, two: f64, axis: &AxisMap| {
            let (one, two) = (axis.value(one), axis.value(two));
            (one.min(two), one.max(two))
        };
        if (to.0 - from.0).abs() >= BOX_THRESHOLD_PX {
            self.x_range = Some(range(from.0, to.0, x));
        }
        if let Some(y) = y.filter(|_| (to.1 - from.1).abs() >= BOX_THRESHOLD_PX) {
            self.y_range = Some(range(from.1, to.1, y));
        }
    }
}

/// A drag shorter than this along an axis does not zoom that axis.
pub const BOX_THRESHOLD_PX: f64 = 12.0;

/// The room a chart has, and the view of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Viewport {
    /// Width in CSS pixels.
    pub width_px: f64,
    /// Height in CSS pixels of what is painted (a window on the rows of a ranges chart).
    pub height_px: f64,
    /// How far a ranges chart is scrolled, in CSS pixels.
    pub scroll_px: f64,
    /// The user's choices.
    pub view: View,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::axis::Scale;

    #[test]
    fn zooming_keeps_the_value_under_the_pointer_and_the_full_range() {
        let mut view = View::default();
        view.zoom_x(0.5, 2.0, (0.0, 10.0), (0.0, 10.0));
        assert_eq!(view.x_range, Some((1.0, 6.0)));
        view.zoom_x(4.0, 2.0, (1.0, 6.0), (0.0, 10.0));
        assert_eq!(view.x_range, None);
        view.zoom_x(1e-12, 5.0, (0.0, 10.0), (0.0, 10.0));
        let (lo, hi) = view.x_range.unwrap();
        assert!(hi - lo >= 10.0 * NARROWEST_ZOOM * 0.999 && lo <= 5.0 && hi >= 5.0);
        view.zoom_x(f64::NAN, 5.0, (0.0, 10.0), (0.0, 10.0));
        assert_eq!(view.x_range, Some((lo, hi)));
    }

    #[test]
    fn panning_stops_at_the_ends() {
        let mut view = View { x_range: Some((2.0, 4.0)), ..View::default() };
        view.pan_x(0.5, (0.0, 10.0));
        assert_eq!(view.x_range, Some((3.0, 5.0)));
        view.pan_x(100.0, (0.0, 10.0));
        assert_eq!(view.x_range, Some((8.0, 10.0)));
    }

    #[test]
    fn a_flat_box_zooms_only_x() {
        let x = AxisMap::new((0.0, 100.0), (0.0, 100.0), Scale::Linear);
        let y = AxisMap::new((0.0, 1.0), (100.0, 0.0), Scale::Linear);
        let mut view = View::default();
        view.zoom_to_box((80.0, 10.0), (20.0, 15.0), &x, Some(&y));
        assert_eq!((view.x_range, view.y_range), (Some((20.0, 80.0)), None));
        view.zoom_to_box((20.0, 0.0), (80.0, 50.0), &x, Some(&y));
        assert_eq!(view.y_range, Some((0.5, 1.0)));
        view.reset_zoom();
        assert!(!view.is_zoomed());
    }

    #[test]
    fn hiding_is_by_name_and_survives_other_data() {
        let mut view = View::default();
        view.toggle("int8");
        assert!(!view.shows("int8") && view.shows("float"));
        view.toggle("int8");
        assert!(view.shows("int8"));
    }
}
