//! Smallest and largest values, over all runs and run by run.

use super::method::ValueRange;

/// What the extremes of one tensor have been. Values that are not finite are not counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extremes {
    range: Option<ValueRange>,
    /// The smallest absolute value.
    smallest_magnitude: f32,
    /// Sums of the extremes of the runs since the last merge; f64, so that their mean is right in f32.
    sum_low: f64,
    sum_high: f64,
    runs: u64,
    /// The moving average up to the last merge.
    moving: Option<ValueRange>,
}

impl Extremes {
    /// Takes the values of one run; returns their extremes, `None` where no value is finite.
    pub fn add(&mut self, values: &[f32]) -> Option<ValueRange> {
        let (mut low, mut high, mut magnitude) = (f32::INFINITY, f32::NEG_INFINITY, f32::INFINITY);
        for &value in values.iter().filter(|value| value.is_finite()) {
            low = low.min(value);
            high = high.max(value);
            magnitude = magnitude.min(value.abs());
        }
        if low > high {
            return None;
        }
        let run = ValueRange { low, high };
        self.smallest_magnitude = match self.range {
            Some(_) => self.smallest_magnitude.min(magnitude),
            None => magnitude,
        };
        self.range = Some(self.range.map_or(run, |seen| seen.union(run)));
        self.sum_low += f64::from(low);
        self.sum_high += f64::from(high);
        self.runs += 1;
        Some(run)
    }

    /// The smallest and the largest value ever seen: ONNX Runtime's MinMax.
    pub fn range(&self) -> Option<ValueRange> {
        self.range
    }

    /// The smallest absolute value ever seen; 0 before the first.
    pub fn smallest_magnitude(&self) -> f32 {
        self.smallest_magnitude
    }

    /// Ends a stretch of runs: the mean of their extremes moves the average by `constant` of the difference. The first
    /// stretch becomes the average itself.
    pub fn merge_runs(&mut self, constant: f32) {
        self.moving = self.moving_average(constant);
        (self.sum_low, self.sum_high, self.runs) = (0.0, 0.0, 0);
    }

    /// The average as it would be if the present stretch ended here: ONNX Runtime's MinMax with `CalibMovingAverage`,
    /// whose merges are the chunks of `CalibStridedMinMax`; without chunks it is the mean of all runs' extremes.
    pub fn moving_average(&self, constant: f32) -> Option<ValueRange> {
        if self.runs == 0 {
            return self.moving;
        }
        let mean = |sum: f64| (sum / self.runs as f64) as f32;
        let stretch = ValueRange { low: mean(self.sum_low), high: mean(self.sum_high) };
        let toward = |old: f32, new: f32| old + constant * (new - old);
        Some(self.moving.map_or(stretch, |old| ValueRange {
            low: toward(old.low, stretch.low),
            high: toward(old.high, stretch.high),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(low: f32, high: f32) -> Option<ValueRange> {
        Some(ValueRange { low, high })
    }

    #[test]
    fn extremes_and_their_mean() {
        let mut seen = Extremes::default();
        assert_eq!(seen.add(&[]), None);
        assert_eq!(seen.add(&[f32::NAN, f32::INFINITY]), None);
        assert_eq!(seen.range(), None);
        seen.add(&[-1.0, 3.0, 0.5]);
        seen.add(&[f32::NAN, 2.0, 5.0]);
        assert_eq!((seen.range(), seen.smallest_magnitude()), (range(-1.0, 5.0), 0.5));
        assert_eq!(seen.moving_average(0.01), range(0.5, 4.0));
    }

    #[test]
    fn chunks_move_the_average() {
        let mut seen = Extremes::default();
        seen.add(&[0.0, 10.0]);
        seen.merge_runs(0.1);
        seen.add(&[-10.0, 20.0]);
        seen.add(&[-30.0, 20.0]);
        seen.merge_runs(0.1);
        assert_eq!(seen.moving_average(0.1), range(-2.0, 11.0));
    }
}
