//! Where branches join: scales that differ, and what that costs.

use super::error::sqnr_db;

/// Largest scale over smallest, in float64; `None` without two usable scales.
pub fn scale_ratio(scales: &[f32]) -> Option<f64> {
    let usable = scales.iter().all(|scale| scale.is_finite() && *scale > 0.0);
    let wide = scales.iter().map(|&scale| f64::from(scale));
    let (low, high) = wide.fold((f64::INFINITY, 0f64), |(low, high), scale| (low.min(scale), high.max(scale)));
    (usable && scales.len() > 1).then_some(high / low)
}

/// `value` rounded to a multiple of `scale`, half to even, without an end to the codes: the noise of a scale alone.
pub fn round_to_scale(value: f32, scale: f32) -> f32 {
    let rounded = (value / scale).round_ties_even() * scale;
    if rounded.is_finite() { rounded } else { value }
}

/// Sums over images of the value where branches join.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct JoinSums {
    signal: f64,
    noise: f64,
    even_noise: f64,
}

impl JoinSums {
    /// Adds one image: the joined value of unrounded branches, of the branches rounded as they are, and of the branches
    /// all rounded to the smallest scale. Elements that are not finite are left out.
    pub fn add(&mut self, float: &[f32], rounded: &[f32], even: &[f32]) {
        for ((&x, &y), &z) in float.iter().zip(rounded).zip(even) {
            let (x, y, z) = (f64::from(x), f64::from(y), f64::from(z));
            if x.is_finite() && y.is_finite() && z.is_finite() {
                self.signal += x * x;
                self.noise += (x - y) * (x - y);
                self.even_noise += (x - z) * (x - z);
            }
        }
    }

    /// SQNR of the joined value in dB; `None` without error.
    pub fn sqnr_db(&self) -> Option<f64> {
        sqnr_db(self.signal, self.noise)
    }

    /// How many dB more it would be if every branch had the smallest scale's rounding noise; `None` where either has
    /// no error.
    pub fn cost_db(&self) -> Option<f64> {
        Some(sqnr_db(self.signal, self.even_noise)? - self.sqnr_db()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios() {
        assert_eq!(scale_ratio(&[0.5, 2.0, 1.0]), Some(4.0));
        assert_eq!(scale_ratio(&[0.5]), None);
        assert_eq!(scale_ratio(&[0.5, 0.0]), None);
    }

    #[test]
    fn the_cost_is_the_difference() {
        let mut sums = JoinSums::default();
        sums.add(&[10.0], &[9.0], &[9.9]);
        assert!((sums.sqnr_db().unwrap() - 20.0).abs() < 1e-9);
        assert!((sums.cost_db().unwrap() - 20.0).abs() < 1e-4, "f32 holds 9.9 to 7 digits");
        assert_eq!(JoinSums::default().cost_db(), None);
    }

    #[test]
    fn multiples_of_a_scale() {
        assert_eq!([2.5, 3.5, -0.6, 1e38].map(|value| round_to_scale(value, 1.0)), [2.0, 4.0, -1.0, 1e38]);
        assert_eq!(round_to_scale(1e30, 1e-30), 1e30, "a quotient beyond f32 leaves the value");
    }
}
