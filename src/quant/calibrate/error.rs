//! What can be wrong with a calibration.

use thiserror::Error;

/// Why there is no range.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum CalibrationError {
    /// A method got settings it cannot work with.
    #[error("{method}: {found} where {expected} is needed")]
    Setting {
        /// The method's name.
        method: &'static str,
        /// The setting as given.
        found: String,
        /// What it has to be.
        expected: String,
    },
    /// The collector was not made for this method: it would need values that are gone.
    #[error("nothing was collected for {0}: name the method when the collector is made")]
    NotCollected(&'static str),
    /// No value has been seen at all.
    #[error("no calibration data was given")]
    NoData,
    /// Bins cannot be laid out.
    #[error("{bins} bins do not fit between {low} and {high}: neighbouring edges would be the same number")]
    Bins {
        /// Bins asked for.
        bins: usize,
        /// Lower bound.
        low: f32,
        /// Upper bound.
        high: f32,
    },
}
