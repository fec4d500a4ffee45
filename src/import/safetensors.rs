//! safetensors: a JSON header and the tensors behind it.

use super::pytorch::TorchTensor;
use super::{Converted, ImportError, SourceTensor, weights_document};
use crate::tensor::{DType, Tensor};
use bytes::Bytes;
use safetensors::{Dtype, SafeTensorError, SafeTensors};

/// Reads every tensor of a safetensors file, in the order of their places in the file, as a document without nodes.
/// `name` is the file's name, `opset` the operator set of the document.
///
/// Fails where header and data do not fit each other, which the `safetensors` crate checks before anything is taken,
/// and where an element type has no ONNX form.
pub fn read_safetensors(bytes: &Bytes, name: &str, opset: i64) -> Result<Converted, ImportError> {
    let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
    let mut notes = Vec::new();
    let mut entries: Vec<_> = metadata.metadata().iter().flatten().collect();
    entries.sort();
    for (key, value) in entries {
        let value: String = value.chars().take(200).collect();
        notes.push(format!("Metadata of the file: {key} = {value}."));
    }
    let mut tensors = Vec::new();
    for name in metadata.offset_keys() {
        let view = file.tensor(&name).map_err(damaged)?;
        let Some(dtype) = dtype_of(view.dtype()) else {
            notes.push(format!("Not read: {name}, whose elements are {:?}.", view.dtype()));
            continue;
        };
        let data = bytes.slice_ref(view.data());
        let tensor = Tensor::new(dtype, view.shape().to_vec(), data).map_err(|error| {
            let expected = "as many bytes as type and shape take";
            ImportError::format(name.clone(), error.to_string(), expected, "The file is damaged: copy it again.")
        })?;
        tensors.push(TorchTensor { name, dtype: dtype.name().to_owned(), tensor, quant: None });
    }
    if tensors.is_empty() {
        let (found, advice) = ("no tensor", "Check that this is the file you meant.");
        return Err(ImportError::format("header", found, "tensors", advice));
    }
    let document = weights_document(&tensors, name, opset)
        .map_err(|error| ImportError::format("tensors", error.to_string(), "usable tensors", "Save it again."))?;
    let source_tensors = tensors.into_iter().map(|tensor| SourceTensor {
        path: tensor.name,
        dtype: tensor.dtype,
        shape: tensor.tensor.shape().to_vec(),
        tensor: tensor.tensor,
    });
    let source_tensors = source_tensors.collect();
    Ok(Converted { document, notes, unsupported: Vec::new(), layer_of: Vec::new(), source_tensors })
}

fn damaged(error: SafeTensorError) -> ImportError {
    let expected = "a JSON header whose tensors fill the file exactly";
    ImportError::format("header", error.to_string(), expected, "The file is cut short or damaged: copy it again.")
}

fn dtype_of(dtype: Dtype) -> Option<DType> {
    Some(match dtype {
        Dtype::BOOL => DType::Bool,
        Dtype::F4 => DType::Float4E2m1,
        Dtype::U8 => DType::Uint8,
        Dtype::I8 => DType::Int8,
        Dtype::F8_E5M2 => DType::Float8E5m2,
        Dtype::F8_E4M3 => DType::Float8E4m3fn,
        Dtype::F8_E8M0 => DType::Float8E8m0,
        Dtype::F8_E4M3FNUZ => DType::Float8E4m3fnuz,
        Dtype::F8_E5M2FNUZ => DType::Float8E5m2fnuz,
        Dtype::I16 => DType::Int16,
        Dtype::U16 => DType::Uint16,
        Dtype::F16 => DType::Float16,
        Dtype::BF16 => DType::Bfloat16,
        Dtype::I32 => DType::Int32,
        Dtype::U32 => DType::Uint32,
        Dtype::F32 => DType::Float32,
        Dtype::C64 => DType::Complex64,
        Dtype::F64 => DType::Float64,
        Dtype::I64 => DType::Int64,
        Dtype::U64 => DType::Uint64,
        // 6-bit floats have no ONNX type.
        _ => return None,
    })
}
