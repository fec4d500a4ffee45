//! From the values that flow through a network to the range of each tensor.
//!
//! Everything here is streaming: a value is looked at once and forgotten, and what is kept does not grow with the
//! number of runs. The rules are those of `onnxruntime.quantization.calibrate` (1.23), reimplemented.
//!
//! **Exactness.** ONNX Runtime holds all activations in memory and bins them at once, over the extremes of the whole
//! data. A stream does not know these beforehand, so there are two ways:
//!
//! - *Two passes*: the first ([`RangeCollector::new`] with extremes only) gives [`RangeCollector::bounds`], the second
//!   ([`RangeCollector::with_bounds`]) builds every histogram at once on exactly ONNX Runtime's bins.
//! - *One pass*: histograms grow as ONNX Runtime's own do when `collect_data` is called again and again. Bins that were
//!   laid out for the first values are then not those of the whole data, and thresholds move by up to a bin.

mod bins;
mod collector;
mod distribution;
mod entropy;
mod error;
mod extremes;
mod histogram;
mod method;
mod percentile;
mod squared_error;

pub use collector::{Bounds, RangeCollector};
pub use distribution::{Spread, histogram_spread};
pub use entropy::entropy_range;
pub use error::CalibrationError;
pub use extremes::Extremes;
pub use histogram::{GrowingHistogram, HistogramSide};
pub use method::{CalibrationMethod, HistogramKind, ValueRange};
pub use percentile::percentile_range;
pub use squared_error::squared_error_range;
