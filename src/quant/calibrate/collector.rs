//! All tensors of a network, for all methods that are asked for.

use super::distribution::{Spread, histogram_spread};
use super::entropy::entropy_range;
use super::error::CalibrationError;
use super::extremes::Extremes;
use super::histogram::GrowingHistogram;
use super::method::{CalibrationMethod, HistogramKind, ValueRange};
use super::percentile::percentile_range;
use super::squared_error::squared_error_range;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a first pass has found out about a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// The extremes.
    pub range: ValueRange,
    /// The smallest absolute value.
    pub smallest_magnitude: f32,
}

/// Collects, tensor by tensor and run by run, what the given methods need. Memory depends on the number of tensors and
/// methods alone: a histogram of 2048 bins takes 24 kB.
#[derive(Clone, Debug)]
pub struct RangeCollector {
    methods: Vec<CalibrationMethod>,
    kinds: BTreeSet<HistogramKind>,
    known: BTreeMap<String, Bounds>,
    tensors: BTreeMap<String, Collected>,
}

#[derive(Clone, Debug)]
struct Collected {
    extremes: Extremes,
    histograms: BTreeMap<HistogramKind, GrowingHistogram>,
    /// One average for each method with chunks, beside `extremes`, whose only chunk is the whole.
    chunked: Vec<(u64, f32, u64, Extremes)>,
}

impl RangeCollector {
    /// A collector for these methods, in one pass. Histograms grow with the data.
    pub fn new(methods: &[CalibrationMethod]) -> Result<Self, CalibrationError> {
        Self::with_bounds(methods, BTreeMap::new())
    }

    /// A collector for a second pass over the same data: histograms lie over the whole data from the start, as in ONNX
    /// Runtime. A tensor that is not among the bounds has histograms that grow.
    pub fn with_bounds(
        methods: &[CalibrationMethod],
        known: BTreeMap<String, Bounds>,
    ) -> Result<Self, CalibrationError> {
        methods.iter().try_for_each(CalibrationMethod::check)?;
        let kinds = methods.iter().filter_map(CalibrationMethod::histogram).collect();
        Ok(RangeCollector { methods: methods.to_vec(), kinds, known, tensors: BTreeMap::new() })
    }

    /// Whether any of these methods gives ONNX Runtime's very ranges only in a second pass with known bounds.
    pub fn needs_bounds(methods: &[CalibrationMethod]) -> bool {
        methods.iter().any(|method| method.histogram().is_some())
    }

    /// Takes the values of one tensor in one run. Values that are not finite are left out.
    pub fn add(&mut self, tensor: &str, values: &[f32]) {
        if !self.tensors.contains_key(tensor) {
            let collected = self.start(tensor);
            self.tensors.insert(tensor.to_owned(), collected);
        }
        let Some(collected) = self.tensors.get_mut(tensor) else { return };
        if collected.extremes.add(values).is_none() {
            return;
        }
        for histogram in collected.histograms.values_mut() {
            histogram.add(values);
        }
        for (every, constant, runs, extremes) in &mut collected.chunked {
            extremes.add(values);
            *runs += 1;
            if runs.is_multiple_of(*every) {
                extremes.merge_runs(*constant);
            }
        }
    }

    fn start(&self, tensor: &str) -> Collected {
        let histogram = |&kind: &HistogramKind| {
            let histogram = match self.known.get(tensor) {
                Some(bounds) => GrowingHistogram::over(kind.side, kind.bins, bounds.range, bounds.smallest_magnitude),
                None => GrowingHistogram::new(kind.side, kind.bins),
            };
            (kind, histogram)
        };
        let chunked = self.methods.iter().filter_map(|method| match *method {
            CalibrationMethod::MovingAverage { constant, every: Some(every) } => {
                Some((every, constant, 0, Extremes::default()))
            }
            _ => None,
        });
        Collected {
            extremes: Extremes::default(),
            histograms: self.kinds.iter().map(histogram).collect(),
            chunked: chunked.collect(),
        }
    }

    /// The methods it collects for.
    pub fn methods(&self) -> &[CalibrationMethod] {
        &self.methods
    }

    /// The tensors that have had a finite value.
    pub fn tensors(&self) -> impl Iterator<Item = &str> {
        self.tensors.iter().filter(|(_, collected)| collected.extremes.range().is_some()).map(|(name, _)| name.as_str())
    }

    /// What a second pass has to know.
    pub fn bounds(&self) -> BTreeMap<String, Bounds> {
        let bounds = |(name, collected): (&String, &Collected)| {
            let smallest_magnitude = collected.extremes.smallest_magnitude();
            Some((name.clone(), Bounds { range: collected.extremes.range()?, smallest_magnitude }))
        };
        self.tensors.iter().filter_map(bounds).collect()
    }

    /// The histogram of a tensor that a method reads, to be drawn.
    pub fn histogram(&self, tensor: &str, kind: HistogramKind) -> Option<&GrowingHistogram> {
        self.tensors.get(tensor)?.histograms.get(&kind)
    }

    /// Mean and standard deviation of a tensor, from its histogram.
    pub fn spread(&self, tensor: &str, kind: HistogramKind) -> Option<Spread> {
        histogram_spread(self.histogram(tensor, kind)?).ok()
    }

    /// The range of every tensor by one of the methods. A tensor whose values are so close together that no bins fit
    /// between them has its extremes as its range ([`RangeCollector::unbinned`] names those).
    pub fn ranges(&self, method: &CalibrationMethod) -> Result<BTreeMap<String, (f32, f32)>, CalibrationError> {
        method.check()?;
        let mut ranges = BTreeMap::new();
        for (name, collected) in &self.tensors {
            let Some(extremes) = collected.extremes.range() else { continue };
            let range = match collected.range(method) {
                Err(CalibrationError::Bins { .. }) => extremes,
                range => range?,
            };
            ranges.insert(name.clone(), (range.low, range.high));
        }
        match ranges.is_empty() {
            true => Err(CalibrationError::NoData),
            false => Ok(ranges),
        }
    }

    /// The tensors for which this method has no bins and takes the extremes.
    pub fn unbinned(&self, method: &CalibrationMethod) -> Vec<&str> {
        let unbinned = |collected: &Collected| matches!(collected.range(method), Err(CalibrationError::Bins { .. }));
        self.tensors.iter().filter(|(_, collected)| unbinned(collected)).map(|(name, _)| name.as_str()).collect()
    }
}

impl Collected {
    fn range(&self, method: &CalibrationMethod) -> Result<ValueRange, CalibrationError> {
        let missing = CalibrationError::NotCollected(method.name());
        let histogram = method.histogram().map(|kind| self.histograms.get(&kind).ok_or(missing.clone())).transpose()?;
        let no_data = CalibrationError::NoData;
        match (*method, histogram) {
            (CalibrationMethod::MovingAverage { constant, every: None }, _) => {
                self.extremes.moving_average(constant).ok_or(no_data)
            }
            (CalibrationMethod::MovingAverage { constant, every: Some(every) }, _) => {
                let found = self.chunked.iter().find(|chunked| (chunked.0, chunked.1) == (every, constant));
                found.ok_or(missing)?.3.moving_average(constant).ok_or(no_data)
            }
            (CalibrationMethod::Entropy { quantized_bins, .. }, Some(histogram)) => {
                entropy_range(histogram, quantized_bins)
            }
            (CalibrationMethod::Percentile { percentile, .. }, Some(histogram)) => {
                percentile_range(histogram, percentile)
            }
            (CalibrationMethod::Distribution { .. }, Some(histogram)) => {
                let edges = histogram.edges()?;
                let (low, high) = edges.first().zip(edges.last()).ok_or(no_data)?;
                Ok(ValueRange { low: *low, high: *high })
            }
            (CalibrationMethod::SquaredError { steps, symmetric, .. }, Some(histogram)) => {
                squared_error_range(histogram, steps, symmetric)
            }
            _ => self.extremes.range().ok_or(no_data),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [CalibrationMethod; 7] = [
        CalibrationMethod::MinMax,
        CalibrationMethod::MOVING_AVERAGE,
        CalibrationMethod::MovingAverage { constant: 0.5, every: Some(2) },
        CalibrationMethod::ENTROPY,
        CalibrationMethod::PERCENTILE,
        CalibrationMethod::DISTRIBUTION,
        CalibrationMethod::SQUARED_ERROR,
    ];

    #[test]
    fn one_pass_serves_every_method() {
        let mut collector = RangeCollector::new(&ALL).unwrap();
        for run in 1..=4 {
            let values: Vec<f32> = (0..100).map(|index| index as f32 / 100.0 * run as f32 - 0.5).collect();
            collector.add("a", &values);
            collector.add("flat", &[3.0; 4]);
        }
        for method in &ALL {
            let ranges = collector.ranges(method).unwrap();
            let (low, high) = ranges["a"];
            assert!(low < high && low >= -4.0 && high <= 4.0, "{method:?} {low} {high}");
        }
        assert_eq!(collector.ranges(&ALL[0]).unwrap()["a"], (-0.5, 3.46));
        // Means of chunks 0.985 and 2.965, half of the way.
        assert!((collector.ranges(&ALL[2]).unwrap()["a"].1 - 1.975).abs() < 1e-6);
        assert_eq!(collector.ranges(&ALL[0]).unwrap()["flat"], (3.0, 3.0));
    }

    #[test]
    fn what_was_not_asked_for_is_not_there() {
        let mut collector = RangeCollector::new(&[CalibrationMethod::MinMax]).unwrap();
        assert_eq!(collector.ranges(&CalibrationMethod::MinMax), Err(CalibrationError::NoData));
        collector.add("a", &[1.0, 2.0]);
        assert_eq!(collector.ranges(&CalibrationMethod::PERCENTILE), Err(CalibrationError::NotCollected("Percentile")));
        assert_eq!(collector.tensors().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn values_too_close_to_bin_have_their_extremes() {
        let mut collector = RangeCollector::new(&[CalibrationMethod::PERCENTILE]).unwrap();
        collector.add("narrow", &[1.0, 1.0 + f32::EPSILON]);
        assert_eq!(collector.unbinned(&CalibrationMethod::PERCENTILE), ["narrow"]);
        assert_eq!(collector.ranges(&CalibrationMethod::PERCENTILE).unwrap()["narrow"], (1.0, 1.0 + f32::EPSILON));
    }

    #[test]
    fn settings_are_checked() {
        for bad in [
            CalibrationMethod::Entropy { bins: 128, quantized_bins: 129 },
            CalibrationMethod::Entropy { bins: 0, quantized_bins: 2 },
            CalibrationMethod::Percentile { bins: 16, percentile: 101.0, symmetric: true },
            CalibrationMethod::Percentile { bins: 16, percentile: f64::NAN, symmetric: true },
            CalibrationMethod::Distribution { bins: 128 },
            CalibrationMethod::MovingAverage { constant: 2.0, every: None },
            CalibrationMethod::MovingAverage { constant: 0.5, every: Some(0) },
            CalibrationMethod::SquaredError { bins: 128, steps: 0, symmetric: false },
        ] {
            assert!(RangeCollector::new(&[bad]).is_err(), "{bad:?}");
        }
    }
}
