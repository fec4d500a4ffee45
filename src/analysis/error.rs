//! How far a tensor is from the one it should be.

use super::sample::Sample;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Two tensors that cannot be compared element by element.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{reference} elements cannot be compared with {other}")]
pub struct LengthMismatch {
    /// Elements of the reference.
    pub reference: usize,
    /// Elements of the other tensor.
    pub other: usize,
}

/// Error of a tensor `y` against its reference `x`, over the pairs where both are finite.
///
/// All but the counts are `None` where there is no such pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ErrorMetrics {
    /// Pairs of elements.
    pub count: usize,
    /// Pairs of which an element is NaN or infinite; left out of everything below.
    pub not_finite_count: usize,
    /// Pairs that are not equal.
    pub different_count: usize,
    /// Mean of `(x - y)^2`.
    pub mse: Option<f64>,
    /// Mean of `|x - y|`.
    pub mae: Option<f64>,
    /// Largest `|x - y|`.
    pub max_abs: Option<f64>,
    /// Signal-to-quantization-noise ratio in dB, higher is better: `20 log10(|x| / |x - y|)` with Euclidean norms,
    /// which is `10 log10(sum x^2 / sum (x - y)^2)`. `None` without any error (the ratio is infinite: see
    /// `different_count`) and where the reference is all zero and `y` is not (no signal).
    pub sqnr_db: Option<f64>,
    /// `x . y / (|x| |y|)`, -1 to 1, exactly 1 without any error; `None` where either is all zero.
    pub cosine: Option<f64>,
}

/// Sums from which [`ErrorMetrics`] follow, so that the norms may run over many images together.
///
/// Accumulates in `f64`, element by element: relative error at most about `n x 1.1e-16`. onnxruntime computes its norms
/// in float32, so its SQNR differs by some 1e-5 dB; it also floors the noise at 2.2e-16 where this says `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ErrorSums {
    count: usize,
    not_finite_count: usize,
    different_count: usize,
    signal: f64,
    other: f64,
    product: f64,
    noise: f64,
    absolute: f64,
    max_abs: f64,
}

impl ErrorSums {
    /// Adds the elements of one reference and the tensor compared with it. On an error nothing is added.
    pub fn add<X: Sample, Y: Sample>(&mut self, reference: &[X], other: &[Y]) -> Result<(), LengthMismatch> {
        if reference.len() != other.len() {
            return Err(LengthMismatch { reference: reference.len(), other: other.len() });
        }
        self.count += reference.len();
        for (x, y) in reference.iter().zip(other) {
            let (x, y) = (x.widen(), y.widen());
            if !(x.is_finite() && y.is_finite()) {
                self.not_finite_count += 1;
                continue;
            }
            let difference = (x - y).abs();
            self.different_count += usize::from(difference != 0.0);
            self.signal += x * x;
            self.other += y * y;
            self.product += x * y;
            self.noise += difference * difference;
            self.absolute += difference;
            self.max_abs = self.max_abs.max(difference);
        }
        Ok(())
    }

    /// The metrics of everything added so far.
    pub fn metrics(&self) -> ErrorMetrics {
        let compared = self.count - self.not_finite_count;
        let some = |value: f64| (compared > 0).then_some(value);
        ErrorMetrics {
            count: self.count,
            not_finite_count: self.not_finite_count,
            different_count: self.different_count,
            mse: some(self.noise / compared as f64),
            mae: some(self.absolute / compared as f64),
            max_abs: some(self.max_abs),
            sqnr_db: sqnr_db(self.signal, self.noise),
            cosine: self.cosine(),
        }
    }

    fn cosine(&self) -> Option<f64> {
        if !(self.signal > 0.0 && self.other > 0.0) {
            return None;
        }
        // Two square roots may round to 0.9999999999999998 where the tensors are equal.
        let ratio = self.product / (self.signal.sqrt() * self.other.sqrt());
        Some(if self.different_count == 0 { 1.0 } else { ratio.clamp(-1.0, 1.0) }).filter(|ratio| ratio.is_finite())
    }
}

/// `10 log10(signal / noise)` of two sums of squares; `None` unless both are above zero and finite.
pub fn sqnr_db(signal_squares: f64, noise_squares: f64) -> Option<f64> {
    let is_usable = |squares: f64| squares > 0.0 && squares.is_finite();
    (is_usable(signal_squares) && is_usable(noise_squares))
        .then(|| 10.0 * (signal_squares.log10() - noise_squares.log10()))
}

/// [`ErrorMetrics`] of `other` against `reference`.
pub fn error_metrics<X: Sample, Y: Sample>(reference: &[X], other: &[Y]) -> Result<ErrorMetrics, LengthMismatch> {
    let mut sums = ErrorSums::default();
    sums.add(reference, other)?;
    Ok(sums.metrics())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hand_computed() {
        let found = error_metrics(&[3.0f32, 4.0], &[3.0f32, 4.5]).unwrap();
        assert_eq!((found.mse, found.mae, found.max_abs), (Some(0.125), Some(0.25), Some(0.5)));
        // |x| = 5, |x - y| = 0.5: a factor of ten is 20 dB.
        assert!((found.sqnr_db.unwrap() - 20.0).abs() < 1e-12);
        assert_eq!(found.different_count, 1);
        assert_eq!(error_metrics(&[1.0f32, 0.0], &[0.0f32, 2.0]).unwrap().cosine, Some(0.0));
    }

    #[test]
    fn no_error_and_no_signal_have_no_ratio() {
        let same = error_metrics(&[1i8, 2], &[1i8, 2]).unwrap();
        assert_eq!((same.sqnr_db, same.different_count, same.mse), (None, 0, Some(0.0)));
        assert_eq!(same.cosine, Some(1.0));
        let silent = error_metrics(&[0.0f32, 0.0], &[1.0f32, 0.0]).unwrap();
        assert_eq!((silent.sqnr_db, silent.different_count, silent.cosine), (None, 1, None));
        assert_eq!(error_metrics::<f32, f32>(&[], &[]).unwrap(), ErrorMetrics::default());
    }

    #[test]
    fn elements_that_are_not_finite_are_left_out() {
        let found = error_metrics(&[f32::NAN, 1.0, f32::INFINITY], &[0.0f32, 1.5, f32::INFINITY]).unwrap();
        assert_eq!((found.count, found.not_finite_count, found.mae), (3, 2, Some(0.5)));
    }

    #[test]
    fn images_add_up() {
        let mut sums = ErrorSums::default();
        sums.add(&[1.0f32], &[0.5f32]).unwrap();
        assert_eq!(sums.add(&[1.0f32], &[0.5f32, 1.0]), Err(LengthMismatch { reference: 1, other: 2 }));
        sums.add(&[2.0f32], &[2.5f32]).unwrap();
        assert_eq!(sums.metrics(), error_metrics(&[1.0f32, 2.0], &[0.5f32, 2.5]).unwrap());
    }
}
