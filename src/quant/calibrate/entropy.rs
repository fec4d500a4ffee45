//! The clipping that loses the least information.

use super::error::CalibrationError;
use super::histogram::GrowingHistogram;
use super::method::ValueRange;

/// What an empty bin is raised to before two distributions are compared.
const SMOOTHING: f64 = 0.0001;

/// ONNX Runtime's Entropy: of all ranges symmetric about the middle bin, from `quantized_bins` bins to all, the one
/// whose distribution is nearest (Kullback-Leibler divergence, f32) to its own merged into `quantized_bins` bins. The
/// first of equals wins. The bounds never reach beyond the extremes of the values.
///
/// `quantized_bins` must be 2 or more and at most the number of bins.
pub fn entropy_range(histogram: &GrowingHistogram, quantized_bins: usize) -> Result<ValueRange, CalibrationError> {
    let seen = histogram.range().ok_or(CalibrationError::NoData)?;
    let (counts, edges) = (histogram.counts(), histogram.edges()?);
    let middle = counts.len() / 2;
    let mut best: Option<(f32, ValueRange)> = None;
    for reach in quantized_bins / 2..=middle {
        let (start, end) = (middle - reach, (middle + reach + 1).min(counts.len()));
        let (Some(&low), Some(&high)) = (edges.get(start), edges.get(end)) else { continue };
        let divergence = clipped_divergence(counts, start, end, quantized_bins).unwrap_or(f32::INFINITY);
        if best.is_none_or(|(least, _)| divergence < least) {
            best = Some((divergence, ValueRange { low, high }));
        }
    }
    let Some((_, range)) = best else {
        return Err(CalibrationError::Setting {
            method: "Entropy",
            found: format!("{quantized_bins} quantized bins of {}", counts.len()),
            expected: "at most the number of bins".to_owned(),
        });
    };
    Ok(range.limited_to(seen))
}

/// Divergence of the bins `start..end` (with the counts outside added to the first and the last) from the same bins
/// merged and spread out again. `None` where nothing is in them.
fn clipped_divergence(counts: &[u64], start: usize, end: usize, quantized_bins: usize) -> Option<f32> {
    let inside = counts.get(start..end)?;
    let mut reference = inside.to_vec();
    *reference.first_mut()? += counts.get(..start)?.iter().sum::<u64>();
    *reference.last_mut()? += counts.get(end..)?.iter().sum::<u64>();
    let per_bin = inside.len() / quantized_bins;
    let mut spread = vec![0u64; inside.len()];
    for bin in 0..quantized_bins {
        let (from, to) = (bin * per_bin, (bin + 1) * per_bin);
        // What does not divide evenly goes to the last merged bin, but is not spread over the bins it came from.
        let until = if bin + 1 == quantized_bins { inside.len() } else { to };
        let sum: u64 = inside.get(from..until)?.iter().sum();
        let filled = reference.get(from..to)?.iter().filter(|&&count| count != 0).count();
        if filled != 0 {
            // Integers there, so the quotient is cut off.
            let share = (sum as f64 / filled as f64) as u64;
            spread.get_mut(from..to)?.fill(share);
        }
    }
    divergence(&smoothed(&reference)?, &smoothed(&spread)?)
}

/// Raises empty bins to a little and takes it off the others. `None` where all are empty.
fn smoothed(counts: &[u64]) -> Option<Vec<f32>> {
    let empty = counts.iter().filter(|&&count| count == 0).count();
    let filled = counts.len() - empty;
    if filled == 0 {
        return None;
    }
    let taken = -(SMOOTHING * empty as f64 / filled as f64) as f32;
    let given = SMOOTHING as f32;
    Some(counts.iter().map(|&count| count as f32 + if count == 0 { given } else { taken }).collect())
}

/// `sum(p log(p / q))` of two distributions that are normalized first.
fn divergence(p: &[f32], q: &[f32]) -> Option<f32> {
    let (sum_p, sum_q) = (pairwise_sum(p), pairwise_sum(q));
    let terms: Option<Vec<f32>> = p
        .iter()
        .zip(q)
        .map(|(&p, &q)| {
            let (p, q) = (p / sum_p, q / sum_q);
            // Through f64, so that the logarithm is the same on every platform.
            (p > 0.0 && q > 0.0).then(|| p * f64::from(p / q).ln() as f32)
        })
        .collect();
    Some(pairwise_sum(&terms?))
}

/// The order in which numpy adds f32 numbers: eight sums in turn over up to 128 elements, halves above that.
fn pairwise_sum(values: &[f32]) -> f32 {
    const BLOCK: usize = 128;
    match values.len() {
        0..8 => values.iter().fold(0.0, |sum, value| sum + value),
        8..=BLOCK => {
            let mut sums = [0.0f32; 8];
            let (whole, rest) = values.split_at(values.len() - values.len() % 8);
            for eight in whole.chunks_exact(8) {
                for (sum, value) in sums.iter_mut().zip(eight) {
                    *sum += value;
                }
            }
            let [a, b, c, d, e, f, g, h] = sums;
            let sum = ((a + b) + (c + d)) + ((e + f) + (g + h));
            rest.iter().fold(sum, |sum, value| sum + value)
        }
        count => {
            let half = count / 2 - count / 2 % 8;
            let (left, right) = values.split_at(half);
            pairwise_sum(left) + pairwise_sum(right)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::calibrate::HistogramSide;

    #[test]
    fn a_lone_outlier_is_clipped() {
        let mut values: Vec<f32> = (0..4000).map(|index| (index as f32 / 4000.0 - 0.5) * 2.0).collect();
        values.push(20.0);
        let mut histogram = GrowingHistogram::new(HistogramSide::Signed, 2048);
        histogram.add(&values);
        let range = entropy_range(&histogram, 128).unwrap();
        assert!(range.high < 2.0 && range.low >= -1.0, "{range:?}");
    }

    #[test]
    fn equal_numbers_of_bins_leave_one_candidate() {
        let mut histogram = GrowingHistogram::new(HistogramSide::Signed, 128);
        histogram.add(&[-1.0, 0.1, 3.0]);
        assert_eq!(entropy_range(&histogram, 128), Ok(ValueRange { low: -1.0, high: 3.0 }));
        assert!(entropy_range(&histogram, 256).is_err());
    }
}
