//! One picture in memory, and reading it from PNG, JPEG, WebP or BMP.

use super::{ImportError, Kind, Limits};
use bytes::Bytes;
use image::{DynamicImage, ImageFormat, ImageReader};
use std::io::Cursor;

/// 8-bit pixels, row by row, channels interleaved (HWC): 1 channel is grey, 3 are red, green, blue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// 1 or 3; what an array of images says otherwise.
    pub channels: usize,
    /// `height * width * channels` bytes.
    pub data: Vec<u8>,
}

/// A picture file, decoded when it is asked for: a folder of photos would not fit decoded.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Rows, from the header.
    pub height: usize,
    /// Columns, from the header.
    pub width: usize,
    format: ImageFormat,
    bytes: Bytes,
}

impl Picture {
    /// Reads the header. The picture's size is checked against the limits, its pixels are not decoded yet.
    pub fn open(kind: Kind, bytes: Bytes, limits: &Limits) -> Result<Self, ImportError> {
        let format = match kind {
            Kind::Png => ImageFormat::Png,
            Kind::Jpeg => ImageFormat::Jpeg,
            Kind::Webp => ImageFormat::WebP,
            Kind::Bmp => ImageFormat::Bmp,
            other => {
                let expected = "a PNG, JPEG, WebP or BMP picture";
                return Err(ImportError::unsupported("start of the file", other.name(), expected, "Convert it first."));
            }
        };
        let size = ImageReader::with_format(Cursor::new(bytes.as_ref()), format).into_dimensions();
        let (width, height) = size.map_err(|error| picture_error(format, "picture header", &error))?;
        let pixels = u64::from(width) * u64::from(height);
        if pixels > limits.image_pixels {
            let (place, what) = ("picture header".into(), format!("pixels ({width} x {height})").into());
            return Err(ImportError::LimitExceeded { place, what, found: pixels, limit: limits.image_pixels });
        }
        Ok(Picture { height: height as usize, width: width as usize, format, bytes })
    }

    /// Decodes the pixels. Palettes are expanded, 16 bits become 8 (divided by 257, rounded), transparency is dropped
    /// without blending and EXIF rotation is not applied, as with `PIL.Image.open(..).convert("RGB")`; grey stays grey.
    pub fn decode(&self) -> Result<Image, ImportError> {
        let decoded = ImageReader::with_format(Cursor::new(self.bytes.as_ref()), self.format).decode();
        let decoded = decoded.map_err(|error| picture_error(self.format, "pixel data", &error))?;
        let (width, height) = (decoded.width() as usize, decoded.height() as usize);
        let grey = matches!(
            decoded,
            DynamicImage::ImageLuma8(_)
                | DynamicImage::ImageLuma16(_)
                | DynamicImage::ImageLumaA8(_)
                | DynamicImage::ImageLumaA16(_)
        );
        let (channels, data) =
            if grey { (1, decoded.into_luma8().into_raw()) } else { (3, decoded.into_rgb8().into_raw()) };
        Ok(Image { height, width, channels, data })
    }
}

fn picture_error(format: ImageFormat, place: &'static str, error: &image::ImageError) -> ImportError {
    ImportError::format(
        place,
        format!("damaged data ({error})"),
        format!("a complete {format:?} picture"),
        "The picture is cut short or damaged: copy it again, or save it anew with an image program.",
    )
}
