//! Mean and standard deviation, read off a histogram.

use super::error::CalibrationError;
use super::histogram::GrowingHistogram;
use serde::{Deserialize, Serialize};

/// Where the values lie, on average.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The mean.
    pub mean: f32,
    /// The standard deviation (of the whole, not of a sample).
    pub deviation: f32,
}

/// ONNX Runtime's Distribution (scenario `same`): every value counts as the middle of its bin. Float 8 scales are
/// made from the deviation.
pub fn histogram_spread(histogram: &GrowingHistogram) -> Result<Spread, CalibrationError> {
    let edges = histogram.edges()?;
    let total: u64 = histogram.counts().iter().sum();
    if total == 0 {
        return Err(CalibrationError::NoData);
    }
    let middles = || edges.windows(2).map(|pair| (pair[0] + pair[1]) * 0.5);
    let mean = |values: &mut dyn Iterator<Item = f32>| {
        let weighted = histogram.counts().iter().zip(values).map(|(&count, value)| count as f64 * f64::from(value));
        weighted.sum::<f64>() / total as f64
    };
    let average = mean(&mut middles());
    // Squares are f32 there.
    let square = mean(&mut middles().map(|middle| middle * middle));
    Ok(Spread { mean: average as f32, deviation: (square - average * average).max(0.0).sqrt() as f32 })
}
