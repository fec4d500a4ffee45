//! Charts: from plain data to a scene of shapes, and from a scene to a canvas, an SVG or a table.
//!
//! ```text
//! Chart (numbers, names, units) + Viewport (room, zoom, hidden series) + Theme
//!   -> scene::scene()  -> Scene (shapes in CSS pixels, marks to hit, axes to invert)
//!                           -> paint (plotters on a HiDPI canvas)   -> svg (export)
//!   -> table::table()  -> rows for the table view and the CSV
//!   -> readout::readout() -> the words of a tooltip
//! ```
//!
//! All but [`paint`] is arithmetic on f64 and is tested natively. **Nothing here knows Leptos.**

pub mod axis;
pub mod color;
pub mod data;
pub mod format;
pub mod graph;
pub mod paint;
pub mod readout;
pub mod scene;
pub mod svg;
pub mod table;
pub mod theme;
pub mod tiles;
pub mod view;

pub use axis::{AxisMap, Scale};
pub use color::Color;
pub use data::{
    Axis, ChannelMarks, Channels, Chart, Depth, Direction, Handle, Heatmap, Histogram, Plot, RangeColor, RangeRow,
    Ranges, Scatter, ScatterGroup, ScatterPoint, Series,
};
pub use readout::{Readout, readout};
pub use scene::{Scene, scene};
pub use theme::{Brightness, Role, Theme};
pub use tiles::{Ramp, Tile};
pub use view::{HistogramLayout, View, Viewport};
