//! Operators that slide a window over an image.

use super::{activation, dilation, input, optional, options, output, unsupported};
use crate::import::ImportError;
use crate::import::tflite::convert::Converter;
use crate::import::tflite::model::Operator;
use crate::import::tflite::values::{Activation, Layout, TO_FIRST, onnx};
use crate::onnx::Attr;

/// A padding of the schema.
const SAME: i8 = 0;

/// How a window moves, height first.
struct Window {
    same: bool,
    kernel: [usize; 2],
    strides: [usize; 2],
    dilations: [usize; 2],
    /// Padding that is given and not computed, as ONNX orders it.
    pads: Option<[i64; 4]>,
}

impl Window {
    /// Reads stride and dilation as the options' fields say; the kernel comes from the weight or from fields of its own.
    fn read(
        c: &Converter<'_>,
        operator: &Operator,
        kernel: Option<[usize; 2]>,
        dilation_fields: Option<[u16; 2]>,
    ) -> Result<Self, ImportError> {
        let Some(table) = options(c, operator)? else {
            return Err(super::missing(c, operator, "no options".to_owned()));
        };
        let size = |field: u16, default: i32, what: &str| {
            let number = table.i32(field, default)?;
            let size = usize::try_from(number).ok().filter(|&size| (1..=1 << 20).contains(&size));
            size.ok_or_else(|| {
                let (place, expected) = (c.operator_place(operator), "a size of 1 or more");
                ImportError::format(place, format!("{what} {number}"), expected, "Convert the model again.")
            })
        };
        let strides = [size(2, 0, "a stride of")?, size(1, 0, "a stride of")?];
        let kernel = match kernel {
            Some(kernel) => kernel,
            None => [size(4, 0, "a window of")?, size(3, 0, "a window of")?],
        };
        let dilations = match dilation_fields {
            Some([height, width]) => [size(height, 1, "a dilation of")?, size(width, 1, "a dilation of")?],
            None => [1, 1],
        };
        Ok(Window { same: table.i8(0, 0)? == SAME, kernel, strides, dilations, pads: None })
    }

    /// The padding: fixed where the image's size is, which is how TensorFlow pads; left to the run where it is not.
    fn padding(&self, c: &Converter<'_>, at: usize) -> Result<Option<(&'static str, Attr)>, ImportError> {
        if let Some(pads) = self.pads {
            return Ok((pads != [0; 4]).then(|| ("pads", pads.to_vec().into())));
        }
        if !self.same {
            return Ok(None);
        }
        let tensor = c.tensor(at)?;
        let open = tensor.signature.as_ref().is_some_and(|signature| signature.iter().skip(1).take(2).any(|&d| d < 0));
        let (&[_, height, width, _], false) = (tensor.shape.as_slice(), open) else {
            return Ok(Some(("auto_pad", "SAME_UPPER".into())));
        };
        let mut pads = vec![0i64; 4];
        for (axis, size) in [height, width].into_iter().enumerate() {
            let (stride, reach) = (self.strides[axis], self.dilations[axis] * self.kernel[axis].saturating_sub(1) + 1);
            let total = (size.div_ceil(stride).saturating_sub(1) * stride + reach).saturating_sub(size);
            pads[axis] = (total / 2) as i64;
            pads[axis + 2] = (total - total / 2) as i64;
        }
        Ok((pads != [0; 4]).then(|| ("pads", pads.into())))
    }

    fn attributes(&self, c: &Converter<'_>, at: usize) -> Result<Vec<(&'static str, Attr)>, ImportError> {
        let pair = |pair: [usize; 2]| Attr::Ints(pair.iter().map(|&size| size as i64).collect());
        let mut attributes = vec![("kernel_shape", pair(self.kernel))];
        if self.strides != [1, 1] {
            attributes.push(("strides", pair(self.strides)));
        }
        if self.dilations != [1, 1] {
            attributes.push(("dilations", pair(self.dilations)));
        }
        attributes.extend(self.padding(c, at)?);
        Ok(attributes)
    }
}

/// The dims of a weight, which have to be four.
fn weight_shape(c: &Converter<'_>, operator: &Operator, at: usize) -> Result<[usize; 4], ImportError> {
    let shape = &c.tensor(at)?.shape;
    <[usize; 4]>::try_from(shape.as_slice()).map_err(|_| {
        let (place, found) = (c.operator_place(operator), format!("a weight of shape {shape:?}"));
        ImportError::format(place, found, "a weight of rank 4", "Convert the model again.")
    })
}

/// The weight in ONNX's order of axes.
fn weight(c: &mut Converter<'_>, at: usize, axes: [usize; 4]) -> Result<String, ImportError> {
    if c.is_constant(at) {
        return c.constant(at, Some(&axes), None);
    }
    let value = c.real(at, Layout::Last)?;
    let name = c.short_name(at);
    Ok(c.builder.node(
        "Transpose",
        &[&value],
        &format!("{name}_oihw"),
        &[("perm", super::super::values::permutation(&axes))],
    ))
}

pub(super) fn note_hybrid(c: &mut Converter<'_>, x: usize, weight: usize) -> Result<(), ImportError> {
    let hybrid = c.tensor(weight)?.quantization.is_some() && c.tensor(x)?.quantization.is_none();
    let note =
        "activations of layers with 8 bit weights are float here; TensorFlow Lite quantizes them anew in every run";
    if hybrid && !c.notes.iter().any(|known| known == note) {
        c.notes.push(note.to_owned());
    }
    Ok(())
}

pub(super) fn conv(c: &mut Converter<'_>, operator: &Operator) -> Result<(), ImportError> {
    let (x, filter, y) = (input(c, operator, 0)?, input(c, operator, 1)?, output(c, operator)?);
    let [_, height, width, depth] = weight_shape(c, operator, filter)?;
    let window = Window::read(c, operator, Some([height, width]), Some([5, 4]))?;
    let activation = activation(c, operator, 3)?;
    let channels = c.tensor(x)?.shape.get(3).copied().unwrap_or(depth);
    let groups = group_count(c, operator, channels, depth)?;
    convolve(c, operator, (x, filter, y), &window, TO_FIRST, groups, activation)
}

fn group_count(c: &Converter<'_>, operator: &Operator, channels: usize, depth: usize) -> Result<usize, ImportError> {
    match channels.checked_div(depth).filter(|groups| groups.checked_mul(depth) == Some(channels) && *groups > 0) {
        Some(groups) => Ok(groups),
        None => {
            let (place, found) = (c.operator_place(operator), format!("a weight over {depth} channels"));
            let expected = format!("a divisor of the image's {channels} channels");
            Err(ImportError::format(place, found, expected, "Convert the model again."))
        }
    }
}

pub(super) fn depthwise(c: &mut Converter<'_>, operator: &Operator) -> Result<(), ImportError> {
    /// (1, H, W, channels x multiplier) to (channels x multiplier, 1, H, W).
    const AXES: [usize; 4] = [3, 0, 1, 2];
    let (x, filter, y) = (input(c, operator, 0)?, input(c, operator, 1)?, output(c, operator)?);
    let [_, height, width, depth] = weight_shape(c, operator, filter)?;
    let window = Window::read(c, operator, Some([height, width]), Some([6, 5]))?;
    let activation = activation(c, operator, 4)?;
    let channels = c.tensor(x)?.shape.get(3).copied().unwrap_or(depth);
    group_count(c, operator, depth, channels)?;
    convolve(c, operator, (x, filter, y), &window, AXES, channels, activation)
}

fn convolve(
    c: &mut Converter<'_>,
    operator: &Operator,
    (x, filter, y): (usize, usize, usize),
    window: &Window,
    axes: [usize; 4],
    groups: usize,
    activation: Activation,
) -> Result<(), ImportError> {
    let plain = window.strides == [1, 1] && window.dilations == [1, 1] && !window.same;
    if let (Some(dilated), true) = (dilation::dilated(c, operator)?.filter(|_| plain), window.pads.is_none()) {
        let window = Window { dilations: dilated.dilations, pads: Some(dilated.pads), ..*window };
        let ends = (dilated.image, filter, dilated.result);
        return convolve(c, operator, ends, &window, axes, groups, activation);
    }
    note_hybrid(c, x, filter)?;
    let mut attributes = window.attributes(c, x)?;
    if groups != 1 {
        attributes.push(("group", (groups as i64).into()));
    }
    let mut inputs = vec![c.real(x, Layout::First)?, weight(c, filter, axes)?];
    if let Some(bias) = optional(operator, 2) {
        inputs.push(c.real(bias, Layout::Last)?);
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    c.emit(y, Layout::First, activation, "Conv", &inputs, &attributes)
}

pub(super) fn transpose_conv(c: &mut Converter<'_>, operator: &Operator) -> Result<(), ImportError> {
    /// OHWI to IOHW, which ConvTranspose has.
    const AXES: [usize; 4] = [3, 0, 1, 2];
    let (filter, x, y) = (input(c, operator, 1)?, input(c, operator, 2)?, output(c, operator)?);
    let [_, height, width, _] = weight_shape(c, operator, filter)?;
    let window = Window::read(c, operator, Some([height, width]), None)?;
    let activation = activation(c, operator, 3)?;
    let (from, to) = (c.tensor(x)?.shape.clone(), c.tensor(y)?.shape.clone());
    let (&[_, from_height, from_width, _], &[_, to_height, to_width, _]) = (from.as_slice(), to.as_slice()) else {
        return Err(unsupported(c, operator, "a transposed convolution of tensors that are not of rank 4"));
    };
    let mut attributes = window.attributes(c, x)?;
    attributes.retain(|(name, _)| !matches!(*name, "pads" | "auto_pad"));
    // The output's size is given; what the full result has beyond it is cut off, the smaller half in front.
    let (mut pads, mut extra) = (vec![0i64; 4], vec![0i64; 2]);
    let sizes = [(from_height, to_height), (from_width, to_width)];
    for (axis, (from, to)) in sizes.into_iter().enumerate() {
        let full = (from as i64 - 1) * window.strides[axis] as i64 + window.kernel[axis] as i64;
        let total = full - to as i64;
        extra[axis] = (-total).max(0);
        let cut = if window.same { total.max(0) } else { 0 };
        pads[axis] = cut / 2;
        pads[axis + 2] = total.max(0) - cut / 2;
    }
    if pads != [0; 4] {
        attributes.push(("pads", pads.into()));
    }
    if extra != [0; 2] {
        attributes.push(("output_padding", extra.into()));
    }
    let mut inputs = vec![c.real(x, Layout::First)?, weight(c, filter, AXES)?];
    if let Some(bias) = optional(operator, 3) {
        inputs.push(c.real(bias, Layout::Last)?);
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    c.emit(y, Layout::First, activation, "ConvTranspose", &inputs, &attributes)
}

pub(super) fn pool(c: &mut Converter<'_>, operator: &Operator) -> Result<(), ImportError> {
    let (x, y) = (input(c, operator, 0)?, output(c, operator)?);
    let window = Window::read(c, operator, None, None)?;
    let activation = activation(c, operator, 5)?;
    let op_type = if operator.kind == "MAX_POOL_2D" { "MaxPool" } else { "AveragePool" };
    let (attributes, value) = (window.attributes(c, x)?, c.real(x, Layout::First)?);
    c.emit(y, Layout::First, activation, op_type, &[&value], &attributes)
}

pub(super) fn resize(c: &mut Converter<'_>, operator: &Operator) -> Result<(), ImportError> {
    let (x, y) = (input(c, operator, 0)?, output(c, operator)?);
    let linear = operator.kind == "RESIZE_BILINEAR";
    // RESIZE_BILINEAR keeps two fields of an older schema in front.
    let [corners, centers] = if linear { [2, 3] } else { [0, 1] };
    let (align_corners, half_pixel) = match options(c, operator)? {
        Some(table) => (table.bool(corners)?, table.bool(centers)?),
        None => (false, false),
    };
    let mut sizes = c.integers(input(c, operator, 1)?)?;
    let shape = c.tensor(x)?.shape.clone();
    let (&[batch, _, _, channels], 2) = (shape.as_slice(), sizes.len()) else {
        return Err(unsupported(c, operator, "a resize of a tensor that is not of rank 4"));
    };
    if c.tensor(x)?.signature.as_ref().and_then(|signature| signature.first()) == Some(&-1) {
        return Err(unsupported(c, operator, "a resize with an open batch size"));
    }
    sizes.splice(0..0, [batch as i64, channels as i64]);
    let transform = match (align_corners, half_pixel) {
        (true, _) => "align_corners",
        (false, true) => "half_pixel",
        (false, false) => "asymmetric",
    };
    let mut attributes: Vec<(&str, Attr)> = vec![("coordinate_transformation_mode", transform.into())];
    if linear {
        attributes.push(("mode", "linear".into()));
    } else {
        let nearest = match (align_corners, half_pixel) {
            (true, _) => "round_prefer_ceil",
            (false, true) => "floor",
            (false, false) => "floor",
        };
        // TensorFlow's half pixel centers for nearest take floor((i + 0.5) x scale), not minus a half.
        let transform = if half_pixel && !align_corners { "tf_half_pixel_for_nn" } else { transform };
        if transform == "tf_half_pixel_for_nn" {
            return Err(unsupported(c, operator, "nearest neighbours at half pixel centers"));
        }
        attributes.extend([("mode", "nearest".into()), ("nearest_mode", nearest.into())]);
    }
    let value = c.real(x, Layout::First)?;
    let sizes = c.builder.ints("sizes", &sizes).map_err(onnx)?;
    c.emit(y, Layout::First, Activation::None, "Resize", &[&value, "", "", &sizes], &attributes)
}
