//! Bias correction: what rounding weights does to the mean of each channel is taken off the bias.
//!
//! Source: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019, sections 4.2.1
//! (analytic) and 4.2.2 (empirical).

use super::clamp::node_label;
use super::error::QuantizeError;
use super::fold::real_tensor;
use super::graph::Graph;
use crate::onnx::proto::NodeProto;
use crate::onnx::{Document, NodeExt};
use crate::quant::table::QuantTable;
use crate::tensor::Channels;
use std::collections::BTreeMap;

/// Means of tensors by channel, collected run by run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChannelMeans {
    sums: BTreeMap<String, (Vec<f64>, u64)>,
}

impl ChannelMeans {
    /// Takes a tensor of one run; channels lie along `axis` (negative: from the end). Values that do not fit the shape
    /// or the channels seen before are left out.
    pub fn add(&mut self, tensor: &str, values: &[f32], shape: &[usize], axis: i64) {
        let Some(channels) = Channels::along(shape, axis) else { return };
        if shape.iter().product::<usize>() != values.len() || channels.count == 0 {
            return;
        }
        let (sums, count) = self.sums.entry(tensor.to_owned()).or_insert_with(|| (vec![0.0; channels.count], 0));
        if sums.len() != channels.count {
            return;
        }
        for (at, value) in values.iter().enumerate() {
            if let Some(sum) = sums.get_mut(channels.of(at)) {
                *sum += f64::from(*value);
            }
        }
        *count += (channels.outer * channels.inner) as u64;
    }

    /// The mean of each channel; `None` for a tensor that was not given.
    pub fn of(&self, tensor: &str) -> Option<Vec<f64>> {
        let (sums, count) = self.sums.get(tensor)?;
        Some(sums.iter().map(|sum| sum / *count as f64).collect())
    }

    /// `self - other` for every tensor that both have with as many channels: what empirical correction adds to biases,
    /// `self` being the float model's means and `other` the quantized one's, of the tensors that convolutions make.
    pub fn minus(&self, other: &ChannelMeans) -> BTreeMap<String, Vec<f64>> {
        let difference = |tensor: &String| {
            let (mine, other) = (self.of(tensor)?, other.of(tensor)?);
            let equal = mine.len() == other.len();
            equal.then(|| (tensor.clone(), mine.iter().zip(other).map(|(mine, other)| mine - other).collect()))
        };
        self.sums.keys().filter_map(difference).collect()
    }
}

/// The model with these numbers added to the biases of the convolutions and `Gemm` nodes that make the tensors; a bias
/// is made where there is none. The bias of a `MatMul` is the constant that an `Add` alone adds to what it makes.
/// Returns the tensors that were served: others are made by other operators, or have another number of channels.
pub fn add_to_biases(
    document: &Document,
    additions: &BTreeMap<String, Vec<f64>>,
) -> Result<(Document, Vec<String>), QuantizeError> {
    let inlined = match document.is_self_contained() {
        true => document.clone(),
        false => document.inlined()?,
    };
    let mut graph = Graph::of(&inlined);
    let mut served = Vec::new();
    for position in 0..graph.nodes.len() {
        let Some(node) = graph.nodes.get(position).cloned().flatten() else { continue };
        let output = node.output_name(0).unwrap_or_default().to_owned();
        let Some(addition) = additions.get(&output).filter(|_| node.domain_name().is_empty()) else { continue };
        let done = match node.op_type() {
            "Conv" | "ConvTranspose" | "Gemm" => add_to_bias(&mut graph, position, addition),
            "MatMul" => add_behind(&mut graph, &output, addition),
            _ => None,
        };
        if done.is_some() {
            served.push(output);
        }
    }
    let document = if served.is_empty() { inlined } else { graph.finish(&inlined)? };
    Ok((document, served))
}

/// The model with a bias of zeros for every convolution and `Gemm` with a constant weight and no bias, so that there is
/// one to correct. Returns the labels of the nodes.
pub fn with_zero_biases(document: &Document) -> Result<(Document, Vec<String>), QuantizeError> {
    let bare = |node: &&NodeProto| {
        matches!(node.op_type(), "Conv" | "ConvTranspose" | "Gemm")
            && node.domain_name().is_empty()
            && node.input_name(2).is_none()
    };
    let mut zeros = BTreeMap::new();
    let mut labels = Vec::new();
    for node in document.graph().node.iter().filter(bare) {
        let weight = node.input_name(1).and_then(|name| document.constant(name)?.ok());
        let count = weight.and_then(|weight| output_count(node, weight.shape()));
        if let (Some(count), Some(output)) = (count, node.output_name(0)) {
            zeros.insert(output.to_owned(), vec![0.0; count]);
            labels.push(node_label(node));
        }
    }
    Ok((add_to_biases(document, &zeros)?.0, labels))
}

/// Output channels of a convolution or `Gemm` with a weight of this shape.
pub(super) fn output_count(node: &NodeProto, weight: &[usize]) -> Option<usize> {
    match node.op_type() {
        "Conv" => weight.first().copied(),
        "ConvTranspose" => weight.get(1)?.checked_mul(usize::try_from(node.int("group").unwrap_or(1)).ok()?),
        _ => weight.get(if node.int("transB").unwrap_or(0) != 0 { 0 } else { 1 }).copied(),
    }
}

fn add_to_bias(graph: &mut Graph, position: usize, addition: &[f64]) -> Option<()> {
    let node = graph.nodes.get(position)?.clone()?;
    let weight = graph.tensor(node.input_name(1)?)?.ok()?;
    let beta = node.float("beta").filter(|_| node.op_type() == "Gemm").unwrap_or(1.0);
    let count = output_count(&node, weight.shape())?;
    let (shape, old) = match node.input_name(2) {
        Some(name) => {
            let bias = graph.tensor(name)?.ok()?;
            (bias.shape().to_vec(), bias.to_f64().ok()?)
        }
        None => (vec![count], vec![0.0; count]),
    };
    if old.len() != count || addition.len() != count || beta == 0.0 {
        return None;
    }
    let sum = old.iter().zip(addition).map(|(old, addition)| old + addition / f64::from(beta));
    let bias = real_tensor(weight.dtype(), &shape, sum)?;
    graph.set_input(position, 2, &bias)
}

/// Adds to the constant of the `Add` that alone reads a `MatMul`'s output.
fn add_behind(graph: &mut Graph, output: &str, addition: &[f64]) -> Option<()> {
    if graph.readers(output) != 1 || graph.is_graph_output(output) {
        return None;
    }
    let reads = |node: &NodeProto| node.op_type() == "Add" && node.input.iter().any(|input| input == output);
    let position = graph.nodes.iter().position(|node| node.as_ref().is_some_and(reads))?;
    let add = graph.nodes.get(position)?.as_ref()?;
    let at = usize::from(add.input_name(0) == Some(output));
    let old = graph.tensor(add.input_name(at)?)?.ok()?;
    // One number per channel along the last axis: [n] or [1, .., 1, n].
    if old.len() != addition.len() || old.shape().last() != Some(&addition.len()) {
        return None;
    }
    let sum = old.to_f64().ok()?.into_iter().zip(addition).map(|(old, addition)| old + addition);
    let bias = real_tensor(old.dtype(), old.shape(), sum)?;
    graph.set_input(position, at, &bias)
}

/// The mean input of each channel as batch normalization tells it, by tensor: what a `BatchNormalization` gives has mean
/// `bias` and deviation `|scale|`, and a Relu behind it gives `E[max(0, x)]` of that normal distribution. For a model
/// whose batch normalization is not folded yet; folding keeps the names.
pub fn expected_inputs(document: &Document) -> BTreeMap<String, Vec<f64>> {
    let read = |name: Option<&str>| document.constant(name?)?.ok()?.to_f64().ok();
    let mut expected = BTreeMap::new();
    for &position in document.index().order() {
        let Some(node) = document.node(position).filter(|node| node.op_type() == "BatchNormalization") else {
            continue;
        };
        let (Some(scale), Some(mean)) = (read(node.input_name(1)), read(node.input_name(2))) else { continue };
        let Some(output) = node.output_name(0) else { continue };
        for slot in document.index().consumers(output) {
            let reader = document.node(slot.node).filter(|reader| reader.op_type() == "Relu");
            if let Some(relu) = reader.and_then(|relu| relu.output_name(0)) {
                let clipped = mean.iter().zip(&scale).map(|(mean, scale)| mean_above_zero(*mean, scale.abs()));
                expected.insert(relu.to_owned(), clipped.collect());
            }
        }
        expected.insert(output.to_owned(), mean);
    }
    expected
}

/// `E[max(0, x)]` of a normal distribution: `deviation x density(mean / deviation) + mean x share above 0`.
fn mean_above_zero(mean: f64, deviation: f64) -> f64 {
    if deviation == 0.0 {
        return mean.max(0.0);
    }
    let z = mean / deviation;
    let density = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    deviation * density + mean * share_below(z)
}

/// The share of the standard normal distribution below `z`: Abramowitz and Stegun 7.1.26, off by less than 1.5e-7.
fn share_below(z: f64) -> f64 {
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.3275911 * x);
    let series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    let erf = 1.0 - series * (-x * x).exp();
    if z < 0.0 { (1.0 - erf) / 2.0 } else { (1.0 + erf) / 2.0 }
}

/// What analytic correction adds to biases: `-sum((rounded weight - weight) x mean input)` for each output channel of
/// every convolution and `Gemm` whose input's mean is known, by the tensor it makes. Padding counts as the mean.
pub fn weight_error_means(
    document: &Document,
    table: &QuantTable,
    inputs: &BTreeMap<String, Vec<f64>>,
) -> BTreeMap<String, Vec<f64>> {
    let mut additions = BTreeMap::new();
    for node in &document.graph().node {
        let (Some(input), Some(weight), Some(output)) = (node.input_name(0), node.input_name(1), node.output_name(0))
        else {
            continue;
        };
        let row = table.row(weight).filter(|row| row.enabled);
        let (Some(means), Some(row)) = (inputs.get(input), row) else { continue };
        let Some(constant) = &row.constant else { continue };
        let rounded = row.seen_constant().and_then(|seen| seen.ok()?.to_f32().ok());
        let (Some(rounded), Ok(float)) = (rounded, constant.float.to_f32()) else { continue };
        let errors: Vec<f64> = rounded.iter().zip(&float).map(|(r, f)| f64::from(*r) - f64::from(*f)).collect();
        let shape = constant.float.shape();
        let addition = match node.op_type() {
            "Conv" => conv_error(&errors, shape, node.int("group").unwrap_or(1), means),
            "Gemm" => gemm_error(&errors, shape, node.int("transB").unwrap_or(0) != 0, means),
            _ => None,
        };
        if let Some(addition) = addition {
            additions.insert(output.to_owned(), addition);
        }
    }
    additions
}

fn conv_error(errors: &[f64], shape: &[usize], group: i64, means: &[f64]) -> Option<Vec<f64>> {
    let inputs = super::equalize::InputChannels::of(shape, group, means.len())?;
    let outputs = Channels::along(shape, 0)?;
    let mut sums = vec![0.0; outputs.count];
    for (at, error) in errors.iter().enumerate() {
        *sums.get_mut(outputs.of(at))? -= error * means.get(inputs.of_element(at))?;
    }
    Some(sums)
}

fn gemm_error(errors: &[f64], shape: &[usize], transposed: bool, means: &[f64]) -> Option<Vec<f64>> {
    let (output_axis, input_axis) = if transposed { (0, 1) } else { (1, 0) };
    let (outputs, inputs) = (Channels::along(shape, output_axis)?, Channels::along(shape, input_axis)?);
    if inputs.count != means.len() {
        return None;
    }
    let mut sums = vec![0.0; outputs.count];
    for (at, error) in errors.iter().enumerate() {
        *sums.get_mut(outputs.of(at))? -= error * means.get(inputs.of(at))?;
    }
    Some(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_by_channel() {
        let mut float = ChannelMeans::default();
        float.add("a", &[1.0, 2.0, 3.0, 4.0], &[1, 2, 2], 1);
        float.add("a", &[3.0, 4.0, 5.0, 6.0], &[1, 2, 2], 1);
        float.add("a", &[3.0], &[1, 2, 2], 1);
        assert_eq!(float.of("a"), Some(vec![2.5, 4.5]));
        let mut other = ChannelMeans::default();
        other.add("a", &[2.0, 5.0], &[1, 2], -1);
        assert_eq!(float.minus(&other)["a"], [0.5, -0.5]);
        assert!(other.minus(&ChannelMeans::default()).is_empty());
    }

    #[test]
    fn a_clipped_normal_distribution() {
        // E[max(0, x)] = 1 / sqrt(2 pi) for the standard one; far above 0 it is the mean, far below 0.
        assert!((mean_above_zero(0.0, 1.0) - 0.398_942_280_4).abs() < 1e-6);
        assert!((mean_above_zero(9.0, 1.0) - 9.0).abs() < 1e-6);
        assert!(mean_above_zero(-9.0, 1.0).abs() < 1e-6);
        assert_eq!(mean_above_zero(-2.0, 0.0), 0.0);
        assert!((mean_above_zero(1.0, 2.0) - 1.395_593).abs() < 1e-5);
    }

    #[test]
    fn errors_times_means() {
        // Two groups of one input channel each, one output channel each.
        assert_eq!(conv_error(&[0.5, -1.0], &[2, 1, 1], 2, &[2.0, 3.0]), Some(vec![-1.0, 3.0]));
        assert_eq!(conv_error(&[0.5, -1.0], &[2, 1, 1], 1, &[2.0, 3.0]), None);
        assert_eq!(gemm_error(&[1.0, 2.0, 3.0, 4.0], &[2, 2], false, &[1.0, 10.0]), Some(vec![-31.0, -42.0]));
        assert_eq!(gemm_error(&[1.0, 2.0, 3.0, 4.0], &[2, 2], true, &[1.0, 10.0]), Some(vec![-21.0, -43.0]));
    }
}
