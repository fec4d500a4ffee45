//! The .npy file: numpy's format 1.0, byte for byte what `numpy.save` writes.
//!
//! Written by hand because the crates for it (`ndarray-npy`, `npyz`) want typed arrays and pull their own copies of what
//! [`Tensor`] holds already. Format: `numpy/lib/format.py`, NEP 1.

use crate::tensor::{DType, Tensor, TensorError};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use thiserror::Error;

/// Magic, version 1.0.
const MAGIC: [u8; 8] = *b"\x93NUMPY\x01\x00";
/// numpy aligns the data to this many bytes.
const ALIGNMENT: usize = 64;
/// numpy leaves room for the first dim to grow to this many digits.
const GROWTH_DIGITS: usize = 21;

/// A type that numpy lacks, written as one that holds every value exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversion {
    /// Type of the tensor.
    pub from: DType,
    /// Type in the file.
    pub to: DType,
}

/// A .npy file in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct NpyFile {
    /// The file.
    pub bytes: Vec<u8>,
    /// Said where the tensor's type is not numpy's.
    pub conversion: Option<Conversion>,
}

/// Why a tensor does not become a .npy file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NpyError {
    /// The header of format 1.0 holds 65,535 bytes.
    #[error("a shape of {0} dims does not fit the header of a .npy file")]
    TooManyDims(usize),
    /// The elements cannot be read.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

/// `tensor` as a .npy file in C order. 2 and 4 bit integers become 8 bit ones; bfloat16, fp8 and fp4 become float32;
/// both exactly, and `conversion` says so.
pub fn npy(tensor: &Tensor) -> Result<NpyFile, NpyError> {
    let (written, data) = payload(tensor)?;
    let mut bytes = header(written, tensor.shape())?;
    bytes.extend_from_slice(&data);
    let conversion = (written != tensor.dtype()).then_some(Conversion { from: tensor.dtype(), to: written });
    Ok(NpyFile { bytes, conversion })
}

/// The elements as numpy stores them, and their type.
fn payload(tensor: &Tensor) -> Result<(DType, Cow<'_, [u8]>), TensorError> {
    let as_is = Cow::Borrowed(tensor.bytes().as_ref());
    // The low byte of a narrow integer is the 8 bit integer of the same sign.
    let low_bytes = |tensor: &Tensor| Ok(tensor.to_i64()?.into_iter().map(|value| value as u8).collect());
    Ok(match tensor.dtype() {
        DType::Int2 | DType::Int4 => (DType::Int8, low_bytes(tensor)?),
        DType::Uint2 | DType::Uint4 => (DType::Uint8, low_bytes(tensor)?),
        // Some writers use other bytes than 1 for true; numpy must not see them.
        DType::Bool => (DType::Bool, tensor.bytes().iter().map(|&byte| u8::from(byte != 0)).collect()),
        dtype if description(dtype).is_some() => (dtype, as_is),
        _ => (DType::Float32, tensor.to_f32()?.into_iter().flat_map(f32::to_le_bytes).collect()),
    })
}

/// numpy's name of a type it has.
fn description(dtype: DType) -> Option<&'static str> {
    Some(match dtype {
        DType::Float32 => "<f4",
        DType::Float64 => "<f8",
        DType::Float16 => "<f2",
        DType::Int8 => "|i1",
        DType::Int16 => "<i2",
        DType::Int32 => "<i4",
        DType::Int64 => "<i8",
        DType::Uint8 => "|u1",
        DType::Uint16 => "<u2",
        DType::Uint32 => "<u4",
        DType::Uint64 => "<u8",
        DType::Bool => "|b1",
        DType::Complex64 => "<c8",
        DType::Complex128 => "<c16",
        _ => return None,
    })
}

fn header(dtype: DType, shape: &[usize]) -> Result<Vec<u8>, NpyError> {
    let dims = match shape {
        [one] => format!("({one},)"),
        _ => format!("({})", shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    };
    let descr = description(dtype).unwrap_or("<f4");
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {dims}, }}");
    let growth = shape.first().map_or(0, |dim| GROWTH_DIGITS.saturating_sub(dim.to_string().len()));
    text.push_str(&" ".repeat(growth));
    // Two bytes of length before the text and a newline after it; numpy pads by 1 to 64, never by 0.
    let unpadded = MAGIC.len() + 2 + text.len() + 1;
    text.push_str(&" ".repeat(ALIGNMENT - unpadded % ALIGNMENT));
    text.push('\n');
    let length = u16::try_from(text.len()).map_err(|_| NpyError::TooManyDims(shape.len()))?;
    Ok([MAGIC.as_slice(), &length.to_le_bytes(), text.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn split(file: &NpyFile) -> (String, &[u8]) {
        let length = usize::from(u16::from_le_bytes([file.bytes[8], file.bytes[9]]));
        (String::from_utf8(file.bytes[10..10 + length].to_vec()).unwrap(), &file.bytes[10 + length..])
    }

    #[test]
    fn the_data_is_aligned() {
        for shape in [vec![], vec![3], vec![1, 2, 3, 4], vec![1; 40], vec![0, 7]] {
            let count = shape.iter().product();
            let file = npy(&Tensor::from_vec(shape.clone(), vec![1u8; count]).unwrap()).unwrap();
            assert_eq!((file.bytes.len() - count) % ALIGNMENT, 0, "{shape:?}");
        }
    }

    #[test]
    fn narrow_types_are_widened_and_said() {
        let int4 = Tensor::new(DType::Int4, vec![3], Bytes::from_static(&[0xf7, 0x08])).unwrap();
        let file = npy(&int4).unwrap();
        let (header, data) = split(&file);
        assert!(header.starts_with("{'descr': '|i1', 'fortran_order': False, 'shape': (3,), }"), "{header}");
        assert_eq!(data, [7, 0xff, 0xf8]);
        assert_eq!(file.conversion, Some(Conversion { from: DType::Int4, to: DType::Int8 }));

        let fp8 = Tensor::new(DType::Float8E4m3fn, vec![1], Bytes::from_static(&[0x7e])).unwrap();
        let file = npy(&fp8).unwrap();
        assert_eq!(split(&file).1, 448f32.to_le_bytes());
        assert_eq!(file.conversion, Some(Conversion { from: DType::Float8E4m3fn, to: DType::Float32 }));
    }

    #[test]
    fn booleans_are_zero_or_one() {
        let tensor = Tensor::new(DType::Bool, vec![2], Bytes::from_static(&[0, 255])).unwrap();
        let file = npy(&tensor).unwrap();
        assert_eq!((split(&file).1, file.conversion), (&[0u8, 1][..], None));
    }

    #[test]
    fn a_header_has_an_end() {
        let tensor = Tensor::from_vec(vec![1; 40_000], vec![1u8]).unwrap();
        assert_eq!(npy(&tensor), Err(NpyError::TooManyDims(40_000)));
    }
}
