//! Whether two classifiers differ by more than chance on the same items.

use serde::{Deserialize, Serialize};

/// McNemar's test on the items that exactly one of two classifiers gets right.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct McNemar {
    /// Right by the first only.
    pub first_only: u64,
    /// Right by the second only.
    pub second_only: u64,
    /// Probability of a split at least as uneven if both were equally good: two-sided exact binomial test.
    pub p_value: f64,
}

/// The exact test. Without any item that only one gets right, p is 1.
///
/// `p = min(1, 2 Σ_{i <= min(b, c)} C(b + c, i) / 2^(b + c))`. Source: Q. McNemar, Psychometrika 12 (1947);
/// statsmodels `mcnemar(exact=True)`.
pub fn mcnemar(first_only: u64, second_only: u64) -> McNemar {
    let (n, least) = (first_only + second_only, first_only.min(second_only));
    // In logarithms: 2^-n of a large data set is below the smallest f64.
    let mut log_term = -(n as f64) * std::f64::consts::LN_2;
    let mut sum = log_term.exp();
    for i in 0..least {
        log_term += ((n - i) as f64).ln() - ((i + 1) as f64).ln();
        sum += log_term.exp();
    }
    McNemar { first_only, second_only, p_value: (2.0 * sum).min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_binomial_test() {
        // Python: min(1, 2 * sum(math.comb(n, i) for i in range(k + 1)) / 2**n)
        for (b, c, p) in [
            (0, 0, 1.0),
            (1, 0, 1.0),
            (5, 5, 1.0),
            (2, 10, 0.03857421875),
            (0, 10, 0.001953125),
            (30, 55, 0.008836205876094518),
        ] {
            assert!((mcnemar(b, c).p_value - p).abs() < 1e-12, "{b} {c} {}", mcnemar(b, c).p_value);
            assert_eq!(mcnemar(b, c).p_value, mcnemar(c, b).p_value);
        }
        assert!(mcnemar(3000, 3000).p_value > 0.9);
    }
}
