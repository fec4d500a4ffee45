//! The quantization table: a quantized model is a float graph plus a row per quantized tensor.
//!
//! Files are lifted into it, calibration fills it, the user edits it, and it is lowered to QDQ or QOperator again.

mod absorbed;
mod apply;
mod bias;
mod codes;
mod edit;
mod error;
mod float_variant;
mod grid;
mod lift;
mod list;
mod lower;
mod names;
mod overrides;
mod range;
mod row;
mod transparent;
mod written;

pub use apply::{ValueRanges, apply};
pub(in crate::quant) use codes::integers;
pub use edit::{Change, Edit};
pub use error::TableError;
pub use float_variant::FloatVariant;
pub use grid::{Grid, GridError};
pub use lift::{Lifted, Written, lift};
pub use list::{EDIT_LIST_VERSION, EditList, RowEdit};
pub use lower::{Lowered, has_integer_form, lower, lower_named};
pub use overrides::{Repetition, python_snippet, tensor_quant_overrides};
pub use row::{BiasOf, Clamp, ConstantData, QuantTable, Row, RowMode, RowNames, TableFormat};
pub use written::{WrittenNodes, WrittenRow};
