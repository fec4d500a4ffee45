//! ONNX element types, by their ONNX names.

use serde::{Deserialize, Serialize};
use std::fmt;

/// An element type of `TensorProto.DataType`, without `UNDEFINED`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum DType {
    Float32,
    Float64,
    Float16,
    Bfloat16,
    Float8E4m3fn,
    Float8E4m3fnuz,
    Float8E5m2,
    Float8E5m2fnuz,
    Float8E8m0,
    Float4E2m1,
    Int2,
    Int4,
    Int8,
    Int16,
    Int32,
    Int64,
    Uint2,
    Uint4,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Bool,
    String,
    Complex64,
    Complex128,
}

/// Every type with its ONNX number, its ONNX name and its width in bits (0: not a fixed width).
const TABLE: [(DType, i32, &str, usize); 26] = [
    (DType::Float32, 1, "float32", 32),
    (DType::Uint8, 2, "uint8", 8),
    (DType::Int8, 3, "int8", 8),
    (DType::Uint16, 4, "uint16", 16),
    (DType::Int16, 5, "int16", 16),
    (DType::Int32, 6, "int32", 32),
    (DType::Int64, 7, "int64", 64),
    (DType::String, 8, "string", 0),
    (DType::Bool, 9, "bool", 8),
    (DType::Float16, 10, "float16", 16),
    (DType::Float64, 11, "float64", 64),
    (DType::Uint32, 12, "uint32", 32),
    (DType::Uint64, 13, "uint64", 64),
    (DType::Complex64, 14, "complex64", 64),
    (DType::Complex128, 15, "complex128", 128),
    (DType::Bfloat16, 16, "bfloat16", 16),
    (DType::Float8E4m3fn, 17, "float8e4m3fn", 8),
    (DType::Float8E4m3fnuz, 18, "float8e4m3fnuz", 8),
    (DType::Float8E5m2, 19, "float8e5m2", 8),
    (DType::Float8E5m2fnuz, 20, "float8e5m2fnuz", 8),
    (DType::Uint4, 21, "uint4", 4),
    (DType::Int4, 22, "int4", 4),
    (DType::Float4E2m1, 23, "float4e2m1", 4),
    (DType::Float8E8m0, 24, "float8e8m0", 8),
    (DType::Uint2, 25, "uint2", 2),
    (DType::Int2, 26, "int2", 2),
];

impl DType {
    fn row(self) -> &'static (DType, i32, &'static str, usize) {
        // The table has a row per variant (see the test), so the first row is never taken for another type.
        TABLE.iter().find(|row| row.0 == self).unwrap_or(&TABLE[0])
    }

    /// The type with this `TensorProto.DataType` number; `None` for 0 (undefined) and for numbers not known yet.
    pub fn from_onnx(number: i32) -> Option<Self> {
        TABLE.iter().find(|row| row.1 == number).map(|row| row.0)
    }

    /// The `TensorProto.DataType` number.
    pub fn to_onnx(self) -> i32 {
        self.row().1
    }

    /// The lower-case ONNX name, `float8e4m3fn` for instance.
    pub fn name(self) -> &'static str {
        self.row().2
    }

    /// Width of an element in bits; `None` for strings.
    pub fn bits(self) -> Option<usize> {
        Some(self.row().3).filter(|&bits| bits > 0)
    }

    /// Bytes that `count` elements take, narrow ones packed; `None` for strings and on overflow.
    pub fn bytes_for(self, count: usize) -> Option<usize> {
        Some(self.bits()?.checked_mul(count)?.div_ceil(8))
    }

    /// Smallest and largest integer of an integer type up to 32 bits, `None` otherwise.
    pub fn int_range(self) -> Option<(i64, i64)> {
        let bits = self.bits()? as u32;
        match self {
            DType::Int2 | DType::Int4 | DType::Int8 | DType::Int16 | DType::Int32 => {
                Some((-(1 << (bits - 1)), (1 << (bits - 1)) - 1))
            }
            DType::Uint2 | DType::Uint4 | DType::Uint8 | DType::Uint16 | DType::Uint32 => Some((0, (1 << bits) - 1)),
            _ => None,
        }
    }

    /// Whether elements are integers, of any width; booleans are not.
    pub fn is_int(self) -> bool {
        matches!(self, DType::Int64 | DType::Uint64) || self.int_range().is_some()
    }

    /// Whether the type has a sign: the signed integers and every float.
    pub fn is_signed(self) -> bool {
        self.int_range().map_or(self != DType::Uint64 && self != DType::Bool, |(low, _)| low < 0)
    }

    /// Whether elements are real floating point numbers, of any width.
    pub fn is_float(self) -> bool {
        self.name().starts_with("float") || self == DType::Bfloat16
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_round_trip() {
        for (number, row) in (1..=26).zip(TABLE) {
            assert_eq!(row.1, number);
            assert_eq!(DType::from_onnx(number), Some(row.0));
            assert_eq!(row.0.to_onnx(), number);
        }
        assert_eq!(DType::from_onnx(0), None);
        assert_eq!(DType::from_onnx(27), None);
    }

    #[test]
    fn ranges_follow_the_width() {
        assert_eq!(DType::Int8.int_range(), Some((-128, 127)));
        assert_eq!(DType::Uint4.int_range(), Some((0, 15)));
        assert_eq!(DType::Int2.int_range(), Some((-2, 1)));
        assert_eq!(DType::Int32.int_range(), Some((i32::MIN as i64, i32::MAX as i64)));
        assert_eq!(DType::Float32.int_range(), None);
    }

    #[test]
    fn narrow_types_are_packed() {
        assert_eq!(DType::Int4.bytes_for(5), Some(3));
        assert_eq!(DType::Uint2.bytes_for(5), Some(2));
        assert_eq!(DType::Float64.bytes_for(usize::MAX), None);
        assert_eq!(DType::String.bytes_for(1), None);
    }
}
