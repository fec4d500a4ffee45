//! One value, quantized and dequantized.

/// `saturate(round_half_even(value / scale) + zero_point)` into `low..=high`.
///
/// The quotient is taken in f32 and rounded half to even, the zero point is added after rounding, and the sum
/// saturates, as ONNX Runtime's `MlasQuantizeLinear` does: the clamp runs on the float, so a huge or infinite quotient
/// saturates and never wraps. NaN gives `low`, as the x86 kernels do (their `max` keeps the bound).
///
/// Source: ONNX operator `QuantizeLinear`.
pub fn quantize(value: f32, scale: f32, zero_point: i32, low: i32, high: i32) -> i32 {
    let (low_step, high_step) = (f64::from(low) - f64::from(zero_point), f64::from(high) - f64::from(zero_point));
    let steps = f64::from(value / scale).max(low_step).min(high_step);
    // Exact: after the clamp every step count of up to 32 bits is an integer that f64 holds.
    steps.round_ties_even() as i32 + zero_point
}

/// `scale x (q - zero_point)`, the difference in integers, the product in f32.
///
/// Source: ONNX operator `DequantizeLinear`.
pub fn dequantize(q: i32, scale: f32, zero_point: i32) -> f32 {
    (i64::from(q) - i64::from(zero_point)) as f32 * scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_even() {
        let int8 = |value| quantize(value, 2.0, 0, -128, 127);
        assert_eq!([-5.0, -3.0, -1.0, 1.0, 3.0, 5.0].map(int8), [-2, -2, 0, 0, 2, 2]);
    }

    #[test]
    fn the_zero_point_is_added_after_rounding() {
        assert_eq!(quantize(0.5, 1.0, 1, 0, 255), 1);
        assert_eq!(quantize(1.5, 1.0, 1, 0, 255), 3);
    }

    #[test]
    fn nothing_wraps() {
        assert_eq!(quantize(f32::INFINITY, 1e-30, 5, 0, 255), 255);
        assert_eq!(quantize(-3e38, 1e-38, 5, 0, 255), 0);
        assert_eq!(quantize(f32::NAN, 1.0, 5, 0, 255), 0);
        assert_eq!(quantize(3e38, 1.0, 0, i32::MIN, i32::MAX), i32::MAX);
    }

    #[test]
    fn division_is_not_multiplication_by_the_reciprocal() {
        // 0.3 / 0.1 in f32 is 3.0000002 -> 3; the case that differs: 4.5 steps that the reciprocal moves off the tie.
        let (value, scale) = (0.49999998f32 * 0.1, 0.1f32);
        assert_eq!(quantize(value, scale, 0, -128, 127), (value / scale).round_ties_even() as i32);
    }

    #[test]
    fn dequantize_does_not_overflow() {
        assert_eq!(dequantize(i32::MAX, 1.0, i32::MIN), 4294967295f32);
        assert_eq!(dequantize(-128, 0.5, -128), 0.0);
    }
}
