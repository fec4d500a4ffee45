//! Statistics of one tensor, and how much of it lies inside a value range.

use super::sample::{Sample, with_elements};
use crate::tensor::{Tensor, TensorError};
use serde::{Deserialize, Serialize};

/// Statistics over the **finite** elements, with the number of the others beside them.
///
/// numpy would give NaN for everything as soon as one element is NaN; one bad element must not hide the rest here, so
/// NaN and infinite elements are counted and left out. Without a finite element the `Option`s are `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// All elements, finite or not.
    pub count: usize,
    /// Elements that are NaN.
    pub nan_count: usize,
    /// Elements that are +inf or -inf.
    pub infinite_count: usize,
    /// Elements equal to zero, negative zero included.
    pub zero_count: usize,
    /// Smallest finite element.
    pub min: Option<f64>,
    /// Largest finite element.
    pub max: Option<f64>,
    /// Arithmetic mean.
    pub mean: Option<f64>,
    /// Population standard deviation, `sqrt(mean((x - mean)^2))`, as `numpy.std` with its default `ddof=0`.
    pub std: Option<f64>,
    /// Largest magnitude.
    pub abs_max: Option<f64>,
}

impl Stats {
    /// Elements that are neither NaN nor infinite.
    pub fn finite_count(&self) -> usize {
        self.count - self.nan_count - self.infinite_count
    }

    /// Share of zeros among all elements, 0 to 1; `None` without elements.
    pub fn zero_share(&self) -> Option<f64> {
        (self.count > 0).then(|| self.zero_count as f64 / self.count as f64)
    }

    /// `mean - std ..= mean + std`, the range a distribution view starts with.
    pub fn one_std_range(&self) -> Option<ValueRange> {
        let (mean, std) = (self.mean?, self.std?);
        Some(ValueRange { low: mean - std, high: mean + std })
    }
}

/// Statistics of `values`.
///
/// Accumulates in `f64` in two passes (mean first, then squared deviations), so for n elements the mean is within
/// about `n x 1.1e-16` of the mean magnitude and `std` does not cancel where the mean is large. numpy accumulates
/// float32 arrays in float32 (pairwise), so its results differ from these by up to about 1e-6 relative.
/// float64 data whose sum or squares exceed 1.8e308 gives an infinite mean or std.
pub fn stats<T: Sample>(values: &[T]) -> Stats {
    stats_of_iter(values.iter().map(|value| value.widen()))
}

/// [`stats`] of a tensor's elements; booleans count as 0 and 1. Fails for complex numbers.
pub fn tensor_stats(tensor: &Tensor) -> Result<Stats, TensorError> {
    with_elements!(tensor, values => Ok(stats(&values)))
}

/// [`stats`] of anything that can be walked twice.
pub(super) fn stats_of_iter(values: impl Iterator<Item = f64> + Clone) -> Stats {
    let mut stats = Stats::default();
    let (mut low, mut high, mut sum) = (f64::INFINITY, f64::NEG_INFINITY, 0.0);
    for value in values.clone() {
        stats.count += 1;
        if value.is_nan() {
            stats.nan_count += 1;
        } else if value.is_infinite() {
            stats.infinite_count += 1;
        } else {
            stats.zero_count += usize::from(value == 0.0);
            low = low.min(value);
            high = high.max(value);
            sum += value;
        }
    }
    let finite = stats.finite_count();
    if finite == 0 {
        return stats;
    }
    // The rounding of a long sum must not push the mean of equal elements out of their range.
    let mean = if sum.is_finite() { (sum / finite as f64).clamp(low, high) } else { sum };
    let squares: f64 = values.filter(|value| value.is_finite()).map(|value| (value - mean) * (value - mean)).sum();
    stats.min = Some(low);
    stats.max = Some(high);
    stats.abs_max = Some(low.abs().max(high.abs()));
    stats.mean = Some(mean);
    stats.std = Some((squares / finite as f64).sqrt());
    stats
}

/// The values at these percentages (0 to 100) of the sorted finite elements, interpolated linearly between neighbours
/// as `numpy.percentile` does by default. `None` where there is no finite element or a percentage is outside 0..=100.
pub fn percentiles<T: Sample>(values: &[T], percents: &[f64]) -> Option<Vec<f64>> {
    let mut sorted: Vec<f64> = values.iter().map(|value| value.widen()).filter(|value| value.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let at = |&percent: &f64| {
        if !(0.0..=100.0).contains(&percent) {
            return None;
        }
        let position = percent / 100.0 * last as f64;
        let (below, share) = (position.floor() as usize, position.fract());
        let (low, high) = (*sorted.get(below)?, *sorted.get((below + 1).min(last))?);
        // Interpolating from the nearer end keeps the result monotone, as numpy's `_lerp`.
        Some(if share < 0.5 { low + (high - low) * share } else { high - (high - low) * (1.0 - share) })
    };
    percents.iter().map(at).collect()
}

/// A closed interval of values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValueRange {
    /// Lower bound, inside.
    pub low: f64,
    /// Upper bound, inside.
    pub high: f64,
}

/// How many elements lie inside a range.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inside {
    /// Elements with `low <= x <= high`; NaN is never inside.
    pub count: usize,
    /// Share of all elements in percent, 0 to 100; 0 without elements.
    pub percent: f64,
}

/// Counts the elements inside `range`, both ends included, compared in `f64`.
pub fn inside<T: Sample>(values: &[T], range: ValueRange) -> Inside {
    let is_inside = |value: &&T| (range.low..=range.high).contains(&value.widen());
    let count = values.iter().filter(is_inside).count();
    let percent = if values.is_empty() { 0.0 } else { 100.0 * count as f64 / values.len() as f64 };
    Inside { count, percent }
}

/// [`inside`] of a tensor's elements. Fails for complex numbers.
pub fn tensor_inside(tensor: &Tensor, range: ValueRange) -> Result<Inside, TensorError> {
    with_elements!(tensor, values => Ok(inside(&values, range)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hand_computed() {
        let result = stats(&[2.0f32, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
        assert_eq!((result.mean, result.std), (Some(5.0), Some(2.0)));
        assert_eq!((result.min, result.max, result.abs_max), (Some(2.0), Some(9.0), Some(9.0)));
        assert_eq!(result.one_std_range(), Some(ValueRange { low: 3.0, high: 7.0 }));
    }

    #[test]
    fn bad_elements_are_counted_and_left_out() {
        let result = stats(&[f32::NAN, 1.0, f32::INFINITY, -0.0, -3.0]);
        assert_eq!((result.count, result.nan_count, result.infinite_count, result.zero_count), (5, 1, 1, 1));
        assert_eq!((result.min, result.max, result.abs_max), (Some(-3.0), Some(1.0), Some(3.0)));
        assert_eq!(result.zero_share(), Some(0.2));
    }

    #[test]
    fn nothing_finite_gives_nothing() {
        assert_eq!(stats::<f32>(&[]), Stats::default());
        assert_eq!(Stats::default().zero_share(), None);
        let result = stats(&[f64::NAN]);
        assert_eq!((result.count, result.mean, result.std, result.min), (1, None, None, None));
    }

    #[test]
    fn a_large_mean_does_not_cancel() {
        let values: Vec<f64> = (0..1000).map(|i| 1e9 + f64::from(i % 2)).collect();
        assert_eq!(stats(&values).std, Some(0.5));
        assert_eq!(stats(&[0.1f64; 1000]).std, Some(0.0));
    }

    #[test]
    fn the_range_is_closed() {
        let range = ValueRange { low: -1.0, high: 1.0 };
        assert_eq!(inside(&[-1i8, 0, 1, 2], range), Inside { count: 3, percent: 75.0 });
        assert_eq!(inside(&[f32::NAN], range), Inside { count: 0, percent: 0.0 });
        assert_eq!(inside::<f32>(&[], range).percent, 0.0);
    }

    #[test]
    fn percentiles_interpolate() {
        assert_eq!(percentiles(&[4i32, 1, 3, 2], &[0.0, 50.0, 100.0, 25.0]), Some(vec![1.0, 2.5, 4.0, 1.75]));
        assert_eq!(percentiles(&[1.0f32], &[101.0]), None);
        assert_eq!(percentiles::<f32>(&[], &[50.0]), None);
    }
}
