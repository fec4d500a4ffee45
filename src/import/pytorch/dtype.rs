//! PyTorch's element types and storages, by PyTorch's names.

use crate::tensor::DType;

/// An element type as PyTorch calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TorchType {
    /// `torch.` name: "float32", "qint8".
    pub name: &'static str,
    /// The ONNX type of the stored elements.
    pub dtype: DType,
    /// Whether elements are integers with a scale.
    pub quantized: bool,
}

/// Number in TorchScript (`c10::ScalarType`), `torch.` name, the name of the typed storage, ONNX type.
const TABLE: [(i64, &str, &str, DType); 25] = [
    (0, "uint8", "ByteStorage", DType::Uint8),
    (1, "int8", "CharStorage", DType::Int8),
    (2, "int16", "ShortStorage", DType::Int16),
    (3, "int32", "IntStorage", DType::Int32),
    (4, "int64", "LongStorage", DType::Int64),
    (5, "float16", "HalfStorage", DType::Float16),
    (6, "float32", "FloatStorage", DType::Float32),
    (7, "float64", "DoubleStorage", DType::Float64),
    (9, "complex64", "ComplexFloatStorage", DType::Complex64),
    (10, "complex128", "ComplexDoubleStorage", DType::Complex128),
    (11, "bool", "BoolStorage", DType::Bool),
    (12, "qint8", "QInt8Storage", DType::Int8),
    (13, "quint8", "QUInt8Storage", DType::Uint8),
    (14, "qint32", "QInt32Storage", DType::Int32),
    (15, "bfloat16", "BFloat16Storage", DType::Bfloat16),
    (16, "quint4x2", "QUInt4x2Storage", DType::Uint4),
    (17, "quint2x4", "QUInt2x4Storage", DType::Uint2),
    (23, "float8_e5m2", "", DType::Float8E5m2),
    (24, "float8_e4m3fn", "", DType::Float8E4m3fn),
    (25, "float8_e5m2fnuz", "", DType::Float8E5m2fnuz),
    (26, "float8_e4m3fnuz", "", DType::Float8E4m3fnuz),
    (27, "uint16", "", DType::Uint16),
    (28, "uint32", "", DType::Uint32),
    (29, "uint64", "", DType::Uint64),
    (44, "float8_e8m0fnu", "", DType::Float8E8m0),
];

/// Other names of the same types.
const ALIASES: [(&str, &str); 7] = [
    ("float", "float32"),
    ("double", "float64"),
    ("half", "float16"),
    ("long", "int64"),
    ("int", "int32"),
    ("short", "int16"),
    ("cfloat", "complex64"),
];

impl TorchType {
    fn of(row: &(i64, &'static str, &str, DType)) -> Self {
        // qint8, quint8, ... and no other name starts with q.
        TorchType { name: row.1, dtype: row.3, quantized: row.1.starts_with('q') }
    }

    /// By the name of a typed storage class, `FloatStorage`.
    pub fn of_storage(class: &str) -> Option<Self> {
        TABLE.iter().find(|row| !row.2.is_empty() && row.2 == class).map(Self::of)
    }

    /// By its name, with or without `torch.`.
    pub fn of_name(name: &str) -> Option<Self> {
        let name = name.strip_prefix("torch.").unwrap_or(name);
        let name = ALIASES.iter().find(|alias| alias.0 == name).map_or(name, |alias| alias.1);
        TABLE.iter().find(|row| row.1 == name).map(Self::of)
    }

    /// By its number in TorchScript.
    pub fn of_number(number: i64) -> Option<Self> {
        TABLE.iter().find(|row| row.0 == number).map(Self::of)
    }

    /// The plain type of an ONNX type.
    pub fn of_dtype(dtype: DType) -> Option<Self> {
        TABLE.iter().map(Self::of).find(|found| found.dtype == dtype && !found.quantized)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_found_by_every_name() {
        let float = TorchType::of_storage("FloatStorage").unwrap();
        assert_eq!((float.name, float.dtype, float.quantized), ("float32", DType::Float32, false));
        assert_eq!(TorchType::of_name("torch.double").unwrap().dtype, DType::Float64);
        let quint8 = TorchType::of_number(13).unwrap();
        assert_eq!((quint8.name, quint8.dtype, quint8.quantized), ("quint8", DType::Uint8, true));
        assert_eq!(TorchType::of_dtype(DType::Int8).unwrap().name, "int8");
        assert!(TorchType::of_storage("").is_none() && TorchType::of_name("text").is_none());
    }
}
