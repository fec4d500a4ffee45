//! Pooling, and changes of an image's size.

use super::elementwise::requantized;
use super::{Args, Graph, Made, Refusal, reshape};
use crate::import::pytorch::python::{Py, ValueId};
use crate::onnx::{Attr, Dim};
use crate::tensor::DType;

/// The window of a pooling.
struct Window {
    kernel: Vec<i64>,
    stride: Vec<i64>,
    padding: Vec<i64>,
    dilation: Vec<i64>,
    ceil: bool,
}

impl Window {
    fn attributes(&self) -> Vec<(&'static str, Attr)> {
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
            let (known, stride, pad) = (known as i64, self.stride[axis].max(1), self.padding[axis]);
            let room = known + 2 * pad - self.dilation[axis] * (self.kernel[axis] - 1) - 1;
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

fn pool(
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

/// `adaptive_avg_pool` and `adaptive_max_pool`: to one point, or to sizes that divide the input's.
pub(super) fn adaptive(graph: &mut Graph, args: &Args, spatial: usize, average: bool) -> Made<ValueId> {
    let id = graph.operand(args.required(0, "input")?)?;
    let wanted = match args.get(1, "output_size").and_then(Py::items) {
        // `None` keeps a dim as it is.
        Some(items) => items.iter().map(Py::as_int).collect(),
        None => vec![args.int(1, "output_size")?; spatial],
    };
    let wanted = if let [single] = wanted.as_slice() { vec![*single; spatial] } else { wanted };
    if wanted.len() != spatial {
        return Err(Refusal::new(format!("a pooling to {} sizes of {spatial} dims", wanted.len())));
    }
    let (wish, name) = (if average { "adaptive_avg_pool" } else { "adaptive_max_pool" }, graph.real(id));
    if wanted.iter().all(|&size| size == Some(1)) {
        graph.learn(id, &vec![Dim::Unknown; spatial + 2]);
        let mut shape = graph.shape(id).map(<[Dim]>::to_vec).unwrap_or_default();
        let first = shape.len().saturating_sub(spatial);
        shape.iter_mut().skip(first).for_each(|dim| *dim = Dim::Known(1));
        let op = if average { "GlobalAveragePool" } else { "GlobalMaxPool" };
        let made = graph.emit(op, &[&name], wish, &[], DType::Float32, Some(shape));
        return requantized(graph, id, made, wish);
    }
    let shape = graph.shape(id).unwrap_or_default();
    let sizes: Option<Vec<i64>> =
        shape.iter().skip(2).map(|dim| dim.known().and_then(|dim| i64::try_from(dim).ok())).collect();
    let sizes = sizes.filter(|sizes| sizes.len() == spatial).ok_or_else(|| {
        Refusal::new("an adaptive pooling of an input whose size is not known: trace the model with an example input")
    })?;
    let mut kernel = Vec::new();
    for (&size, wanted) in sizes.iter().zip(&wanted) {
        match wanted.unwrap_or(size) {
            wanted if wanted > 0 && size % wanted == 0 => kernel.push(size / wanted),
            wanted => {
                return Err(Refusal::new(format!("an adaptive pooling from {size} to {wanted} points")));
            }
        }
    }
    let window =
        Window { stride: kernel.clone(), kernel, padding: vec![0; spatial], dilation: vec![1; spatial], ceil: false };
    let op = if average { "AveragePool" } else { "MaxPool" };
    pool(graph, &Py::Value(id), op, wish, &window, window.attributes())
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
