//! How far a measured proportion may be from the true one.

use serde::{Deserialize, Serialize};

/// Bounds of a proportion, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

/// 97.5 % quantile of the normal distribution.
const Z: f64 = 1.959963984540054;

/// The Wilson score interval that covers the true proportion in 95 % of samples; `None` without trials.
///
/// `(p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n)`. Unlike `p ± 1.96 √(p(1-p)/n)` it stays inside 0..1 and has a
/// width at 0 and 1. Source: E. B. Wilson, JASA 22 (1927); statsmodels `proportion_confint(method="wilson")`.
pub fn wilson_95(hits: u64, trials: u64) -> Option<Interval> {
    if trials == 0 {
        return None;
    }
    let n = trials as f64;
    let p = hits as f64 / n;
    let square = Z * Z / n;
    let middle = (p + square / 2.0) / (1.0 + square);
    let half = Z * (p * (1.0 - p) / n + square / (4.0 * n)).sqrt() / (1.0 + square);
    Some(Interval { low: (middle - half).max(0.0), high: (middle + half).min(1.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_formula() {
        // The formula in Python, double precision.
        for (hits, trials, low, high) in [
            (895, 1017, 0.8586265175373394, 0.8985919450562471),
            (0, 20, 0.0, 0.16112515805281938),
            (10, 10, 0.7224672001371107, 1.0),
        ] {
            let found = wilson_95(hits, trials).unwrap();
            assert!((found.low - low).abs() < 1e-12 && (found.high - high).abs() < 1e-12, "{found:?}");
        }
        assert_eq!(wilson_95(0, 0), None);
    }
}
