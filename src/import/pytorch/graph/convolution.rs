//! Convolutions and linear layers.

use super::{Args, Graph, Made, Refusal};
use crate::import::pytorch::python::ValueId;
use crate::onnx::{Attr, Dim};
use crate::tensor::DType;

/// What a convolution does, apart from its weights.
#[derive(Clone, Debug)]
pub(in crate::import::pytorch) struct Window {
    pub stride: Vec<i64>,
    /// Before and after each axis.
    pub padding: Vec<(i64, i64)>,
    pub dilation: Vec<i64>,
    pub groups: i64,
    pub transposed: bool,
    pub output_padding: Vec<i64>,
}

/// `conv1d`, `conv2d`, `conv3d`: input, weight, bias, stride, padding, dilation, groups.
pub(super) fn conv(graph: &mut Graph, args: &Args, spatial: usize) -> Made<ValueId> {
    let padding = padding(graph, args, spatial)?;
    let window = Window {
        stride: args.ints_of(3, "stride", spatial, 1)?,
        padding,
        dilation: args.ints_of(5, "dilation", spatial, 1)?,
        groups: args.int_or(6, "groups", 1)?,
        transposed: false,
        output_padding: vec![0; spatial],
    };
    convolve(graph, args, &window)
}

/// A number, a list, or the words "same" and "valid".
fn padding(graph: &mut Graph, args: &Args, spatial: usize) -> Made<Vec<(i64, i64)>> {
    match args.text(4, "padding") {
        Some("valid") => Ok(vec![(0, 0); spatial]),
        Some("same") => {
            let weight = graph.operand(args.required(1, "weight")?)?;
            let kernel = kernel_of(graph, weight, spatial)?;
            let dilation = args.ints_of(5, "dilation", spatial, 1)?;
            // An odd rest goes behind, as PyTorch puts it.
            let total = kernel.iter().zip(&dilation).map(|(kernel, dilation)| dilation * (kernel - 1));
            Ok(total.map(|total| (total / 2, total - total / 2)).collect())
        }
        Some(other) => Err(Refusal::new(format!("the padding '{other}'"))),
        None => Ok(args.ints_of(4, "padding", spatial, 0)?.into_iter().map(|pad| (pad, pad)).collect()),
    }
}

/// `conv_transpose2d`: input, weight, bias, stride, padding, output_padding, groups, dilation.
pub(super) fn conv_transpose(graph: &mut Graph, args: &Args, spatial: usize) -> Made<ValueId> {
    let window = Window {
        stride: args.ints_of(3, "stride", spatial, 1)?,
        padding: args.ints_of(4, "padding", spatial, 0)?.into_iter().map(|pad| (pad, pad)).collect(),
        output_padding: args.ints_of(5, "output_padding", spatial, 0)?,
        groups: args.int_or(6, "groups", 1)?,
        dilation: args.ints_of(7, "dilation", spatial, 1)?,
        transposed: true,
    };
    convolve(graph, args, &window)
}

/// `_convolution`: input, weight, bias, stride, padding, dilation, transposed, output_padding, groups.
pub(super) fn convolution(graph: &mut Graph, args: &Args) -> Made<ValueId> {
    let weight = graph.operand(args.required(1, "weight")?)?;
    let spatial = graph.rank(weight).and_then(|rank| rank.checked_sub(2)).filter(|&spatial| spatial > 0);
    let spatial = spatial.ok_or_else(|| Refusal::new("a convolution whose weight has no known shape"))?;
    let window = Window {
        stride: args.ints_of(3, "stride", spatial, 1)?,
        padding: args.ints_of(4, "padding", spatial, 0)?.into_iter().map(|pad| (pad, pad)).collect(),
        dilation: args.ints_of(5, "dilation", spatial, 1)?,
        transposed: args.bool_or(6, "transposed", false)?,
        output_padding: args.ints_of(7, "output_padding", spatial, 0)?,
        groups: args.int_or(8, "groups", 1)?,
    };
    convolve(graph, args, &window)
}

fn convolve(graph: &mut Graph, args: &Args, window: &Window) -> Made<ValueId> {
    let input = graph.operand(args.required(0, "input")?)?;
    let weight = graph.operand(args.required(1, "weight")?)?;
    let bias = args.get(2, "bias").map(|bias| graph.operand(bias)).transpose()?;
    node(graph, input, weight, bias, window)
}

/// The sizes of a convolution's kernel.
fn kernel_of(graph: &Graph, weight: ValueId, spatial: usize) -> Made<Vec<i64>> {
    let shape = graph.shape(weight).filter(|shape| shape.len() == spatial + 2);
    let kernel: Option<Vec<i64>> =
        shape.and_then(|shape| shape.get(2..)?.iter().map(|dim| dim.known().map(|dim| dim as i64)).collect());
    kernel.ok_or_else(|| Refusal::new("a convolution whose kernel has no known size"))
}

/// Conv or ConvTranspose on real numbers.
pub(super) fn node(
    graph: &mut Graph,
    input: ValueId,
    weight: ValueId,
    bias: Option<ValueId>,
    window: &Window,
) -> Made<ValueId> {
    let spatial = window.stride.len();
    let kernel = kernel_of(graph, weight, spatial)?;
    let dim_of = |graph: &Graph, axis: usize| {
        graph.shape(weight).and_then(|shape| shape.get(axis)?.known()).unwrap_or(0) as i64 * window.groups.max(1)
    };
    let known = |size: i64| usize::try_from(size).map_or(Dim::Unknown, Dim::Known);
    // (out, in / groups, ..), transposed (in, out / groups, ..).
    let groups = window.groups.max(1);
    let (channels_in, channels_out) = match window.transposed {
        true => (dim_of(graph, 0) / groups, dim_of(graph, 1)),
        false => (dim_of(graph, 1), dim_of(graph, 0) / groups),
    };
    let mut expected = vec![Dim::Unknown; spatial + 2];
    expected[1] = known(channels_in);
    graph.learn(input, &expected);
    let mut shape: Vec<Dim> = graph.shape(input).map_or(expected, <[Dim]>::to_vec);
    if shape.len() != spatial + 2 {
        return Err(Refusal::new(format!("a convolution of an input of rank {}", shape.len())));
    }
    shape[1] = known(channels_out);
    for axis in 0..spatial {
        // Sizes are a file's own words: computed so that none of them overflows.
        let wide = |list: &[i64]| i128::from(list.get(axis).copied().unwrap_or(1));
        let reach = wide(&window.dilation) * (wide(&kernel) - 1) + 1;
        let (before, after) = window.padding[axis];
        let padding = i128::from(before) + i128::from(after);
        let size = shape[2 + axis].known().map(|dim| match window.transposed {
            true => (dim as i128 - 1) * wide(&window.stride) - padding + reach + wide(&window.output_padding),
            false => (dim as i128 + padding - reach).div_euclid(wide(&window.stride).max(1)) + 1,
        });
        shape[2 + axis] = size.and_then(|size| usize::try_from(size).ok()).map_or(Dim::Unknown, Dim::Known);
    }
    let pads: Vec<i64> = window.padding.iter().map(|pad| pad.0).chain(window.padding.iter().map(|pad| pad.1)).collect();
    let mut attributes: Vec<(&str, Attr)> = vec![
        ("kernel_shape", kernel.into()),
        ("strides", window.stride.clone().into()),
        ("pads", pads.into()),
        ("dilations", window.dilation.clone().into()),
        ("group", window.groups.into()),
    ];
    let op = match window.transposed {
        true => {
            attributes.push(("output_padding", window.output_padding.clone().into()));
            "ConvTranspose"
        }
        false => "Conv",
    };
    let mut inputs = vec![graph.real(input), graph.real(weight)];
    inputs.extend(bias.map(|bias| graph.real(bias)));
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let wish = if window.transposed { "conv_transpose" } else { "conv" };
    Ok(graph.emit(op, &inputs, wish, &attributes, DType::Float32, Some(shape)))
}

/// `linear`: input, weight of (out, in), bias.
pub(super) fn linear(graph: &mut Graph, args: &Args) -> Made<ValueId> {
    let input = graph.operand(args.required(0, "input")?)?;
    let weight = graph.operand(args.required(1, "weight")?)?;
    let bias = args.get(2, "bias").map(|bias| graph.operand(bias)).transpose()?;
    linear_node(graph, input, weight, bias)
}

/// Gemm where the input is a matrix, else a product with the weight transposed and a sum.
pub(super) fn linear_node(graph: &mut Graph, input: ValueId, weight: ValueId, bias: Option<ValueId>) -> Made<ValueId> {
    let weight_shape = graph.shape(weight).map(<[Dim]>::to_vec).unwrap_or_default();
    let [out, features] = weight_shape.as_slice() else {
        return Err(Refusal::new("a linear layer whose weight is no matrix"));
    };
    let (out, features) = (out.clone(), features.clone());
    if graph.shape(input).is_none() {
        graph.note(super::MATRIX);
    }
    let mut expected = vec![Dim::Unknown; graph.rank(input).unwrap_or(2)];
    if let Some(last) = expected.last_mut() {
        *last = features;
    }
    graph.learn(input, &expected);
    let mut shape = graph.shape(input).map(<[Dim]>::to_vec).unwrap_or_default();
    let rank = shape.len();
    if let Some(last) = shape.last_mut() {
        *last = out;
    }
    let (x, w) = (graph.real(input), graph.real(weight));
    let b = bias.map(|bias| graph.real(bias));
    if rank == 2 {
        let mut inputs = vec![x.as_str(), w.as_str()];
        inputs.extend(b.as_deref());
        return Ok(graph.emit("Gemm", &inputs, "linear", &[("transB", 1.into())], DType::Float32, Some(shape)));
    }
    let transposed = graph.builder.node("Transpose", &[&w], &format!("{w}_transposed"), &[("perm", vec![1, 0].into())]);
    let product = graph.emit("MatMul", &[&x, &transposed], "linear", &[], DType::Float32, Some(shape));
    let Some(b) = b else { return Ok(product) };
    let name = graph.real(product);
    Ok(graph.emit_like("Add", &[&name, &b], "linear_bias", &[], product))
}

/// `addmm`: summand, left, right, beta, alpha.
pub(super) fn addmm(graph: &mut Graph, args: &Args) -> Made<ValueId> {
    let summand = graph.operand(args.required(0, "input")?)?;
    let left = graph.operand(args.required(1, "mat1")?)?;
    let right = graph.operand(args.required(2, "mat2")?)?;
    let (beta, alpha) = (args.float_or(3, "beta", 1.0)?, args.float_or(4, "alpha", 1.0)?);
    let shape = match (graph.shape(left), graph.shape(right)) {
        (Some([rows, _]), Some([_, columns])) => Some(vec![rows.clone(), columns.clone()]),
        _ => None,
    };
    let names = [graph.real(left), graph.real(right), graph.real(summand)];
    let attributes = [("alpha", Attr::Float(alpha as f32)), ("beta", Attr::Float(beta as f32))];
    let inputs: Vec<&str> = names.iter().map(String::as_str).collect();
    Ok(graph.emit("Gemm", &inputs, "addmm", &attributes, DType::Float32, shape))
}

/// `matmul`, `mm`, `bmm`.
pub(super) fn matmul(graph: &mut Graph, args: &Args) -> Made<ValueId> {
    let left = graph.operand(args.required(0, "input")?)?;
    let right = graph.operand(args.required(1, "other")?)?;
    let shape = product_shape(graph, left, right);
    let names = (graph.real(left), graph.real(right));
    Ok(graph.emit("MatMul", &[&names.0, &names.1], "matmul", &[], DType::Float32, shape))
}

/// The dims of a matrix product.
pub(super) fn product_shape(graph: &Graph, left: ValueId, right: ValueId) -> Option<Vec<Dim>> {
    let (left, right) = (graph.shape(left)?, graph.shape(right)?);
    let ([batch @ .., rows, _], [_, columns]) = (left, right) else {
        return (left.len() == right.len() && left.len() > 2)
            .then(|| left.iter().take(left.len() - 1).chain(right.last()).cloned().collect());
    };
    Some(batch.iter().chain([rows, columns]).cloned().collect())
}
