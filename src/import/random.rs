//! Seeded random inputs for models without data.

use crate::tensor::{DType, Tensor, TensorError};
use rand_core::{RngCore, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What random values look like.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Distribution {
    /// Equally likely in `low..high`. Integers: in `low..=high`.
    Uniform {
        /// Smallest value.
        low: f64,
        /// Bound above.
        high: f64,
    },
    /// Gaussian, by Box and Muller's transform.
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        std: f64,
    },
}

impl Distribution {
    /// Uniform 0..255 for what looks like an image, standard normal otherwise; 0 and 1 for booleans and for integers
    /// wider than 16 bits, which are mostly indices.
    pub fn for_input(is_image: bool, dtype: DType) -> Self {
        match (is_image, dtype) {
            (_, DType::Bool) => Distribution::Uniform { low: 0.0, high: 1.0 },
            (true, DType::Int8) => Distribution::Uniform { low: -128.0, high: 127.0 },
            (true, _) => Distribution::Uniform { low: 0.0, high: 255.0 },
            (false, dtype) if dtype.is_int() => match dtype.int_range() {
                Some((low, high)) if dtype.bits() <= Some(16) => {
                    Distribution::Uniform { low: low as f64, high: high as f64 }
                }
                _ => Distribution::Uniform { low: 0.0, high: 1.0 },
            },
            (false, _) => Distribution::Normal { mean: 0.0, std: 1.0 },
        }
    }
}

/// Why no random input can be made.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum RandomInputError {
    /// More elements than a tab should hold.
    #[error("an input of shape {shape:?} has more than {limit} elements: set its free dims smaller")]
    TooLarge {
        /// The shape asked for.
        shape: Vec<usize>,
        /// The limit.
        limit: usize,
    },
    /// A bound, mean or deviation that is no finite number, or in the wrong order.
    #[error("{0:?} is not a distribution: it needs finite numbers, low <= high and a std of 0 or more")]
    Distribution(Distribution),
    /// An element type without random values.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

/// Largest random input, in elements: 256 MiB of float32.
const MAX_ELEMENTS: usize = 1 << 26;

/// A tensor of random values, the same for the same arguments on every machine up to the last bit of `ln` and `cos`
/// (normal only). The generator is PCG XSL 128/64 MCG (`rand_pcg::Pcg64Mcg`) seeded with `seed_from_u64`; one draw gives
/// `u = (x >> 11) / 2^53` in 0..1. Uniform floats are `low + u (high - low)`, integers `floor(low + u (high - low + 1))`,
/// normal values `mean + std sqrt(-2 ln(1 - u1)) cos(2 pi u2)`, rounded half to even and saturated for integers.
pub fn random_input(
    dtype: DType,
    shape: &[usize],
    seed: u64,
    distribution: Distribution,
) -> Result<Tensor, RandomInputError> {
    let valid = match distribution {
        Distribution::Uniform { low, high } => low.is_finite() && high.is_finite() && low <= high,
        Distribution::Normal { mean, std } => mean.is_finite() && std.is_finite() && std >= 0.0,
    };
    if !valid {
        return Err(RandomInputError::Distribution(distribution));
    }
    let count = shape.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim)).filter(|&count| count <= MAX_ELEMENTS);
    let count = count.ok_or_else(|| RandomInputError::TooLarge { shape: shape.to_vec(), limit: MAX_ELEMENTS })?;
    let mut generator = Pcg64Mcg::seed_from_u64(seed);
    let mut unit = move || (generator.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    let whole = dtype.is_int() || dtype == DType::Bool;
    let mut draw = move || match distribution {
        Distribution::Uniform { low, high } if whole => (low + unit() * (high - low + 1.0)).floor().min(high),
        Distribution::Uniform { low, high } => low + unit() * (high - low),
        Distribution::Normal { mean, std } => {
            let radius = (-2.0 * (1.0 - unit()).ln()).sqrt();
            mean + std * radius * (std::f64::consts::TAU * unit()).cos()
        }
    };
    macro_rules! integers {
        ($t:ty) => {
            Tensor::from_vec(shape.to_vec(), (0..count).map(|_| draw().round_ties_even() as $t).collect())
        };
    }
    Ok(match dtype {
        DType::Float32 => Tensor::from_vec(shape.to_vec(), (0..count).map(|_| draw() as f32).collect()),
        DType::Float64 => Tensor::from_vec(shape.to_vec(), (0..count).map(|_| draw()).collect()),
        DType::Float16 => Tensor::from_vec(shape.to_vec(), (0..count).map(|_| half::f16::from_f64(draw())).collect()),
        DType::Bfloat16 => Tensor::from_vec(shape.to_vec(), (0..count).map(|_| half::bf16::from_f64(draw())).collect()),
        DType::Int8 => integers!(i8),
        DType::Int16 => integers!(i16),
        DType::Int32 => integers!(i32),
        DType::Int64 => integers!(i64),
        DType::Uint8 => integers!(u8),
        DType::Uint16 => integers!(u16),
        DType::Uint32 => integers!(u32),
        DType::Uint64 => integers!(u64),
        DType::Bool => {
            let bits: Vec<u8> = (0..count).map(|_| u8::from(draw() >= 0.5)).collect();
            Tensor::new(DType::Bool, shape.to_vec(), bits.into())
        }
        found => Err(TensorError::Kind { wanted: "random values", found }),
    }?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIFORM: Distribution = Distribution::Uniform { low: 0.0, high: 255.0 };

    #[test]
    fn a_seed_decides_the_values() {
        let of = |seed| random_input(DType::Float32, &[2, 500], seed, UNIFORM).unwrap();
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        let values = of(1).to_f32().unwrap();
        assert!(values.iter().all(|value| (0.0..255.0).contains(value)));
        let mean = values.iter().sum::<f32>() / 1000.0;
        // Standard error of the mean: 255 / sqrt(12 * 1000) = 2.3; five of them.
        assert!((mean - 127.5).abs() < 11.6, "{mean}");
    }

    #[test]
    fn normal_values_have_their_moments() {
        let normal = Distribution::Normal { mean: 3.0, std: 2.0 };
        let values = random_input(DType::Float64, &[10_000], 7, normal).unwrap().to_f64().unwrap();
        let mean = values.iter().sum::<f64>() / 1e4;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 1e4;
        // Five standard errors: 5 * 2 / 100 and 5 * 4 * sqrt(2) / 100.
        assert!((mean - 3.0).abs() < 0.1 && (variance - 4.0).abs() < 0.29, "{mean} {variance}");
    }

    #[test]
    fn integers_reach_both_ends_and_errors_are_typed() {
        let bytes = random_input(DType::Uint8, &[20_000], 3, UNIFORM).unwrap().to_i64().unwrap();
        assert_eq!((bytes.iter().min(), bytes.iter().max()), (Some(&0), Some(&255)));
        assert!(random_input(DType::Float32, &[usize::MAX, 2], 0, UNIFORM).is_err());
        assert!(random_input(DType::Float32, &[1 << 30], 0, UNIFORM).is_err());
        assert!(random_input(DType::String, &[1], 0, UNIFORM).is_err());
        let reversed = Distribution::Uniform { low: 1.0, high: 0.0 };
        assert!(matches!(random_input(DType::Float32, &[1], 0, reversed), Err(RandomInputError::Distribution(_))));
        assert_eq!(random_input(DType::Float32, &[0, 3], 0, UNIFORM).unwrap().len(), 0);
    }
}
