//! A histogram that grows with the values it is given.
//!
//! The growth is that of ONNX Runtime's `HistogramCollector` when it is given data again and again: bins of the first
//! width are added outside, and counts stay where they are. All arithmetic is f32 as there, because edges are results.

use super::bins::{EqualBins, count_between};
use super::error::CalibrationError;
use super::extremes::Extremes;
use super::method::ValueRange;
use serde::{Deserialize, Serialize};

/// Most bins a histogram may have. ONNX Runtime has no bound: a tensor that starts with tiny values takes all memory.
pub(super) const MOST_BINS: usize = 1 << 20;

/// What a histogram bins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum HistogramSide {
    /// The values, in bins that lie symmetrically about 0.
    Signed,
    /// The absolute values.
    Absolute,
}

/// Counts of one tensor's values.
#[derive(Clone, Debug, PartialEq)]
pub struct GrowingHistogram {
    side: HistogramSide,
    start_bins: usize,
    counts: Vec<u64>,
    layout: Layout,
    /// Where signed bins end on either side; 0 while only zeros have been seen.
    reach: f32,
    /// Extremes of the values themselves, also where absolute values are binned.
    seen: Extremes,
}

/// How the bins lie.
#[derive(Clone, Debug, PartialEq)]
enum Layout {
    /// No value has been seen.
    Empty,
    /// Equal bins that nothing was added to.
    Equal(EqualBins),
    /// Edges that grew one by one.
    Edges(Vec<f32>),
    /// No bins fit the values.
    Refused(CalibrationError),
}

impl GrowingHistogram {
    /// A histogram that lays out its bins over the first values it gets.
    pub fn new(side: HistogramSide, bins: usize) -> Self {
        GrowingHistogram {
            side,
            start_bins: bins,
            counts: Vec::new(),
            layout: Layout::Empty,
            reach: 0.0,
            seen: Extremes::default(),
        }
    }

    /// A histogram over all values that will come, whose extremes are known: what ONNX Runtime counts when it is given
    /// all data at once. `smallest_magnitude` is the smallest absolute value.
    pub fn over(side: HistogramSide, bins: usize, bounds: ValueRange, smallest_magnitude: f32) -> Self {
        let mut histogram = GrowingHistogram::new(side, bins);
        let reach = bounds.symmetric().high;
        histogram.lay_out(if side == HistogramSide::Signed { -reach } else { smallest_magnitude }, reach);
        histogram
    }

    /// A histogram that was counted elsewhere: one more edge than bins, ascending, and the extremes of the values.
    pub fn counted(
        side: HistogramSide,
        counts: Vec<u64>,
        edges: Vec<f32>,
        range: ValueRange,
    ) -> Result<Self, CalibrationError> {
        let (low, high) = (range.low, range.high);
        if counts.is_empty() || edges.len() != counts.len() + 1 || !edges.is_sorted_by(|a, b| a < b) {
            return Err(CalibrationError::Bins { bins: counts.len(), low, high });
        }
        let mut seen = Extremes::default();
        seen.add(&[low, high]);
        Ok(GrowingHistogram {
            side,
            start_bins: counts.len(),
            reach: edges.last().copied().unwrap_or(0.0),
            counts,
            layout: Layout::Edges(edges),
            seen,
        })
    }

    fn lay_out(&mut self, low: f32, high: f32) {
        self.reach = high;
        match EqualBins::over(low, high, self.start_bins) {
            Ok(bins) => {
                self.counts = vec![0; self.start_bins];
                self.layout = Layout::Equal(bins);
            }
            Err(refusal) => self.layout = Layout::Refused(refusal),
        }
    }

    /// Counts the values of one run. Values that are not finite are left out.
    pub fn add(&mut self, values: &[f32]) {
        let mut run = Extremes::default();
        let Some(range) = run.add(values) else { return };
        self.seen.add(&[range.low, range.high]);
        let reach = range.symmetric().high;
        if let Layout::Empty = self.layout {
            let low = if self.side == HistogramSide::Signed { -reach } else { run.smallest_magnitude() };
            self.lay_out(low, reach);
        }
        match self.side {
            HistogramSide::Signed => self.grow_signed(reach),
            HistogramSide::Absolute => self.grow_absolute(reach),
        }
        let finite = values.iter().copied().filter(|value| value.is_finite());
        match (&self.layout, self.side) {
            (Layout::Equal(bins), HistogramSide::Signed) => bins.count(finite, &mut self.counts),
            (Layout::Equal(bins), HistogramSide::Absolute) => bins.count(finite.map(f32::abs), &mut self.counts),
            (Layout::Edges(edges), HistogramSide::Absolute) => {
                count_between(edges, finite.map(f32::abs), &mut self.counts);
            }
            (Layout::Edges(edges), HistogramSide::Signed) => count_between(edges, finite, &mut self.counts),
            _ => {}
        }
    }

    /// Widens signed bins by whole bins on both sides until `reach` fits.
    fn grow_signed(&mut self, reach: f32) {
        let (Layout::Equal(_), old_reach) = (&self.layout, self.reach) else { return };
        if reach <= old_reach {
            return;
        }
        if old_reach == 0.0 {
            // Zeros only so far: they lie in the middle of the new bins too.
            let counts = std::mem::take(&mut self.counts);
            self.lay_out(-reach, reach);
            if let Layout::Equal(_) = self.layout {
                self.counts = counts;
            }
            return;
        }
        loop {
            let old_bins = self.counts.len();
            let stride = 2.0 * old_reach / old_bins as f32;
            let added = floor_divide(reach - old_reach, stride) + 1.0;
            let total = old_bins as f64 + 2.0 * f64::from(added);
            if total > MOST_BINS as f64 && old_bins.is_multiple_of(4) {
                // Halves are folded each for itself, so that 0 stays an edge.
                self.counts = self.counts.chunks(2).map(|pair| pair.iter().sum()).collect();
                continue;
            }
            if total.is_nan() || total > MOST_BINS as f64 {
                self.layout = Layout::Refused(CalibrationError::Bins { bins: MOST_BINS, low: -reach, high: reach });
                return;
            }
            let added_bins = added as usize;
            let new_reach = added * stride + old_reach;
            match EqualBins::over(-new_reach, new_reach, old_bins + 2 * added_bins) {
                Ok(bins) => {
                    let outside = vec![0; added_bins];
                    self.counts = [&outside[..], &self.counts, &outside].concat();
                    self.layout = Layout::Equal(bins);
                    self.reach = new_reach;
                }
                Err(refusal) => self.layout = Layout::Refused(refusal),
            }
            return;
        }
    }

    /// Adds bins of the first width above the last edge until `reach` fits. Values below the first edge, which is the
    /// smallest absolute value of the first data, are in no bin: so it is in ONNX Runtime.
    fn grow_absolute(&mut self, reach: f32) {
        let edges = match &self.layout {
            Layout::Equal(bins) => bins.edges(),
            Layout::Edges(edges) => edges,
            _ => return,
        };
        let (Some(&first), Some(&second), Some(&last)) = (edges.first(), edges.get(1), edges.last()) else { return };
        if reach <= last {
            return;
        }
        let width = second - first;
        let start = last + width;
        // numpy.arange(start, reach + width, width), with its own rounding of the count and of the step.
        let count = f64::from(((reach + width) - start) / width).ceil().max(0.0);
        if count.is_nan() || count + edges.len() as f64 > MOST_BINS as f64 || start <= last {
            self.layout = Layout::Refused(CalibrationError::Bins { bins: MOST_BINS, low: first, high: reach });
            return;
        }
        let step = (start + width) - start;
        let mut edges = edges.to_vec();
        edges.extend((0..count as usize).map(|index| start + index as f32 * step));
        self.counts.resize(edges.len() - 1, 0);
        self.layout = Layout::Edges(edges);
    }

    /// What is binned.
    pub fn side(&self) -> HistogramSide {
        self.side
    }

    /// Values per bin.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Bin edges, one more than bins, ascending; the error where no bins fit the values, or none have come.
    pub fn edges(&self) -> Result<&[f32], CalibrationError> {
        match &self.layout {
            Layout::Equal(bins) => Ok(bins.edges()),
            Layout::Edges(edges) => Ok(edges),
            Layout::Empty => Err(CalibrationError::NoData),
            Layout::Refused(refusal) => Err(refusal.clone()),
        }
    }

    /// Extremes of the values themselves.
    pub fn range(&self) -> Option<ValueRange> {
        self.seen.range()
    }
}

/// Python's `//` for two positive f32 numbers, as numpy computes it.
fn floor_divide(a: f32, b: f32) -> f32 {
    let quotient = (a - a % b) / b;
    let floor = quotient.floor();
    if quotient - floor > 0.5 { floor + 1.0 } else { floor }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_bins_grow_by_their_own_width() {
        let mut histogram = GrowingHistogram::new(HistogramSide::Signed, 4);
        histogram.add(&[-1.0, 0.0, 0.75, 1.0]);
        assert_eq!(
            (histogram.edges().unwrap(), histogram.counts()),
            (&[-1.0, -0.5, 0.0, 0.5, 1.0][..], &[1, 0, 1, 2][..])
        );
        histogram.add(&[1.25]);
        assert_eq!(histogram.edges().unwrap(), [-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5]);
        assert_eq!(histogram.counts(), [0, 1, 0, 1, 2, 1]);
    }

    #[test]
    fn zeros_first_take_the_range_of_what_follows() {
        let mut histogram = GrowingHistogram::new(HistogramSide::Signed, 2);
        histogram.add(&[0.0, 0.0]);
        histogram.add(&[3.0, -1.0]);
        assert_eq!((histogram.edges().unwrap(), histogram.counts()), (&[-3.0, 0.0, 3.0][..], &[1, 3][..]));
    }

    #[test]
    fn absolute_bins_grow_at_the_upper_end_and_drop_what_is_below() {
        let mut histogram = GrowingHistogram::new(HistogramSide::Absolute, 2);
        histogram.add(&[-1.0, 2.0, 3.0]);
        assert_eq!((histogram.edges().unwrap(), histogram.counts()), (&[1.0, 2.0, 3.0][..], &[1, 2][..]));
        histogram.add(&[0.5, -4.5]);
        assert_eq!(
            (histogram.edges().unwrap(), histogram.counts()),
            (&[1.0, 2.0, 3.0, 4.0, 5.0][..], &[1, 2, 0, 1][..])
        );
        assert_eq!(histogram.range(), Some(ValueRange { low: -4.5, high: 3.0 }));
    }

    #[test]
    fn known_bounds_count_as_if_all_came_at_once() {
        let (first, second) = ([0.1f32, -0.2, 0.3], [4.0f32, -7.0, 0.25]);
        for side in [HistogramSide::Signed, HistogramSide::Absolute] {
            let bounds = ValueRange { low: -7.0, high: 4.0 };
            let mut stream = GrowingHistogram::over(side, 64, bounds, 0.1);
            stream.add(&first);
            stream.add(&second);
            let mut at_once = GrowingHistogram::new(side, 64);
            at_once.add(&[first, second].concat());
            assert_eq!((stream.counts(), stream.edges()), (at_once.counts(), at_once.edges()));
        }
    }

    #[test]
    fn memory_stays_bounded() {
        for side in [HistogramSide::Signed, HistogramSide::Absolute] {
            let mut histogram = GrowingHistogram::new(side, 128);
            histogram.add(&[1e-20, 2e-20, f32::NAN]);
            histogram.add(&[1e20, f32::INFINITY]);
            assert!(histogram.counts().len() <= MOST_BINS);
            assert!(histogram.edges().is_err());
            assert_eq!(histogram.range(), Some(ValueRange { low: 1e-20, high: 1e20 }));
        }
        // Within reach, folding makes room.
        let mut histogram = GrowingHistogram::new(HistogramSide::Signed, 1 << 19);
        histogram.add(&[1.0, -0.5]);
        histogram.add(&[10.0]);
        assert!(histogram.counts().len() <= MOST_BINS);
        assert_eq!(
            (histogram.counts().iter().sum::<u64>(), histogram.edges().unwrap().len()),
            (3, histogram.counts().len() + 1)
        );
    }
}
