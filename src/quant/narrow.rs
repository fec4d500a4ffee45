//! Rounding to the 8 and 4 bit float formats of ONNX.
//!
//! Tables: ONNX operators `Cast` and `QuantizeLinear` (docs/docsgen/source/technical/float8.md, float4.md).
//! The nearest code wins, ties go to the even code.

use crate::tensor::{DType, decode_f4e2m1, decode_f8};
use std::sync::LazyLock;

/// The non-negative finite values of a format, smallest first; the position is the code.
struct Magnitudes {
    values: Vec<f32>,
    /// The code above which only infinity and NaN follow.
    last: u8,
}

impl Magnitudes {
    fn of(codes: impl Iterator<Item = f32>) -> Self {
        let values: Vec<f32> = codes.take_while(|v| v.is_finite()).collect();
        Magnitudes { last: values.len().saturating_sub(1) as u8, values }
    }

    /// The nearest code of a magnitude, and whether it lies above the largest finite value after rounding, with the
    /// exponent range continued: half a step above the largest value still rounds down to it where that is even.
    fn nearest(&self, magnitude: f32) -> (u8, bool) {
        let above = self.values.partition_point(|&v| v <= magnitude);
        if above == 0 {
            return (0, false);
        }
        let Some(&high) = self.values.get(above) else {
            let (Some(&top), Some(&below)) =
                (self.values.get(usize::from(self.last)), self.values.get(usize::from(self.last).saturating_sub(1)))
            else {
                return (0, true);
            };
            // f64 so that the midpoint is exact.
            let half = f64::from(top) + (f64::from(top) - f64::from(below)) / 2.0;
            let over =
                if self.last.is_multiple_of(2) { f64::from(magnitude) > half } else { f64::from(magnitude) >= half };
            return (self.last, over);
        };
        let low = self.values.get(above.wrapping_sub(1)).copied().unwrap_or(0.0);
        let middle = (f64::from(low) + f64::from(high)) / 2.0;
        let lower = above.saturating_sub(1) as u8;
        let up = f64::from(magnitude) > middle || (f64::from(magnitude) == middle && lower % 2 == 1);
        (lower + u8::from(up), false)
    }
}

static TABLES: LazyLock<Vec<(DType, Magnitudes)>> = LazyLock::new(|| {
    [DType::Float8E4m3fn, DType::Float8E4m3fnuz, DType::Float8E5m2, DType::Float8E5m2fnuz, DType::Float8E8m0]
        .into_iter()
        .map(|dtype| {
            let count = if dtype == DType::Float8E8m0 { 256u16 } else { 128 };
            (dtype, Magnitudes::of((0..count).map(|code| decode_f8(dtype, code as u8))))
        })
        .collect()
});

/// The fp8 code nearest to `value`, ties to even.
///
/// Values that round above the largest finite one become that value with `saturate`, otherwise infinity (E5M2) or NaN
/// (the others); infinity behaves the same. NaN stays NaN. E8M0 holds bare powers of two: negative values and NaN
/// become NaN. Types that are not fp8 give the code 0.
///
/// Source: ONNX operator `Cast`, tables of float 8 conversions.
pub fn encode_f8(dtype: DType, value: f32, saturate: bool) -> u8 {
    let Some((_, table)) = TABLES.iter().find(|(of, _)| *of == dtype) else { return 0 };
    let (nan, infinity) = match dtype {
        DType::Float8E4m3fn => (0x7f, 0x7f),
        DType::Float8E5m2 => (0x7f, 0x7c),
        DType::Float8E8m0 => (0xff, 0xff),
        _ => (0x80, 0x80),
    };
    let unsigned_zero = nan == 0x80;
    let sign = if value.is_sign_negative() { 0x80 } else { 0 };
    if value.is_nan() || (dtype == DType::Float8E8m0 && value < 0.0) {
        return if nan == 0x7f { nan | sign } else { nan };
    }
    let (code, over) = table.nearest(value.abs());
    let code = match over {
        true if saturate => table.last,
        true if unsigned_zero || nan == 0xff => return nan,
        true => infinity,
        false => code,
    };
    if unsigned_zero && code == 0 { 0 } else { code | sign }
}

/// The float4e2m1 code nearest to `value`, ties to even, saturating at 6 and -6. NaN gives 6: the type has none.
///
/// Source: ONNX operator `Cast`, float4 conversions.
pub fn encode_f4e2m1(value: f32) -> u8 {
    static TABLE: LazyLock<Magnitudes> = LazyLock::new(|| Magnitudes::of((0..8).map(decode_f4e2m1)));
    let sign = if value.is_sign_negative() && !value.is_nan() { 0x8 } else { 0 };
    let code = if value.is_nan() { TABLE.last } else { TABLE.nearest(value.abs()).0 };
    code | sign
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_encodes_to_itself() {
        for (dtype, _) in TABLES.iter() {
            for code in 0..=255u8 {
                let value = decode_f8(*dtype, code);
                if value.is_finite() {
                    assert_eq!(encode_f8(*dtype, value, true), code, "{dtype} {code:#x}");
                }
            }
        }
        for code in 0..16 {
            assert_eq!(encode_f4e2m1(decode_f4e2m1(code)), code);
        }
    }

    #[test]
    fn overflow_saturates_or_leaves_the_finite_range() {
        assert_eq!(encode_f8(DType::Float8E4m3fn, 1e9, true), 0x7e);
        assert_eq!(encode_f8(DType::Float8E4m3fn, 1e9, false), 0x7f);
        assert_eq!(encode_f8(DType::Float8E5m2, -1e9, false), 0xfc);
        assert_eq!(encode_f8(DType::Float8E5m2, f32::INFINITY, true), 0x7b);
        assert_eq!(encode_f8(DType::Float8E4m3fnuz, -1e9, false), 0x80);
        assert_eq!(encode_f8(DType::Float8E4m3fnuz, -1e-9, false), 0);
    }

    #[test]
    fn ties_go_to_the_even_code() {
        // 464 is half way between 448 (0x7e, even) and the 480 that E4M3FN does not have.
        assert_eq!(encode_f8(DType::Float8E4m3fn, 464.0, false), 0x7e);
        assert_eq!(encode_f8(DType::Float8E4m3fn, 464.1, false), 0x7f);
        assert_eq!([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0].map(encode_f4e2m1), [0, 2, 2, 4, 4, 6, 6]);
    }
}
