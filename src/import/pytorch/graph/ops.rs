//! Which operation of PyTorch becomes what: by the name it has in the code.

use super::elementwise::{binary, clip, divide, gated, gelu, hardswish, prelu, sum, unary};
use super::normalization::{
    batch_norm, functional_batch_norm, functional_instance_norm, group_norm, instance_norm, layer_norm, softmax,
};
use super::reshape::{self, Parts};
use super::{Args, Graph, Made, Refusal, adaptive, convolution, pooling, quantized};
use crate::import::pytorch::dtype::TorchType;
use crate::import::pytorch::python::{Py, ValueId};
use crate::onnx::{Attr, Dim};
use crate::tensor::DType;

/// What stands before the names of operations.
const PREFIXES: [&str; 11] = [
    "torch.ops.",
    "ops.",
    "torch._C._nn.",
    "torch._C._VariableFunctionsClass.",
    "torch._C._VariableFunctions.",
    "torch.nn.functional.",
    "torch.functional.",
    "torch.",
    "_operator.",
    "operator.",
    "aten.",
];

/// Makes the nodes of an operation; `None` where it is not known.
pub(in crate::import::pytorch) fn call(graph: &mut Graph, full_name: &str, args: &Args) -> Made<Option<Py>> {
    let mut name = full_name;
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)) {
        name = rest;
    }
    let functional = full_name.starts_with("torch.nn.functional.");
    if let Some(name) = name.strip_prefix("quantized.") {
        return quantized_call(graph, name.split('.').next().unwrap_or(name), args);
    }
    // Overloads stand behind a dot: `add.Tensor`.
    let name = name.split('.').next().unwrap_or(name);
    if functional && name == "batch_norm" {
        return functional_batch_norm(graph, args).map(|id| Some(Py::Value(id)));
    }
    if functional && name == "instance_norm" {
        return functional_instance_norm(graph, args).map(|id| Some(Py::Value(id)));
    }
    if functional && name == "embedding" {
        let swapped = [args.required(1, "weight")?.clone(), args.required(0, "input")?.clone()];
        return plain_call(graph, "embedding", &Args::of(swapped.into()));
    }
    // In place: what the name meant is changed from now on.
    if let Some(plain) = name.strip_suffix('_').filter(|plain| !plain.is_empty() && !plain.ends_with('_')) {
        let made = plain_call(graph, plain, args)?;
        if let (Some(Py::Value(old)), Some(Py::Value(new))) = (args.positional.first(), &made) {
            let old = graph.current(*old);
            graph.replace(old, *new);
        }
        return Ok(made);
    }
    plain_call(graph, name, args)
}

/// A list given as one argument or as all the arguments from a position on: `view(2, -1)`, `view([2, -1])`.
fn rest(args: &Args, position: usize, name: &str) -> Vec<Py> {
    let listed = args.get(position, name).and_then(Py::items);
    listed.unwrap_or_else(|| args.positional.iter().skip(position).cloned().collect())
}

fn ints(values: &[Py]) -> Made<Vec<i64>> {
    let int = |value: &Py| value.as_int().ok_or_else(|| Refusal::new(format!("{} as a number", value.describe())));
    values.iter().map(int).collect()
}

fn items(args: &Args, name: &str) -> Made<Vec<Py>> {
    let list = args.required(0, name)?;
    list.items().ok_or_else(|| Refusal::new(format!("{} where a list of tensors is expected", list.describe())))
}

fn values(ids: Vec<ValueId>) -> Py {
    Py::tuple(ids.into_iter().map(Py::Value).collect())
}

/// ONNX operators that are called alike and take nothing but their input.
const SAME: [(&str, &str); 26] = [
    ("relu", "Relu"),
    ("sigmoid", "Sigmoid"),
    ("tanh", "Tanh"),
    ("selu", "Selu"),
    ("softsign", "Softsign"),
    ("sqrt", "Sqrt"),
    ("exp", "Exp"),
    ("log", "Log"),
    ("abs", "Abs"),
    ("neg", "Neg"),
    ("reciprocal", "Reciprocal"),
    ("floor", "Floor"),
    ("ceil", "Ceil"),
    ("round", "Round"),
    ("sign", "Sign"),
    ("erf", "Erf"),
    ("sin", "Sin"),
    ("cos", "Cos"),
    ("tan", "Tan"),
    ("asin", "Asin"),
    ("acos", "Acos"),
    ("atan", "Atan"),
    ("sinh", "Sinh"),
    ("cosh", "Cosh"),
    ("logical_not", "Not"),
    ("isnan", "IsNaN"),
];

fn plain_call(graph: &mut Graph, name: &str, args: &Args) -> Made<Option<Py>> {
    if let Some((_, op)) = SAME.iter().find(|row| row.0 == name) {
        let input = args.required(0, "input")?;
        if let (Py::Value(id), "sigmoid" | "tanh") = (input, name)
            && graph.value(graph.current(*id)).quant.is_some()
        {
            // Fixed parameters, as ATen has them for quantized inputs.
            let (scale, zero_point) = if name == "tanh" { (2.0 / 256.0, 128) } else { (1.0 / 256.0, 0) };
            let params = quantized::per_tensor(scale, zero_point, DType::Uint8)?;
            return quantized::unary_to(graph, args, (op, name), &[], params).map(|id| Some(Py::Value(id)));
        }
        return unary(graph, input, op, name, &[]).map(|id| Some(Py::Value(id)));
    }
    let input = || args.required(0, "input");
    let float = |value: f64| Attr::Float(value as f32);
    let id = match name {
        "conv1d" => convolution::conv(graph, args, 1)?,
        "conv2d" => convolution::conv(graph, args, 2)?,
        "conv3d" => convolution::conv(graph, args, 3)?,
        "conv_transpose1d" => convolution::conv_transpose(graph, args, 1)?,
        "conv_transpose2d" => convolution::conv_transpose(graph, args, 2)?,
        "conv_transpose3d" => convolution::conv_transpose(graph, args, 3)?,
        "_convolution" | "convolution" => convolution::convolution(graph, args)?,
        "_convolution_mode" => {
            let weight = graph.operand(args.required(1, "weight")?)?;
            convolution::conv(graph, args, graph.rank(weight).unwrap_or(4).saturating_sub(2))?
        }
        "linear" => convolution::linear(graph, args)?,
        "addmm" => convolution::addmm(graph, args)?,
        "matmul" | "mm" | "bmm" => convolution::matmul(graph, args)?,
        "batch_norm" => batch_norm(graph, args)?,
        "instance_norm" => instance_norm(graph, args)?,
        "layer_norm" => layer_norm(graph, args)?,
        "group_norm" => group_norm(graph, args)?,
        "add" => sum(graph, args, "Add", "add")?,
        "sub" | "subtract" => sum(graph, args, "Sub", "sub")?,
        "rsub" => {
            let swapped = [args.required(1, "other")?.clone(), input()?.clone()];
            sum(graph, &Args::of(swapped.into()), "Sub", "rsub")?
        }
        "mul" | "multiply" => binary(graph, args, "Mul", "mul")?,
        "div" | "divide" | "truediv" | "true_divide" => divide(graph, args)?,
        "pow" => binary(graph, args, "Pow", "pow")?,
        "square" => {
            let id = graph.operand(input()?)?;
            let x = graph.real(id);
            graph.emit_like("Mul", &[&x, &x], "square", &[], id)
        }
        "rsqrt" => {
            let root = unary(graph, input()?, "Sqrt", "rsqrt_root", &[])?;
            unary(graph, &Py::Value(root), "Reciprocal", "rsqrt", &[])?
        }
        "maximum" | "max"
            if args.get(1, "other").is_some_and(|other| matches!(other, Py::Value(_) | Py::Tensor(_))) =>
        {
            binary(graph, args, "Max", "maximum")?
        }
        "minimum" | "min"
            if args.get(1, "other").is_some_and(|other| matches!(other, Py::Value(_) | Py::Tensor(_))) =>
        {
            binary(graph, args, "Min", "minimum")?
        }
        "relu6" => clip(graph, input()?, Some(0.0), Some(6.0), "relu6")?,
        "hardtanh" => {
            let (low, high) = (args.float_or(1, "min_val", -1.0)?, args.float_or(2, "max_val", 1.0)?);
            clip(graph, input()?, Some(low), Some(high), "hardtanh")?
        }
        "clamp" | "clip" => clip(graph, input()?, args.float(1, "min")?, args.float(2, "max")?, "clamp")?,
        "clamp_min" => clip(graph, input()?, args.float(1, "min")?, None, "clamp")?,
        "clamp_max" => clip(graph, input()?, None, args.float(1, "max")?, "clamp")?,
        "leaky_relu" => {
            let slope = args.float_or(1, "negative_slope", 0.01)?;
            unary(graph, input()?, "LeakyRelu", "leaky_relu", &[("alpha", float(slope))])?
        }
        "elu" => {
            if args.float_or(2, "scale", 1.0)? != 1.0 || args.float_or(3, "input_scale", 1.0)? != 1.0 {
                return Err(Refusal::new("an ELU with scales"));
            }
            unary(graph, input()?, "Elu", "elu", &[("alpha", float(args.float_or(1, "alpha", 1.0)?))])?
        }
        "log_sigmoid" | "logsigmoid" => {
            // -softplus(-x), which stays finite where the sigmoid is 0.
            let minus = unary(graph, input()?, "Neg", "log_sigmoid_minus", &[])?;
            let plus = unary(graph, &Py::Value(minus), "Softplus", "log_sigmoid_plus", &[])?;
            unary(graph, &Py::Value(plus), "Neg", "log_sigmoid", &[])?
        }
        "celu" => unary(graph, input()?, "Celu", "celu", &[("alpha", float(args.float_or(1, "alpha", 1.0)?))])?,
        "softplus" if args.float_or(1, "beta", 1.0)? == 1.0 => unary(graph, input()?, "Softplus", "softplus", &[])?,
        "hardsigmoid" => {
            let attributes = [("alpha", float(1.0 / 6.0)), ("beta", float(0.5))];
            unary(graph, input()?, "HardSigmoid", "hardsigmoid", &attributes)?
        }
        "hardswish" => hardswish(graph, input()?)?,
        "silu" => gated(graph, input()?, &["Sigmoid"], "silu")?,
        "mish" => gated(graph, input()?, &["Softplus", "Tanh"], "mish")?,
        "gelu" => gelu(graph, args)?,
        "prelu" | "_prelu_kernel" => prelu(graph, args)?,
        "softmax" | "_softmax" => softmax(graph, args, "Softmax", "softmax")?,
        "log_softmax" | "_log_softmax" => softmax(graph, args, "LogSoftmax", "log_softmax")?,
        "max_pool1d" => pooling::max_pool(graph, args, 1)?,
        "max_pool2d" | "quantized_max_pool2d" => pooling::max_pool(graph, args, 2)?,
        "max_pool3d" => pooling::max_pool(graph, args, 3)?,
        "max_pool2d_with_indices" => {
            return Ok(Some(Py::tuple(vec![Py::Value(pooling::max_pool(graph, args, 2)?), Py::unknown("indices")])));
        }
        "avg_pool1d" => pooling::avg_pool(graph, args, 1)?,
        "avg_pool2d" => pooling::avg_pool(graph, args, 2)?,
        "avg_pool3d" => pooling::avg_pool(graph, args, 3)?,
        "adaptive_avg_pool1d" => adaptive::adaptive(graph, args, 1, true)?,
        "adaptive_avg_pool2d" | "_adaptive_avg_pool2d" => adaptive::adaptive(graph, args, 2, true)?,
        "adaptive_avg_pool3d" => adaptive::adaptive(graph, args, 3, true)?,
        "adaptive_max_pool1d" => adaptive::adaptive(graph, args, 1, false)?,
        "adaptive_max_pool2d" => adaptive::adaptive(graph, args, 2, false)?,
        "upsample_nearest1d" | "upsample_nearest2d" | "upsample_nearest3d" => {
            pooling::resize(graph, input()?, "nearest", args.ints(1, "output_size")?, floats(args, 2), false)?
        }
        "upsample_linear1d" | "upsample_bilinear2d" | "upsample_trilinear3d" => {
            let align = args.bool_or(2, "align_corners", false)?;
            pooling::resize(graph, input()?, "linear", args.ints(1, "output_size")?, floats(args, 3), align)?
        }
        "interpolate" => interpolate(graph, args)?,
        "embedding" => {
            let (weight, indices) = (graph.operand(args.required(0, "weight")?)?, args.required(1, "indices")?);
            let indices = graph.operand(indices)?;
            graph.learn_integer(indices);
            let shape = match (graph.shape(weight), graph.shape(indices)) {
                (Some([_, width]), Some(dims)) => Some(dims.iter().cloned().chain([width.clone()]).collect()),
                _ => None,
            };
            let names = (graph.real(weight), graph.real(indices));
            graph.emit("Gather", &[&names.0, &names.1], "embedding", &[("axis", 0i64.into())], DType::Float32, shape)
        }
        "pixel_shuffle" => {
            let attributes = [("blocksize", args.int_or(1, "upscale_factor", 1)?.into()), ("mode", "CRD".into())];
            let id = graph.operand(input()?)?;
            graph.learn(id, &vec![Dim::Unknown; 4]);
            let batch = graph.shape(id).and_then(|shape| shape.first().cloned()).unwrap_or(Dim::Unknown);
            let shape = vec![batch, Dim::Unknown, Dim::Unknown, Dim::Unknown];
            let name = graph.real(id);
            graph.emit("DepthToSpace", &[&name], "pixel_shuffle", &attributes, DType::Float32, Some(shape))
        }
        "flatten" => reshape::flatten(graph, args)?,
        "reshape" | "view" | "_unsafe_view" => reshape::reshape(graph, input()?, &rest(args, 1, "shape"))?,
        "unflatten" => {
            let id = graph.operand(input()?)?;
            let at = reshape::axis(graph, id, args.int_or(1, "dim", 0)?)?;
            let old = graph.shape(id).map(<[Dim]>::to_vec).unwrap_or_default();
            let mut dims: Vec<Py> = (0..at).map(|axis| Py::Size(id, axis)).collect();
            dims.extend(args.required(2, "sizes")?.items().unwrap_or_default());
            for dim in old.iter().skip(at + 1) {
                dims.push(dim.known().map_or(Py::Int(-1), |dim| Py::Int(dim as i64)));
            }
            reshape::reshape(graph, input()?, &dims)?
        }
        "permute" => reshape::permute(graph, input()?, &ints(&rest(args, 1, "dims"))?)?,
        "transpose" | "swapaxes" => reshape::transpose(graph, args)?,
        "t" | "numpy_T" => reshape::permute(graph, input()?, &[1, 0])?,
        "unsqueeze" => reshape::squeeze(graph, args, true)?,
        "squeeze" => reshape::squeeze(graph, args, false)?,
        "cat" | "concat" | "concatenate" => join(graph, args)?,
        "stack" => reshape::stack(graph, &items(args, "tensors")?, args.int_or(1, "dim", 0)?)?,
        "chunk" => {
            let (count, along) = (args.int_or(1, "chunks", 1)?, args.int_or(2, "dim", 0)?);
            let sizes = reshape::part_sizes(graph, input()?, along, Parts::Count(count))?;
            return Ok(Some(values(reshape::split(graph, input()?, &sizes, along)?)));
        }
        "split" | "split_with_sizes" | "unsafe_split" => {
            let along = args.int_or(2, "dim", 0)?;
            let sizes = match args.required(1, "split_size")?.items() {
                Some(sizes) => ints(&sizes)?,
                None => {
                    let size = args.int_or(1, "split_size", 1)?;
                    reshape::part_sizes(graph, input()?, along, Parts::Size(size))?
                }
            };
            return Ok(Some(values(reshape::split(graph, input()?, &sizes, along)?)));
        }
        "unbind" => {
            let along = args.int_or(1, "dim", 0)?;
            let sizes = reshape::part_sizes(graph, input()?, along, Parts::Size(1))?;
            let parts = (0..sizes.len() as i64).map(|index| reshape::select(graph, input()?, along, index));
            return Ok(Some(values(parts.collect::<Made<Vec<ValueId>>>()?)));
        }
        "slice" => {
            let (start, end) = (args.int(2, "start")?, args.int(3, "end")?);
            reshape::slice(graph, input()?, args.int_or(1, "dim", 0)?, start, end, args.int_or(4, "step", 1)?)?
        }
        "select" => reshape::select(graph, input()?, args.int_or(1, "dim", 0)?, args.int_or(2, "index", 0)?)?,
        "narrow" => {
            let (start, length) = (args.int_or(2, "start", 0)?, args.int_or(3, "length", 0)?);
            reshape::slice(graph, input()?, args.int_or(1, "dim", 0)?, Some(start), Some(start + length), 1)?
        }
        "pad" | "constant_pad_nd" => {
            let (mode, at) =
                if name == "pad" { (args.text(2, "mode").unwrap_or("constant"), 3) } else { ("constant", 2) };
            let pads = args.ints(1, "pad")?.unwrap_or_default();
            reshape::pad(graph, input()?, &pads, mode, args.float_or(at, "value", 0.0)?)?
        }
        "reflection_pad1d" | "reflection_pad2d" => {
            reshape::pad(graph, input()?, &args.ints(1, "padding")?.unwrap_or_default(), "reflect", 0.0)?
        }
        "replication_pad1d" | "replication_pad2d" => {
            reshape::pad(graph, input()?, &args.ints(1, "padding")?.unwrap_or_default(), "replicate", 0.0)?
        }
        "mean" | "sum" | "amax" | "amin" => reduction(graph, name, args)?,
        "expand_as" | "type_as" => graph.operand(input()?)?,
        "float" => reshape::cast(graph, input()?, DType::Float32)?,
        "long" => reshape::cast(graph, input()?, DType::Int64)?,
        "to" | "_to_copy" => return convert(graph, args),
        "contiguous"
        | "clone"
        | "detach"
        | "dropout"
        | "feature_dropout"
        | "alpha_dropout"
        | "dropout2d"
        | "feature_alpha_dropout"
        | "identity"
        | "alias"
        | "lift_fresh_copy"
        | "positive" => graph.operand(input()?)?,
        "torchvision_ops_stochastic_depth_stochastic_depth" | "stochastic_depth" => {
            if args.bool_or(3, "training", true)? && args.float_or(1, "p", 0.0)? != 0.0 {
                return Err(Refusal::new("a stochastic depth in training mode: call eval() before saving"));
            }
            graph.operand(input()?)?
        }
        "quantize_per_tensor" => return quantized::quantize_per_tensor(graph, args).map(Some),
        "quantize_per_channel" => return quantized::quantize_per_channel(graph, args).map(Some),
        "dequantize" => {
            let id = graph.operand(args.required(0, "input")?)?;
            graph.dequantized(id)
        }
        _ => return Ok(None),
    };
    Ok(Some(Py::Value(id)))
}

/// `cat`: of quantized tensors with the parameters of the first one.
fn join(graph: &mut Graph, args: &Args) -> Made<ValueId> {
    let parts = items(args, "tensors")?;
    let first = graph.operand(parts.first().unwrap_or(&Py::None))?;
    if graph.value(first).quant.is_some() {
        return quantized::cat(graph, &Args::of(args.positional.iter().take(2).cloned().collect()), false);
    }
    reshape::concat(graph, &parts, args.int_or(1, "dim", 0)?, "cat")
}

fn reduction(graph: &mut Graph, name: &str, args: &Args) -> Made<ValueId> {
    let op = match name {
        "mean" => "ReduceMean",
        "sum" => "ReduceSum",
        "amax" => "ReduceMax",
        _ => "ReduceMin",
    };
    let id = graph.operand(args.required(0, "input")?)?;
    // `mean(x, dtype=..)` has no dims.
    let axes = args.ints(1, "dim")?;
    reshape::reduce(graph, id, op, axes.as_deref(), args.bool_or(2, "keepdim", false)?, name)
}

/// `to`: only a change of the element type means anything here.
fn convert(graph: &mut Graph, args: &Args) -> Made<Option<Py>> {
    let input = args.required(0, "input")?;
    let wanted = args.positional.iter().skip(1).chain(args.named.iter().map(|(_, value)| value));
    let mut dtype = None;
    for value in wanted {
        dtype = dtype.or(match value {
            Py::Name(name) => TorchType::of_name(name),
            Py::Int(number) => TorchType::of_number(*number),
            _ => None,
        });
    }
    let id = match dtype {
        Some(found) if !found.quantized => reshape::cast(graph, input, found.dtype)?,
        _ => graph.operand(input)?,
    };
    Ok(Some(Py::Value(id)))
}

/// A list of floats, or one; `None` where it is left out.
fn floats(args: &Args, position: usize) -> Option<Vec<f64>> {
    let found = args.get(position, "scale_factors")?;
    match found.items() {
        Some(items) => items.iter().map(Py::as_float).collect(),
        // scales_h, scales_w as arguments of their own.
        None => args.positional.iter().skip(position).map(Py::as_float).collect(),
    }
}

/// `torch.nn.functional.interpolate`: input, size, scale_factor, mode, align_corners.
fn interpolate(graph: &mut Graph, args: &Args) -> Made<ValueId> {
    let id = graph.operand(args.required(0, "input")?)?;
    let spatial = graph.rank(id).and_then(|rank| rank.checked_sub(2)).unwrap_or(2);
    let sizes = args.ints(1, "size")?.map(|sizes| match sizes.as_slice() {
        [single] => vec![*single; spatial],
        _ => sizes,
    });
    let scales = args.get(2, "scale_factor").map(|scale| match scale.items() {
        Some(items) => items.iter().filter_map(Py::as_float).collect(),
        None => vec![scale.as_float().unwrap_or(1.0); spatial],
    });
    let mode = args.text(3, "mode").unwrap_or("nearest").to_owned();
    let align = args.bool_or(4, "align_corners", false)?;
    pooling::resize(graph, &Py::Value(id), &mode, sizes, scales, align)
}

fn quantized_call(graph: &mut Graph, name: &str, args: &Args) -> Made<Option<Py>> {
    let (plain, relu) = match name.strip_suffix("_relu") {
        Some(plain) if !plain.is_empty() && plain != "leaky" => (plain, true),
        _ => (name, false),
    };
    let float = |value: f64| Attr::Float(value as f32);
    let id = match plain {
        "conv1d" | "conv2d" | "conv3d" | "conv_transpose1d" | "conv_transpose2d" | "conv_transpose3d" => {
            quantized::conv(graph, args, relu, plain.ends_with("1d"))?
        }
        "linear" => quantized::linear(graph, args, relu)?,
        "linear_dynamic" => quantized::linear_dynamic(graph, args, relu)?,
        "add" | "add_out" | "add_scalar" => quantized::binary(graph, args, "Add", relu)?,
        "mul" | "mul_out" | "mul_scalar" => quantized::binary(graph, args, "Mul", relu)?,
        "matmul" => quantized::matmul(graph, args)?,
        "cat" => quantized::cat(graph, args, relu)?,
        "relu6" => clip(graph, args.required(0, "qx")?, Some(0.0), Some(6.0), "relu6")?,
        "softmax" => {
            let params = quantized::params_at(args, 2, 3)?;
            let attributes = [("axis", args.int_or(1, "dim", -1)?.into())];
            quantized::unary_to(graph, args, ("Softmax", "softmax"), &attributes, params)?
        }
        "sigmoid" => quantized::unary_to(graph, args, ("Sigmoid", "sigmoid"), &[], quantized::params_at(args, 1, 2)?)?,
        "hardswish" => {
            let params = quantized::params_at(args, 1, 2)?;
            let id = graph.operand(args.required(0, "input")?)?;
            let real = graph.dequantized(id);
            let made = hardswish(graph, &Py::Value(real))?;
            graph.quantize(made, params, "hardswish")?
        }
        "leaky_relu" => {
            let params = quantized::params_at(args, 3, 4)?;
            let attributes = [("alpha", float(args.float_or(1, "negative_slope", 0.01)?))];
            quantized::unary_to(graph, args, ("LeakyRelu", "leaky_relu"), &attributes, params)?
        }
        "elu" => {
            let params = quantized::params_at(args, 1, 2)?;
            let attributes = [("alpha", float(args.float_or(3, "alpha", 1.0)?))];
            quantized::unary_to(graph, args, ("Elu", "elu"), &attributes, params)?
        }
        "celu" => {
            let params = quantized::params_at(args, 1, 2)?;
            let attributes = [("alpha", float(args.float_or(3, "alpha", 1.0)?))];
            quantized::unary_to(graph, args, ("Celu", "celu"), &attributes, params)?
        }
        "instance_norm" => {
            // input, weight, bias, eps, scale, zero point
            let at = |position: usize| args.positional.get(position).cloned().unwrap_or(Py::None);
            let input = graph.operand(&at(0))?;
            let real = Py::Value(graph.dequantized(input));
            let own = [real, at(1), at(2), Py::None, Py::None, Py::Bool(true), Py::None, at(3)];
            let made = instance_norm(graph, &Args::of(own.into()))?;
            graph.quantize(made, quantized::params_at(args, 4, 5)?, "instance_norm")?
        }
        "batch_norm1d" | "batch_norm2d" | "batch_norm3d" | "batch_norm" => {
            // input, weight, bias, mean, variance, eps, scale, zero point
            let at = |position: usize| args.positional.get(position).cloned().unwrap_or(Py::None);
            let input = graph.operand(&at(0))?;
            let real = Py::Value(graph.dequantized(input));
            let plain = [real, at(1), at(2), at(3), at(4), Py::Bool(false), Py::Float(0.1), at(5)];
            let params = quantized::params_at(args, 6, 7)?;
            let mut made = batch_norm(graph, &Args::of(plain.into()))?;
            if relu && params.zero_point.first() != Some(&0) {
                made = unary(graph, &Py::Value(made), "Relu", "relu", &[])?;
            }
            graph.quantize(made, params, "batch_norm")?
        }
        _ => return Ok(None),
    };
    Ok(Some(Py::Value(id)))
}
