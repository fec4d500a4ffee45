//! From data to pixels and back.

/// Fewer ticks than this say nothing of an axis.
const FEWEST_TICKS: usize = 3;

/// How data is spread over pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// Evenly.
    #[default]
    Linear,
    /// By decades. Values that are not positive stand at the start, as a count of zero does in a log histogram.
    Log10,
}

/// Maps the data range `lo..hi` to the pixels `start_px..end_px` (which may run backwards, as y does).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AxisMap {
    /// Data at the start.
    pub lo: f64,
    /// Data at the end.
    pub hi: f64,
    /// Pixel of `lo`.
    pub start_px: f64,
    /// Pixel of `hi`.
    pub end_px: f64,
    /// How data is spread.
    pub scale: Scale,
}

impl AxisMap {
    /// A map over a range that is made usable first: finite, ascending, not empty, and positive for a log scale.
    pub fn new((lo, hi): (f64, f64), (start_px, end_px): (f64, f64), scale: Scale) -> Self {
        let (lo, hi) = usable((lo, hi), scale);
        Self { lo, hi, start_px, end_px, scale }
    }

    fn forward(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => value,
            Scale::Log10 => value.max(self.lo).log10(),
        }
    }

    /// The pixel of a value; not clamped to the axis, except that ±∞ stands at its ends.
    pub fn px(&self, value: f64) -> f64 {
        if value == f64::INFINITY {
            return self.end_px;
        }
        if value == f64::NEG_INFINITY {
            return self.start_px;
        }
        let (lo, hi) = (self.forward(self.lo), self.forward(self.hi));
        self.start_px + (self.forward(value) - lo) / (hi - lo) * (self.end_px - self.start_px)
    }

    /// The value at a pixel: the inverse of [`AxisMap::px`].
    pub fn value(&self, px: f64) -> f64 {
        let share = (px - self.start_px) / (self.end_px - self.start_px);
        let (lo, hi) = (self.forward(self.lo), self.forward(self.hi));
        let at = lo + share * (hi - lo);
        match self.scale {
            Scale::Linear => at,
            Scale::Log10 => 10f64.powf(at),
        }
    }

    /// Round positions for at most about `most` ticks, and their distance; 0 where each has a distance of its own, as
    /// decades have.
    pub fn ticks(&self, most: usize) -> (Vec<f64>, f64) {
        match self.scale {
            Scale::Linear => {
                let step = round_step((self.hi - self.lo) / most.max(2) as f64);
                let (first, last) = ((self.lo / step).ceil(), (self.hi / step).floor());
                // Multiples of the step, not sums of it: 0.30000000000000004 would be printed. `+ 0.0` takes -0 to 0.
                let count = (last - first).clamp(0.0, 4.0 * most.max(2) as f64) as usize;
                let ticks = (0..=count).map(|number| (first + number as f64) * step + 0.0);
                (ticks.filter(|tick| (self.lo..=self.hi).contains(tick)).collect(), step)
            }
            Scale::Log10 => {
                let (first, last) = (self.lo.log10().ceil() as i32, self.hi.log10().floor() as i32);
                let decades = usize::try_from(last - first + 1).unwrap_or(0);
                let stride = decades.div_ceil(most.max(2)).max(1);
                let ticks: Vec<f64> = (first..=last).step_by(stride).map(|power| 10f64.powi(power)).collect();
                if ticks.len() < FEWEST_TICKS {
                    return self.ticks_within_a_decade(most);
                }
                (ticks, 0.0)
            }
        }
    }
}

impl AxisMap {
    /// A log axis over less than two decades: 1, 2 and 5 times the powers of ten, and evenly spaced values where even
    /// these are too few.
    fn ticks_within_a_decade(&self, most: usize) -> (Vec<f64>, f64) {
        let (first, last) = (self.lo.log10().floor() as i32, self.hi.log10().floor() as i32);
        let multiples = (first..=last).flat_map(|power| [1.0, 2.0, 5.0].map(|multiple| multiple * 10f64.powi(power)));
        let ticks: Vec<f64> = multiples.filter(|tick| (self.lo..=self.hi).contains(tick)).collect();
        if ticks.len() < FEWEST_TICKS {
            return AxisMap { scale: Scale::Linear, ..*self }.ticks(most);
        }
        (ticks, 0.0)
    }
}

/// The smallest of 1, 2, 2.5 and 5 times a power of ten that is at least three quarters of `rough`. By hand: plotters' key points take the
/// wanted number as a bound and refine only by 2 and 5 in turn, which leaves two ticks on a small chart.
fn round_step(rough: f64) -> f64 {
    let power = 10f64.powf(rough.log10().floor());
    let multiple = [1.0, 2.0, 2.5, 5.0].into_iter().find(|multiple| multiple * power >= rough * 0.75);
    multiple.unwrap_or(10.0) * power
}

fn usable((lo, hi): (f64, f64), scale: Scale) -> (f64, f64) {
    let (lo, hi) = if lo.is_finite() && hi.is_finite() { (lo.min(hi), lo.max(hi)) } else { (0.0, 1.0) };
    match scale {
        Scale::Linear if hi > lo => (lo, hi),
        // As numpy does for a constant array: half a unit to both sides.
        Scale::Linear => (lo - 0.5, hi + 0.5),
        Scale::Log10 => {
            let hi = if hi > 0.0 { hi } else { 1.0 };
            let lo = if lo > 0.0 { lo } else { hi * 1e-3 };
            if hi > lo { (lo, hi) } else { (lo * 0.5, hi * 2.0) }
        }
    }
}

/// The smallest range that holds all finite values; `None` when there is none.
pub fn extent(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values.into_iter().filter(|value| value.is_finite()).fold(None, |range, value| match range {
        None => Some((value, value)),
        Some((lo, hi)) => Some((f64::min(lo, value), f64::max(hi, value))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn linear_ticks_are_round_and_inside() {
        let axis = AxisMap::new((-0.4152, 0.3844), (0.0, 600.0), Scale::Linear);
        let (ticks, step) = axis.ticks(5);
        assert!((step - 0.2).abs() < 1e-12, "{step}");
        assert_eq!(ticks, vec![-0.4, -0.2, 0.0, 0.2]);
        assert!(ticks.contains(&0.0) && ticks.iter().all(|tick| (axis.lo..=axis.hi).contains(tick)));
    }

    #[test]
    fn log_ticks_are_decades() {
        let axis = AxisMap::new((0.5, 12_000.0), (100.0, 0.0), Scale::Log10);
        assert_eq!(axis.ticks(8).0, vec![1.0, 10.0, 100.0, 1000.0, 10_000.0]);
        assert_eq!(axis.ticks(3).0, vec![1.0, 100.0, 10_000.0]);
        // Zoomed within few decades there are 2 and 5 between them, and round values within less than one.
        let zoomed = |lo, hi| AxisMap::new((lo, hi), (100.0, 0.0), Scale::Log10).ticks(8).0;
        assert_eq!(zoomed(40.0, 600.0), vec![50.0, 100.0, 200.0, 500.0]);
        let linear = AxisMap::new((110.0, 160.0), (100.0, 0.0), Scale::Linear).ticks(8).0;
        assert_eq!(zoomed(110.0, 160.0), linear);
        assert_eq!(linear[..3], [110.0, 115.0, 120.0]);
        assert_eq!(axis.px(0.0), 100.0, "a count of zero stands on the base line");
    }

    #[test]
    fn degenerate_ranges_become_usable() {
        assert_eq!(AxisMap::new((3.0, 3.0), (0.0, 1.0), Scale::Linear).lo, 2.5);
        assert_eq!(AxisMap::new((f64::NAN, 1.0), (0.0, 1.0), Scale::Linear).hi, 1.0);
        assert_eq!(AxisMap::new((2.0, 1.0), (0.0, 1.0), Scale::Linear).lo, 1.0);
        let log = AxisMap::new((0.0, 0.0), (0.0, 1.0), Scale::Log10);
        assert!(log.lo > 0.0 && log.hi > log.lo);
        assert_eq!(AxisMap::new((0.0, 1.0), (0.0, 9.0), Scale::Linear).px(f64::INFINITY), 9.0);
    }

    proptest! {
        #[test]
        fn pixels_and_values_are_inverse(lo in -1e6..1e6f64, width in 1e-3..1e6f64, px in 0.0..1000.0f64, log in any::<bool>()) {
            let range = if log { (lo.abs() + 1e-3, lo.abs() + 1e-3 + width) } else { (lo, lo + width) };
            let axis = AxisMap::new(range, (1000.0, 0.0), if log { Scale::Log10 } else { Scale::Linear });
            // A hundredth of a pixel: far below what is seen, above the rounding of 1e6 / 1e-3.
            prop_assert!((axis.px(axis.value(px)) - px).abs() < 1e-2);
        }
    }
}
