//! Numbers about tensors: pure functions to plain serde data.
//!
//! **Nothing here runs a network, draws or touches a file.** Statistics, histograms and errors are those of numpy; where
//! they differ (elements that are not finite), the function says how.

mod accuracy;
mod channels;
mod downsample;
mod error;
mod feature_maps;
mod histogram;
mod layout;
mod match_tensors;
mod predictions;
mod ranges;
mod sample;
mod stats;

pub use accuracy::{
    ClassAccuracy, ClassChange, Comparison, Evaluation, Flip, Flips, Fraction, Interval, ItemScore, McNemar, compare,
    evaluate, flips, mcnemar, score, wilson_95,
};
pub use channels::{ChannelStats, ParameterSummary, channel_stats, scale_summary};
pub use error::{ErrorMetrics, ErrorSums, LengthMismatch, error_metrics, sqnr_db};
pub use feature_maps::{
    ActivationView, Bars, FeatureMap, FeatureMapError, FeatureMaps, Intensity, MAX_BARS, MAX_MAP_SIDE, MAX_MAPS,
    ViewOptions, activation_view, difference_view,
};
pub use histogram::{BinFloat, Histogram, HistogramError, histogram, tensor_histogram};
pub use layout::{Layout, guess_layout};
pub use match_tensors::{TensorMatch, match_tensors};
pub use predictions::{
    OutputFacts, Prediction, Predictions, ScoreKind, argmax, predictions, score_kind, tensor_predictions,
};
pub use ranges::{LayerRange, Span, layer_range};
pub use sample::Sample;
pub use stats::{Inside, Stats, ValueRange, inside, percentiles, stats, tensor_inside, tensor_stats};
