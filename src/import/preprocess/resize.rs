//! Bilinear resizing, with antialiasing when it shrinks.

use super::{Image, PreprocessError, check_size};
use image::imageops::{self, FilterType};
use image::{ImageBuffer, Luma, Pixel, Rgb, Rgba};

/// The image at another size. Pixel centres are at half integers; the triangle filter's support grows with the
/// reduction (antialiasing), as in PIL's `resize(.., BILINEAR)` and torchvision on PIL images, and unlike OpenCV and
/// TensorFlow's default, which take the two nearest rows and columns only. Against PIL values may differ by 1: PIL
/// rounds to 8 bits between its two passes and uses fixed-point weights, here the passes are in f32 with one rounding.
/// Channel counts other than 1, 3 and 4 and empty sizes give an empty image.
pub fn resize_bilinear(image: &Image, height: usize, width: usize) -> Image {
    let data = match image.channels {
        1 => scaled::<Luma<u8>>(image, height, width),
        3 => scaled::<Rgb<u8>>(image, height, width),
        4 => scaled::<Rgba<u8>>(image, height, width),
        _ => None,
    };
    match data {
        Some(data) => Image { height, width, channels: image.channels, data },
        None => Image { height: 0, width: 0, channels: image.channels, data: Vec::new() },
    }
}

fn scaled<P: Pixel<Subpixel = u8> + 'static>(image: &Image, height: usize, width: usize) -> Option<Vec<u8>> {
    let size = |px: usize| u32::try_from(px).ok().filter(|&px| px > 0);
    let from = ImageBuffer::<P, _>::from_raw(size(image.width)?, size(image.height)?, image.data.clone())?;
    Some(imageops::resize(&from, size(width)?, size(height)?, FilterType::Triangle).into_raw())
}

/// Resizes the shorter side to `shorter_px` (at least so that the crop fits) and cuts out the middle. The longer side is
/// `floor(longer * target / shorter)` and the cut starts at `round(rest / 2)`, halves to even, as in torchvision.
pub(super) fn crop(
    image: &Image,
    height: usize,
    width: usize,
    shorter_px: Option<usize>,
) -> Result<Image, PreprocessError> {
    check_size(height, width)?;
    // In 128 bits: sizes come from models and users.
    let (rows, columns) = (image.height.max(1) as u128, image.width.max(1) as u128);
    let (wanted_rows, wanted_columns) = (height as u128, width as u128);
    let (new_rows, new_columns) = match shorter_px {
        Some(target) => {
            let scaled = |side: u128| side * target as u128 / rows.min(columns);
            (scaled(rows), scaled(columns))
        }
        // The smallest size of the same proportions that covers the input.
        None if rows * wanted_columns < columns * wanted_rows => (wanted_rows, (columns * wanted_rows).div_ceil(rows)),
        None => ((rows * wanted_columns).div_ceil(columns), wanted_columns),
    };
    let size = |side: u128, least: usize| usize::try_from(side).unwrap_or(usize::MAX).max(least);
    let (new_height, new_width) = (size(new_rows, height), size(new_columns, width));
    check_size(new_height, new_width)?;
    let scaled = resize_bilinear(image, new_height, new_width);
    let half = |rest: usize| (rest as f64 / 2.0).round_ties_even() as usize;
    let (top, left) = (half(new_height - height), half(new_width - width));
    let (start, row_bytes) = (left * scaled.channels, width * scaled.channels);
    let mut data = Vec::with_capacity(height * row_bytes);
    for row in scaled.data.chunks_exact((new_width * scaled.channels).max(1)).skip(top).take(height) {
        data.extend_from_slice(row.get(start..start + row_bytes).unwrap_or_default());
    }
    Ok(Image { height, width, channels: scaled.channels, data })
}
