//! The worker: a protocol of plain data, the service that answers it, and the client that asks.
//!
//! **Model bytes and the engine exist on this side only.** Questions come as [`Request`]s; answers are what a view
//! shows (a histogram, not a tensor) and carry the revision of the workspace they answer for.

mod client;
mod pool;
mod protocol;
#[cfg(feature = "engine")]
mod serve;
#[cfg(feature = "engine")]
pub mod service;

pub use client::{Answer, Client, ClientError};
pub use pool::Member;
pub use protocol::*;
// What the protocol speaks in: the page has these types from here, so that it needs no other layer.
pub use crate::analysis::{
    ActivationView, ErrorMetrics, FeatureMap, FeatureMaps, Histogram, LayerDifference, ParameterSummary, Prediction,
    Predictions, ScoreKind,
};
pub use crate::engine::Semantics;
pub use crate::import::{
    Colour, ConvertOptions, InputShape, InputShapeError, Layout, PixelRange, Preprocess, PreprocessEdits, Resize,
};
pub use crate::quant::TensorKind;
pub use crate::quant::autopilot::Target;
pub use crate::quant::bit_widths::BITS;
pub use crate::quant::calibrate::CalibrationMethod;
pub use crate::quant::quantizer::{BiasCorrection, Corrections, Preset, QuantizeOptions, presets};
pub use crate::quant::table::{Change, Clamp, Edit, Grid, GridError, RowMode, TableFormat};
pub use crate::tensor::DType;
#[cfg(feature = "engine")]
pub use serve::serve;
