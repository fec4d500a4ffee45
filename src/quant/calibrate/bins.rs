//! Equal bins in f32, counted as numpy counts them.
//!
//! The same arithmetic as `analysis::histogram` for float32 data over its own range, which computes it for every
//! element type through f64. Calibration bins hundreds of millions of values, hence this f32 form; a test keeps the two
//! equal.

use super::error::CalibrationError;

/// Bins of equal width between two f32 numbers. All are half open but the last.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct EqualBins {
    first: f32,
    width: f32,
    edges: Vec<f32>,
}

impl EqualBins {
    /// `numpy.linspace` edges. Equal ends get half a unit on either side. Fails where there is no bin, the width
    /// overflows, or the edges are not distinct.
    pub fn over(low: f32, high: f32, bins: usize) -> Result<Self, CalibrationError> {
        let refused = CalibrationError::Bins { bins, low, high };
        let (first, last) = if low == high { (low - 0.5, high + 0.5) } else { (low, high) };
        let width = last - first;
        if bins == 0 || !(first < last && width.is_finite()) {
            return Err(refused);
        }
        let step = width / bins as f32;
        let edges: Vec<f32> = (0..bins).map(|index| index as f32 * step + first).chain([last]).collect();
        match edges.is_sorted_by(|a, b| a < b) {
            true => Ok(EqualBins { first, width, edges }),
            false => Err(refused),
        }
    }

    /// One more edge than bins, ascending.
    pub fn edges(&self) -> &[f32] {
        &self.edges
    }

    /// Counts the values that lie in the bins; others, and NaN, are left out.
    pub fn count(&self, values: impl Iterator<Item = f32>, counts: &mut [u64]) {
        let bins = self.edges.len() - 1;
        let (first, last) = (self.first, self.edges[bins]);
        for value in values {
            if !(value >= first && value <= last) {
                continue;
            }
            // The quotient first, then the product, each rounded to f32; then the edges have the last word.
            let bin = (((value - first) / self.width * bins as f32) as usize).min(bins - 1);
            let bin = if value < self.edges[bin] {
                bin.saturating_sub(1)
            } else if bin + 1 < bins && value >= self.edges[bin + 1] {
                bin + 1
            } else {
                bin
            };
            if let Some(count) = counts.get_mut(bin) {
                *count += 1;
            }
        }
    }
}

/// Counts values between given ascending edges: `numpy.histogram` with an array of edges. The last bin holds its upper
/// edge; values outside, and NaN, are left out.
pub(super) fn count_between(edges: &[f32], values: impl Iterator<Item = f32>, counts: &mut [u64]) {
    let (Some(&first), Some(&last)) = (edges.first(), edges.last()) else { return };
    // The edges are equal steps up to their rounding, so the bin is found from the first guess in a step or two.
    let per_unit = (edges.len() - 1) as f64 / (f64::from(last) - f64::from(first));
    let bins = edges.len() - 1;
    for value in values {
        if !(value >= first && value <= last) {
            continue;
        }
        let mut bin = (((f64::from(value) - f64::from(first)) * per_unit) as usize).min(bins - 1);
        while bin > 0 && value < edges[bin] {
            bin -= 1;
        }
        while bin + 1 < bins && value >= edges[bin + 1] {
            bin += 1;
        }
        if let Some(count) = counts.get_mut(bin) {
            *count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_the_general_histogram(values in prop::collection::vec(-1e3f32..1e3, 1..200), bins in 1usize..300) {
            let general = analysis::histogram(&values, bins, None);
            let low = values.iter().copied().fold(f32::INFINITY, f32::min);
            let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            match (general, EqualBins::over(low, high, bins)) {
                (Ok(general), Ok(grid)) => {
                    let mut counts = vec![0; bins];
                    grid.count(values.iter().copied(), &mut counts);
                    prop_assert_eq!(&counts, &general.counts);
                    let edges: Vec<f64> = grid.edges().iter().map(|&edge| edge.into()).collect();
                    prop_assert_eq!(edges, general.edges);
                    let mut between = vec![0; bins];
                    count_between(grid.edges(), values.iter().copied(), &mut between);
                    prop_assert_eq!(between, counts);
                }
                (general, grid) => prop_assert_eq!(general.is_err(), grid.is_err()),
            }
        }
    }

    #[test]
    fn what_cannot_be_binned() {
        assert!(EqualBins::over(0.0, 1.0, 0).is_err());
        assert!(EqualBins::over(1.0, 0.0, 2).is_err());
        assert!(EqualBins::over(f32::MIN, f32::MAX, 2).is_err());
        assert!(EqualBins::over(1.0, 1.0 + f32::EPSILON, 8).is_err());
        assert_eq!(EqualBins::over(3.0, 3.0, 2).unwrap().edges(), [2.5, 3.0, 3.5]);
    }

    #[test]
    fn values_outside_are_left_out() {
        let mut counts = [0; 2];
        count_between(&[0.0, 1.0, 2.0], [-0.1f32, 0.0, 1.0, 2.0, 2.1, f32::NAN].into_iter(), &mut counts);
        assert_eq!(counts, [1, 2]);
    }
}
