//! The clipping with the least squared error.

use super::error::CalibrationError;
use super::histogram::GrowingHistogram;
use super::method::ValueRange;

/// Bounds that are tried on each side: equal parts of the way from 0 to the extreme.
const PARTS: u32 = 128;
/// How often the two sides are searched in turn; they settle after two rounds.
const ROUNDS: usize = 3;

/// The range that makes `sum(count x (middle - quantized middle)^2)` over the bins least, where `steps` equal steps
/// divide the range and the zero point is an integer. The wider of equally good ranges wins. `symmetric` keeps both
/// bounds equally far from 0.
pub fn squared_error_range(
    histogram: &GrowingHistogram,
    steps: u32,
    symmetric: bool,
) -> Result<ValueRange, CalibrationError> {
    let seen = histogram.range().ok_or(CalibrationError::NoData)?;
    let edges = histogram.edges()?;
    let middles = edges.windows(2).map(|pair| (f64::from(pair[0]) + f64::from(pair[1])) / 2.0);
    let bins: Vec<(f64, f64)> = histogram
        .counts()
        .iter()
        .zip(middles)
        .filter(|(count, _)| **count > 0)
        // Bins at the ends reach beyond the values.
        .map(|(&count, middle)| (count as f64, middle.clamp(seen.low.into(), seen.high.into())))
        .collect();
    let full = ValueRange { low: seen.low.min(0.0), high: seen.high.max(0.0) };
    let part = |bound: f32, part: u32| (f64::from(bound) * f64::from(part) / f64::from(PARTS)) as f32;
    let least = |candidates: &mut dyn Iterator<Item = ValueRange>, start: ValueRange| {
        let mut best = (squared_error(&bins, start, steps), start);
        for candidate in candidates {
            let error = squared_error(&bins, candidate, steps);
            if error < best.0 {
                best = (error, candidate);
            }
        }
        best.1
    };
    if symmetric {
        let reach = full.symmetric();
        let candidate = |p| ValueRange { low: part(reach.low, p), high: part(reach.high, p) };
        return Ok(least(&mut (1..PARTS).rev().map(candidate), reach));
    }
    let mut best = full;
    for _ in 0..ROUNDS {
        let before = best;
        if full.high > 0.0 {
            best = least(&mut (1..=PARTS).rev().map(|p| ValueRange { high: part(full.high, p), ..best }), best);
        }
        if full.low < 0.0 {
            best = least(&mut (1..=PARTS).rev().map(|p| ValueRange { low: part(full.low, p), ..best }), best);
        }
        if best == before {
            break;
        }
    }
    Ok(best)
}

fn squared_error(bins: &[(f64, f64)], range: ValueRange, steps: u32) -> f64 {
    let steps = f64::from(steps);
    let scale = (f64::from(range.high) - f64::from(range.low)) / steps;
    if scale <= 0.0 {
        return bins.iter().map(|(count, middle)| count * middle * middle).sum();
    }
    let zero_point = (-f64::from(range.low) / scale).round_ties_even();
    let error = |&(count, middle): &(f64, f64)| {
        let step = ((middle / scale).round_ties_even() + zero_point).clamp(0.0, steps);
        let difference = middle - (step - zero_point) * scale;
        count * difference * difference
    };
    bins.iter().map(error).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::calibrate::HistogramSide;

    fn histogram(values: &[f32]) -> GrowingHistogram {
        let mut histogram = GrowingHistogram::new(HistogramSide::Signed, 2048);
        histogram.add(values);
        histogram
    }

    #[test]
    fn few_levels_clip_an_outlier_and_many_keep_it() {
        let mut values: Vec<f32> = (0..2000).map(|index| index as f32 / 1000.0 - 1.0).collect();
        values.push(8.0);
        let coarse = squared_error_range(&histogram(&values), 7, false).unwrap();
        assert!(coarse.high < 3.0, "{coarse:?}");
        let fine = squared_error_range(&histogram(&values), 65535, false).unwrap();
        assert_eq!(fine.high, 8.0);
    }

    #[test]
    fn never_worse_than_the_extremes() {
        let values: Vec<f32> = (0..500).map(|index| ((index * 37 % 500) as f32 / 250.0 - 1.0).powi(3)).collect();
        let histogram = histogram(&values);
        for (steps, symmetric) in [(15, false), (15, true), (254, true)] {
            let found = squared_error_range(&histogram, steps, symmetric).unwrap();
            let error = |range: ValueRange| {
                values.iter().map(|&v| squared_error(&[(1.0, v.into())], range, steps)).sum::<f64>()
            };
            assert!(error(found) <= error(ValueRange { low: -1.0, high: 1.0 }) * 1.01, "{steps} {found:?}");
            assert!(!symmetric || found.low == -found.high);
        }
    }

    #[test]
    fn degenerate_data() {
        assert_eq!(squared_error_range(&histogram(&[0.0]), 255, false), Ok(ValueRange { low: 0.0, high: 0.0 }));
        let positive = squared_error_range(&histogram(&[2.0, 2.0]), 255, false).unwrap();
        assert!(positive.low == 0.0 && positive.high > 1.9, "{positive:?}");
        assert!(squared_error_range(&histogram(&[]), 255, true).is_err());
    }
}
