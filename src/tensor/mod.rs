//! Tensors as plain data: an ONNX element type, a shape and little-endian bytes.
//!
//! A [`Tensor`] is validated once, when it is made; after that its byte length always fits its type and shape.
//! Narrow types (int4, fp8, bf16, ...) stay packed as the file had them and are decoded on reading.

mod channels;
mod dtype;
mod narrow;
mod permute;
mod value;

pub use channels::Channels;
pub use dtype::DType;
pub use narrow::{decode_f4e2m1, decode_f8};
pub use value::{Element, Tensor, TensorError};
