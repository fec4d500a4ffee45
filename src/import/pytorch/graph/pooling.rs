//! Pooling, and changes of an image's size.

use super::elementwise::requantized;
use super::{Args, Graph, Made, Refusal, reshape};
use crate::import::pytorch::python::{Py, ValueId};
use crate::onnx::{Attr, Dim};
use crate::tensor::DType;

/// The window of a pooling.
pub(super) struct Window {
    kernel: Vec<i64>,
    stride: Vec<i64>,
    padding: Vec<i64>,
    dilation: Vec<i64>,
    ceil: bool,
}

impl Window {
    /// Without padding.
    pub(super) fn plain(kernel: Vec<i64>, stride: Vec<i64>) -> Self {
        let spatial = kernel.len();
        Window { kernel, stride, padding: vec![0; spatial], dilation: vec![1; spatial], ceil: false }
    }

    pub(super) fn attributes(&self) -> Vec<(&'static str, Attr)> {
        let pads: Vec<i64> = self.padding.iter().chain(&self.padding).copied().collect();
        let mut attributes: Vec<(&str, Attr)> = vec![
            ("kernel_shape", self.kernel.clone().into()),
            ("strides", self.stride.clone().into()),
            ("pads", pads.into()),
        ];
        if self.dilation.iter().any(|&dilation| dilation != 1) {
            attributes.push(("dilations", self.dilation.clone().into()));
        }
        if self.ceil {
            attributes.push(("ceil_mode", true.into()));
        }
        attributes
    }

    /// The dims of the result. With `ceil` a last window has to start inside of the input or its front padding.
    fn shape(&self, input: Option<&[Dim]>) -> Option<Vec<Dim>> {
        let mut shape = input?.to_vec();
        let first = shape.len().checked_sub(self.kernel.len())?;
        for (axis, dim) in shape.iter_mut().skip(first).enumerate() {
            let Some(known) = dim.known() else {
                *dim = Dim::Unknown;
                continue;
            };
            let wide = |list: &[i64]| i128::from(list.get(axis).copied().unwrap_or(1));
            let (known, stride, pad) = (known as i128, wide(&self.stride).max(1), wide(&self.padding));
            let room = known + 2 * pad - wide(&self.dilation) * (wide(&self.kernel) - 1) - 1;
            let mut steps = if self.ceil { (room + stride - 1).div_euclid(stride) } else { room.div_euclid(stride) };
            if self.ceil && steps * stride >= known + pad {
                steps -= 1;
            }
            *dim = usize::try_from(steps + 1).map_or(Dim::Unknown, Dim::Known);
        }
        Some(shape)
    }
}

/// `max_pool1d/2d/3d`: input, kernel, stride, padding, dilation, ceil_mode.
pub(super) fn max_pool(graph: &mut Graph, args: &Args, spatial: usize) -> Made<ValueId> {
    let kernel = args.ints_of(1, "kernel_size", spatial, 1)?;
    let window = Window {
        stride: match args.ints(2, "stride")? {
            Some(_) => args.ints_of(2, "stride", spatial, 1)?,
            None => kernel.clone(),
        },
        kernel,
        padding: args.ints_of(3, "padding", spatial, 0)?,
        dilation: args.ints_of(4, "dilation", spatial, 1)?,
        ceil: args.bool_or(5, "ceil_mode", false)?,
    };
    pool(graph, args.required(0, "input")?, "MaxPool", "max_pool", &window, window.attributes())
}

/// `avg_pool1d/2d/3d`: input, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override.
pub(super) fn avg_pool(graph: &mut Graph, args: &Args, spatial: usize) -> Made<ValueId> {
    let kernel = args.ints_of(1, "kernel_size", spatial, 1)?;
    if args.get(6, "divisor_override").is_some() {
        return Err(Refusal::new("an average pooling with a divisor of its own"));
    }
    let window = Window {
        stride: match args.ints(2, "stride")? {
            Some(_) => args.ints_of(2, "stride", spatial, 1)?,
            None => kernel.clone(),
        },
        kernel,
        padding: args.ints_of(3, "padding", spatial, 0)?,
        dilation: vec![1; spatial],
        ceil: args.bool_or(4, "ceil_mode", false)?,
    };
    let input = args.required(0, "input")?;
    let mut attributes = window.attributes();
    if args.bool_or(5, "count_include_pad", true)? && window.padding.iter().any(|&pad| pad != 0) {
        if window.ceil {
            return padded_average(graph, input, window);
        }
        attributes.push(("count_include_pad", true.into()));
    }
    pool(graph, input, "AveragePool", "avg_pool", &window, attributes)
}

/// An average over a window that counts the padding, but not what `ceil_mode` lets it reach behind that. ONNX counts both
/// or neither: the zeros become part of the input.
fn padded_average(graph: &mut Graph, input: &Py, window: Window) -> Made<ValueId> {
    let id = graph.operand(input)?;
    let spatial = window.kernel.len();
    graph.learn(id, &vec![Dim::Unknown; spatial + 2]);
    let pads: Vec<i64> = window.padding.iter().rev().flat_map(|&pad| [pad, pad]).collect();
    let wanted = window.shape(graph.shape(id));
    let inside = Window { padding: vec![0; spatial], ..window };
    let padded = reshape::pad(graph, &Py::Value(id), &pads, "constant", 0.0)?;
    // A last window that begins in the padding behind the input is left out in PyTorch.
    if inside.shape(graph.shape(padded)) != wanted {
        return Err(Refusal::new("an average pooling whose last window lies in the padding"));
    }
    pool(graph, &Py::Value(padded), "AveragePool", "avg_pool", &inside, inside.attributes())
}

pub(super) fn pool(
    graph: &mut Graph,
    input: &Py,
    op: &str,
    wish: &str,
    window: &Window,
    attributes: Vec<(&str, Attr)>,
) -> Made<ValueId> {
    let id = graph.operand(input)?;
    graph.learn(id, &vec![Dim::Unknown; window.kernel.len() + 2]);
    let shape = window.shape(graph.shape(id));
    let name = graph.real(id);
    let made = graph.emit(op, &[&name], wish, &attributes, DType::Float32, shape);
    requantized(graph, id, made, wish)
}

/// `upsample_*` and `interpolate`.
pub(super) fn resize(
    graph: &mut Graph,
    input: &Py,
    mode: &str,
    sizes: Option<Vec<i64>>,
    scales: Option<Vec<f64>>,
    align_corners: bool,
) -> Made<ValueId> {
    let id = graph.operand(input)?;
    let (onnx_mode, coordinates) = match (mode, align_corners) {
        ("nearest", _) => ("nearest", "asymmetric"),
        ("linear" | "bilinear" | "trilinear", false) => ("linear", "pytorch_half_pixel"),
        ("linear" | "bilinear" | "trilinear", true) => ("linear", "align_corners"),
        (other, _) => return Err(Refusal::new(format!("a resize by the mode '{other}'"))),
    };
    let mut attributes: Vec<(&str, Attr)> =
        vec![("mode", onnx_mode.into()), ("coordinate_transformation_mode", coordinates.into())];
    if onnx_mode == "nearest" {
        attributes.push(("nearest_mode", "floor".into()));
    }
    let name = graph.real(id);
    let mut shape = graph.shape(id).map(<[Dim]>::to_vec);
    let made = match (sizes, scales) {
        (Some(sizes), _) => {
            let known = shape.as_deref().filter(|shape| shape.len() == sizes.len() + 2);
            let channels = known.and_then(|shape| shape.get(1)?.known());
            let channels = channels.ok_or_else(|| Refusal::new("a resize of an input of unknown channels"))?;
            // Sizes have to be whole: the batch comes from the run.
            let wanted = graph.builder.ints("resize_sizes", &sizes)?;
            let dims = graph.builder.node("Shape", &[&name], "resize_shape", &[]);
            let first = graph.builder.ints("resize_first", &[0])?;
            let batch = graph.builder.node("Gather", &[&dims, &first], "resize_batch", &[]);
            let channels = graph.builder.ints("resize_channels", &[channels as i64])?;
            let all =
                graph.builder.node("Concat", &[&batch, &channels, &wanted], "resize_all", &[("axis", 0i64.into())]);
            if let Some(shape) = &mut shape {
                for (dim, &size) in shape.iter_mut().skip(2).zip(&sizes) {
                    *dim = usize::try_from(size).map_or(Dim::Unknown, Dim::Known);
                }
            }
            graph.emit("Resize", &[&name, "", "", &all], "resize", &attributes, DType::Float32, shape)
        }
        (None, Some(scales)) => {
            let factors: Vec<f32> = [1.0, 1.0].into_iter().chain(scales.iter().map(|&scale| scale as f32)).collect();
            let factors = graph.builder.floats("resize_scales", &[factors.len()], &factors)?;
            if let Some(shape) = &mut shape {
                for (dim, &scale) in shape.iter_mut().skip(2).zip(&scales) {
                    *dim = dim.known().map_or(Dim::Unknown, |known| Dim::Known((known as f64 * scale) as usize));
                }
            }
            graph.emit("Resize", &[&name, "", &factors], "resize", &attributes, DType::Float32, shape)
        }
        (None, None) => return Err(Refusal::new("a resize with neither sizes nor scales")),
    };
    requantized(graph, id, made, "resize")
}
