//! `TensorProto` to [`Tensor`]: the payload sits in `raw_data`, in one of the typed fields, or in another file.

use super::error::OnnxError;
use super::proto::TensorProto;
use crate::tensor::{DType, Tensor};
use bytes::Bytes;

/// Decodes a tensor whose payload is inside the message. `raw_data` is taken over without a copy; typed fields are
/// packed into the layout `raw_data` would have.
pub fn tensor_from_proto(proto: &TensorProto) -> Result<Tensor, OnnxError> {
    let name = proto.name();
    let invalid = |found: String, expected: &str| OnnxError::Invalid {
        place: format!("tensor '{name}'"),
        found,
        expected: expected.to_owned(),
    };
    let dtype = DType::from_onnx(proto.data_type())
        .ok_or_else(|| invalid(format!("data type {}", proto.data_type()), "a type of TensorProto.DataType"))?;
    let shape = proto
        .dims
        .iter()
        .map(|&dim| {
            usize::try_from(dim).map_err(|_| invalid(format!("dim {dim}"), "dims of 0 or more that can be addressed"))
        })
        .collect::<Result<Vec<usize>, _>>()?;
    if proto.data_location() == super::proto::tensor_proto::DataLocation::External {
        let location = proto.external_data.iter().find(|entry| entry.key() == "location");
        let location = location.map_or_else(String::new, |entry| entry.value().to_owned());
        return Err(OnnxError::ExternalData { tensor: name.to_owned(), location });
    }
    let bytes = match &proto.raw_data {
        Some(raw) => raw.clone(),
        None => typed_payload(proto, dtype),
    };
    Tensor::new(dtype, shape, bytes).map_err(|source| OnnxError::Tensor { tensor: name.to_owned(), source })
}

/// The typed fields as little-endian bytes. `int32_data` carries every type of up to 32 bits but uint32 and the
/// floats (fp16 and bf16 as bit patterns, narrow integers already packed); see onnx.proto's comments on TensorProto.
fn typed_payload(proto: &TensorProto, dtype: DType) -> Bytes {
    fn pack<T: Copy, const N: usize>(values: &[T], bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
        values.iter().flat_map(|&value| bytes(value)).collect()
    }
    let packed = match dtype {
        DType::Float32 | DType::Complex64 => pack(&proto.float_data, f32::to_le_bytes),
        DType::Float64 | DType::Complex128 => pack(&proto.double_data, f64::to_le_bytes),
        DType::Int64 => pack(&proto.int64_data, i64::to_le_bytes),
        DType::Uint64 => pack(&proto.uint64_data, u64::to_le_bytes),
        DType::Uint32 => pack(&proto.uint64_data, |value| (value as u32).to_le_bytes()),
        DType::Int32 => pack(&proto.int32_data, i32::to_le_bytes),
        DType::Float16 | DType::Bfloat16 | DType::Int16 | DType::Uint16 => {
            pack(&proto.int32_data, |value| (value as u16).to_le_bytes())
        }
        _ => pack(&proto.int32_data, |value| [value as u8]),
    };
    Bytes::from(packed)
}
