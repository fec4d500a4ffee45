//! The quantization table: a quantized model is a float graph plus a row per quantized tensor.
//!
//! Files are lifted into it, calibration fills it, the user edits it, and it is lowered to QDQ or QOperator again.

mod edit;
mod grid;
mod row;

pub use edit::{Change, Edit};
pub use grid::{Grid, GridError};
pub use row::{BiasOf, Clamp, ConstantData, QuantTable, Row, RowMode, RowNames, TableFormat};
