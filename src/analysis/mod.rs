//! Numbers about tensors: pure functions to plain serde data.
//!
//! **Nothing here runs a network, draws or touches a file.** Statistics, histograms and errors are those of numpy; where
//! they differ (elements that are not finite), the function says how.

mod accuracy;
mod channels;
mod clipping;
mod downsample;
mod error;
mod feature_maps;
mod findings;
mod histogram;
mod layout;
mod ledger;
mod match_tensors;
mod predictions;
mod quality;
mod ranges;
mod recording;
mod residuals;
mod sample;
mod stats;

pub use accuracy::{
    ClassAccuracy, ClassChange, Comparison, Evaluation, Flip, Flips, Fraction, Interval, ItemScore, McNemar, compare,
    evaluate, flips, mcnemar, score, wilson_95,
};
pub use channels::{ChannelStats, ParameterSummary, channel_stats, scale_summary};
pub use clipping::{Clipping, ClippingSums, ErrorShare};
pub use error::{ErrorMetrics, ErrorSums, LengthMismatch, error_metrics, sqnr_db};
pub use feature_maps::{
    ActivationView, Bars, FeatureMap, FeatureMapError, FeatureMaps, Intensity, MAX_BARS, MAX_MAP_SIDE, MAX_MAPS,
    ViewOptions, activation_view, difference_view,
};
pub use findings::{
    BIAS_SQNR_DB, BRANCH_RATIO, CLIPPED_ERROR_SHARE, Fault, Measured, OUTLIER_RATIO, USED_AT_LEAST,
    mismatched_branches, quantized_twice, quantized_two_ways, row_faults,
};
pub use histogram::{BinFloat, Histogram, HistogramError, histogram, tensor_histogram};
pub use layout::{Layout, guess_layout};
pub use ledger::{CAUSES, Cause, Ledger, LedgerSums, Steps};
pub use match_tensors::{TensorDifference, TensorMatch, compare_tensors, match_tensors};
pub use predictions::{
    OutputFacts, Prediction, Predictions, ScoreKind, argmax, class_probabilities, predictions, score_kind,
    tensor_predictions,
};
pub use quality::{LEAST_PROBABILITY, Quality, QualitySums};
pub use ranges::{LayerRange, Span, layer_range};
pub use recording::{LAYER_TOLERANCE, LayerDifference, RECORDED_INPUT, RECORDED_OUTPUT, Recording, compare_outputs};
pub use residuals::{JoinSums, round_to_scale, scale_ratio};
pub use sample::Sample;
pub use stats::{Inside, Stats, ValueRange, inside, percentiles, stats, tensor_inside, tensor_stats};
