//! The tensor itself and its checked views.

use super::{DType, decode_f4e2m1, decode_f8};
use bytes::Bytes;
use thiserror::Error;

/// An element type of Rust that has an ONNX counterpart of the same layout.
pub trait Element: bytemuck::Pod {
    /// The ONNX type.
    const DTYPE: DType;
}

macro_rules! elements {
    ($($rust:ty => $dtype:ident),*) => { $(impl Element for $rust { const DTYPE: DType = DType::$dtype; })* };
}
elements!(f32 => Float32, f64 => Float64, half::f16 => Float16, half::bf16 => Bfloat16, i8 => Int8, i16 => Int16,
    i32 => Int32, i64 => Int64, u8 => Uint8, u16 => Uint16, u32 => Uint32, u64 => Uint64);

/// What can be wrong with a tensor or with a view of it.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum TensorError {
    /// The shape's element count does not fit the address space.
    #[error("shape {0:?} has more elements than can be addressed")]
    TooLarge(Vec<usize>),
    /// Bytes and shape disagree.
    #[error("{found} bytes found where {dtype}{shape:?} takes {expected}")]
    Length {
        /// Element type.
        dtype: DType,
        /// Dims.
        shape: Vec<usize>,
        /// Bytes there should be.
        expected: usize,
        /// Bytes there are.
        found: usize,
    },
    /// A list of axes that is no permutation of the tensor's.
    #[error("axes {axes:?} do not reorder the axes of a tensor of shape {shape:?}")]
    Axes {
        /// The axes asked for.
        axes: Vec<usize>,
        /// The tensor's dims.
        shape: Vec<usize>,
    },
    /// The elements are not of a kind the view can give.
    #[error("a {found} tensor cannot be read as {wanted}")]
    Kind {
        /// What was asked for.
        wanted: &'static str,
        /// What the tensor holds.
        found: DType,
    },
}

/// An n-dimensional array: row-major, little-endian, narrow elements packed low bits first (as ONNX `raw_data`).
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    dtype: DType,
    shape: Vec<usize>,
    bytes: Bytes,
}

impl Tensor {
    /// A tensor of these bytes; fails where their number does not fit type and shape. Strings are not tensors here.
    pub fn new(dtype: DType, shape: Vec<usize>, bytes: Bytes) -> Result<Self, TensorError> {
        let count = shape.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim));
        let count = count.ok_or_else(|| TensorError::TooLarge(shape.clone()))?;
        if dtype == DType::String {
            return Err(TensorError::Kind { wanted: "numbers", found: dtype });
        }
        let expected = dtype.bytes_for(count).ok_or_else(|| TensorError::TooLarge(shape.clone()))?;
        if expected != bytes.len() {
            return Err(TensorError::Length { dtype, shape, expected, found: bytes.len() });
        }
        Ok(Tensor { dtype, shape, bytes })
    }

    /// A tensor of these elements; fails where their number does not fit the shape.
    pub fn from_vec<T: Element>(shape: Vec<usize>, values: Vec<T>) -> Result<Self, TensorError> {
        // wasm and every supported host are little-endian: memory order is file order.
        Self::new(T::DTYPE, shape, Bytes::from(bytemuck::cast_slice(&values).to_vec()))
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Dims; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The packed little-endian bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The same elements under other dims; fails where the counts differ.
    pub fn reshaped(&self, shape: Vec<usize>) -> Result<Self, TensorError> {
        Self::new(self.dtype, shape, self.bytes.clone())
    }

    /// The elements without conversion; fails where `T` is not this tensor's type.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>, TensorError> {
        if T::DTYPE != self.dtype {
            return Err(TensorError::Kind { wanted: T::DTYPE.name(), found: self.dtype });
        }
        // File payloads are rarely aligned, so the elements are read one by one.
        Ok(self.bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect())
    }

    /// Every element as `f64`: exact for all types but 64-bit integers beyond 2^53. Booleans are 0 and 1.
    pub fn to_f64(&self) -> Result<Vec<f64>, TensorError> {
        macro_rules! widen {
            ($t:ty) => {
                self.to_vec::<$t>()?.into_iter().map(|v| v as f64).collect()
            };
        }
        Ok(match self.dtype {
            DType::Float32 => widen!(f32),
            DType::Float64 => self.to_vec()?,
            DType::Float16 => self.to_vec::<half::f16>()?.into_iter().map(f64::from).collect(),
            DType::Bfloat16 => self.to_vec::<half::bf16>()?.into_iter().map(f64::from).collect(),
            DType::Int64 => widen!(i64),
            DType::Uint64 => widen!(u64),
            DType::Uint32 => widen!(u32),
            dtype if dtype.is_int() => self.to_i64()?.into_iter().map(|v| v as f64).collect(),
            DType::Bool => self.bytes.iter().map(|&b| f64::from(b != 0)).collect(),
            DType::Float4E2m1 => self.codes().map(|c| f64::from(decode_f4e2m1(c))).collect(),
            dtype if dtype.is_float() => self.bytes.iter().map(|&b| f64::from(decode_f8(dtype, b))).collect(),
            found => return Err(TensorError::Kind { wanted: "real numbers", found }),
        })
    }

    /// Every element as `f32`, rounded to nearest where the type is wider.
    pub fn to_f32(&self) -> Result<Vec<f32>, TensorError> {
        match self.dtype {
            DType::Float32 => self.to_vec(),
            _ => Ok(self.to_f64()?.into_iter().map(|v| v as f32).collect()),
        }
    }

    /// Every element of an integer tensor (uint64 wraps above 2^63).
    pub fn to_i64(&self) -> Result<Vec<i64>, TensorError> {
        macro_rules! widen {
            ($t:ty) => {
                self.to_vec::<$t>()?.into_iter().map(|v| v as i64).collect()
            };
        }
        Ok(match self.dtype {
            DType::Int8 => widen!(i8),
            DType::Int16 => widen!(i16),
            DType::Int32 => widen!(i32),
            DType::Int64 => self.to_vec()?,
            DType::Uint8 => widen!(u8),
            DType::Uint16 => widen!(u16),
            DType::Uint32 => widen!(u32),
            DType::Uint64 => widen!(u64),
            DType::Int4 => self.codes().map(|c| i64::from((c << 4) as i8 >> 4)).collect(),
            DType::Int2 => self.codes().map(|c| i64::from((c << 6) as i8 >> 6)).collect(),
            DType::Uint4 | DType::Uint2 => self.codes().map(i64::from).collect(),
            found => return Err(TensorError::Kind { wanted: "integers", found }),
        })
    }

    /// The codes of a 2 or 4 bit type, low bits first.
    fn codes(&self) -> impl Iterator<Item = u8> + '_ {
        let bits = self.dtype.bits().unwrap_or(8).min(8);
        let mask = ((1u16 << bits) - 1) as u8;
        let per_byte = 8 / bits;
        let code = move |i: usize| (self.bytes[i / per_byte] >> (i % per_byte * bits)) & mask;
        (0..self.len()).map(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_checked_once() {
        let short = Tensor::new(DType::Float32, vec![2, 2], Bytes::from_static(&[0; 15]));
        assert!(matches!(short, Err(TensorError::Length { expected: 16, found: 15, .. })));
        let huge = Tensor::new(DType::Float32, vec![usize::MAX, 2], Bytes::new());
        assert!(matches!(huge, Err(TensorError::TooLarge(_))));
    }

    #[test]
    fn nibbles_are_low_first_and_signed() {
        let int4 = Tensor::new(DType::Int4, vec![3], Bytes::from_static(&[0xf7, 0x08])).unwrap();
        assert_eq!(int4.to_i64().unwrap(), [7, -1, -8]);
        let uint2 = Tensor::new(DType::Uint2, vec![4], Bytes::from_static(&[0b11_10_01_00])).unwrap();
        assert_eq!(uint2.to_i64().unwrap(), [0, 1, 2, 3]);
    }

    #[test]
    fn views_refuse_the_wrong_kind() {
        let floats = Tensor::from_vec(vec![2], vec![1.5f32, -2.0]).unwrap();
        assert_eq!(floats.to_f32().unwrap(), [1.5, -2.0]);
        assert!(floats.to_i64().is_err());
        assert!(floats.to_vec::<f64>().is_err());
    }

    #[test]
    fn a_scalar_has_one_element() {
        let scalar = Tensor::from_vec(vec![], vec![3i64]).unwrap();
        assert_eq!((scalar.len(), scalar.to_f64().unwrap()), (1, vec![3.0]));
    }
}
