//! The numeric specification of quantization: formula, rounding, saturation, axis.
//!
//! `real = scale x (q - zero_point)`; `q = saturate(round_half_even(real / scale) + zero_point)`.
//! **Division, never multiplication by a reciprocal; half to even, never half away from zero; per axis everywhere.**

mod formula;
mod narrow;
mod params;

pub use formula::{dequantize, quantize};
pub use narrow::{encode_f4e2m1, encode_f8};
pub use params::{Granularity, QuantParams};
