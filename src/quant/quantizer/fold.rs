//! Factors and summands of channels that go into the convolution before.

use super::graph::Graph;
use crate::onnx::proto::NodeProto;
use crate::onnx::{NodeExt, tensor_to_proto};
use crate::tensor::{Channels, DType, Tensor};
use half::f16;

/// What a node does to each channel: `value x factor + summand`, in f64 until it is stored.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Affine {
    pub factor: Vec<f64>,
    pub summand: Vec<f64>,
}

/// Output channels of a convolution and the axis of its weight they lie on; `None` where that is no single axis.
pub(super) fn output_channels(graph: &Graph, conv: &NodeProto) -> Option<(usize, usize)> {
    let dims = &graph.initializer(conv.input_name(1)?)?.dims;
    let axis = match conv.op_type() {
        "Conv" => 0,
        "ConvTranspose" if conv.int("group").unwrap_or(1) == 1 => 1,
        _ => return None,
    };
    Some((usize::try_from(*dims.get(axis)?).ok()?, axis))
}

/// What a node that reads a convolution's output at input `at` does to its channels, if that is all it does.
pub(super) fn affine_of(graph: &Graph, node: &NodeProto, at: usize, conv: &NodeProto) -> Option<Affine> {
    let (count, _) = output_channels(graph, conv)?;
    let rank = graph.initializer(conv.input_name(1)?)?.dims.len();
    if node.op_type() == "BatchNormalization" {
        let read = |position: usize| -> Option<Vec<f64>> {
            let values = graph.constant(node.input_name(position)?)?.to_f64().ok()?;
            (values.len() == count).then_some(values)
        };
        let (scale, offset, mean, variance) = (read(1)?, read(2)?, read(3)?, read(4)?);
        let epsilon = f64::from(node.float("epsilon").unwrap_or(1e-5));
        let factor: Vec<f64> = scale.iter().zip(&variance).map(|(s, v)| s / (v + epsilon).sqrt()).collect();
        let summand = offset.iter().zip(&mean).zip(&factor).map(|((o, m), f)| o - m * f).collect();
        return Some(Affine { factor, summand });
    }
    let other = graph.constant(node.input_name(1 - at)?)?;
    let values = per_channel(&other, rank, count)?;
    let (ones, zeros) = (vec![1.0; count], vec![0.0; count]);
    Some(match node.op_type() {
        "Mul" => Affine { factor: values, summand: zeros },
        "Add" => Affine { factor: ones, summand: values },
        "Sub" => Affine { factor: ones, summand: values.into_iter().map(|value| -value).collect() },
        "Div" => Affine { factor: values.into_iter().map(|value| 1.0 / value).collect(), summand: zeros },
        _ => return None,
    })
}

/// The values of a constant for each channel (axis 1) of a tensor of this rank; `None` where it differs along another
/// axis, or would widen the tensor.
fn per_channel(constant: &Tensor, rank: usize, count: usize) -> Option<Vec<f64>> {
    let shape = constant.shape();
    let missing = rank.checked_sub(shape.len())?;
    let along_channels = |axis: usize| axis + missing == 1;
    let fits = shape.iter().enumerate().all(|(axis, &dim)| dim == 1 || (along_channels(axis) && dim == count));
    let values = constant.to_f64().ok().filter(|_| fits)?;
    match values.as_slice() {
        [one] => Some(vec![*one; count]),
        _ => (values.len() == count).then_some(values),
    }
}

/// Multiplies and adds into weight and bias of a convolution; makes a bias where there is none.
pub(super) fn fold_into(graph: &mut Graph, position: usize, affine: &Affine) -> Option<()> {
    let conv = graph.nodes.get(position)?.clone()?;
    let (count, axis) = output_channels(graph, &conv)?;
    let weight_name = conv.input_name(1)?;
    let weight = graph.tensor(weight_name)?.ok()?;
    let bias = match conv.input_name(2) {
        Some(name) => Some(graph.tensor(name)?.ok()?),
        None => None,
    };
    let bias_values = match &bias {
        Some(bias) => bias.to_f64().ok().filter(|bias| bias.len() == count)?,
        None => vec![0.0; count],
    };
    if affine.factor.iter().any(|&factor| factor != 1.0) {
        let channels = Channels::along(weight.shape(), i64::try_from(axis).ok()?)?;
        let values = weight.to_f64().ok()?;
        let scaled =
            values.iter().enumerate().map(|(at, value)| value * affine.factor.get(channels.of(at)).unwrap_or(&1.0));
        let scaled = real_tensor(weight.dtype(), weight.shape(), scaled)?;
        graph.set_input(position, 1, &scaled)?;
    }
    let pairs = bias_values.iter().zip(&affine.factor).zip(&affine.summand);
    let new_bias = pairs.map(|((bias, factor), summand)| bias * factor + summand);
    let new_bias = real_tensor(weight.dtype(), &[count], new_bias)?;
    if bias.is_some() || new_bias.to_f64().ok()?.iter().any(|&value| value != 0.0) {
        graph.set_input(position, 2, &new_bias)?;
    }
    Some(())
}

/// Real numbers as a tensor of float32 or float16.
pub(super) fn real_tensor(dtype: DType, shape: &[usize], values: impl Iterator<Item = f64>) -> Option<Tensor> {
    match dtype {
        DType::Float32 => Tensor::from_vec(shape.to_vec(), values.map(|value| value as f32).collect()).ok(),
        DType::Float16 => Tensor::from_vec(shape.to_vec(), values.map(f16::from_f64).collect()).ok(),
        _ => None,
    }
}

impl Graph {
    /// Gives a node's input other data: in place where nobody else reads it, else under a name of its own.
    pub fn set_input(&mut self, position: usize, at: usize, tensor: &Tensor) -> Option<()> {
        let node = self.nodes.get(position)?.as_ref()?;
        let output = node.output_name(0)?.to_owned();
        let old = node.input_name(at).map(str::to_owned);
        if let Some(name) = old.as_deref().filter(|name| self.readers(name) == 1 && !self.is_graph_output(name)) {
            self.replace(name, tensor);
            return Some(());
        }
        let wish = old.unwrap_or_else(|| format!("{output}_{}", if at == 1 { "weight" } else { "bias" }));
        let name = self.unused(&wish);
        self.add_initializer(tensor_to_proto(&name, tensor));
        let node = self.nodes.get_mut(position)?.as_mut()?;
        while node.input.len() <= at {
            node.input.push(String::new());
        }
        *node.input.get_mut(at)? = name;
        Some(())
    }
}
