//! Reading the 8 and 4 bit float formats of ONNX.
//!
//! Layouts follow the ONNX specification (docs/docsgen/source/technical/float8.md, float4.md) and the OCP
//! microscaling formats: `FN` has no infinity, `UZ` has no negative zero and one NaN, 0x80.

use super::DType;

/// The value of one fp8 code. Codes of other types give NaN.
pub fn decode_f8(dtype: DType, code: u8) -> f32 {
    let (mantissa_bits, bias, unsigned_zero) = match dtype {
        DType::Float8E4m3fn => (3, 7, false),
        DType::Float8E4m3fnuz => (3, 8, true),
        DType::Float8E5m2 => (2, 15, false),
        DType::Float8E5m2fnuz => (2, 16, true),
        // A bare power of two, 0xff is NaN.
        DType::Float8E8m0 if code != 0xff => return 2f64.powi(i32::from(code) - 127) as f32,
        _ => return f32::NAN,
    };
    if unsigned_zero && code == 0x80 {
        return f32::NAN;
    }
    let sign = if code & 0x80 != 0 { -1.0 } else { 1.0 };
    match (dtype, code & 0x7f) {
        (DType::Float8E4m3fn, 0x7f) => f32::NAN,
        (DType::Float8E5m2, 0x7c) => sign * f32::INFINITY,
        (DType::Float8E5m2, 0x7d..=0x7f) => f32::NAN,
        (_, bits) => sign * small_float(bits, mantissa_bits, bias),
    }
}

/// The value of one float4e2m1 code (low four bits): 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives.
pub fn decode_f4e2m1(code: u8) -> f32 {
    let sign = if code & 0x8 != 0 { -1.0 } else { 1.0 };
    sign * small_float(code & 0x7, 1, 1)
}

/// A float without its sign: exponent above `mantissa_bits` of mantissa, subnormal where the exponent is 0.
fn small_float(bits: u8, mantissa_bits: u32, bias: i32) -> f32 {
    let mantissa = f32::from(bits & ((1 << mantissa_bits) - 1)) / (1u32 << mantissa_bits) as f32;
    match i32::from(bits >> mantissa_bits) {
        0 => mantissa * 2f32.powi(1 - bias),
        exponent => (1.0 + mantissa) * 2f32.powi(exponent - bias),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_of_the_specification() {
        assert_eq!(decode_f8(DType::Float8E4m3fn, 0x7e), 448.0);
        assert_eq!(decode_f8(DType::Float8E4m3fn, 0x01), 2f32.powi(-9));
        assert!(decode_f8(DType::Float8E4m3fn, 0xff).is_nan());
        assert_eq!(decode_f8(DType::Float8E4m3fnuz, 0x7f), 240.0);
        assert_eq!(decode_f8(DType::Float8E5m2, 0x7b), 57344.0);
        assert_eq!(decode_f8(DType::Float8E5m2, 0xfc), f32::NEG_INFINITY);
        assert_eq!(decode_f8(DType::Float8E5m2fnuz, 0x7f), 57344.0);
        assert!(decode_f8(DType::Float8E5m2fnuz, 0x80).is_nan());
        assert_eq!(decode_f8(DType::Float8E8m0, 127), 1.0);
    }

    #[test]
    fn float4_has_eight_magnitudes() {
        let values: Vec<f32> = (0..8).map(decode_f4e2m1).collect();
        assert_eq!(values, [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]);
        assert_eq!(decode_f4e2m1(0xf), -6.0);
    }
}
