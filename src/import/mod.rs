//! From dropped files to models, data sets, images and arrays. Content decides what a file is.
//!
//! [`open`] takes everything that was dropped at once and gives what is in it, with a [`crate::problem::Problem`] for
//! each file that could not be used; one bad file never takes the others with it. Archives are unpacked under
//! [`Limits`]; Python pickles are parsed, never executed. [`Preprocess`] turns images into a model's input.

mod archive;
mod arrays;
mod cifar;
mod cifar_python;
mod convert;
mod converted;
mod dataset;
mod detect;
mod error;
mod folders;
mod image;
mod input_shape;
mod keras;
mod limits;
mod names;
mod npy;
mod open;
pub mod pickle;
mod preprocess;
mod pytorch;
mod random;
mod safetensors;
mod source;
mod store;
mod streamed;
mod streamed_npz;
pub mod tflite;

pub use arrays::{NamedArray, StoredArray, read_npz};
pub use cifar::CIFAR10_CLASS_NAMES;
pub use convert::{Conversion, ConvertOptions, Original, convert};
pub use converted::{Converted, LayerValues, SourceTensor};
pub use dataset::{Dataset, ImageSize, Member, Pixels};
pub use detect::{Kind, detect};
pub use error::ImportError;
pub use image::{Image, Picture};
pub use input_shape::{InputShape, InputShapeError};
pub use keras::{KerasOptions, OLDEST_KERAS_OPSET, convert_keras};
pub use limits::Limits;
pub use names::class_names_from_metadata;
pub use npy::read as read_npy;
pub use open::{Opened, member_name, open, open_beside};
pub use preprocess::{
    Colour, Layout, PixelRange, Preprocess, PreprocessEdits, PreprocessError, ReadOff, Resize, resize_bilinear,
};
pub use pytorch::{TorchFile, TorchKind, TorchOptions, TorchTensor, read_pytorch, weights_document};
pub use random::{Distribution, RandomInputError, random_input};
pub use safetensors::read_safetensors;
pub use source::SourceFile;
pub use store::{FileParts, Store};
pub use streamed::{Streamed, open_streamed};
