//! Layers that move elements: reshaping, padding, cropping, repeating.

use crate::import::ImportError;
use crate::import::keras::context::Context;
use crate::import::keras::stop::{Stop, unsupported};
use crate::import::keras::value::{Layout, Value};

/// The name of the value in Keras's order; not transposed where both layouts hold the elements in the same order.
fn in_order(context: &mut Context, value: &Value) -> String {
    if value.layout == Layout::ChannelsFirst && value.layouts_agree() {
        return value.name.clone();
    }
    context.low.as_is(value).name
}

pub(super) fn product(dims: &[Option<usize>]) -> Option<usize> {
    dims.iter().try_fold(1usize, |product, dim| product.checked_mul((*dim)?))
}

/// A node that gives a tensor another shape; the batch takes what is left, or one open dim does.
pub(super) fn reshape_to(
    context: &mut Context,
    name: &str,
    batch: Option<usize>,
    dims: &[Option<usize>],
) -> Result<Value, Stop> {
    let open = dims.iter().filter(|dim| dim.is_none()).count();
    if open > 1 {
        return unsupported("a shape with more than one open dim");
    }
    let first = if open == 0 && !dims.contains(&Some(0)) { -1 } else { 0 };
    let target: Vec<i64> = [first].into_iter().chain(dims.iter().map(|dim| dim.map_or(-1, |dim| dim as i64))).collect();
    let shape = context.ints("shape", &target)?;
    let name = context.node("Reshape", &[name, &shape], "Reshape", &[]);
    Ok(Value::new(name, Some([batch].into_iter().chain(dims.iter().copied()).collect()), Layout::AsIs))
}

/// `Flatten`.
pub(super) fn flatten(context: &mut Context, inputs: &[Value]) -> Result<Vec<Value>, Stop> {
    let value = context.single(inputs)?.clone();
    let Some(shape) = value.shape.clone() else {
        let name = context.node("Flatten", &[&value.name], "Flatten", &[("axis", 1i64.into())]);
        return Ok(vec![value.named(name)]);
    };
    let Some((batch, rest)) = shape.split_first() else { return unsupported("a tensor without axes") };
    // Channels first are brought behind the spatial axes, whatever the file says the order was.
    let (channels, spatial) = rest.split_first().unwrap_or((&None, &[]));
    let in_order_already = *channels == Some(1) || spatial.iter().all(|dim| *dim == Some(1));
    let name = if context.is_channels_first()? && !in_order_already {
        let source = context.low.as_is(&value);
        let axes = crate::import::keras::value::from_channels_first(shape.len());
        context.node("Transpose", &[&source.name], "Transpose", &[("perm", axes.into())])
    } else {
        in_order(context, &value)
    };
    let result = reshape_to(context, &name, *batch, &[product(rest)])?;
    Ok(vec![Value { dtype: value.dtype, ..result }])
}

/// `Reshape`, with one dim left to be found.
pub(super) fn reshape(context: &mut Context, inputs: &[Value]) -> Result<Vec<Value>, Stop> {
    let value = context.single(inputs)?.clone();
    let target = context.config.axes("target_shape", &[])?;
    let known = value.shape.as_ref().and_then(|shape| product(shape.split_first().map_or(&[][..], |(_, rest)| rest)));
    let wrong =
        |context: &Context| context.config.wrong("target_shape", "a shape of as many elements as the input has");
    if target.iter().any(|&dim| dim < -1) || target.iter().filter(|&&dim| dim == -1).count() > 1 {
        return Err(wrong(context));
    }
    let fixed =
        target.iter().filter(|&&dim| dim >= 0).try_fold(1usize, |product, &dim| product.checked_mul(dim as usize));
    let Some(fixed) = fixed else { return Err(wrong(context)) };
    let open = target.contains(&-1);
    let dims: Vec<Option<usize>> = target
        .iter()
        .map(|&dim| match dim {
            -1 => known.and_then(|known| known.checked_div(fixed)),
            dim => Some(dim as usize),
        })
        .collect();
    if known.is_some_and(|known| if open { fixed == 0 || known % fixed != 0 } else { known != fixed }) {
        return Err(wrong(context));
    }
    let name = in_order(context, &value);
    let batch = value.shape.as_ref().and_then(|shape| shape.first().copied().flatten());
    let result = reshape_to(context, &name, batch, &dims)?;
    Ok(vec![Value { dtype: value.dtype, ..result }])
}

/// `Permute`: axes behind the batch, counted from 1.
pub(super) fn permute(context: &mut Context, inputs: &[Value]) -> Result<Vec<Value>, Stop> {
    let value = context.single(inputs)?;
    let value = context.low.as_is(value);
    let dims = context.config.axes("dims", &[])?;
    let mut sorted = dims.clone();
    sorted.sort_unstable();
    let fits = value.rank().is_none_or(|rank| rank == dims.len() + 1);
    if !fits || !sorted.into_iter().eq(1..=dims.len() as i64) {
        return Err(context.config.wrong("dims", "each axis of the input behind the batch once"));
    }
    let axes: Vec<i64> = [0].into_iter().chain(dims).collect();
    let shape =
        value.shape.as_ref().map(|shape| axes.iter().filter_map(|&axis| shape.get(axis as usize).copied()).collect());
    let name = context.node("Transpose", &[&value.name], "Transpose", &[("perm", axes.into())]);
    Ok(vec![Value { dtype: value.dtype, ..Value::new(name, shape, Layout::AsIs) }])
}

/// `RepeatVector`: (batch, n) to (batch, times, n).
pub(super) fn repeat_vector(context: &mut Context, inputs: &[Value]) -> Result<Vec<Value>, Stop> {
    let value = context.single(inputs)?;
    let value = context.low.as_is(value);
    let times = context.config.count("n")?;
    let axes = context.ints("axes", &[1])?;
    let repeats = context.ints("repeats", &[1, times as i64, 1])?;
    let name = context.node("Unsqueeze", &[&value.name, &axes], "Unsqueeze", &[]);
    let name = context.node("Tile", &[&name, &repeats], "Tile", &[]);
    let shape = value.shape.as_ref().and_then(|shape| match shape.as_slice() {
        [batch, width] => Some(vec![*batch, Some(times), *width]),
        _ => None,
    });
    Ok(vec![Value { dtype: value.dtype, ..Value::new(name, shape, Layout::AsIs) }])
}

/// The spatial axes of a value in Keras's order, and their dims.
fn spatial_axes(context: &Context, value: &Value, axes: usize) -> Result<(usize, Vec<Option<usize>>), Stop> {
    let Some(shape) = &value.shape else { return unsupported("an input of unknown shape") };
    let first = if context.is_channels_first()? { 2 } else { 1 };
    if shape.len() != axes + 2 {
        return Err(Stop::Broken(ImportError::format(
            format!("layer '{}'", context.path),
            format!("an input of {} axes", shape.len()),
            format!("{} axes", axes + 2),
            "The model's configuration is damaged: save the model again.",
        )));
    }
    Ok((first, shape.iter().skip(first).take(axes).copied().collect()))
}

/// `ZeroPadding` of one to three axes.
pub(super) fn zero_padding(context: &mut Context, inputs: &[Value], axes: usize) -> Result<Vec<Value>, Stop> {
    let value = context.single(inputs)?;
    let value = context.float(value);
    let (first, _) = spatial_axes(context, &value, axes)?;
    let pairs = context.config.size_pairs("padding", axes, 1)?;
    let mut shape = value.shape.clone().unwrap_or_default();
    let (mut before, mut behind) = (vec![0i64; shape.len()], vec![0i64; shape.len()]);
    for (at, pair) in pairs.iter().enumerate() {
        if let (Some(dim), Some(low), Some(high)) =
            (shape.get_mut(first + at), before.get_mut(first + at), behind.get_mut(first + at))
        {
            *dim = dim.map(|dim| dim.saturating_add(pair.0).saturating_add(pair.1));
            (*low, *high) = (pair.0 as i64, pair.1 as i64);
        }
    }
    let pads: Vec<i64> = value.physical(&before).into_iter().chain(value.physical(&behind)).collect();
    let pads = context.ints("pads", &pads)?;
    let name = context.node("Pad", &[&value.name, &pads], "Pad", &[("mode", "constant".into())]);
    Ok(vec![Value { shape: Some(shape), ..value.named(name) }])
}

/// `Cropping` of one to three axes.
pub(super) fn cropping(context: &mut Context, inputs: &[Value], axes: usize) -> Result<Vec<Value>, Stop> {
    let value = context.single(inputs)?.clone();
    let (first, dims) = spatial_axes(context, &value, axes)?;
    let pairs = context.config.size_pairs("cropping", axes, usize::from(axes > 0))?;
    let mut shape = value.shape.clone().unwrap_or_default();
    let (mut starts, mut ends, mut at_axes) = (Vec::new(), Vec::new(), Vec::new());
    for (at, (pair, dim)) in pairs.iter().zip(&dims).enumerate() {
        let left = dim.map(|dim| dim.checked_sub(pair.0)?.checked_sub(pair.1));
        if left == Some(None) {
            return Err(context.config.wrong("cropping", "less than the input has"));
        }
        if let Some(dim) = shape.get_mut(first + at) {
            *dim = left.flatten();
        }
        starts.push(pair.0 as i64);
        ends.push(if pair.1 == 0 { i64::MAX } else { -(pair.1 as i64) });
        at_axes.push(value.physical_axis((first + at) as i64).unwrap_or_default());
    }
    let (starts, ends) = (context.ints("starts", &starts)?, context.ints("ends", &ends)?);
    let at_axes = context.ints("axes", &at_axes)?;
    let name = context.node("Slice", &[&value.name, &starts, &ends, &at_axes], "Slice", &[]);
    Ok(vec![Value { shape: Some(shape), ..value.named(name) }])
}

/// `UpSampling` of one to three axes: each element repeated, or linear between the centers of the elements.
pub(super) fn up_sampling(context: &mut Context, inputs: &[Value], axes: usize) -> Result<Vec<Value>, Stop> {
    let interpolation = context.config.text("interpolation", "nearest")?;
    let key = if context.config.get("length").is_some() { "length" } else { "size" };
    let factors = context.config.sizes(key, axes, 1, Some(2))?;
    let input = context.single(inputs)?;
    let input = context.spatial(input, axes)?;
    let scales: Vec<f32> = [1.0, 1.0].into_iter().chain(factors.iter().map(|&factor| factor as f32)).collect();
    let scales = context.floats("scales", &[scales.len()], &scales)?;
    let attributes: Vec<(&str, crate::onnx::Attr)> = match interpolation {
        "nearest" => vec![
            ("mode", "nearest".into()),
            ("coordinate_transformation_mode", "asymmetric".into()),
            ("nearest_mode", "floor".into()),
        ],
        "bilinear" => vec![("mode", "linear".into()), ("coordinate_transformation_mode", "half_pixel".into())],
        other => return unsupported(format!("the interpolation '{other}'")),
    };
    let name = context.node("Resize", &[&input.name, "", &scales], "Resize", &attributes);
    let dims =
        input.dims.iter().zip(&factors).map(|(dim, factor)| dim.map(|dim| dim.saturating_mul(*factor))).collect();
    Ok(vec![input.result(name, dims, input.channels)])
}
