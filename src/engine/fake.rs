//! Live fake-quantize: a float value is rounded to the grid of some parameters before anything reads it.

use super::error::EngineError;
use super::plan::Plan;
use super::seen::Seen;
use crate::quant::QuantParams;
use crate::quant::table::Grid;

impl Plan {
    /// Rounds a float value (node output, graph input or initializer) to the grid of `params` for all its readers, or
    /// stops doing so; [`Plan::rerun`] computes what changes. [`Plan::value`] keeps giving the value as it was made,
    /// [`Plan::rounded`] gives what its readers see. Types of up to 16 bits.
    pub fn set_fake_quantize(&mut self, name: &str, params: Option<&QuantParams>) -> Result<(), EngineError> {
        let fail = |message: String| EngineError::Params { scale: name.to_owned(), message };
        let Some(params) = params else { return self.set_seen(name, None) };
        if params.scale.iter().any(|s| !(s.is_finite() && *s > 0.0)) {
            return Err(fail("a scale must be finite and greater than 0".to_owned()));
        }
        let grid = Grid::of(params.clone()).filter(|grid| grid.bits <= MOST_BITS);
        let grid = grid.ok_or_else(|| fail(format!("{} is no integer type of up to 16 bits", params.dtype)))?;
        self.set_seen(name, Some(Seen::Rounded(grid, None)))
    }
}

/// Rounding counts in the mantissa of an f32, which holds steps of 16 bits with a zero point.
pub(super) const MOST_BITS: u8 = 16;
