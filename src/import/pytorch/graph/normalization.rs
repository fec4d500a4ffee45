//! Batch, layer and group normalization.

use super::elementwise::{binary_node, requantized};
use super::reshape::reduce;
use super::{Args, Graph, Made, Refusal};
use crate::import::pytorch::python::{Py, ValueId};
use crate::onnx::Attr;
use crate::tensor::DType;

/// `torch.batch_norm`: input, weight, bias, running mean, running variance, training, momentum, eps.
pub(super) fn batch_norm(graph: &mut Graph, args: &Args) -> Made<ValueId> {
    if args.bool_or(5, "training", false)? {
        return Err(Refusal::new("a batch normalization in training mode: call eval() before saving"));
    }
    let tensors = [
        args.get(1, "weight"),
        args.get(2, "bias"),
        Some(args.required(3, "running_mean")?),
        Some(args.required(4, "running_var")?),
    ];
    let eps = args.float_or(7, "eps", 1e-5)?;
    normalize(graph, args.required(0, "input")?, tensors.map(Option::<&Py>::cloned), eps)
}

/// `torch.nn.functional.batch_norm`: input, running mean, running variance, weight, bias, training, momentum, eps.
pub(super) fn functional_batch_norm(graph: &mut Graph, args: &Args) -> Made<ValueId> {
    let at = |position: usize, name: &str| args.get(position, name).cloned().unwrap_or(Py::None);
    let order = [at(0, "input"), at(3, "weight"), at(4, "bias"), at(1, "running_mean"), at(2, "running_var")];
    let rest = [at(5, "training"), at(6, "momentum"), at(7, "eps")];
    batch_norm(graph, &Args::of(order.into_iter().chain(rest).collect()))
}

fn normalize(graph: &mut Graph, input: &Py, tensors: [Option<Py>; 4], eps: f64) -> Made<ValueId> {
    let id = graph.operand(input)?;
    let mean = graph.operand(tensors[2].as_ref().unwrap_or(&Py::None))?;
    let channels = graph.shape(mean).and_then(|shape| shape.first()?.known());
    let channels = channels.ok_or_else(|| Refusal::new("a batch normalization without known channels"))?;
    let mut names = vec![graph.real(id)];
    for (position, tensor) in tensors.iter().enumerate() {
        names.push(match tensor {
            Some(tensor) => {
                let id = graph.operand(tensor)?;
                graph.real(id)
            }
            None => {
                let value = if position == 0 { 1.0 } else { 0.0 };
                graph.builder.floats("batch_norm_default", &[channels], &vec![value; channels])?
            }
        });
    }
    let inputs: Vec<&str> = names.iter().map(String::as_str).collect();
    let attributes = [("epsilon", Attr::Float(eps as f32))];
    let made = graph.emit_like("BatchNormalization", &inputs, "batch_norm", &attributes, id);
    requantized(graph, id, made, "batch_norm")
}

/// `instance_norm`: input, weight, bias, running mean, running variance, whether the input's own statistics are used,
/// momentum, eps.
pub(super) fn instance_norm(graph: &mut Graph, args: &Args) -> Made<ValueId> {
    if !args.bool_or(5, "use_input_stats", true)? {
        let at = |position: usize| args.positional.get(position).cloned().unwrap_or(Py::None);
        let given = [at(0), at(1), at(2), at(3), at(4), Py::Bool(false), at(6), at(7)];
        return batch_norm(graph, &Args::of(given.into()));
    }
    let id = graph.operand(args.required(0, "input")?)?;
    let eps = args.float_or(7, "eps", 1e-5)?;
    let operands = [args.get(1, "weight").cloned(), args.get(2, "bias").cloned()];
    let mut channels = graph.shape(id).and_then(|shape| shape.get(1)?.known());
    for operand in operands.iter().flatten() {
        let operand = graph.operand(operand)?;
        channels = channels.or(graph.shape(operand).and_then(|shape| shape.first()?.known()));
    }
    let channels = channels.filter(|channels| *channels <= 1 << 16);
    let channels = channels.ok_or_else(|| Refusal::new("an instance normalization without known channels"))?;
    let mut names = vec![graph.real(id)];
    for (operand, default) in operands.iter().zip([1.0, 0.0]) {
        names.push(match operand {
            Some(operand) => {
                let operand = graph.operand(operand)?;
                graph.real(operand)
            }
            None => graph.builder.floats("instance_norm_default", &[channels], &vec![default; channels])?,
        });
    }
    let inputs: Vec<&str> = names.iter().map(String::as_str).collect();
    let attributes = [("epsilon", Attr::Float(eps as f32))];
    Ok(graph.emit_like("InstanceNormalization", &inputs, "instance_norm", &attributes, id))
}

/// `torch.nn.functional.instance_norm`: input, running mean, running variance, weight, bias, whether the input's own
/// statistics are used, momentum, eps.
pub(super) fn functional_instance_norm(graph: &mut Graph, args: &Args) -> Made<ValueId> {
    let at = |position: usize, name: &str| args.get(position, name).cloned().unwrap_or(Py::None);
    let order = [at(0, "input"), at(3, "weight"), at(4, "bias"), at(1, "running_mean"), at(2, "running_var")];
    let rest = [at(5, "use_input_stats"), at(6, "momentum"), at(7, "eps")];
    instance_norm(graph, &Args::of(order.into_iter().chain(rest).collect()))
}

/// `layer_norm`: input, normalized shape, weight, bias, eps.
pub(super) fn layer_norm(graph: &mut Graph, args: &Args) -> Made<ValueId> {
    let id = graph.operand(args.required(0, "input")?)?;
    let normalized = args.ints(1, "normalized_shape")?.unwrap_or_default();
    let count = normalized.len() as i64;
    let eps = args.float_or(4, "eps", 1e-5)?;
    let mut operands = Vec::new();
    for (position, name) in [(2, "weight"), (3, "bias")] {
        operands.push(args.get(position, name).map(|value| graph.operand(value)).transpose()?);
    }
    let shape: Vec<usize> = normalized.iter().filter_map(|&dim| usize::try_from(dim).ok()).collect();
    let size: usize = shape.iter().try_fold(1usize, |size, &dim| size.checked_mul(dim)).unwrap_or(0);
    if graph.builder.opset() >= 17 {
        let weight = match operands[0] {
            Some(weight) => graph.real(weight),
            // Sizes that no tensor of the file has are not trusted.
            None if size > 1 << 20 => return Err(Refusal::new(format!("a layer normalization over {normalized:?}"))),
            None => graph.builder.floats("layer_norm_default", &shape, &vec![1.0; size])?,
        };
        let mut names = vec![graph.real(id), weight];
        names.extend(operands[1].map(|bias| graph.real(bias)));
        let inputs: Vec<&str> = names.iter().map(String::as_str).collect();
        let attributes = [("axis", Attr::Int(-count)), ("epsilon", Attr::Float(eps as f32))];
        return Ok(graph.emit_like("LayerNormalization", &inputs, "layer_norm", &attributes, id));
    }
    let axes: Vec<i64> = (1..=count).map(|axis| -axis).rev().collect();
    let x = graph.dequantized(id);
    let mean = reduce(graph, x, "ReduceMean", Some(&axes), true, "layer_norm_mean")?;
    let centered = binary_node(graph, "Sub", x, mean, "layer_norm_centered");
    let square = binary_node(graph, "Mul", centered, centered, "layer_norm_square");
    let variance = reduce(graph, square, "ReduceMean", Some(&axes), true, "layer_norm_variance")?;
    let eps = graph.scalar(eps, DType::Float32)?;
    let sum = binary_node(graph, "Add", variance, eps, "layer_norm_sum");
    let name = graph.real(sum);
    let deviation = graph.emit_like("Sqrt", &[&name], "layer_norm_deviation", &[], sum);
    let mut made = binary_node(graph, "Div", centered, deviation, "layer_norm");
    for (op, operand) in [("Mul", operands[0]), ("Add", operands[1])] {
        if let Some(operand) = operand {
            made = binary_node(graph, op, made, operand, "layer_norm");
        }
    }
    Ok(made)
}

/// `group_norm`: input, groups, weight, bias, eps, as InstanceNormalization over groups of channels.
pub(super) fn group_norm(graph: &mut Graph, args: &Args) -> Made<ValueId> {
    let id = graph.operand(args.required(0, "input")?)?;
    let groups = args.int_or(1, "num_groups", 1)?;
    let size = usize::try_from(groups).ok().filter(|&size| (1..=1 << 16).contains(&size));
    let size = size.ok_or_else(|| Refusal::new(format!("a normalization of {groups} groups")))?;
    let (x, eps) = (graph.real(id), args.float_or(4, "eps", 1e-5)?);
    let rank = graph.rank(id).ok_or_else(|| Refusal::new("a group normalization of an input of unknown rank"))?;
    let flat = graph.builder.ints("group_norm_shape", &[0, groups, -1])?;
    let flat = graph.builder.node("Reshape", &[&x, &flat], "group_norm_groups", &[]);
    let ones = graph.builder.floats("group_norm_ones", &[size], &vec![1.0; size])?;
    let zeros = graph.builder.floats("group_norm_zeros", &[size], &vec![0.0; size])?;
    let attributes = [("epsilon", Attr::Float(eps as f32))];
    let normal = graph.builder.node("InstanceNormalization", &[&flat, &ones, &zeros], "group_norm_normal", &attributes);
    let shape = graph.builder.node("Shape", &[&x], "group_norm_back", &[]);
    let mut made = graph.emit_like("Reshape", &[&normal, &shape], "group_norm", &[], id);
    for (op, position, name) in [("Mul", 2, "weight"), ("Add", 3, "bias")] {
        let Some(operand) = args.get(position, name) else { continue };
        let operand = graph.operand(operand)?;
        let channels = graph.shape(operand).and_then(|shape| shape.first()?.known()).unwrap_or(0) as i64;
        let mut dims = vec![1i64; rank.saturating_sub(1).max(1)];
        dims[0] = channels;
        let dims = graph.builder.ints("group_norm_channels", &dims)?;
        let operand = graph.real(operand);
        let spread = graph.builder.node("Reshape", &[&operand, &dims], "group_norm_spread", &[]);
        let name = graph.real(made);
        made = graph.emit_like(op, &[&name, &spread], "group_norm", &[], made);
    }
    Ok(made)
}

/// `softmax` and `log_softmax` along a dim.
pub(super) fn softmax(graph: &mut Graph, args: &Args, op: &str, wish: &str) -> Made<ValueId> {
    let id = graph.operand(args.required(0, "input")?)?;
    let dim = match args.int(1, "dim")? {
        Some(dim) => dim,
        // What nn.Softmax() without a dim does, with a warning.
        None => match graph.rank(id) {
            Some(0 | 1 | 3) => 0,
            Some(_) => 1,
            None => return Err(Refusal::new("a softmax without a dim, of an input of unknown rank")),
        },
    };
    let name = graph.real(id);
    Ok(graph.emit_like(op, &[&name], wish, &[("axis", dim.into())], id))
}
