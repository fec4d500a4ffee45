//! From an image to a model's input tensor.

use super::Image;
use crate::tensor::{DType, Tensor, TensorError};
use serde::{Deserialize, Serialize};
use thiserror::Error;

mod edits;
mod read_off;
mod resize;

pub use edits::PreprocessEdits;
pub use read_off::ReadOff;
pub use resize::resize_bilinear;

/// Where the channels stand in the input's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Layout {
    /// Channels last: `(batch, height, width, channels)`.
    Nhwc,
    /// Channels first: `(batch, channels, height, width)`.
    Nchw,
}

/// The order of the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Colour {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// One channel: `(19595 R + 38470 G + 7471 B + 32768) >> 16`, PIL's "L" (ITU-R 601-2).
    Gray,
}

/// What a pixel value 0..=255 becomes, before mean and std. Computed in f32.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum PixelRange {
    /// 0..=255, unchanged.
    Raw255,
    /// `x / 255`, as torchvision's `ToTensor`.
    Unit,
    /// `x / 127.5 - 1`, as Keras's mode "tf".
    SignedUnit,
    /// `x * scale + offset`.
    Custom {
        /// Factor.
        scale: f32,
        /// Added after it.
        offset: f32,
    },
}

impl PixelRange {
    /// The value of a pixel.
    pub fn map(self, pixel: u8) -> f32 {
        let x = f32::from(pixel);
        match self {
            PixelRange::Raw255 => x,
            PixelRange::Unit => x / 255.0,
            PixelRange::SignedUnit => x / 127.5 - 1.0,
            PixelRange::Custom { scale, offset } => x * scale + offset,
        }
    }
}

/// How an image of another size is brought to the input's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resize {
    /// Not at all: another size is an error.
    None,
    /// Bilinear to the exact size, whatever the proportions.
    Stretch,
    /// Bilinear so that the shorter side has this many pixels (the input's own size if `None`), then the middle is cut
    /// out, as torchvision's `Resize(n)` and `CenterCrop`.
    Crop {
        /// Shorter side before cutting.
        shorter_px: Option<usize>,
    },
}

/// How images become a model's input. Plain data: shown and edited by the user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preprocess {
    /// Where the channels stand.
    pub layout: Layout,
    /// Whether the input's shape leaves that open: the layout is then a convention, and a user may turn it.
    pub either_layout: bool,
    /// Order of the channels.
    pub colour: Colour,
    /// Range of the values.
    pub range: PixelRange,
    /// Subtracted per channel after the range, in the order of [`Preprocess::colour`]; empty: nothing.
    pub mean: Vec<f32>,
    /// Divided by per channel after the mean; empty: nothing.
    pub std: Vec<f32>,
    /// What to do with images of another size.
    pub resize: Resize,
    /// Rows of the input; `None` takes the image's.
    pub height: Option<usize>,
    /// Columns of the input; `None` takes the image's.
    pub width: Option<usize>,
    /// Channels of the input: 1, 3, or 4 (the fourth is opaque alpha, 255).
    pub channels: usize,
    /// Element type of the input. Integers are rounded half to even and saturated.
    pub dtype: DType,
    /// Whether the input has a leading batch dim, which gets 1.
    pub batch: bool,
}

impl Default for Preprocess {
    /// Raw RGB pixels in float32, channels last, at the image's own size.
    fn default() -> Self {
        Preprocess {
            layout: Layout::Nhwc,
            either_layout: false,
            colour: Colour::Rgb,
            range: PixelRange::Raw255,
            mean: Vec::new(),
            std: Vec::new(),
            resize: Resize::Stretch,
            height: None,
            width: None,
            channels: 3,
            dtype: DType::Float32,
            batch: true,
        }
    }
}

/// Why an image or array cannot become the input.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum PreprocessError {
    /// The image's size differs and resizing is off.
    #[error("the image is {found_height} x {found_width}, the model takes {height} x {width}: turn resizing on")]
    Size {
        /// Rows there are.
        found_height: usize,
        /// Columns there are.
        found_width: usize,
        /// Rows wanted.
        height: usize,
        /// Columns wanted.
        width: usize,
    },
    /// The image has no pixel, or its data does not fit its size.
    #[error("the image has {bytes} bytes for {height} x {width} x {channels}")]
    BadImage {
        /// Rows it claims.
        height: usize,
        /// Columns it claims.
        width: usize,
        /// Channels it claims.
        channels: usize,
        /// Bytes it has.
        bytes: usize,
    },
    /// The model's input, or the picture on its way to it, is larger than a tab should hold.
    #[error("{height} x {width} pixels are more than {limit}: set a smaller input size")]
    TooLarge {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// The limit, in pixels.
        limit: usize,
    },
    /// A channel count that cannot be converted.
    #[error("an image of {found} channels cannot become an input of {wanted}")]
    Channels {
        /// Of the image.
        found: usize,
        /// Of the input.
        wanted: usize,
    },
    /// `mean` or `std` has neither no value, nor one, nor one per channel.
    #[error("{what} has {found} values for {channels} channels")]
    Statistics {
        /// Which list.
        what: &'static str,
        /// Its length.
        found: usize,
        /// Channels of the input.
        channels: usize,
    },
    /// An array whose shape is not the input's, in either layout.
    #[error("an array of shape {found:?} does not fit the input {wanted}")]
    Shape {
        /// Of the array.
        found: Vec<usize>,
        /// Of the input, with `?` for free dims.
        wanted: String,
    },
    /// The model's input has a type that pixels cannot be written as, or the tensor is broken.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

impl Preprocess {
    /// The input tensor of one image: `(1, ..)` with batch dim. Order of work: channels, resize (8-bit), range, mean,
    /// std, layout, element type.
    pub fn apply(&self, image: &Image) -> Result<Tensor, PreprocessError> {
        let image = self.convert_channels(image)?;
        let image = self.fit(image)?;
        let channels = image.channels;
        let (mean, std) = (self.statistic("mean", &self.mean, 0.0)?, self.statistic("std", &self.std, 1.0)?);
        let plane = image.height * image.width;
        let mut values = vec![0f32; image.data.len()];
        for (position, pixel) in image.data.chunks_exact(channels).enumerate() {
            for (channel, ((&value, mean), std)) in pixel.iter().zip(&mean).zip(&std).enumerate() {
                let at = match self.layout {
                    Layout::Nhwc => position * channels + channel,
                    Layout::Nchw => channel * plane + position,
                };
                if let Some(slot) = values.get_mut(at) {
                    *slot = (self.range.map(value) - mean) / std;
                }
            }
        }
        let mut shape = match self.layout {
            Layout::Nhwc => vec![image.height, image.width, channels],
            Layout::Nchw => vec![channels, image.height, image.width],
        };
        if self.batch {
            shape.insert(0, 1);
        }
        Ok(cast(shape, values, self.dtype)?)
    }

    /// The input tensor of one float sample (without batch dim): the values as they are, only brought to the input's
    /// layout where the shape says that channels stand at the other end, and to its element type.
    pub fn apply_array(&self, sample: &Tensor) -> Result<Tensor, PreprocessError> {
        let values = sample.to_f32()?;
        let wanted = |dims: [Option<usize>; 3], shape: &[usize]| {
            shape.len() == 3 && dims.iter().zip(shape).all(|(dim, &found)| dim.is_none_or(|dim| dim == found))
        };
        let (h, w, c) = (self.height, self.width, Some(self.channels));
        let (own, other) = match self.layout {
            Layout::Nhwc => ([h, w, c], [c, h, w]),
            Layout::Nchw => ([c, h, w], [h, w, c]),
        };
        let (mut shape, values) = if wanted(own, sample.shape()) {
            (sample.shape().to_vec(), values)
        } else if wanted(other, sample.shape()) {
            swap_layout(sample.shape(), &values, self.layout)
        } else {
            let dim = |dim: Option<usize>| dim.map_or("?".to_owned(), |dim| dim.to_string());
            let wanted = own.map(dim).join(" x ");
            return Err(PreprocessError::Shape { found: sample.shape().to_vec(), wanted });
        };
        if self.batch {
            shape.insert(0, 1);
        }
        Ok(cast(shape, values, self.dtype)?)
    }

    /// Checked pixels in the input's channels and their order.
    fn convert_channels(&self, image: &Image) -> Result<Image, PreprocessError> {
        let &Image { height, width, channels, ref data } = image;
        let size = height.checked_mul(width).and_then(|pixels| pixels.checked_mul(channels));
        if size != Some(data.len()) || data.is_empty() {
            return Err(PreprocessError::BadImage { height, width, channels, bytes: data.len() });
        }
        let unable = || PreprocessError::Channels { found: channels, wanted: self.channels };
        let mut out = Vec::with_capacity(height * width * self.channels.min(4));
        for pixel in data.chunks_exact(channels) {
            let rgb = match *pixel {
                [grey] => [grey; 3],
                [red, green, blue] | [red, green, blue, _] => [red, green, blue],
                _ => return Err(unable()),
            };
            let [red, green, blue] = rgb;
            match (self.channels, self.colour) {
                (1, _) if channels == 1 => out.push(red),
                (1, _) => out.push(luma(rgb)),
                (3, Colour::Rgb) => out.extend(rgb),
                (3, Colour::Bgr) => out.extend([blue, green, red]),
                (3, Colour::Gray) => out.extend([luma(rgb); 3]),
                (4, Colour::Bgr) => out.extend([blue, green, red, 255]),
                (4, _) => out.extend([red, green, blue, 255]),
                _ => return Err(unable()),
            }
        }
        Ok(Image { height, width, channels: self.channels, data: out })
    }

    fn fit(&self, image: Image) -> Result<Image, PreprocessError> {
        let (height, width) = (self.height.unwrap_or(image.height), self.width.unwrap_or(image.width));
        if (height, width) == (image.height, image.width)
            && !matches!(self.resize, Resize::Crop { shorter_px: Some(_) })
        {
            return Ok(image);
        }
        match self.resize {
            Resize::None => {
                let (found_height, found_width) = (image.height, image.width);
                Err(PreprocessError::Size { found_height, found_width, height, width })
            }
            Resize::Stretch => {
                check_size(height, width)?;
                Ok(resize_bilinear(&image, height, width))
            }
            Resize::Crop { shorter_px } => resize::crop(&image, height, width, shorter_px),
        }
    }

    /// One value per channel.
    fn statistic(&self, what: &'static str, values: &[f32], neutral: f32) -> Result<Vec<f32>, PreprocessError> {
        match values {
            [] => Ok(vec![neutral; self.channels]),
            [one] => Ok(vec![*one; self.channels]),
            several if several.len() == self.channels => Ok(several.to_vec()),
            several => Err(PreprocessError::Statistics { what, found: several.len(), channels: self.channels }),
        }
    }
}

/// Largest picture to resize to: a model may declare any dims.
const MAX_PIXELS: usize = 1 << 26;

fn check_size(height: usize, width: usize) -> Result<(), PreprocessError> {
    match height.checked_mul(width) {
        Some(pixels) if pixels <= MAX_PIXELS => Ok(()),
        _ => Err(PreprocessError::TooLarge { height, width, limit: MAX_PIXELS }),
    }
}

fn luma([red, green, blue]: [u8; 3]) -> u8 {
    ((19595 * u32::from(red) + 38470 * u32::from(green) + 7471 * u32::from(blue) + 0x8000) >> 16) as u8
}

/// Three dims with the channels moved from one end to the other; `to` is the layout wanted.
fn swap_layout(shape: &[usize], values: &[f32], to: Layout) -> (Vec<usize>, Vec<f32>) {
    let &[a, b, c] = shape else { return (shape.to_vec(), values.to_vec()) };
    let (out_shape, outer, inner) = match to {
        // (channels, height, width) -> (height, width, channels): a matrix transposed.
        Layout::Nhwc => (vec![b, c, a], a, b * c),
        Layout::Nchw => (vec![c, a, b], a * b, c),
    };
    let transposed = (0..inner).flat_map(|i| (0..outer).map(move |o| o * inner + i));
    (out_shape, transposed.filter_map(|at| values.get(at).copied()).collect())
}

/// Values in another element type: floats by rounding to nearest, integers by rounding half to even and saturating.
fn cast(shape: Vec<usize>, values: Vec<f32>, dtype: DType) -> Result<Tensor, TensorError> {
    macro_rules! integers {
        ($t:ty) => {
            // `as` saturates and takes NaN to 0.
            Tensor::from_vec(shape, values.into_iter().map(|v| v.round_ties_even() as $t).collect())
        };
    }
    match dtype {
        DType::Float32 => Tensor::from_vec(shape, values),
        DType::Float64 => Tensor::from_vec(shape, values.into_iter().map(f64::from).collect()),
        DType::Float16 => Tensor::from_vec(shape, values.into_iter().map(half::f16::from_f32).collect()),
        DType::Bfloat16 => Tensor::from_vec(shape, values.into_iter().map(half::bf16::from_f32).collect()),
        DType::Uint8 => integers!(u8),
        DType::Int8 => integers!(i8),
        DType::Uint16 => integers!(u16),
        DType::Int16 => integers!(i16),
        DType::Int32 => integers!(i32),
        DType::Int64 => integers!(i64),
        found => Err(TensorError::Kind { wanted: "pixels", found }),
    }
}

#[cfg(test)]
mod tests;
