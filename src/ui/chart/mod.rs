//! The one chart component of the page, and the feature-map tiles.
//!
//! `chart_view` is the composition, `state` what it remembers and its verbs, `kept` what outlives the component, `keys` the
//! keyboard, `surface` what is pointed at and dragged, `tools` legend, toggles and exports, `table_view` the same data as a table.

mod appearance;
mod chart_view;
mod kept;
mod keys;
mod state;
mod surface;
mod table_view;
mod tiles_view;
mod tools;

pub use appearance::{provide_appearance, use_appearance};
pub use chart_view::ChartView;
pub use kept::{kept_view, provide_kept_views};
pub use tiles_view::TilesView;
