//! TensorFlow Lite `.tflite` files: read as plain data ([`TfliteModel`]) and converted to ONNX ([`convert`]).
//!
//! The file keeps images as NHWC and so does the converted model's interface; inside, convolutions work on NCHW, and a
//! `Transpose` stands only where the layout changes. A quantized model becomes QDQ: every quantized activation is a
//! `QuantizeLinear` with a `DequantizeLinear` behind it, weights are stored integers with per-channel scales, biases
//! int32.

mod convert;
mod model;
mod ops;
mod schema;
mod table;
mod values;

pub use convert::{TfliteOptions, convert};
pub use model::{Operator, Quantization, Subgraph, TfliteModel, TfliteTensor};

use super::{Converted, ImportError};
use bytes::Bytes;

/// Reads a `.tflite` file and converts it.
pub fn read(bytes: &Bytes, options: &TfliteOptions) -> Result<Converted, ImportError> {
    convert(&TfliteModel::read(bytes.clone())?, options)
}
