//! From real ranges to grids: the quantizer's own rule on any codes.

use super::grid::{Grid, GridError};
use crate::quant::scales::spread;
use crate::quant::{Granularity, QuantParams};
use crate::tensor::{Channels, DType};

/// What the values of a tensor reach: one pair, or one for each channel.
pub(super) type Ranges = Vec<(f32, f32)>;

/// A range that codes are spread over, 0 included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    low: f64,
    high: f64,
    width: f64,
}

impl Span {
    /// Of real numbers: as the quantizer does it, the width is rounded to f32.
    pub fn of_reals(low: f32, high: f32) -> Span {
        let (low, high) = (low.min(0.0), high.max(0.0));
        Span { low: low.into(), high: high.into(), width: (high - low).into() }
    }

    /// Of codes: nothing is rounded, so that changing codes there and back changes nothing.
    pub fn of_codes(low: f64, high: f64) -> Span {
        let (low, high) = (low.min(0.0), high.max(0.0));
        Span { low, high, width: high - low }
    }

    /// Its bounds, rounded to f32.
    pub fn reals(self) -> (f32, f32) {
        (self.low as f32, self.high as f32)
    }

    /// Whether it has no width.
    pub fn is_empty(self) -> bool {
        self.low == self.high
    }

    /// The range that holds both.
    pub fn and(self, other: Span) -> Span {
        Span::of_codes(self.low.min(other.low), self.high.max(other.high))
    }
}

/// Smallest and largest of the values, of all of them or of each index along an axis; 0 is always inside.
pub(super) fn ranges_of(values: &[f32], shape: &[usize], axis: Option<usize>) -> Ranges {
    let bounds = |values: &mut dyn Iterator<Item = &f32>| {
        values.fold((0.0f32, 0.0f32), |(low, high), value| (low.min(*value), high.max(*value)))
    };
    let channels = axis.and_then(|axis| Channels::along(shape, i64::try_from(axis).ok()?));
    match channels {
        Some(channels) => (0..channels.count).map(|at| bounds(&mut channels.values(values, at))).collect(),
        None => vec![bounds(&mut values.iter())],
    }
}

/// All ranges as one.
pub(super) fn widest(ranges: &[(f32, f32)]) -> (f32, f32) {
    ranges.iter().fold((0.0, 0.0), |(low, high), range| (low.min(range.0), high.max(range.1)))
}

impl Grid {
    /// The grid of `bits` bits (2 to 16) that reaches over these ranges: one, or one for each index along `axis`. 0 is
    /// always inside. Symmetric: signed codes with zero point 0 and scale = larger side / (2^(bits-1) - 1), the lowest
    /// code -2^(bits-1) included. Asymmetric: unsigned codes, scale = width / (2^bits - 1), zero point =
    /// round_half_even(-low / scale). A range without width gives scale 1.
    pub fn over(ranges: &[(f32, f32)], axis: Option<usize>, bits: u8, symmetric: bool) -> Result<Grid, GridError> {
        let dtype = container(bits, symmetric, DType::Float32);
        let params = QuantParams { scale: vec![], zero_point: vec![], dtype, granularity: Granularity::PerTensor };
        let spans: Vec<Span> = ranges.iter().map(|&(low, high)| Span::of_reals(low, high)).collect();
        let grid = Grid { params, bits, narrow_range: false }.spread_over(&spans, axis, symmetric)?;
        grid.check(None).map(|()| grid)
    }

    /// The same for constant values: over their smallest and largest number, of all of them or of each index along
    /// `axis`.
    pub fn over_values(
        values: &[f32],
        shape: &[usize],
        axis: Option<usize>,
        bits: u8,
        symmetric: bool,
    ) -> Result<Grid, GridError> {
        Grid::over(&ranges_of(values, shape, axis), axis, bits, symmetric)
    }

    /// Whether every zero point is 0 in a signed type, or the middle of an unsigned one.
    pub fn is_symmetric(&self) -> bool {
        self.params.zero_point.iter().all(|&zero_point| zero_point == self.middle())
    }

    /// The zero point of a symmetric grid.
    pub fn middle(&self) -> i32 {
        if self.signed() { 0 } else { 1 << (u32::from(self.bits.clamp(1, 31)) - 1) }
    }

    /// Steps from 0 to the side of a symmetric range: the codes on the shorter side of the zero point, which is the
    /// quantizer's -127..=127 of int8. Of 4 bit types half of all codes, as there.
    fn side_steps(&self, zero_point: i32) -> f64 {
        let (lowest, highest) = self.codes();
        if self.bits == 4 && matches!(self.params.dtype, DType::Int4 | DType::Uint4) && !self.narrow_range {
            return (f64::from(highest) - f64::from(lowest)) / 2.0;
        }
        (i64::from(highest) - i64::from(zero_point)).min(i64::from(zero_point) - i64::from(lowest)) as f64
    }

    /// The side of the symmetric range whose outermost code, the highest or the lowest, stands for `bound`. They are not
    /// the same: the codes of most types go one step further below 0 than above it.
    pub fn symmetric_side(&self, bound: f64, upper: bool) -> f64 {
        let ((lowest, highest), middle) = (self.codes(), self.middle());
        let steps = if upper { i64::from(highest) - i64::from(middle) } else { i64::from(middle) - i64::from(lowest) };
        bound.abs() * (self.side_steps(middle) / steps.max(1) as f64)
    }

    /// Scale and zero point under which the codes reach over a range, by ONNX Runtime's `compute_scale_zp` ([`crate::quant::scales`]) on the codes of this grid, the scale rounded to f32.
    ///
    /// `symmetric` keeps a zero point: the scale is the larger side over [`Grid::side_steps`]. A range without width
    /// gives scale 1 and the code nearest to 0.
    pub(super) fn spread(&self, span: Span, symmetric: Option<i32>) -> Result<(f32, i32), GridError> {
        let Span { low, high, width } = span;
        let refused = GridError::Range { low: low as f32, high: high as f32 };
        if !(low.is_finite() && high.is_finite()) {
            return Err(refused);
        }
        let (lowest, highest) = self.codes();
        let reach = low.abs().max(high.abs());
        let (scale, shifted) = match symmetric {
            Some(zero_point) => (reach / self.side_steps(zero_point), 0.0),
            None => spread(low, width, lowest, highest),
        };
        if !scale.is_finite() || scale > f64::from(f32::MAX) {
            return Err(refused);
        }
        if scale < f64::from(f32::MIN_POSITIVE) {
            return Ok((1.0, symmetric.unwrap_or(0).clamp(lowest, highest)));
        }
        let shifted = shifted.clamp(f64::from(lowest), f64::from(highest)) as i32;
        Ok((scale as f32, symmetric.unwrap_or(shifted)))
    }

    /// Scale and zero point over a range with the zero point next to the middle, on the side that makes the smaller
    /// scale: for a grid that is to be asymmetric where the quantizer's rule would put the zero point into the middle.
    /// `None` where the codes on one side of it are none, as those of two bits can be.
    pub(super) fn spread_aside(&self, Span { low, high, .. }: Span) -> Option<(f32, i32)> {
        let ((lowest, highest), middle) = (self.codes(), self.middle());
        let over = |bound: f64, from: i32, to: i32| {
            let steps = i64::from(to) - i64::from(from);
            if bound == 0.0 { 0.0 } else { bound.abs() / steps as f64 }
        };
        let scale = |zero_point: i32| over(low, lowest, zero_point).max(over(high, zero_point, highest));
        let beside = [middle.checked_sub(1), middle.checked_add(1)].into_iter().flatten();
        let made = beside.filter(|zero_point| (lowest..=highest).contains(zero_point)).map(|zero| (scale(zero), zero));
        let made = made.filter(|(scale, _)| *scale <= f64::from(f32::MAX));
        let (scale, zero_point) = made.min_by(|a, b| a.0.total_cmp(&b.0))?;
        Some((if scale < f64::from(f32::MIN_POSITIVE) { 1.0 } else { scale as f32 }, zero_point))
    }

    /// The same grid with parameters for these ranges: one, or one for each index along `axis`.
    pub(super) fn spread_over(&self, spans: &[Span], axis: Option<usize>, symmetric: bool) -> Result<Grid, GridError> {
        let mut grid = self.clone();
        let zero_point = symmetric.then(|| grid.middle());
        let pairs: Result<Vec<(f32, i32)>, GridError> =
            spans.iter().map(|&span| grid.spread(span, zero_point)).collect();
        (grid.params.scale, grid.params.zero_point) = pairs?.into_iter().unzip();
        grid.params.granularity = axis.map_or(Granularity::PerTensor, |axis| Granularity::PerChannel { axis });
        Ok(grid)
    }

    /// What the codes reach now: of a symmetric grid the side that both directions have.
    pub(super) fn spans(&self) -> Vec<Span> {
        let (lowest, highest) = self.codes();
        let symmetric = self.is_symmetric();
        let pairs = self.params.scale.iter().zip(&self.params.zero_point);
        pairs
            .map(|(&scale, &zero_point)| {
                let real = |code: i32| (f64::from(code) - f64::from(zero_point)) * f64::from(scale);
                let side = self.side_steps(zero_point) * f64::from(scale);
                if symmetric { Span::of_codes(-side, side) } else { Span::of_codes(real(lowest), real(highest)) }
            })
            .collect()
    }
}

/// The stored type for codes of so many bits.
pub(super) fn container(bits: u8, signed: bool, now: DType) -> DType {
    let packed = matches!(now, DType::Int4 | DType::Uint4) && bits <= 4;
    match (bits, signed) {
        _ if packed => {
            if signed {
                DType::Int4
            } else {
                DType::Uint4
            }
        }
        (..=8, true) => DType::Int8,
        (..=8, false) => DType::Uint8,
        (_, true) => DType::Int16,
        (_, false) => DType::Uint16,
    }
}
