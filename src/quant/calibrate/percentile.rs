//! The range that holds a share of all values.

use super::error::CalibrationError;
use super::histogram::{GrowingHistogram, HistogramSide};
use super::method::ValueRange;

/// ONNX Runtime's Percentile: the edge at which the cumulated share of the counts reaches `percentile` per cent. Over
/// absolute values one edge is taken on both sides; over signed values half of the rest is cut on either side. The
/// bounds never reach beyond the extremes of the values.
pub fn percentile_range(histogram: &GrowingHistogram, percentile: f64) -> Result<ValueRange, CalibrationError> {
    let side = histogram.side();
    let edges = histogram.edges()?;
    let total: u64 = histogram.counts().iter().sum();
    let seen = histogram.range().ok_or(CalibrationError::NoData)?;
    // numpy.cumsum of the shares, then numpy.searchsorted from the left.
    let cumulated: Vec<f64> = histogram
        .counts()
        .iter()
        .scan(0.0, |sum, &count| {
            *sum += count as f64 / total as f64;
            Some(*sum)
        })
        .collect();
    let edge_at = |share: f64| {
        let index = cumulated.partition_point(|&sum| sum < share);
        edges.get(index).copied().unwrap_or(seen.high)
    };
    let range = match side {
        HistogramSide::Absolute => {
            let reach = edge_at(percentile / 100.0);
            ValueRange { low: -reach, high: reach }
        }
        HistogramSide::Signed => {
            let cut = (100.0 - percentile) / 200.0;
            ValueRange { low: edge_at(cut), high: edge_at(1.0 - cut) }
        }
    };
    Ok(range.limited_to(seen))
}
