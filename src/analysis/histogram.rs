//! `numpy.histogram` with equal bins, bit for bit.
//!
//! numpy (2.x, `numpy/lib/_histograms_impl.py`) computes in types that follow from the data and from where the range
//! came from, and the last bits of edges and the bin of a value beside an edge depend on them:
//!
//! | data | range of the data itself | range given (as Python floats) |
//! |---|---|---|
//! | float16, float32 | all in that type | edges in float64, then rounded; `x - first` in that type, the rest in float64 |
//! | float64, integers | all in float64; the width of an integer range is exact | all in float64 |
//!
//! The bin found by multiplication is then corrected by comparing with the edges.

use super::sample::{Elements, Sample};
use super::stats::ValueRange;
use crate::tensor::{Tensor, TensorError};
use half::f16;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Counts over bins of equal width.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Bin edges, one more than bins, ascending. Every bin is half open but the last, which holds its upper edge.
    pub edges: Vec<f64>,
    /// Elements per bin.
    pub counts: Vec<u64>,
    /// Finite elements below the first edge.
    pub below: u64,
    /// Finite elements above the last edge.
    pub above: u64,
    /// Elements that are NaN or infinite; they are in no bin.
    pub not_finite: u64,
}

impl Histogram {
    /// Elements inside the bins.
    pub fn inside(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// Why there is no histogram.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum HistogramError {
    /// Zero bins were asked for.
    #[error("a histogram needs at least one bin")]
    NoBins,
    /// The range is reversed, or not finite, or wider than its type can tell.
    #[error("the range {low}..{high} is reversed or not finite")]
    Range {
        /// Lower bound.
        low: f64,
        /// Upper bound.
        high: f64,
    },
    /// Neighbouring edges would be equal: the element type has too few numbers inside the range.
    #[error("the range {low}..{high} holds too few distinct numbers for {bins} bins")]
    TooManyBins {
        /// Bins asked for.
        bins: usize,
        /// Lower bound.
        low: f64,
        /// Upper bound.
        high: f64,
    },
    /// The elements are not real numbers.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

/// A type numpy computes edges in.
pub trait BinFloat: Sample {
    /// The nearest number of this type, ties to even, as `f64`. One operation in `f64` followed by this is the
    /// correctly rounded operation in the type: 53 bits are more than twice the 24 of float32 plus two.
    fn rounded(value: f64) -> f64;
}

impl BinFloat for f16 {
    fn rounded(value: f64) -> f64 {
        f16::from_f32(to_f32_odd(value)).to_f64()
    }
}

impl BinFloat for f32 {
    fn rounded(value: f64) -> f64 {
        f64::from(value as f32)
    }
}

impl BinFloat for f64 {
    fn rounded(value: f64) -> f64 {
        value
    }
}

/// Rounds to odd, so that a second rounding to float16 gives what one rounding would. `f16::from_f64` cannot be used:
/// it drops the low half of the bits, which turns numbers just above a tie into ties.
fn to_f32_odd(value: f64) -> f32 {
    let nearest = value as f32;
    let widened = f64::from(nearest);
    if widened == value || value.is_nan() {
        return nearest;
    }
    let truncated = nearest.to_bits() - u32::from(widened.abs() > value.abs());
    f32::from_bits(truncated | 1)
}

/// What the steps from a value to its bin are computed in.
#[derive(Clone, Copy, PartialEq)]
enum Arithmetic {
    /// Every step in the data's type.
    Own,
    /// The difference to the first edge in the data's type, the rest in float64.
    Given,
    /// Everything in float64: for ranges whose width overflows the data's type, where numpy fails.
    Wide,
}

/// The equal bins of one histogram.
struct Grid {
    first: f64,
    width: f64,
    arithmetic: Arithmetic,
    edges: Vec<f64>,
}

impl Grid {
    /// The grid over the data's own smallest and largest element, which are numbers of the type `T`.
    /// `width` is given where it is known more exactly than the ends.
    fn own<T: BinFloat>(low: f64, high: f64, width: Option<f64>, bins: usize) -> Result<Self, HistogramError> {
        let (first, last) = if low == high { (T::rounded(low - 0.5), T::rounded(high + 0.5)) } else { (low, high) };
        let difference = T::rounded(last - first);
        if !difference.is_finite() {
            return Grid::checked::<T>(first, last, last - first, bins, Arithmetic::Wide);
        }
        let width = width.filter(|_| low != high).unwrap_or(difference);
        Grid::checked::<T>(first, last, width, bins, Arithmetic::Own)
    }

    /// The grid over a range that somebody named.
    fn given<T: BinFloat>(range: ValueRange, bins: usize) -> Result<Self, HistogramError> {
        let ValueRange { low, high } = range;
        let (first, last) = if low == high { (low - 0.5, high + 0.5) } else { (low, high) };
        Grid::checked::<T>(first, last, last - first, bins, Arithmetic::Given)
    }

    fn checked<T: BinFloat>(
        first: f64,
        last: f64,
        width: f64,
        bins: usize,
        arithmetic: Arithmetic,
    ) -> Result<Self, HistogramError> {
        if bins == 0 {
            return Err(HistogramError::NoBins);
        }
        // Also catches NaN, and widths beyond f64.
        if !(first <= last && first.is_finite() && width.is_finite()) {
            return Err(HistogramError::Range { low: first, high: last });
        }
        let edges = match arithmetic {
            Arithmetic::Own => linspace::<T>(first, last, bins),
            _ => linspace::<f64>(first, last, bins).into_iter().map(T::rounded).collect(),
        };
        if !edges.is_sorted_by(|a, b| a < b) {
            return Err(HistogramError::TooManyBins { bins, low: first, high: last });
        }
        Ok(Grid { first, width, arithmetic, edges })
    }

    /// The bin of a value that lies between the first and the last edge.
    fn bin_of<T: BinFloat>(&self, value: f64) -> usize {
        let bins = self.edges.len() - 1;
        let position = match self.arithmetic {
            Arithmetic::Own => {
                T::rounded(T::rounded(T::rounded(value - self.first) / self.width) * T::rounded(bins as f64))
            }
            Arithmetic::Given => T::rounded(value - T::rounded(self.first)) / self.width * bins as f64,
            Arithmetic::Wide => (value - self.first) / self.width * bins as f64,
        };
        // The rounded ends of a given range may lie outside it, hence the clamp (numpy has an IndexError there).
        let bin = (position as usize).min(bins - 1);
        if value < self.edges[bin] {
            bin.saturating_sub(1)
        } else if value >= self.edges[bin + 1] && bin + 1 < bins {
            bin + 1
        } else {
            bin
        }
    }

    fn count<T: BinFloat>(self, values: impl Iterator<Item = f64>) -> Histogram {
        let bins = self.edges.len() - 1;
        let (low, high) = (self.edges[0], self.edges[bins]);
        let mut counts = vec![0; bins];
        let (mut below, mut above, mut not_finite) = (0, 0, 0);
        for value in values {
            if !value.is_finite() {
                not_finite += 1;
            } else if value < low {
                below += 1;
            } else if value > high {
                above += 1;
            } else {
                counts[self.bin_of::<T>(value)] += 1;
            }
        }
        Histogram { edges: self.edges, counts, below, above, not_finite }
    }
}

/// `numpy.linspace(first, last, bins + 1)` in the type `T`.
fn linspace<T: BinFloat>(first: f64, last: f64, bins: usize) -> Vec<f64> {
    let step = T::rounded(T::rounded(last - first) / T::rounded(bins as f64));
    // numpy has another formula for steps that underflow to zero; its edges are never distinct, so nobody sees them.
    let edge = |index: usize| T::rounded(T::rounded(T::rounded(index as f64) * step) + first);
    (0..bins).map(edge).chain([last]).collect()
}

/// `numpy.histogram(values, bins, range)`.
///
/// Without a range the bins span the smallest to the largest element; equal elements get half a unit on either side,
/// and no elements give 0..1. With a range, elements outside it are counted as `below` and `above` only, and the range
/// may be shared between several tensors. It stands for a pair of Python floats, see the table of the module.
///
/// Differs from numpy in two cases where that raises: elements that are not finite are left out and counted, and a
/// range wider than the type can tell (float32 data over ±3e38) is computed in float64.
pub fn histogram<T: BinFloat>(
    values: &[T],
    bins: usize,
    range: Option<ValueRange>,
) -> Result<Histogram, HistogramError> {
    let finite = values.iter().map(|value| value.widen()).filter(|value| value.is_finite());
    let extremes = finite.fold(None, |extremes, value| {
        let (low, high) = extremes.unwrap_or((value, value));
        Some((value.min(low), value.max(high)))
    });
    let grid = match (range, extremes) {
        (Some(range), _) => Grid::given::<T>(range, bins)?,
        (None, Some((low, high))) => Grid::own::<T>(low, high, None, bins)?,
        (None, None) => Grid::given::<T>(ValueRange { low: 0.0, high: 1.0 }, bins)?,
    };
    Ok(grid.count::<T>(values.iter().map(|value| value.widen())))
}

/// [`histogram`] of a tensor's elements, with the types numpy would use for that element type. bfloat16 and the fp8 and
/// fp4 types, which numpy lacks, count as float32. Fails for complex numbers.
pub fn tensor_histogram(tensor: &Tensor, bins: usize, range: Option<ValueRange>) -> Result<Histogram, HistogramError> {
    match Elements::of(tensor)? {
        Elements::Half(values) => histogram(&values, bins, range),
        Elements::Single(values) => histogram(&values, bins, range),
        Elements::Double(values) => histogram(&values, bins, range),
        Elements::Signed(values) => wide_integers(values.iter().map(|&value| i128::from(value)), bins, range),
        Elements::Unsigned(values) => wide_integers(values.iter().map(|&value| i128::from(value)), bins, range),
    }
}

/// 64-bit integers: numpy takes the width of their own range in integers before it goes to float64.
fn wide_integers(
    values: impl Iterator<Item = i128> + Clone,
    bins: usize,
    range: Option<ValueRange>,
) -> Result<Histogram, HistogramError> {
    let widened = values.clone().map(|value| value as f64);
    let grid = match (range, values.clone().min(), values.max()) {
        (None, Some(low), Some(high)) => Grid::own::<f64>(low as f64, high as f64, Some((high - low) as f64), bins)?,
        (range, ..) => Grid::given::<f64>(range.unwrap_or(ValueRange { low: 0.0, high: 1.0 }), bins)?,
    };
    Ok(grid.count::<f64>(widened))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bin_is_closed() {
        let result = histogram(&[0.0f32, 1.0, 2.0, 4.0], 4, None).unwrap();
        assert_eq!(result.edges, [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(result.counts, [1, 1, 1, 1]);
    }

    #[test]
    fn outside_a_given_range_is_counted_apart() {
        let values = [-2.0f32, 0.0, 0.5, 3.0, f32::NAN, f32::INFINITY];
        let result = histogram(&values, 2, Some(ValueRange { low: 0.0, high: 1.0 })).unwrap();
        assert_eq!((result.counts, result.below, result.above, result.not_finite), (vec![1, 1], 1, 1, 2));
    }

    #[test]
    fn degenerate_data() {
        assert_eq!(histogram(&[3.0f32; 5], 2, None).unwrap().edges, [2.5, 3.0, 3.5]);
        assert_eq!(histogram::<f32>(&[], 2, None).unwrap().edges, [0.0, 0.5, 1.0]);
        assert_eq!(histogram(&[f32::NAN], 1, None).unwrap().not_finite, 1);
        let full_range = histogram(&[f32::MIN, 0.0, f32::MAX], 2, None).unwrap();
        assert_eq!(full_range.counts, [1, 2]);
    }

    #[test]
    fn what_cannot_be_binned() {
        let range = |low, high| Some(ValueRange { low, high });
        assert_eq!(histogram(&[1.0f32], 0, None), Err(HistogramError::NoBins));
        assert!(matches!(histogram(&[1.0f32], 2, range(1.0, 0.0)), Err(HistogramError::Range { .. })));
        assert!(matches!(histogram(&[1.0f32], 2, range(f64::NAN, 0.0)), Err(HistogramError::Range { .. })));
        assert!(matches!(histogram(&[1e9f32; 2], 5, None), Err(HistogramError::TooManyBins { .. })));
        assert!(matches!(histogram(&[f64::MIN, f64::MAX], 2, None), Err(HistogramError::Range { .. })));
    }

    #[test]
    fn float16_is_rounded_once() {
        // Just above the tie between 1 and 1 + 2^-10; float32 cannot hold the excess.
        assert_eq!(f16::rounded(1.0 + 2f64.powi(-11) + 2f64.powi(-40)), 1.0 + 2f64.powi(-10));
        assert_eq!(f16::rounded(1.0 + 2f64.powi(-11)), 1.0);
        assert_eq!(f16::rounded(1e300), f64::INFINITY);
        assert_eq!(f16::rounded(-1e-300), 0.0);
    }
}
