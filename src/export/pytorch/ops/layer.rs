//! Convolutions and matrix products.

use super::arguments;
use crate::export::pytorch::code;
use crate::export::pytorch::emit::Emitter;
use crate::export::pytorch::error::Refusal;
use crate::export::pytorch::pads::{MOST, Pads, Window, explicit};
use crate::onnx::proto::NodeProto;
use crate::onnx::{Dim, NodeExt};
use crate::tensor::{DType, Tensor};

pub(super) fn node(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<bool, Refusal> {
    match node.op_type() {
        "Conv" => conv(emitter, node)?,
        "ConvTranspose" => conv_transpose(emitter, node)?,
        "Gemm" => gemm(emitter, node)?,
        "MatMul" => matmul(emitter, node)?,
        "Einsum" => einsum(emitter, node)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// Types that torch's modules have parameters of.
fn is_parameter(tensor: &Tensor) -> bool {
    matches!(tensor.dtype(), DType::Float32 | DType::Float64 | DType::Float16 | DType::Bfloat16)
}

/// A module's dtype, said where it is not the default.
pub(super) fn dtype_argument(tensor: &Tensor) -> Option<(&'static str, String)> {
    let name = code::torch_type(tensor.dtype())?;
    (tensor.dtype() != DType::Float32).then(|| ("dtype", name.to_owned()))
}

/// The dims of a weight, known from its constant or from the graph.
fn weight_dims(emitter: &Emitter<'_>, node: &NodeProto) -> Result<Vec<i64>, Refusal> {
    let dims = emitter.shape(node, 1).and_then(|dims| dims.iter().map(Dim::known).collect::<Option<Vec<_>>>());
    let dims = dims.ok_or("a weight whose shape is not known")?;
    Ok(dims.into_iter().map(|dim| dim as i64).collect())
}

fn kernel(node: &NodeProto, weight: &[i64]) -> Result<Vec<i64>, Refusal> {
    let spatial = weight.get(2..).unwrap_or_default();
    match node.ints("kernel_shape") {
        [] => Ok(spatial.to_vec()),
        given if given == spatial => Ok(given.to_vec()),
        given => Err(format!("kernel_shape {given:?} with a weight of {weight:?}").into()),
    }
}

/// The constant weight and bias of a layer, where both can be a module's.
fn parameters(emitter: &Emitter<'_>, node: &NodeProto) -> Option<(Tensor, Option<Tensor>)> {
    let weight = emitter.constant_input(node, 1).filter(is_parameter)?;
    match node.input_name(2) {
        None => Some((weight, None)),
        Some(_) => {
            let bias = emitter.constant_input(node, 2).filter(|bias| bias.dtype() == weight.dtype())?;
            Some((weight, Some(bias)))
        }
    }
}

fn how(window: &Window, padding: &[i64], group: i64) -> Vec<(&'static str, String)> {
    let mut how = Vec::new();
    let mut add = |name, values: &[i64], default: i64| {
        if values.iter().any(|&value| value != default) {
            how.push((name, code::size(values)));
        }
    };
    add("stride", &window.strides, 1);
    add("padding", padding, 0);
    add("dilation", &window.dilations, 1);
    add("groups", &[group], 1);
    how
}

fn conv(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<(), Refusal> {
    let dims = weight_dims(emitter, node)?;
    let window = Window::read(emitter, node, kernel(node, &dims)?)?;
    let group = node.int("group").unwrap_or(1);
    let (Some(&out), Some(&depth)) = (dims.first(), dims.get(1)) else {
        return Err(format!("a weight of shape {dims:?}").into());
    };
    let axes = window.kernel.len();
    let (name, image) = (emitter.name_of(node), emitter.input(node, 0)?);
    let (image, padding) = window.padded(emitter, image, &name, "0.0");
    let mut how = how(&window, &padding, group);
    let expression = match parameters(emitter, node) {
        Some((weight, bias)) => {
            if bias.is_none() {
                how.push(("bias", "False".to_owned()));
            }
            how.extend(dtype_argument(&weight));
            let channels = depth.checked_mul(group).ok_or("a weight of more channels than can be counted")?;
            let sizes = format!("{channels}, {out}, {}", code::size(&window.kernel));
            let constructor = format!("nn.Conv{axes}d({})", joined(&sizes, &how));
            let bias = bias.map(|bias| ("bias", bias));
            emitter.module_of(&name, &constructor, std::iter::once(("weight", weight)).chain(bias).collect());
            format!("self.{name}({image})")
        }
        None => {
            let (weight, bias) = (emitter.input(node, 1)?, emitter.optional(node, 2)?);
            format!("F.conv{axes}d({})", joined(&format!("{image}, {weight}, {bias}"), &how))
        }
    };
    emitter.assign(node, 0, &name, &expression);
    Ok(())
}

fn joined(first: &str, rest: &[(&str, String)]) -> String {
    if rest.is_empty() { first.to_owned() } else { format!("{first}, {}", arguments(rest)) }
}

fn conv_transpose(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<(), Refusal> {
    let dims = weight_dims(emitter, node)?;
    let mut window = Window::read(emitter, node, kernel(node, &dims)?)?;
    let axes = window.kernel.len();
    let (Some(&channels), Some(&depth)) = (dims.first(), dims.get(1)) else {
        return Err(format!("a weight of shape {dims:?}").into());
    };
    let group = node.int("group").unwrap_or(1);
    let extra = match node.ints("output_padding") {
        [] => vec![0; axes],
        given if given.len() == axes && given.iter().all(|extra| (0..=MOST).contains(extra)) => given.to_vec(),
        given => return Err(format!("output_padding {given:?} of a window of {axes} axes").into()),
    };
    window.pads = cut(emitter, node, &window, &extra)?;
    let (name, image) = (emitter.name_of(node), emitter.input(node, 0)?);
    let small = extra.iter().zip(window.strides.iter().zip(&window.dilations)).all(|(e, (s, d))| e < s.max(d));
    let expression = match (&window.pads, parameters(emitter, node)) {
        (Pads::Even(pads), Some((weight, bias))) if small => {
            let mut how = how(&window, pads, group);
            if extra.iter().any(|&extra| extra != 0) {
                how.push(("output_padding", code::size(&extra)));
            }
            if bias.is_none() {
                how.push(("bias", "False".to_owned()));
            }
            how.extend(dtype_argument(&weight));
            let out = depth.checked_mul(group).ok_or("a weight of more channels than can be counted")?;
            let sizes = format!("{channels}, {out}, {}", code::size(&window.kernel));
            let constructor = format!("nn.ConvTranspose{axes}d({})", joined(&sizes, &how));
            let bias = bias.map(|bias| ("bias", bias));
            emitter.module_of(&name, &constructor, std::iter::once(("weight", weight)).chain(bias).collect());
            format!("self.{name}({image})")
        }
        (pads, _) => {
            let (begin, end) = match pads {
                Pads::Even(pads) => (pads.clone(), pads.clone()),
                Pads::Uneven(begin, end) => (begin.clone(), end.clone()),
                Pads::Same(_) => return Err("auto_pad of an image whose size is not known".into()),
            };
            let how = how(&window, &vec![0; axes], group);
            let (weight, bias) = (emitter.input(node, 1)?, emitter.optional(node, 2)?);
            let helper = emitter.helper("_conv_transpose");
            let sides = [&begin, &end, &extra].map(|side| code::list(side)).join(", ");
            let first = format!("{image}, {weight}, {bias}, F.conv_transpose{axes}d, {sides}");
            format!("{helper}({})", joined(&first, &how))
        }
    };
    emitter.assign(node, 0, &name, &expression);
    Ok(())
}

/// What is cut off a full transposed convolution: `pads`, or what `output_shape` or `auto_pad` asks for.
fn cut(emitter: &Emitter<'_>, node: &NodeProto, window: &Window, extra: &[i64]) -> Result<Pads, Refusal> {
    let axes = window.kernel.len();
    let auto = node.string("auto_pad").unwrap_or("NOTSET");
    let wanted = node.ints("output_shape");
    if wanted.is_empty() && !matches!(auto, "SAME_UPPER" | "SAME_LOWER") {
        return if auto == "VALID" { Ok(Pads::Even(vec![0; axes])) } else { explicit(node.ints("pads"), axes) };
    }
    let wanted = wanted.get(wanted.len().saturating_sub(axes)..).unwrap_or_default();
    let image = emitter.shape(node, 0).map(|dims| dims.iter().skip(2).map(Dim::known).collect::<Vec<_>>());
    let (mut begin, mut end) = (Vec::new(), Vec::new());
    for (axis, ((&extra, &stride), (kernel, dilation))) in
        extra.iter().zip(&window.strides).zip(window.kernel.iter().zip(&window.dilations)).enumerate()
    {
        let reach = (kernel - 1) * dilation + 1;
        let total = match wanted.get(axis) {
            None => extra + reach - stride,
            Some(wanted) => {
                let size = image.as_ref().and_then(|image| image.get(axis).copied().flatten());
                let size = size.ok_or("output_shape for an image whose size is not known")?;
                (stride.saturating_mul(size as i64 - 1) + extra + reach).saturating_sub(*wanted)
            }
        };
        let total = if wanted.is_empty() { total.max(0) } else { total };
        let half = total.div_euclid(2);
        let (less, more) = (half, total - half);
        begin.push(if auto == "SAME_UPPER" { less } else { more });
        end.push(if auto == "SAME_UPPER" { more } else { less });
    }
    let even = begin == end && begin.iter().all(|&pad| pad >= 0);
    Ok(if even { Pads::Even(begin) } else { Pads::Uneven(begin, end) })
}

fn linear(emitter: &mut Emitter<'_>, name: &str, weight: Tensor, bias: Option<Tensor>) -> Result<String, Refusal> {
    let &[out, depth] = weight.shape() else { return Err("a weight that is no matrix".into()) };
    let mut how = Vec::new();
    if bias.is_none() {
        how.push(("bias", "False".to_owned()));
    }
    how.extend(dtype_argument(&weight));
    let constructor = format!("nn.Linear({})", joined(&format!("{depth}, {out}"), &how));
    let bias = bias.map(|bias| ("bias", bias));
    emitter.module_of(name, &constructor, std::iter::once(("weight", weight)).chain(bias).collect());
    Ok(format!("self.{name}"))
}

fn gemm(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<(), Refusal> {
    let (alpha, beta) = (node.float("alpha").unwrap_or(1.0), node.float("beta").unwrap_or(1.0));
    let transposed = |name: &str| node.int(name).unwrap_or(0) != 0;
    let (trans_a, trans_b) = (transposed("transA"), transposed("transB"));
    let name = emitter.name_of(node);
    let mut a = emitter.input(node, 0)?;
    if trans_a {
        a = format!("{a}.T");
    }
    let layer = parameters(emitter, node).filter(|(weight, bias)| {
        let out = weight.shape().get(usize::from(!trans_b)).copied().unwrap_or(0);
        let fits = bias.as_ref().is_none_or(|bias| bias.shape() == [out] || bias.shape() == [1, out]);
        weight.shape().len() == 2 && fits && alpha == 1.0 && beta == 1.0
    });
    let expression = match layer {
        Some((weight, bias)) => {
            let weight = if trans_b { weight } else { weight.permuted(&[1, 0])? };
            let bias = bias.map(|bias| bias.reshaped(vec![bias.len()])).transpose()?;
            format!("{}({a})", linear(emitter, &name, weight, bias)?)
        }
        None => {
            let b = emitter.input(node, 1)?;
            let b = if trans_b { format!("{b}.T") } else { b };
            let factor = if alpha == 1.0 { String::new() } else { format!("{} * ", code::float(alpha)) };
            let product = format!("{factor}({a} @ {b})");
            match (node.input_name(2), beta == 1.0) {
                (None, _) => product,
                (Some(_), true) => format!("{product} + {}", emitter.input(node, 2)?),
                (Some(_), false) => format!("{product} + {} * {}", code::float(beta), emitter.input(node, 2)?),
            }
        }
    };
    emitter.assign(node, 0, &name, &expression);
    Ok(())
}

fn matmul(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<(), Refusal> {
    let a = emitter.input(node, 0)?;
    let weight = emitter.constant_input(node, 1).filter(|weight| is_parameter(weight) && weight.shape().len() == 2);
    let Some(weight) = weight else {
        let (name, b) = (emitter.name_of(node), emitter.input(node, 1)?);
        emitter.assign(node, 0, &name, &format!("{a} @ {b}"));
        return Ok(());
    };
    // A sum behind it that is a bias becomes the layer's.
    let out = weight.shape().get(1).copied().unwrap_or(0);
    let sum =
        emitter.only_reader(node).filter(|(_, reader)| reader.op_type() == "Add" && reader.domain_name().is_empty());
    let sum = sum.and_then(|(at, reader)| {
        let other = usize::from(reader.input_name(0) == node.output_name(0));
        let bias = emitter.constant_input(reader, other)?;
        (bias.shape() == [out] && bias.dtype() == weight.dtype()).then_some((at, reader, bias))
    });
    let name = emitter.name_of(node);
    let weight = weight.permuted(&[1, 0])?;
    match sum {
        Some((at, reader, bias)) => {
            let layer = linear(emitter, &name, weight, Some(bias))?;
            emitter.absorb(at);
            emitter.assign(reader, 0, &name, &format!("{layer}({a})"));
        }
        None => {
            let layer = linear(emitter, &name, weight, None)?;
            emitter.assign(node, 0, &name, &format!("{layer}({a})"));
        }
    }
    Ok(())
}

fn einsum(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<(), Refusal> {
    let equation: String = node.string("equation").unwrap_or_default().chars().filter(|c| *c != ' ').collect();
    if !equation.chars().all(|c| c.is_ascii_alphabetic() || matches!(c, ',' | '.' | '-' | '>')) {
        return Err("an equation that is none".into());
    }
    let inputs = (0..node.input.len()).map(|at| emitter.input(node, at)).collect::<Result<Vec<_>, _>>()?;
    let name = emitter.name_of(node);
    emitter.assign(node, 0, &name, &format!("torch.einsum({}, {})", code::text(&equation), inputs.join(", ")));
    Ok(())
}
