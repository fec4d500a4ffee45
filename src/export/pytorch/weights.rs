//! A state dict as `model.pt` and as `model.safetensors`.

use super::PytorchExport;
use super::error::PytorchError;
use super::pickle::Pickle;
use crate::onnx::Document;
use crate::tensor::{DType, Tensor};
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{Cursor, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// The tensor in a type that torch has since its first version: integers below 8 bits as 8 bits, unsigned ones of 16 to
/// 64 bits as the next wider signed ones, all without loss.
fn stored<'a>(name: &str, tensor: &'a Tensor) -> Result<Cow<'a, Tensor>, PytorchError> {
    let failed = |error: crate::tensor::TensorError| PytorchError::tensor(name, error.to_string());
    let integers = || tensor.to_i64().map_err(failed);
    let shape = tensor.shape().to_vec();
    let made = match tensor.dtype() {
        DType::Int2 | DType::Int4 => Tensor::from_vec(shape, integers()?.into_iter().map(|v| v as i8).collect()),
        DType::Uint2 | DType::Uint4 => Tensor::from_vec(shape, integers()?.into_iter().map(|v| v as u8).collect()),
        DType::Uint16 => Tensor::from_vec(shape, integers()?.into_iter().map(|v| v as i32).collect()),
        DType::Uint32 => Tensor::from_vec(shape, integers()?),
        DType::Uint64 => {
            let values = integers()?;
            if values.iter().any(|&value| value < 0) {
                return Err(PytorchError::tensor(name, "uint64 values beyond int64, which torch computes with"));
            }
            Tensor::from_vec(shape, values)
        }
        DType::Bool => {
            let bytes: Vec<u8> = tensor.bytes().iter().map(|&byte| u8::from(byte != 0)).collect();
            Tensor::new(DType::Bool, shape, bytes.into())
        }
        _ => return Ok(Cow::Borrowed(tensor)),
    };
    made.map(Cow::Owned).map_err(failed)
}

/// torch's storage class of an element type.
fn storage_class(name: &str, dtype: DType) -> Result<&'static str, PytorchError> {
    Ok(match dtype {
        DType::Float32 => "FloatStorage",
        DType::Float64 => "DoubleStorage",
        DType::Float16 => "HalfStorage",
        DType::Bfloat16 => "BFloat16Storage",
        DType::Int8 => "CharStorage",
        DType::Uint8 => "ByteStorage",
        DType::Int16 => "ShortStorage",
        DType::Int32 => "IntStorage",
        DType::Int64 => "LongStorage",
        DType::Bool => "BoolStorage",
        other => return Err(PytorchError::tensor(name, format!("{other} has no storage class in torch"))),
    })
}

fn safetensors_type(name: &str, dtype: DType) -> Result<safetensors::Dtype, PytorchError> {
    Ok(match dtype {
        DType::Float32 => safetensors::Dtype::F32,
        DType::Float64 => safetensors::Dtype::F64,
        DType::Float16 => safetensors::Dtype::F16,
        DType::Bfloat16 => safetensors::Dtype::BF16,
        DType::Int8 => safetensors::Dtype::I8,
        DType::Uint8 => safetensors::Dtype::U8,
        DType::Int16 => safetensors::Dtype::I16,
        DType::Int32 => safetensors::Dtype::I32,
        DType::Int64 => safetensors::Dtype::I64,
        DType::Bool => safetensors::Dtype::BOOL,
        other => return Err(PytorchError::tensor(name, format!("{other} has no place in a safetensors file here"))),
    })
}

/// A safetensors file of these tensors, with the metadata `format: pt` that PyTorch's loaders look for.
pub fn state_dict_safetensors(tensors: &[(String, Tensor)]) -> Result<Vec<u8>, PytorchError> {
    let mut kept = Vec::new();
    for (name, tensor) in tensors {
        let tensor = stored(name, tensor)?;
        kept.push((name.as_str(), safetensors_type(name, tensor.dtype())?, tensor));
    }
    let mut views = Vec::new();
    for (name, dtype, tensor) in &kept {
        let view = safetensors::tensor::TensorView::new(*dtype, tensor.shape().to_vec(), tensor.bytes());
        views.push((*name, view.map_err(|error| PytorchError::tensor(name, error.to_string()))?));
    }
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize(views, Some(metadata)).map_err(|error| PytorchError::Write(error.to_string()))
}

/// The folder inside the archive; torch does not mind its name.
const FOLDER: &str = "model";
/// torch aligns storages to this, so that they can be mapped into memory.
const ALIGNMENT: u16 = 64;

/// A `.pt` file of these tensors, as `torch.save` of a state dict writes it: a zip of a pickle (protocol 2, data only) and
/// a file for each tensor.
pub fn state_dict_pt(tensors: &[(String, Tensor)]) -> Result<Vec<u8>, PytorchError> {
    let kept = tensors.iter().map(|(name, tensor)| Ok((name.as_str(), stored(name, tensor)?)));
    let kept = kept.collect::<Result<Vec<_>, PytorchError>>()?;
    let mut pickle = Pickle::new();
    ordered_dict(&mut pickle);
    pickle.mark();
    for (key, (name, tensor)) in kept.iter().enumerate() {
        pickle.text(name);
        rebuilt(&mut pickle, key, name, tensor)?;
    }
    pickle.set_items();
    let pickle = pickle.finish();

    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let mut add = |name: String, content: &[u8]| {
        let large = u32::try_from(content.len()).is_err();
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .with_alignment(ALIGNMENT)
            .large_file(large);
        let failed = |error: &dyn std::fmt::Display| PytorchError::Write(error.to_string());
        archive.start_file(format!("{FOLDER}/{name}"), options).map_err(|error| failed(&error))?;
        archive.write_all(content).map_err(|error| failed(&error))
    };
    add("data.pkl".to_owned(), &pickle)?;
    add("byteorder".to_owned(), b"little")?;
    for (key, (_, tensor)) in kept.iter().enumerate() {
        add(format!("data/{key}"), tensor.bytes())?;
    }
    add("version".to_owned(), b"3\n")?;
    let bytes = archive.finish().map_err(|error| PytorchError::Write(error.to_string()))?;
    Ok(bytes.into_inner())
}

fn ordered_dict(pickle: &mut Pickle) {
    pickle.global("collections", "OrderedDict");
    pickle.empty_tuple();
    pickle.reduce();
}

/// `torch._utils._rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())`.
fn rebuilt(pickle: &mut Pickle, key: usize, name: &str, tensor: &Tensor) -> Result<(), PytorchError> {
    pickle.global("torch._utils", "_rebuild_tensor_v2");
    pickle.mark();
    pickle.mark();
    pickle.text("storage");
    pickle.global("torch", storage_class(name, tensor.dtype())?);
    pickle.text(&key.to_string());
    pickle.text("cpu");
    pickle.integer(tensor.len() as i64);
    pickle.tuple();
    pickle.persistent();
    pickle.integer(0);
    pickle.integers(tensor.shape().iter().map(|&dim| dim as i64));
    let mut strides = vec![1i64; tensor.shape().len()];
    for axis in (1..strides.len()).rev() {
        strides[axis - 1] = strides[axis] * tensor.shape()[axis].max(1) as i64;
    }
    pickle.integers(strides.into_iter());
    pickle.boolean(false);
    ordered_dict(pickle);
    pickle.tuple();
    pickle.reduce();
    Ok(())
}

/// `model.py` where there is no class to write.
const WEIGHTS_PY: &str = "\
# Weights alone: the file that they come from holds no network. Load them into the class that they belong to:
#     model.load_state_dict(load())
import torch


def load(path=\"model.pt\"):
    return torch.load(path, weights_only=True)
";

/// Every constant under its own name, without a class.
pub(super) fn only(document: &Document) -> Result<PytorchExport, PytorchError> {
    let tensors = crate::export::weights(document).map_err(PytorchError::Invalid)?;
    let notes = vec![format!(
        "The file holds no network: {} tensors are written under their own names, and model.py holds no class.",
        tensors.len()
    )];
    Ok(PytorchExport {
        model_py: WEIGHTS_PY.to_owned(),
        model_pt2e_py: None,
        safetensors: state_dict_safetensors(&tensors)?,
        state_dict: state_dict_pt(&tensors)?,
        tensors,
        notes,
    })
}
