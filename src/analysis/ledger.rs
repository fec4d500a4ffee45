//! Where the error of a layer's output comes from.

use super::error::LengthMismatch;
use serde::{Deserialize, Serialize};

/// The ways in which a layer's output comes to differ from the float model's, in the order in which they are swapped in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// The inputs, with the float model's weights.
    Inherited,
    /// The weights cut off at the ends of their codes.
    WeightClipping,
    /// The weights rounded.
    WeightRounding,
    /// The bias rounded.
    Bias,
    /// The output cut off at the ends of its codes.
    ActivationClipping,
    /// The output rounded.
    ActivationRounding,
}

/// All causes, in order.
pub const CAUSES: [Cause; 6] = [
    Cause::Inherited,
    Cause::WeightClipping,
    Cause::WeightRounding,
    Cause::Bias,
    Cause::ActivationClipping,
    Cause::ActivationRounding,
];

/// A layer's output after each cause has been swapped in: first the float model's, last the quantized model's. A cause
/// that cannot be at work has no output of its own.
pub type Steps<'a> = [Option<&'a [f32]>; CAUSES.len()];

/// Sums over images.
///
/// With the outputs `y0` (float model), `y1`, ... `y6` (quantized model) after each cause, the whole error is
/// `E = y6 - y0` and the cause `k` adds `d_k = y_k - y_(k-1)`. Its term is the projection `d_k . E`, summed over images:
/// the terms add up to `|E|^2`. A cause that works against the others has a negative term.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LedgerSums {
    count: usize,
    total: f64,
    terms: [f64; CAUSES.len()],
}

/// Mean squared error and its parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// Mean of the squared errors.
    pub total: f64,
    /// The part of each of the [`CAUSES`], in their order.
    pub terms: [f64; CAUSES.len()],
}

impl LedgerSums {
    /// Adds one image. On an error nothing is added. Elements that are not finite in any output are left out.
    pub fn add(&mut self, float: &[f32], steps: Steps<'_>) -> Result<(), LengthMismatch> {
        if let Some(other) = steps.iter().flatten().find(|step| step.len() != float.len()) {
            return Err(LengthMismatch { reference: float.len(), other: other.len() });
        }
        for (index, &y0) in float.iter().enumerate() {
            let y0 = f64::from(y0);
            let mut outputs = [y0; CAUSES.len()];
            let mut last = y0;
            for (output, step) in outputs.iter_mut().zip(&steps) {
                last = step.and_then(|step| step.get(index)).map_or(last, |&y| f64::from(y));
                *output = last;
            }
            if !(y0.is_finite() && outputs.iter().all(|y| y.is_finite())) {
                continue;
            }
            let whole = last - y0;
            self.count += 1;
            self.total += whole * whole;
            let mut before = y0;
            for (term, y) in self.terms.iter_mut().zip(outputs) {
                *term += (y - before) * whole;
                before = y;
            }
        }
        Ok(())
    }

    /// The means over everything added so far; zeros without an element.
    pub fn ledger(&self) -> Ledger {
        let mean = |sum: f64| if self.count > 0 { sum / self.count as f64 } else { 0.0 };
        Ledger { total: mean(self.total), terms: self.terms.map(mean) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_add_up_and_may_be_negative() {
        let mut sums = LedgerSums::default();
        let steps: Steps = [Some(&[2.0, 1.0]), None, Some(&[2.5, 1.0]), None, None, Some(&[2.0, 3.0])];
        sums.add(&[1.0, 1.0], steps).unwrap();
        let ledger = sums.ledger();
        // E = (1, 2): inherited (1, 0), weight rounding (0.5, 0), activation rounding (-0.5, 2).
        assert_eq!(ledger.total, 2.5);
        assert_eq!(ledger.terms, [0.5, 0.0, 0.25, 0.0, 0.0, 1.75]);
        assert_eq!(ledger.terms.iter().sum::<f64>(), ledger.total);
        let mut against = LedgerSums::default();
        against.add(&[0.0], [Some(&[-1.0]), None, None, None, None, Some(&[1.0])]).unwrap();
        assert_eq!(against.ledger().terms, [-1.0, 0.0, 0.0, 0.0, 0.0, 2.0]);
    }

    #[test]
    fn outputs_of_another_length_are_refused() {
        let mut sums = LedgerSums::default();
        assert!(sums.add(&[0.0], [Some(&[1.0, 2.0]), None, None, None, None, None]).is_err());
        assert_eq!(sums.ledger(), Ledger::default());
    }
}
