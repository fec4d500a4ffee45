//! `TensorProto` to [`Tensor`]: the payload sits in `raw_data`, in one of the typed fields, or in another file.

use super::error::OnnxError;
use super::external::{ExternalFiles, ExternalRef};
use super::proto::TensorProto;
use crate::tensor::{DType, Tensor, TensorError};
use bytes::Bytes;

/// Decodes a tensor whose payload is inside the message. `raw_data` is taken over without a copy; typed fields are
/// packed into the layout `raw_data` would have.
pub fn tensor_from_proto(proto: &TensorProto) -> Result<Tensor, OnnxError> {
    tensor_with(proto, &ExternalFiles::default())
}

/// Decodes a tensor whose payload may be in one of these files.
pub(super) fn tensor_with(proto: &TensorProto, files: &ExternalFiles) -> Result<Tensor, OnnxError> {
    let (dtype, shape) = declared(proto)?;
    let bytes = match ExternalRef::of(proto).transpose()? {
        Some(reference) => match files.get(&reference.location) {
            Some(file) => reference.slice(proto.name(), file)?,
            None => {
                return Err(OnnxError::ExternalData { tensor: proto.name().to_owned(), location: reference.location });
            }
        },
        None => match &proto.raw_data {
            Some(raw) if !raw.is_empty() => raw.clone(),
            _ => typed_payload(proto, dtype),
        },
    };
    Tensor::new(dtype, shape, bytes).map_err(|source| OnnxError::Tensor { tensor: proto.name().to_owned(), source })
}

/// The declared element type and dims; fails on types that do not exist and dims that no tensor can have.
pub fn declared(proto: &TensorProto) -> Result<(DType, Vec<usize>), OnnxError> {
    let invalid = |found: String, expected: &str| OnnxError::Invalid {
        place: format!("tensor '{}'", proto.name()),
        found,
        expected: expected.to_owned(),
    };
    let dtype = DType::from_onnx(proto.data_type())
        .ok_or_else(|| invalid(format!("data type {}", proto.data_type()), "a type of TensorProto.DataType"))?;
    let dim = |&dim: &i64| {
        usize::try_from(dim).map_err(|_| invalid(format!("dim {dim}"), "dims of 0 or more that can be addressed"))
    };
    Ok((dtype, proto.dims.iter().map(dim).collect::<Result<_, _>>()?))
}

/// Checks type, dims and payload against each other. A tensor in another file that is not at hand passes: that is
/// said once per file, not per tensor.
pub(super) fn check(proto: &TensorProto, files: &ExternalFiles) -> Result<(), OnnxError> {
    let (dtype, shape) = declared(proto)?;
    if dtype != DType::String {
        return match tensor_with(proto, files) {
            Ok(_) | Err(OnnxError::ExternalData { .. }) => Ok(()),
            Err(error) => Err(error),
        };
    }
    let error = |source| OnnxError::Tensor { tensor: proto.name().to_owned(), source };
    let count = shape.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim));
    let count = count.ok_or_else(|| error(TensorError::TooLarge(shape)))?;
    if proto.raw_data.as_ref().is_some_and(|raw| !raw.is_empty()) {
        return Err(OnnxError::Invalid {
            place: format!("tensor '{}'", proto.name()),
            found: "strings in raw_data".to_owned(),
            expected: "strings in string_data".to_owned(),
        });
    }
    match proto.string_data.len() == count {
        true => Ok(()),
        false => Err(OnnxError::Invalid {
            place: format!("tensor '{}'", proto.name()),
            found: format!("{} strings", proto.string_data.len()),
            expected: format!("{count} strings"),
        }),
    }
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
