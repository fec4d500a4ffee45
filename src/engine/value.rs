//! A value flowing through the graph: an ONNX type and a tract tensor that carries its elements.
//!
//! tract knows no bf16, fp8, fp4, int4 or int2. They are carried by the next wider type that holds every element
//! exactly, and the ONNX type rides along; whoever makes such a value rounds it to the type first.
//! float16 is carried in f32 too: like ONNX Runtime's CPU kernels, nodes compute in f32 and round their result.

use crate::quant::{encode_f4e2m1, encode_f8};
use crate::tensor::{DType, Tensor as Plain};
use bytes::Bytes;
use half::{bf16, f16};
use std::sync::Arc;
use tract_onnx::prelude::{DatumType, Tensor};
use tract_onnx::tract_core::ndarray::ArrayD;

/// Why a kernel could not do its work; the node's name is added where it is known.
pub(crate) type KernelError = String;

/// An element type tract can carry.
pub(crate) trait Carried: tract_onnx::prelude::Datum + Copy {}
impl<T: tract_onnx::prelude::Datum + Copy> Carried for T {}

/// An ONNX-typed tensor; cloning shares the data.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    dtype: DType,
    tensor: Arc<Tensor>,
}

/// The tract type that carries elements of an ONNX type.
pub(crate) fn carrier(dtype: DType) -> Result<DatumType, KernelError> {
    Ok(match dtype {
        DType::Float64 => DatumType::F64,
        DType::Int2 | DType::Int4 | DType::Int8 => DatumType::I8,
        DType::Uint2 | DType::Uint4 | DType::Uint8 => DatumType::U8,
        DType::Int16 => DatumType::I16,
        DType::Int32 => DatumType::I32,
        DType::Int64 => DatumType::I64,
        DType::Uint16 => DatumType::U16,
        DType::Uint32 => DatumType::U32,
        DType::Uint64 => DatumType::U64,
        DType::Bool => DatumType::Bool,
        float if float.is_float() => DatumType::F32,
        other => return Err(format!("{other} tensors cannot be computed with")),
    })
}

fn dtype_of(carrier: DatumType) -> Result<DType, KernelError> {
    Ok(match carrier.unquantized() {
        DatumType::F32 => DType::Float32,
        DatumType::F64 => DType::Float64,
        DatumType::I8 => DType::Int8,
        DatumType::I16 => DType::Int16,
        DatumType::I32 => DType::Int32,
        DatumType::I64 => DType::Int64,
        DatumType::U8 => DType::Uint8,
        DatumType::U16 => DType::Uint16,
        DatumType::U32 => DType::Uint32,
        DatumType::U64 => DType::Uint64,
        DatumType::Bool => DType::Bool,
        other => return Err(format!("the result has the type {other:?}, which is no tensor of numbers")),
    })
}

/// Rounds a number to the nearest one a narrow float type holds (ties to even); other types keep it.
pub(crate) fn round_to(dtype: DType, value: f32) -> f32 {
    match dtype {
        DType::Float16 => f16::from_f32(value).to_f32(),
        DType::Bfloat16 => bf16::from_f32(value).to_f32(),
        _ => value,
    }
}

impl Value {
    /// Wraps a tensor whose elements already belong to `dtype`.
    pub fn new(dtype: DType, tensor: Arc<Tensor>) -> Result<Self, KernelError> {
        let expected = carrier(dtype)?;
        if tensor.datum_type() != expected {
            return Err(format!("a {dtype} value cannot be carried by {:?}", tensor.datum_type()));
        }
        Ok(Value { dtype, tensor })
    }

    /// Wraps elements that already belong to `dtype`; their number must fit the shape.
    pub fn from_vec<T: Carried>(dtype: DType, shape: &[usize], elements: Vec<T>) -> Result<Self, KernelError> {
        let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        if count != Some(elements.len()) {
            return Err(format!("{} elements do not fill the shape {shape:?}", elements.len()));
        }
        let tensor = Tensor::from_shape(shape, &elements).map_err(|e| e.to_string())?;
        Self::new(dtype, Arc::new(tensor))
    }

    /// A value whose elements `fill` writes; they are 0 before.
    pub fn build<T: Carried>(
        dtype: DType,
        shape: &[usize],
        fill: impl FnOnce(&mut [T]) -> Result<(), KernelError>,
    ) -> Result<Self, KernelError> {
        let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        if count.is_none_or(|count| count > super::limits::MAX_ELEMENTS) {
            return Err(format!("a tensor of shape {shape:?} is larger than the engine's limit"));
        }
        let mut tensor = Tensor::zero_dt(T::datum_type(), shape).map_err(|e| e.to_string())?;
        let mut plain = tensor.try_as_plain_ram_mut().map_err(|e| e.to_string())?;
        fill(plain.as_slice_mut::<T>().map_err(|e| e.to_string())?)?;
        Self::new(dtype, Arc::new(tensor))
    }

    /// A value of the type tract computed.
    pub fn of_tract(tensor: Arc<Tensor>) -> Result<Self, KernelError> {
        let tensor = match tensor.datum_type() {
            // Shapes flow as symbolic dims inside tract.
            DatumType::TDim => Arc::new(tensor.cast_to::<i64>().map_err(|e| e.to_string())?.into_owned()),
            _ => tensor,
        };
        Ok(Value { dtype: dtype_of(tensor.datum_type())?, tensor })
    }

    /// The same elements under another ONNX type with the same carrier; f16 and bf16 are rounded to.
    pub fn retyped(self, dtype: DType) -> Result<Self, KernelError> {
        if matches!(dtype, DType::Float16 | DType::Bfloat16) && self.dtype != dtype {
            let rounded = self.f32s()?.iter().map(|&v| round_to(dtype, v)).collect();
            return Self::from_vec(dtype, self.shape(), rounded);
        }
        Self::new(dtype, self.tensor)
    }

    pub fn dtype(&self) -> DType {
        self.dtype
    }

    pub fn shape(&self) -> &[usize] {
        self.tensor.shape()
    }

    pub fn len(&self) -> usize {
        self.tensor.len()
    }

    pub fn tensor(&self) -> &Arc<Tensor> {
        &self.tensor
    }

    /// Whether both share the same memory, so that nothing can have changed.
    pub fn is_same(&self, other: &Value) -> bool {
        self.dtype == other.dtype && Arc::ptr_eq(&self.tensor, &other.tensor)
    }

    /// Whether type, shape and every bit agree.
    pub fn same_bits(&self, other: &Value) -> bool {
        self.dtype == other.dtype
            && (Arc::ptr_eq(&self.tensor, &other.tensor)
                || (self.shape() == other.shape() && self.tensor.as_bytes() == other.tensor.as_bytes()))
    }

    /// The elements as the carrier has them.
    pub fn slice<T: Carried>(&self) -> Result<&[T], KernelError> {
        let plain = self.tensor.try_as_plain_ram().map_err(|e| e.to_string())?;
        plain
            .as_slice::<T>()
            .map_err(|_| format!("a {} tensor was found where {:?} is needed", self.dtype, T::datum_type()))
    }

    /// The elements of a float type up to 32 bits.
    pub fn f32s(&self) -> Result<&[f32], KernelError> {
        self.slice::<f32>()
    }

    /// Every element as `f32`, rounded to nearest where it does not fit.
    pub fn to_f32s(&self) -> Result<Vec<f32>, KernelError> {
        let cast = self.tensor.cast_to::<f32>().map_err(|e| e.to_string())?;
        let plain = cast.try_as_plain_ram().map_err(|e| e.to_string())?;
        Ok(plain.as_slice::<f32>().map_err(|e| e.to_string())?.to_vec())
    }

    /// Every element of an integer or boolean type.
    pub fn to_i64s(&self) -> Result<Vec<i64>, KernelError> {
        macro_rules! widen {
            ($t:ty) => {
                self.slice::<$t>()?.iter().map(|&v| v as i64).collect()
            };
        }
        Ok(match self.tensor.datum_type() {
            DatumType::I8 => widen!(i8),
            DatumType::I16 => widen!(i16),
            DatumType::I32 => widen!(i32),
            DatumType::I64 => widen!(i64),
            DatumType::U8 => widen!(u8),
            DatumType::U16 => widen!(u16),
            DatumType::U32 => widen!(u32),
            DatumType::U64 => widen!(u64),
            DatumType::Bool => widen!(bool),
            _ => return Err(format!("a {} tensor was found where integers are needed", self.dtype)),
        })
    }

    /// A value of numbers converted to the type, saturating nothing: the caller keeps them in range.
    pub fn from_i64s(dtype: DType, shape: &[usize], numbers: &[i64]) -> Result<Self, KernelError> {
        macro_rules! narrow {
            ($t:ty) => {
                Self::from_vec(dtype, shape, numbers.iter().map(|&v| v as $t).collect::<Vec<$t>>())
            };
        }
        match carrier(dtype)? {
            DatumType::I8 => narrow!(i8),
            DatumType::I16 => narrow!(i16),
            DatumType::I32 => narrow!(i32),
            DatumType::I64 => narrow!(i64),
            DatumType::U8 => narrow!(u8),
            DatumType::U16 => narrow!(u16),
            DatumType::U32 => narrow!(u32),
            DatumType::U64 => narrow!(u64),
            DatumType::F32 => narrow!(f32),
            DatumType::F64 => narrow!(f64),
            _ => Err(format!("integers cannot become {dtype}")),
        }
    }

    /// Other dims over the same elements; the counts must agree.
    pub fn reshaped(&self, shape: &[usize]) -> Result<Self, KernelError> {
        let tensor = self.tensor.as_ref().clone().into_shape(shape).map_err(|e| e.to_string())?;
        Ok(Value { dtype: self.dtype, tensor: Arc::new(tensor) })
    }

    /// Axes in another order.
    pub fn permuted(&self, axes: &[usize]) -> Result<Self, KernelError> {
        let tensor = self.tensor.as_ref().clone().permute_axes(axes).map_err(|e| e.to_string())?;
        Ok(Value { dtype: self.dtype, tensor: Arc::new(tensor) })
    }

    /// Takes a tensor from outside of the engine.
    pub fn from_plain(plain: &Plain) -> Result<Self, KernelError> {
        macro_rules! take {
            ($t:ty) => {
                Self::from_vec(plain.dtype(), plain.shape(), plain.to_vec::<$t>().map_err(|e| e.to_string())?)
            };
        }
        match plain.dtype() {
            DType::Float32 => take!(f32),
            DType::Float64 => take!(f64),
            DType::Int8 => take!(i8),
            DType::Int16 => take!(i16),
            DType::Int32 => take!(i32),
            DType::Int64 => take!(i64),
            DType::Uint8 => take!(u8),
            DType::Uint16 => take!(u16),
            DType::Uint32 => take!(u32),
            DType::Uint64 => take!(u64),
            DType::Bool => {
                let flags: Vec<bool> = plain.bytes().iter().map(|&b| b != 0).collect();
                let array = ArrayD::from_shape_vec(plain.shape(), flags).map_err(|e| e.to_string())?;
                Self::new(DType::Bool, Arc::new(Tensor::from(array)))
            }
            dtype if dtype.is_float() => {
                Self::from_vec(dtype, plain.shape(), plain.to_f32().map_err(|e| e.to_string())?)
            }
            dtype if dtype.is_int() => {
                Self::from_i64s(dtype, plain.shape(), &plain.to_i64().map_err(|e| e.to_string())?)
            }
            other => Err(format!("{other} tensors cannot be computed with")),
        }
    }

    /// The tensor in the form ONNX stores it: narrow types packed.
    pub fn to_plain(&self) -> Result<Plain, KernelError> {
        let bytes = match self.dtype {
            DType::Float16 => self.f32s()?.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect(),
            DType::Bfloat16 => self.f32s()?.iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect(),
            DType::Float4E2m1 => pack(self.f32s()?.iter().map(|&v| encode_f4e2m1(v)), 4),
            DType::Int4 | DType::Uint4 => pack(self.to_i64s()?.into_iter().map(|v| v as u8), 4),
            DType::Int2 | DType::Uint2 => pack(self.to_i64s()?.into_iter().map(|v| v as u8), 2),
            float if float.bits() == Some(8) && float.is_float() => {
                // Every element is one of the type's values, infinity included.
                self.f32s()?.iter().map(|&v| encode_f8(float, v, false)).collect()
            }
            _ => self.tensor.as_bytes().to_vec(),
        };
        Plain::new(self.dtype, self.shape().to_vec(), Bytes::from(bytes)).map_err(|e| e.to_string())
    }
}

/// Packs codes of `bits` bits, low bits first.
fn pack(codes: impl Iterator<Item = u8>, bits: usize) -> Vec<u8> {
    let per_byte = 8 / bits;
    let mask = ((1u16 << bits) - 1) as u8;
    let mut bytes = Vec::new();
    for (index, code) in codes.enumerate() {
        let shifted = (code & mask) << (index % per_byte * bits);
        match bytes.last_mut().filter(|_| index % per_byte != 0) {
            Some(last) => *last |= shifted,
            None => bytes.push(shifted),
        }
    }
    bytes
}
