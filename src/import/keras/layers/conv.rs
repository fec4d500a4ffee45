//! Convolutions of one to three axes.

use super::activation;
use crate::import::ImportError;
use crate::import::keras::context::{Context, Spatial};
use crate::import::keras::lowering::Foldable;
use crate::import::keras::stop::{Stop, unsupported};
use crate::import::keras::value::Value;
use crate::import::keras::window::{Axis, Padding};
use crate::onnx::Attr;
use crate::tensor::Tensor;

/// The window attributes of a layer.
pub(super) struct Window {
    pub kernel: Vec<usize>,
    pub strides: Vec<usize>,
    pub dilations: Vec<usize>,
    pub padding: Padding,
}

impl Window {
    /// Reads `kernel_size`, `strides`, `dilation_rate` and `padding`.
    pub fn of(context: &Context, axes: usize) -> Result<Self, Stop> {
        let config = context.config;
        Ok(Window {
            kernel: config.sizes("kernel_size", axes, 1, None)?,
            strides: config.sizes("strides", axes, 1, Some(1))?,
            dilations: config.sizes("dilation_rate", axes, 1, Some(1))?,
            padding: padding(context)?,
        })
    }

    /// The axes with the sizes of an input.
    pub fn axes(&self, dims: &[Option<usize>]) -> Vec<Axis> {
        let sizes = self.kernel.iter().zip(&self.strides).zip(&self.dilations).zip(dims);
        sizes.map(|(((&kernel, &stride), &dilation), &size)| Axis { size, kernel, stride, dilation }).collect()
    }

    /// Output dims and the attributes that every window operator has: `strides`, `kernel_shape`, `dilations`, and
    /// `pads`, or `auto_pad` where the padding depends on an open dim.
    pub fn place(&self, context: &Context, dims: &[Option<usize>]) -> Result<(Vec<Option<usize>>, Attributes), Stop> {
        let axes = self.axes(dims);
        let outputs: Option<Vec<Option<usize>>> = axes.iter().map(|axis| axis.outputs(self.padding)).collect();
        let outputs = outputs.ok_or_else(|| {
            Stop::Broken(ImportError::format(
                format!("layer '{}'", context.path),
                format!("an input of size {dims:?}"),
                format!("one that a window of {:?} fits into", self.kernel),
                "The model's configuration is damaged: save the model again.",
            ))
        })?;
        let mut attributes = vec![
            ("kernel_shape", ints(&self.kernel)),
            ("strides", ints(&self.strides)),
            ("dilations", ints(&self.dilations)),
        ];
        let pads: Option<Vec<(usize, usize)>> = axes.iter().map(|axis| axis.pads(self.padding)).collect();
        attributes.push(match pads {
            Some(pads) => ("pads", pads_attribute(&pads)),
            // What ONNX calls SAME_UPPER is TensorFlow's rule, computed when the size is known.
            None => ("auto_pad", "SAME_UPPER".into()),
        });
        Ok((outputs, attributes))
    }
}

/// Attributes of a node.
pub(super) type Attributes = Vec<(&'static str, Attr)>;

pub(super) fn ints(sizes: &[usize]) -> Attr {
    Attr::Ints(sizes.iter().map(|&size| size as i64).collect())
}

pub(super) fn pads_attribute(pads: &[(usize, usize)]) -> Attr {
    let before = pads.iter().map(|pad| pad.0 as i64);
    Attr::Ints(before.chain(pads.iter().map(|pad| pad.1 as i64)).collect())
}

/// Reads `padding`.
pub(super) fn padding(context: &Context) -> Result<Padding, Stop> {
    match context.config.text("padding", "valid")?.to_ascii_lowercase().as_str() {
        "valid" => Ok(Padding::Valid),
        "same" => Ok(Padding::Same),
        "causal" => Ok(Padding::Causal),
        _ => Err(context.config.wrong("padding", "valid, same or causal")),
    }
}

/// The bias of a layer as an initializer.
fn bias(context: &mut Context, position: usize, channels: usize) -> Result<Option<String>, Stop> {
    if !context.config.bool("use_bias", true)? {
        return Ok(None);
    }
    context.constant("bias", |context| context.required(&["bias", "b"], position, &[Some(channels)])).map(Some)
}

/// A convolution node with its weights; `linear` tells that nothing follows, so that a normalization may be folded in.
fn convolve(
    context: &mut Context,
    input: &Spatial,
    op_type: &str,
    weight: &str,
    bias: Option<&str>,
    attributes: &[(&str, Attr)],
) -> String {
    let mut inputs = vec![input.name.as_str(), weight];
    inputs.extend(bias);
    context.node(op_type, &inputs, op_type, attributes)
}

fn with_activation(context: &mut Context, value: Value, foldable: Foldable) -> Result<Vec<Value>, Stop> {
    let function = activation::of_layer(context)?;
    if function.is_none() && context.once {
        context.low.foldable.insert(value.name.clone(), foldable);
    }
    Ok(vec![activation::apply(context, &value, function)?])
}

/// The axes of a Keras kernel (spatial ..., in, out) as ONNX wants them (out, in, spatial ...).
fn kernel_axes(axes: usize) -> Vec<usize> {
    [axes + 1, axes].into_iter().chain(0..axes).collect()
}

/// The kernel of a convolution as (spatial ..., in, out), which only Keras 1 stored in other ways: with one more axis
/// for one dimension, (out, in, spatial ...) for channels first, and turned around under Theano, whose convolution is
/// a true one.
fn stored_kernel(context: &mut Context, shape: &[Option<usize>]) -> Result<Tensor, Stop> {
    const NAMES: [&str; 2] = ["kernel", "W"];
    if context.low.major != 1 {
        return context.required(&NAMES, 0, shape);
    }
    let axes = shape.len() - 2;
    let mut kernel = if axes == 1 {
        let with_axis: Vec<Option<usize>> =
            shape.iter().take(1).chain(&[Some(1)]).chain(&shape[1..]).copied().collect();
        let kernel = context.required(&NAMES, 0, &with_axis)?;
        let dims = kernel.shape().iter().enumerate().filter(|(axis, _)| *axis != 1).map(|(_, dim)| *dim).collect();
        kernel.reshaped(dims)?
    } else if context.is_channels_first()? {
        let moved: Vec<Option<usize>> = shape.iter().rev().take(2).chain(&shape[..axes]).copied().collect();
        let order: Vec<usize> = (2..shape.len()).chain([1, 0]).collect();
        Context::permuted(&context.required(&NAMES, 0, &moved)?, &order)?
    } else {
        context.required(&NAMES, 0, shape)?
    };
    if context.low.backend == "theano" {
        // Turning every spatial axis around reverses the order of the windows' elements.
        let inner: usize = kernel.shape().iter().skip(axes).product();
        let values = kernel.to_f32()?;
        let turned: Vec<f32> = values.rchunks(inner.max(1)).flatten().copied().collect();
        kernel = Tensor::from_vec(kernel.shape().to_vec(), turned)?;
    }
    Ok(kernel)
}

/// `Conv1D`, `Conv2D`, `Conv3D`.
pub(super) fn conv(context: &mut Context, inputs: &[Value], axes: usize) -> Result<Vec<Value>, Stop> {
    let window = Window::of(context, axes)?;
    let input = context.single(inputs)?;
    let input = context.spatial(input, axes)?;
    let filters = context.config.count("filters")?;
    let groups = context.config.count_or("groups", 1)?;
    let per_group = input.channels.map(|channels| channels / groups);
    if filters % groups != 0 || input.channels.is_some_and(|channels| channels % groups != 0) {
        return Err(context.config.wrong("groups", "a divisor of the channels in and out"));
    }
    let weight = context.constant("kernel", |context| {
        let shape: Vec<Option<usize>> =
            window.kernel.iter().map(|&size| Some(size)).chain([per_group, Some(filters)]).collect();
        let kernel = stored_kernel(context, &shape)?;
        Context::permuted(&kernel, &kernel_axes(axes))
    })?;
    let bias = bias(context, 1, filters)?;
    let (dims, mut attributes) = window.place(context, &input.dims)?;
    attributes.push(("group", (groups as i64).into()));
    let name = convolve(context, &input, "Conv", &weight, bias.as_deref(), &attributes);
    let value = input.result(name, dims, Some(filters));
    with_activation(context, value, Foldable { weight, axis: 0, bias, bias_is_input: true })
}

/// The kernel of a depthwise convolution (spatial ..., in, multiplier) as (in x multiplier, 1, spatial ...).
fn depthwise_kernel(
    context: &mut Context,
    names: &[&str],
    window: &Window,
    channels: Option<usize>,
    multiplier: usize,
) -> Result<Tensor, Stop> {
    let axes = window.kernel.len();
    let shape: Vec<Option<usize>> =
        window.kernel.iter().map(|&size| Some(size)).chain([channels, Some(multiplier)]).collect();
    let kernel = context.required(names, 0, &shape)?;
    let order: Vec<usize> = [axes, axes + 1].into_iter().chain(0..axes).collect();
    let moved = Context::permuted(&kernel, &order)?;
    let outputs = moved.shape().iter().take(2).product();
    let shape = [outputs, 1].into_iter().chain(window.kernel.iter().copied()).collect();
    Ok(moved.reshaped(shape)?)
}

/// Channels of the input: the graph's, or the kernel's behind a layer that is not known.
fn channels(context: &mut Context, input: &Spatial, names: &[&str], axes: usize) -> Result<usize, Stop> {
    match input.channels {
        Some(channels) => Ok(channels),
        None => Ok(context.required(names, 0, &vec![None; axes + 2])?.shape().get(axes).copied().unwrap_or(1)),
    }
}

/// `DepthwiseConv1D`, `DepthwiseConv2D`.
pub(super) fn depthwise(context: &mut Context, inputs: &[Value], axes: usize) -> Result<Vec<Value>, Stop> {
    const NAMES: [&str; 2] = ["depthwise_kernel", "kernel"];
    let window = Window::of(context, axes)?;
    let input = context.single(inputs)?;
    let input = context.spatial(input, axes)?;
    let multiplier = context.config.count_or("depth_multiplier", 1)?;
    let channels = channels(context, &input, &NAMES, axes)?;
    let outputs = channels.saturating_mul(multiplier);
    let weight =
        context.constant("kernel", |context| depthwise_kernel(context, &NAMES, &window, Some(channels), multiplier))?;
    let bias = bias(context, 1, outputs)?;
    let (dims, mut attributes) = window.place(context, &input.dims)?;
    attributes.push(("group", (channels as i64).into()));
    let name = convolve(context, &input, "Conv", &weight, bias.as_deref(), &attributes);
    let value = input.result(name, dims, Some(outputs));
    with_activation(context, value, Foldable { weight, axis: 0, bias, bias_is_input: true })
}

/// `SeparableConv1D`, `SeparableConv2D`: a depthwise convolution and one with a window of 1.
pub(super) fn separable(context: &mut Context, inputs: &[Value], axes: usize) -> Result<Vec<Value>, Stop> {
    const NAMES: [&str; 1] = ["depthwise_kernel"];
    let window = Window::of(context, axes)?;
    let input = context.single(inputs)?;
    let input = context.spatial(input, axes)?;
    let multiplier = context.config.count_or("depth_multiplier", 1)?;
    let filters = context.config.count("filters")?;
    let channels = channels(context, &input, &NAMES, axes)?;
    let between = channels.saturating_mul(multiplier);
    let depthwise = context.constant("depthwise_kernel", |context| {
        depthwise_kernel(context, &NAMES, &window, Some(channels), multiplier)
    })?;
    let (dims, mut attributes) = window.place(context, &input.dims)?;
    attributes.push(("group", (channels as i64).into()));
    let middle = context.node("Conv", &[&input.name, &depthwise], "depthwise", &attributes);
    let weight = context.constant("pointwise_kernel", |context| {
        let shape: Vec<Option<usize>> = vec![Some(1); axes].into_iter().chain([Some(between), Some(filters)]).collect();
        let kernel = context.required(&["pointwise_kernel"], 1, &shape)?;
        Context::permuted(&kernel, &kernel_axes(axes))
    })?;
    let bias = bias(context, 2, filters)?;
    let middle = Spatial { name: middle, ..input };
    let ones = vec![1usize; axes];
    let attributes: Attributes = vec![("kernel_shape", ints(&ones)), ("strides", ints(&ones))];
    let name = convolve(context, &middle, "Conv", &weight, bias.as_deref(), &attributes);
    let value = middle.result(name, dims, Some(filters));
    with_activation(context, value, Foldable { weight, axis: 0, bias, bias_is_input: true })
}

/// `Conv1DTranspose`, `Conv2DTranspose`, `Conv3DTranspose`.
pub(super) fn transposed(context: &mut Context, inputs: &[Value], axes: usize) -> Result<Vec<Value>, Stop> {
    let window = Window::of(context, axes)?;
    if window.padding == Padding::Causal {
        return unsupported("causal padding of a transposed convolution");
    }
    let input = context.single(inputs)?;
    let input = context.spatial(input, axes)?;
    let filters = context.config.count("filters")?;
    let output_padding = match context.config.get("output_padding") {
        Some(_) => Some(context.config.sizes("output_padding", axes, 0, None)?),
        None => None,
    };
    // (spatial ..., out, in) to (in, out, spatial ...)
    let weight = context.constant("kernel", |context| {
        let shape: Vec<Option<usize>> =
            window.kernel.iter().map(|&size| Some(size)).chain([Some(filters), input.channels]).collect();
        let kernel = context.required(&["kernel", "W"], 0, &shape)?;
        Context::permuted(&kernel, &kernel_axes(axes))
    })?;
    let bias = bias(context, 1, filters)?;
    let (mut dims, mut pads, mut added) = (Vec::new(), Vec::new(), Vec::new());
    for (position, axis) in window.axes(&input.dims).iter().enumerate() {
        let output_padding = output_padding.as_ref().and_then(|list| list.get(position)).copied();
        let (outputs, pad, behind) = axis.transposed(window.padding, output_padding);
        dims.push(outputs);
        pads.push(pad);
        added.push(behind);
    }
    let mut attributes: Attributes = vec![
        ("kernel_shape", ints(&window.kernel)),
        ("strides", ints(&window.strides)),
        ("dilations", ints(&window.dilations)),
        ("pads", pads_attribute(&pads)),
    ];
    if added.iter().any(|&behind| behind > 0) {
        attributes.push(("output_padding", ints(&added)));
    }
    let name = convolve(context, &input, "ConvTranspose", &weight, bias.as_deref(), &attributes);
    let value = input.result(name, dims, Some(filters));
    with_activation(context, value, Foldable { weight, axis: 1, bias, bias_is_input: true })
}
