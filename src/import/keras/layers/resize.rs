//! Pictures in another size: `Resizing`, `CenterCrop`, and the function behind both.

use crate::import::keras::context::Context;
use crate::import::keras::stop::{Stop, unsupported};
use crate::import::keras::value::Value;
use crate::onnx::Attr;

/// The value (batch, height, width, channels), or channels first where the configuration says so, in another size. TensorFlow
/// samples between the centers of the pixels; the nearest is the one whose area the center lies in.
pub(super) fn resized(context: &mut Context, value: &Value, height: usize, width: usize) -> Result<Value, Stop> {
    let config = context.config;
    for key in ["antialias", "crop_to_aspect_ratio", "pad_to_aspect_ratio", "preserve_aspect_ratio"] {
        if config.bool(key, false)? {
            return unsupported(format!("resizing with {key}"));
        }
    }
    if value.rank().is_some_and(|rank| rank != 4) {
        return unsupported("a picture without a batch");
    }
    let interpolation = config.text("interpolation", "bilinear")?;
    let input = context.spatial(value, 2)?;
    let [Some(rows), Some(columns)] = input.dims.as_slice() else { return unsupported("a picture of open size") };
    let name = match interpolation {
        "bilinear" => {
            let scales = [1.0, 1.0, scale(*rows, height), scale(*columns, width)];
            let scales = context.floats("scales", &[4], &scales)?;
            let attributes: [(&str, Attr); 2] =
                [("mode", "linear".into()), ("coordinate_transformation_mode", "half_pixel".into())];
            context.node("Resize", &[&input.name, "", &scales], "Resize", &attributes)
        }
        // The very pixels: a scale that is no float of its own would miss those on the border between two.
        "nearest" => {
            let (rows, columns) = (nearest(*rows, height), nearest(*columns, width));
            let (rows, columns) = (context.ints("rows", &rows)?, context.ints("columns", &columns)?);
            let name = context.node("Gather", &[&input.name, &rows], "rows", &[("axis", 2i64.into())]);
            context.node("Gather", &[&name, &columns], "columns", &[("axis", 3i64.into())])
        }
        other => return unsupported(format!("the interpolation '{other}'")),
    };
    Ok(input.result(name, vec![Some(height), Some(width)], input.channels))
}

/// The scale whose product with the size, cut to a whole number, is the new size.
fn scale(size: usize, new: usize) -> f32 {
    let scale = new as f32 / size as f32;
    // In f64, where the product of two f32 is exact: in f32 it may be rounded up to what it does not reach.
    if (size as f64 * f64::from(scale)) as usize == new { scale } else { scale.next_up() }
}

/// The pixel that each new one shows. Source: TensorFlow's `ResizeNearestNeighbor` with `half_pixel_centers`.
fn nearest(size: usize, new: usize) -> Vec<i64> {
    let scale = size as f32 / new as f32;
    (0..new).map(|at| (((at as f32 + 0.5) * scale).floor() as i64).clamp(0, size as i64 - 1)).collect()
}

fn height_and_width(context: &Context) -> Result<(usize, usize), Stop> {
    let (height, width) = (context.config.count("height")?, context.config.count("width")?);
    // A picture larger than this is a damaged file.
    if height > LARGEST_SIDE || width > LARGEST_SIDE {
        return Err(context.config.wrong("height", &format!("a height and a width up to {LARGEST_SIDE}")));
    }
    Ok((height, width))
}

const LARGEST_SIDE: usize = 1 << 16;

/// `Resizing`.
pub(super) fn resizing(context: &mut Context, inputs: &[Value]) -> Result<Vec<Value>, Stop> {
    let value = context.single(inputs)?;
    let (height, width) = height_and_width(context)?;
    Ok(vec![resized(context, value, height, width)?])
}

/// `CenterCrop` of a picture that is as large at least.
pub(super) fn center_crop(context: &mut Context, inputs: &[Value]) -> Result<Vec<Value>, Stop> {
    let value = context.single(inputs)?;
    let (height, width) = height_and_width(context)?;
    if value.rank().is_some_and(|rank| rank != 4) {
        return unsupported("a picture without a batch");
    }
    let input = context.spatial(value, 2)?;
    let start = |dim: Option<usize>, size: usize| Some(dim?.checked_sub(size)? / 2);
    let (Some(top), Some(left)) =
        (start(input.dims.first().copied().flatten(), height), start(input.dims.get(1).copied().flatten(), width))
    else {
        return unsupported(format!("pictures of {:?} cut to {height} x {width}", input.dims));
    };
    let starts = context.ints("starts", &[top as i64, left as i64])?;
    let ends = context.ints("ends", &[(top + height) as i64, (left + width) as i64])?;
    let axes = context.ints("axes", &[2, 3])?;
    let name = context.node("Slice", &[&input.name, &starts, &ends, &axes], "Slice", &[]);
    Ok(vec![input.result(name, vec![Some(height), Some(width)], input.channels)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_on_a_border_are_tensorflows() {
        // numpy.floor((numpy.arange(n) + 0.5) * m / n)
        assert_eq!(nearest(6, 1), [3]);
        assert_eq!(nearest(4, 2), [1, 3]);
        assert_eq!(nearest(3, 5), [0, 0, 1, 2, 2]);
    }

    #[test]
    fn scales_give_the_size() {
        for size in 1..200 {
            for new in 1..200 {
                let scale = scale(size, new);
                assert_eq!((size as f32 * scale) as usize, new, "{size} to {new}");
                assert_eq!((size as f64 * f64::from(scale)) as usize, new, "{size} to {new}");
            }
        }
    }
}
