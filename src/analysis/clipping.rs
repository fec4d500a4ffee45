//! A tensor's own rounding error, split into what is clipped and what is rounded.

use crate::tensor::Channels;
use serde::{Deserialize, Serialize};

/// A part of a tensor's own rounding error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ErrorShare {
    /// Values it happens to.
    pub count: usize,
    /// Their share of all values, 0 to 1.
    pub share_of_values: f64,
    /// Their share of the sum of squared errors, 0 to 1; 0 without error.
    pub share_of_error: f64,
}

/// What clipping and what rounding does to a tensor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Clipping {
    /// Values beyond the outermost codes.
    pub clipped: ErrorShare,
    /// Values between them that are moved.
    pub rounded: ErrorShare,
}

/// Sums from which a [`Clipping`] follows, over one or many images.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClippingSums {
    values: usize,
    clipped: (usize, f64),
    rounded: (usize, f64),
}

impl ClippingSums {
    /// Adds the values of a tensor before and after its rounding. `reach` holds the smallest and the largest real
    /// number of each channel's codes. Pairs that are not finite, and elements without a channel, are left out.
    pub fn add(&mut self, before: &[f32], after: &[f32], channels: Channels, reach: &[(f32, f32)]) {
        for (index, (&x, &y)) in before.iter().zip(after).enumerate() {
            let Some(&(low, high)) = reach.get(channels.of(index)) else { continue };
            if !(x.is_finite() && y.is_finite()) {
                continue;
            }
            self.values += 1;
            let error = f64::from(x) - f64::from(y);
            let part = match x < low || x > high {
                true => &mut self.clipped,
                false if error != 0.0 => &mut self.rounded,
                false => continue,
            };
            part.0 += 1;
            part.1 += error * error;
        }
    }

    /// The shares of everything added so far.
    pub fn shares(&self) -> Clipping {
        let whole = self.clipped.1 + self.rounded.1;
        let share = |(count, squares): (usize, f64)| ErrorShare {
            count,
            share_of_values: if self.values > 0 { count as f64 / self.values as f64 } else { 0.0 },
            share_of_error: if whole > 0.0 { squares / whole } else { 0.0 },
        };
        Clipping { clipped: share(self.clipped), rounded: share(self.rounded) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_by_hand() {
        let mut sums = ClippingSums::default();
        // Codes from -1 to 1 in steps of 1: 3 is clipped by 2, 0.5 rounded by 0.5, 1 is hit.
        sums.add(&[3.0, 0.5, 1.0, f32::NAN], &[1.0, 0.0, 1.0, -1.0], Channels::whole(4), &[(-1.0, 1.0)]);
        let Clipping { clipped, rounded } = sums.shares();
        assert_eq!((clipped.count, rounded.count), (1, 1));
        assert!((clipped.share_of_error - 4.0 / 4.25).abs() < 1e-12);
        assert!((rounded.share_of_values - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(ClippingSums::default().shares(), Clipping::default());
    }

    #[test]
    fn every_channel_has_its_own_reach() {
        let mut sums = ClippingSums::default();
        let channels = Channels::along(&[2, 2], 1).unwrap();
        sums.add(&[2.0, 2.0, 2.0, 2.0], &[1.0, 2.0, 1.0, 2.0], channels, &[(-1.0, 1.0), (-4.0, 4.0)]);
        assert_eq!((sums.shares().clipped.count, sums.shares().rounded.count), (2, 0));
    }
}
