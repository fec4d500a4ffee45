//! The numeric specification of quantization: formula, rounding, saturation, axis.
//!
//! `real = scale x (q - zero_point)`; `q = saturate(round_half_even(real / scale) + zero_point)`.
//! **Division, never multiplication by a reciprocal; half to even, never half away from zero; per axis everywhere.**

pub mod autopilot;
pub mod bit_widths;
pub mod calibrate;
mod dequantized;
mod formula;
mod lookup;
mod lookup_issues;
mod lookup_params;
mod lookup_ranges;
mod lookup_weight;
mod narrow;
mod params;
pub mod quantizer;
pub mod scales;
pub mod table;

pub use dequantized::dequantize_tensor;
pub use formula::{dequantize, quantize};
pub use lookup::{Parameters, QuantizedTensor, TensorKind, quantized_tensors, quantized_tensors_with};
pub use lookup_issues::parameter_issues;
pub use lookup_ranges::{representable_ranges, scale_indices};
pub use lookup_weight::{WeightView, weight_view, weight_view_with};
pub use narrow::{encode_f4e2m1, encode_f8};
pub use params::{Granularity, QuantParams};
