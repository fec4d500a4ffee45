//! Normalizations, and scaling of inputs.

use crate::import::keras::context::Context;
use crate::import::keras::lowering::Foldable;
use crate::import::keras::stop::{Stop, unsupported};
use crate::import::keras::value::{Layout, Value};
use crate::onnx::{Attr, tensor_from_proto, tensor_to_proto};
use crate::tensor::Tensor;

/// The axis of a normalization, from 0; -1 where the rank is not known.
fn axis_of(context: &Context, value: &Value) -> Result<i64, Stop> {
    let axes = context.config.axes("axis", &[-1])?;
    let [axis] = axes.as_slice() else {
        return unsupported(format!("the axes {axes:?}"));
    };
    let Some(rank) = value.rank().map(|rank| rank as i64) else { return Ok(*axis) };
    if !(-rank..rank).contains(axis) || axis.rem_euclid(rank) == 0 {
        return Err(context.config.wrong("axis", "an axis of the input behind the batch"));
    }
    Ok(axis.rem_euclid(rank))
}

/// `BatchNormalization` as it runs after training: `y = x * scale + offset` with `scale = gamma / sqrt(variance +
/// epsilon)` and `offset = beta - mean * scale`, or both folded into the layer before.
pub(super) fn batch(context: &mut Context, inputs: &[Value]) -> Result<Vec<Value>, Stop> {
    let value = context.single(inputs)?;
    let value = context.float(value);
    let axis = axis_of(context, &value)?;
    let channels = match axis {
        -1 => None,
        axis => value.shape.as_ref().and_then(|shape| shape.get(axis as usize).copied().flatten()),
    };
    let epsilon = context.config.float("epsilon", 1e-3)? as f32;
    let (has_scale, has_center) = (context.config.bool("scale", true)?, context.config.bool("center", true)?);
    let first = usize::from(has_scale) + usize::from(has_center);
    let shape = [channels];
    let mean = context.required(&["moving_mean", "running_mean"], first, &shape)?.to_f32()?;
    let shape = [Some(mean.len())];
    let variance = context.required(&["moving_variance", "running_std"], first + 1, &shape)?.to_f32()?;
    let gamma = if has_scale { Some(context.required(&["gamma"], 0, &shape)?.to_f32()?) } else { None };
    let beta = match has_center {
        true => Some(context.required(&["beta"], usize::from(has_scale), &shape)?.to_f32()?),
        false => None,
    };
    let gamma_at = |at: usize| gamma.as_ref().and_then(|gamma| gamma.get(at)).copied().unwrap_or(1.0);
    let moved = variance.iter().map(|variance| variance + epsilon).enumerate();
    // As tf2onnx folds, bit for bit.
    let divided: Vec<f32> = moved.clone().map(|(at, variance)| gamma_at(at) / variance.sqrt()).collect();
    // As TensorFlow multiplies: by the reciprocal root.
    let scale: Vec<f32> = moved.map(|(at, variance)| 1.0 / variance.sqrt() * gamma_at(at)).collect();
    let offset_of = |at: usize, mean: f32, scale: f32| {
        beta.as_ref().and_then(|beta| beta.get(at)).copied().unwrap_or(0.0) - mean * scale
    };
    if let Some(folded) = fold(context, &value, axis, &divided, &mean, beta.as_deref())? {
        return Ok(vec![folded]);
    }
    let offset: Vec<f32> =
        mean.iter().zip(&scale).enumerate().map(|(at, (&mean, &scale))| offset_of(at, mean, scale)).collect();
    let key = format!("{:?}", value.layout);
    let multiplier = context.constant(&format!("scale_{key}"), |context| {
        context.along(&value, axis, &Tensor::from_vec(vec![scale.len()], scale)?)
    })?;
    let offset = context.constant(&format!("offset_{key}"), |context| {
        context.along(&value, axis, &Tensor::from_vec(vec![offset.len()], offset)?)
    })?;
    let scaled = context.node("Mul", &[&value.name, &multiplier], "Mul", &[]);
    let name = context.node("Add", &[&scaled, &offset], "Add", &[]);
    Ok(vec![value.named(name)])
}

/// Changes weight and bias of the layer that makes the value; `None` where that is not possible or not wanted.
fn fold(
    context: &mut Context,
    value: &Value,
    axis: i64,
    scale: &[f32],
    mean: &[f32],
    beta: Option<&[f32]>,
) -> Result<Option<Value>, Stop> {
    // The channels of the layer before have to be the normalized axis.
    let channel_axis = match value.layout {
        Layout::ChannelsFirst => Some(1),
        Layout::AsIs => value.rank().map(|rank| if rank == 2 { 1 } else { -1 }),
    };
    let physical = value.physical_axis(axis);
    if !context.low.fold_batch_norm || physical.is_none() {
        return Ok(None);
    }
    let Some(site) = context.low.foldable.get(&value.name).cloned() else { return Ok(None) };
    if context.low.is_read_elsewhere(&value.name) {
        return Ok(None);
    }
    // A convolution of a channels-first model has its channels on axis 1 too; a dense layer on the last one.
    let expected = if site.bias_is_input { Some(1) } else { channel_axis.filter(|&axis| axis > 0) };
    if physical != expected || (site.bias.is_none() && !site.bias_is_input) {
        return Ok(None);
    }
    let Some(weight) = initializer(context, &site.weight)? else { return Ok(None) };
    if weight.shape().get(site.axis) != Some(&scale.len()) {
        return Ok(None);
    }
    let bias = match &site.bias {
        Some(bias) => initializer(context, bias)?.map(|bias| bias.to_f32()).transpose()?,
        None => None,
    };
    let weight = scaled(&weight, site.axis, scale)?;
    replace(context, &site.weight, &weight);
    let shifted: Vec<f32> = mean
        .iter()
        .zip(scale)
        .enumerate()
        .map(|(at, (mean, scale))| {
            let bias = bias.as_ref().and_then(|bias| bias.get(at)).copied().unwrap_or(0.0);
            (bias - mean) * scale + beta.and_then(|beta| beta.get(at)).copied().unwrap_or(0.0)
        })
        .collect();
    let shifted = Tensor::from_vec(vec![shifted.len()], shifted)?;
    match &site.bias {
        Some(bias) => replace(context, bias, &shifted),
        None => {
            let name = context.low.builder.initializer(&format!("{}/bias", context.path), &shifted);
            let nodes = &mut context.low.builder.graph_mut().node;
            let maker = nodes.iter_mut().rev().find(|node| node.output.contains(&value.name));
            if let Some(maker) = maker {
                maker.input.truncate(2);
                maker.input.push(name);
            }
        }
    }
    Ok(Some(moved(context, value, site)))
}

/// The value of the layer before under this layer's name: its own result is nowhere in the model.
fn moved(context: &mut Context, value: &Value, site: Foldable) -> Value {
    context.low.folded += 1;
    context.low.foldable.remove(&value.name);
    let new = context.low.builder.unique(&context.path);
    for node in context.low.builder.graph_mut().node.iter_mut().rev() {
        if let Some(output) = node.output.iter_mut().find(|output| **output == value.name) {
            output.clone_from(&new);
            break;
        }
    }
    for layer in &mut context.low.layers {
        layer.values.retain(|name| *name != value.name);
    }
    // Another normalization may follow.
    context.low.foldable.insert(new.clone(), site);
    value.named(new)
}

fn initializer(context: &Context, name: &str) -> Result<Option<Tensor>, Stop> {
    let found = context.low.builder.graph().initializer.iter().find(|tensor| tensor.name() == name);
    Ok(found.map(tensor_from_proto).transpose()?)
}

fn replace(context: &mut Context, name: &str, tensor: &Tensor) {
    let initializers = &mut context.low.builder.graph_mut().initializer;
    if let Some(found) = initializers.iter_mut().find(|tensor| tensor.name() == name) {
        *found = tensor_to_proto(name, tensor);
    }
}

/// The tensor with every slice along an axis multiplied by a number of its own.
fn scaled(tensor: &Tensor, axis: usize, scale: &[f32]) -> Result<Tensor, Stop> {
    let inner: usize = tensor.shape().iter().skip(axis + 1).product();
    let mut values = tensor.to_f32()?;
    for (at, value) in values.iter_mut().enumerate() {
        *value *= scale.get(at / inner.max(1) % scale.len().max(1)).copied().unwrap_or(1.0);
    }
    Ok(Tensor::from_vec(tensor.shape().to_vec(), values)?)
}

/// `LayerNormalization`, over one axis or several.
pub(super) fn layer(context: &mut Context, inputs: &[Value]) -> Result<Vec<Value>, Stop> {
    let value = context.single(inputs)?;
    let value = context.float(value);
    let value = context.low.as_is(&value);
    let Some(shape) = value.shape.clone() else { return unsupported("normalizing an input of unknown shape") };
    let rank = shape.len() as i64;
    let mut axes = Vec::new();
    for axis in context.config.axes("axis", &[-1])? {
        if !(-rank..rank).contains(&axis) {
            return Err(context.config.wrong("axis", "axes of the input"));
        }
        axes.push(axis.rem_euclid(rank));
    }
    axes.sort_unstable();
    axes.dedup();
    let epsilon = context.config.float("epsilon", 1e-3)? as f32;
    let rms = context.config.bool("rms_scaling", false)?;
    let (has_scale, has_center) = (context.config.bool("scale", true)?, context.config.bool("center", true)? && !rms);
    let dims: Vec<Option<usize>> = axes.iter().map(|&axis| shape.get(axis as usize).copied().flatten()).collect();
    // One number per normalized element, with ones for the axes between.
    let first = axes.first().copied().unwrap_or(rank - 1);
    let spread = |tensor: Tensor| {
        let mut dims = tensor.shape().iter().copied();
        let shape = (first..rank).map(|axis| if axes.contains(&axis) { dims.next().unwrap_or(1) } else { 1 });
        Ok::<_, Stop>(tensor.reshaped(shape.collect())?)
    };
    let gamma = match has_scale {
        true => Some(context.constant("gamma", |context| spread(context.required(&["gamma"], 0, &dims)?))?),
        false => None,
    };
    let position = usize::from(has_scale);
    let beta = match has_center {
        true => Some(context.constant("beta", |context| spread(context.required(&["beta"], position, &dims)?))?),
        false => None,
    };
    let trailing = axes.iter().copied().eq(first..rank);
    if let Some(gamma) = gamma.as_deref().filter(|_| trailing && !rms && context.low.builder.opset() >= 17) {
        let mut inputs = vec![value.name.as_str(), gamma];
        inputs.extend(beta.as_deref());
        let attributes: [(&str, Attr); 2] = [("axis", (first - rank).into()), ("epsilon", epsilon.into())];
        let name = context.node("LayerNormalization", &inputs, "LayerNormalization", &attributes);
        return Ok(vec![value.named(name)]);
    }
    let mut current = value.name.clone();
    if !rms {
        let mean = mean(context, &current, &axes, "mean")?;
        current = context.node("Sub", &[&current, &mean], "Sub", &[]);
    }
    let square = context.node("Mul", &[&current, &current], "square", &[]);
    let variance = mean(context, &square, &axes, "variance")?;
    let epsilon = context.floats("epsilon", &[], &[epsilon])?;
    let variance = context.node("Add", &[&variance, &epsilon], "variance", &[]);
    let deviation = context.node("Sqrt", &[&variance], "Sqrt", &[]);
    current = context.node("Div", &[&current, &deviation], "Div", &[]);
    if let Some(gamma) = gamma {
        current = context.node("Mul", &[&current, &gamma], "Mul", &[]);
    }
    if let Some(beta) = beta {
        current = context.node("Add", &[&current, &beta], "Add", &[]);
    }
    Ok(vec![value.named(current)])
}

fn mean(context: &mut Context, x: &str, axes: &[i64], suffix: &str) -> Result<String, Stop> {
    if context.low.builder.opset() >= 18 {
        let axes = context.ints("axes", axes)?;
        return Ok(context.node("ReduceMean", &[x, &axes], suffix, &[("keepdims", 1i64.into())]));
    }
    Ok(context.node("ReduceMean", &[x], suffix, &[("axes", axes.into()), ("keepdims", 1i64.into())]))
}

/// `LayerScale` of Keras's ConvNeXt: `x * gamma`, a number per channel.
pub(super) fn layer_scale(context: &mut Context, inputs: &[Value]) -> Result<Vec<Value>, Stop> {
    let value = context.single(inputs)?;
    let value = context.float(value);
    if context.weight(&["gamma"], 0)?.is_none() {
        return unsupported("a layer of this name with other weights");
    }
    let gamma = context.constant(&format!("gamma_{:?}", value.layout), |context| {
        let gamma = context.required(&["gamma"], 0, &[value.last_dim()])?;
        context.along(&value, -1, &gamma)
    })?;
    let name = context.node("Mul", &[&value.name, &gamma], "Mul", &[]);
    Ok(vec![value.named(name)])
}

/// `Rescaling`: `x * scale + offset`, each one number or one per channel.
pub(super) fn rescaling(context: &mut Context, inputs: &[Value]) -> Result<Vec<Value>, Stop> {
    let value = context.single(inputs)?;
    let value = context.float(value);
    let scale = context.config.floats("scale")?.unwrap_or_else(|| vec![1.0]);
    let offset = context.config.floats("offset")?.unwrap_or_else(|| vec![0.0]);
    let per_channel = |context: &mut Context, name: &str, numbers: Vec<f32>| match numbers.as_slice() {
        [one] => context.floats(name, &[], &[*one]),
        _ => {
            if value.last_dim().is_some_and(|dim| dim != numbers.len()) {
                return Err(context.config.wrong(name, "one number, or one per channel"));
            }
            let tensor = context.along(&value, -1, &Tensor::from_vec(vec![numbers.len()], numbers)?)?;
            Ok(context.low.builder.initializer(&format!("{}/{name}", context.path), &tensor))
        }
    };
    let is_zero = offset.iter().all(|&offset| offset == 0.0);
    let scale = per_channel(context, "scale", scale)?;
    let mut name = context.node("Mul", &[&value.name, &scale], "Mul", &[]);
    if !is_zero {
        let offset = per_channel(context, "offset", offset)?;
        name = context.node("Add", &[&name, &offset], "Add", &[]);
    }
    Ok(vec![value.named(name)])
}

/// Keras's `epsilon()`, below which `Normalization` takes no deviation.
const SMALLEST_DEVIATION: f32 = 1e-7;

/// `Normalization`: `(x - mean) / sqrt(variance)`, or back with `invert`.
pub(super) fn normalization(context: &mut Context, inputs: &[Value]) -> Result<Vec<Value>, Stop> {
    let value = context.single(inputs)?;
    let value = context.float(value);
    let value = context.low.as_is(&value);
    let Some(shape) = value.shape.clone() else { return unsupported("normalizing an input of unknown shape") };
    let rank = shape.len() as i64;
    let axes = match context.config.map().get("axis") {
        Some(serde_json::Value::Null) => Vec::new(),
        _ => context.config.axes("axis", &[-1])?,
    };
    if axes.iter().any(|axis| !(-rank..rank).contains(axis)) {
        return Err(context.config.wrong("axis", "axes of the input"));
    }
    let kept: Vec<usize> = axes.iter().map(|axis| axis.rem_euclid(rank) as usize).collect();
    let known: Vec<usize> = (0..shape.len())
        .map(|axis| if kept.contains(&axis) { shape.get(axis).copied().flatten().unwrap_or(1) } else { 1 })
        .collect();
    let count: usize = known.iter().product();
    let read = |context: &mut Context, name: &str, position: usize| {
        let given = context.config.floats(name)?;
        let stored = match given {
            Some(given) => given,
            None => match context.weight(&[name], position)? {
                Some(stored) => stored.to_f32()?,
                None => return Err(context.config.wrong(name, "a mean and a variance, here or among the weights")),
            },
        };
        match stored.as_slice() {
            [one] => Ok(vec![*one; count]),
            list if list.len() == count => Ok(stored),
            _ => Err(context.config.wrong(name, &format!("{count} numbers"))),
        }
    };
    let mean = read(context, "mean", 0)?;
    let variance = read(context, "variance", 1)?;
    let deviation: Vec<f32> = variance.iter().map(|variance| variance.sqrt().max(SMALLEST_DEVIATION)).collect();
    let mean = context.floats("mean", &known, &mean)?;
    let deviation = context.floats("deviation", &known, &deviation)?;
    let (first, second) = if context.config.bool("invert", false)? {
        (("Mul", &deviation), ("Add", &mean))
    } else {
        (("Sub", &mean), ("Div", &deviation))
    };
    let between = context.node(first.0, &[&value.name, first.1], first.0, &[]);
    let name = context.node(second.0, &[&between, second.1], second.0, &[]);
    Ok(vec![value.named(name)])
}
