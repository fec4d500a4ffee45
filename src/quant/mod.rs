//! The numeric specification of quantization: formula, rounding, saturation, axis.
//!
//! `real = scale x (q - zero_point)`; `q = saturate(round_half_even(real / scale) + zero_point)`.
//! **Division, never multiplication by a reciprocal; half to even, never half away from zero; per axis everywhere.**

mod formula;
mod params;

pub use formula::{dequantize, quantize};
pub use params::{Granularity, QuantParams};
