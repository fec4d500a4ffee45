//! Guessing how a model wants its images, from what its file says.

use super::{Colour, Layout, PixelRange, Preprocess, Resize};
use crate::tensor::DType;

/// What [`Preprocess::read_off`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadOff {
    /// The settings; `None` where the input is no image and takes arrays or random values.
    pub preprocess: Option<Preprocess>,
    /// One line: what was read, what was assumed, and why.
    pub explanation: String,
}

/// Means and standard deviations of ImageNet's training images in 0..1, as torchvision's models expect.
const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];
/// From this size on a channels-first colour input is taken for an ImageNet network.
const IMAGENET_MIN_PX: usize = 160;

impl Preprocess {
    /// Reads the settings off an input's shape (`None` for free dims) and element type and the model's metadata.
    ///
    /// Channels stand where the shape has 1, 3 or 4; where both ends could be, equal height and width decide, then
    /// ONNX's convention (first). The value range is not in an ONNX file, so it is assumed from the framework that the
    /// layout points to: channels last (TensorFlow) raw 0..255; channels first (PyTorch) 0..1, with ImageNet's mean and
    /// std for colour images of 160 pixels and more; uint8 raw; int8 raw minus 128, as TFLite. Metadata win over all
    /// of it: `Image.BitmapPixelFormat` and `Image.NominalPixelRange` (ONNX's MetadataProps), `mean` and `std`.
    pub fn read_off<'a>(
        shape: &[Option<usize>],
        dtype: DType,
        metadata: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> ReadOff {
        let dims: Vec<String> = shape.iter().map(|dim| dim.map_or("?".to_owned(), |dim| dim.to_string())).collect();
        let shown = format!("{dtype} ({})", dims.join(", "));
        let none = |reason: &str| ReadOff { preprocess: None, explanation: format!("Input {shown}: {reason}.") };
        let (batch, sample) = match shape {
            [_, a, b, c] => (true, [*a, *b, *c]),
            [a, b, c] => (false, [*a, *b, *c]),
            _ => return none("not an image shape, it takes arrays or random values"),
        };
        let is_pixel_type =
            dtype.is_float() && dtype.bits() >= Some(16) || matches!(dtype.bits(), Some(8..)) && dtype.is_int();
        if !is_pixel_type || matches!(dtype, DType::Uint32 | DType::Uint64) {
            return none("no pixel type, it takes arrays or random values");
        }
        let Some((layout, reason)) = layout_of(sample, batch) else {
            return none("no dim of 1, 3 or 4 channels, it takes arrays or random values");
        };
        let [a, b, c] = sample;
        let (channels, height, width) = match layout {
            Layout::Nhwc => (c, a, b),
            Layout::Nchw => (a, b, c),
        };
        let channels = channels.unwrap_or(3);
        let colour = if channels == 1 { Colour::Gray } else { Colour::Rgb };
        let either_layout = sample.iter().all(Option::is_none) || (is_channels(a) && is_channels(c));
        let mut found = Preprocess {
            layout,
            either_layout,
            colour,
            height,
            width,
            channels,
            dtype,
            batch,
            ..Preprocess::default()
        };
        let assumed = found.assume_range();
        let stated = found.read_metadata(metadata);
        let range = match stated.is_empty() {
            true => format!("assumed {assumed}"),
            false => format!("{} by the model's metadata", stated.join(", ")),
        };
        let layout_name = if layout == Layout::Nhwc { "channels last" } else { "channels first" };
        ReadOff { preprocess: Some(found), explanation: format!("Input {shown}: {layout_name} ({reason}); {range}.") }
    }

    /// Sets the range that inputs of this kind usually have; returns it in words.
    fn assume_range(&mut self) -> &'static str {
        let large = |px: Option<usize>| px.is_none_or(|px| px >= IMAGENET_MIN_PX);
        match (self.dtype, self.layout) {
            (DType::Int8, _) => {
                self.range = PixelRange::Custom { scale: 1.0, offset: -128.0 };
                "raw pixels minus 128, as int8 inputs of TFLite origin take them"
            }
            (dtype, _) if dtype.is_int() => "raw pixels 0..255, as the input is of integers",
            (_, Layout::Nhwc) => "raw pixels 0..255, as Keras models with channels last often take them",
            (_, Layout::Nchw) if self.channels == 3 && large(self.height) && large(self.width) => {
                self.range = PixelRange::Unit;
                (self.mean, self.std) = (IMAGENET_MEAN.to_vec(), IMAGENET_STD.to_vec());
                self.resize = Resize::Crop { shorter_px: None };
                "0..1 with ImageNet's mean and std, as PyTorch models of this size take them"
            }
            _ => {
                self.range = PixelRange::Unit;
                "0..1, as PyTorch models with channels first often take them"
            }
        }
    }

    /// Applies what the metadata state; returns it in words.
    fn read_metadata<'a>(&mut self, metadata: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<String> {
        let mut stated = Vec::new();
        for (key, value) in metadata {
            let numbers = || -> Option<Vec<f32>> {
                let inside = value.trim().trim_matches(['[', ']', '(', ')']);
                let numbers: Vec<f32> = inside
                    .split([',', ' '])
                    .filter(|n| !n.is_empty())
                    .map(|n| n.parse().ok())
                    .collect::<Option<_>>()?;
                let fits =
                    (numbers.len() == 1 || numbers.len() == self.channels) && numbers.iter().all(|n| n.is_finite());
                fits.then_some(numbers)
            };
            match (key, value) {
                ("Image.BitmapPixelFormat", "Bgr8" | "Bgra8") => self.colour = Colour::Bgr,
                ("Image.BitmapPixelFormat", "Rgb8" | "Rgba8") => self.colour = Colour::Rgb,
                ("Image.BitmapPixelFormat", "Gray8") => self.colour = Colour::Gray,
                ("Image.NominalPixelRange", range) => {
                    self.range = match range {
                        "NominalRange_0_255" => PixelRange::Raw255,
                        "Normalized_0_1" => PixelRange::Unit,
                        "Normalized_1_1" => PixelRange::SignedUnit,
                        "NominalRange_16_235" => PixelRange::Custom { scale: 219.0 / 255.0, offset: 16.0 },
                        _ => continue,
                    };
                    (self.mean, self.std) = (Vec::new(), Vec::new());
                }
                ("mean" | "std", _) => {
                    let Some(numbers) = numbers() else { continue };
                    if key == "mean" { self.mean = numbers } else { self.std = numbers }
                }
                _ => continue,
            }
            stated.push(format!("{key} {value}"));
        }
        stated
    }
}

fn is_channels(dim: Option<usize>) -> bool {
    matches!(dim, Some(1 | 3 | 4))
}

/// The layout of a sample's three dims, and why.
fn layout_of([a, b, c]: [Option<usize>; 3], batch: bool) -> Option<(Layout, &'static str)> {
    match (is_channels(a), is_channels(c)) {
        (false, true) => Some((Layout::Nhwc, "the last dim is the channels")),
        (true, false) => Some((Layout::Nchw, "the first dim of an image is the channels")),
        (true, true) if b == c && a != b => Some((Layout::Nchw, "height and width are equal so")),
        (true, true) if a == b && b != c => Some((Layout::Nhwc, "height and width are equal so")),
        (true, true) => Some((Layout::Nchw, "both ends could be, ONNX's convention decides")),
        // Without a batch dim three free dims say nothing.
        (false, false) if batch && a.is_none() && b.is_none() && c.is_none() => {
            Some((Layout::Nchw, "all dims are free, ONNX's convention decides"))
        }
        (false, false) => None,
    }
}
