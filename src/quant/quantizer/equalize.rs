//! Cross-layer equalization: factors moved between two layers, so that all channels use their range alike.
//!
//! Source: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019, section 4.1.

use super::clamp::node_label;
use super::error::QuantizeError;
use super::fold::real_tensor;
use super::graph::Graph;
use crate::onnx::proto::NodeProto;
use crate::onnx::{Document, NodeExt};
use crate::tensor::Channels;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Rounds over all pairs at most; chains of layers settle after a few.
const MOST_ROUNDS: usize = 20;
/// Factors nearer to 1 than this end the rounds.
const SETTLED: f64 = 1e-3;

/// Two layers between which factors were moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EqualizedPair {
    /// The first layer's node.
    pub first: String,
    /// The second layer's node.
    pub second: String,
    /// Channels between them.
    pub channels: usize,
}

/// An equalized model.
#[derive(Clone, Debug)]
pub struct Equalized {
    /// The model; it computes the same up to rounding. What flows between the layers of a pair has other ranges, so
    /// that it has to be calibrated again.
    pub document: Document,
    /// What was done.
    pub pairs: Vec<EqualizedPair>,
    /// What each channel of the tensors between the layers of a pair was divided by, by tensor.
    pub divisors: BTreeMap<String, Vec<f64>>,
}

/// Equalizes every pair of convolutions with nothing between them but operators that a positive factor passes through
/// (Relu, LeakyRelu, pools, Identity) and no other reader.
///
/// Channel `i` of the first is divided by `s = sqrt(r1 / r2)` and multiplied in the second, `r` being the largest
/// absolute weight; both then reach `sqrt(r1 r2)`. Channels that are zero on either side stay. Fold batch normalization
/// before it, or there are few pairs.
pub fn equalize(document: &Document) -> Result<Equalized, QuantizeError> {
    let inlined = match document.is_self_contained() {
        true => document.clone(),
        false => document.inlined()?,
    };
    let mut graph = Graph::of(&inlined);
    let pairs = pairs(&graph);
    // The product of a pair's factors, channel by channel; empty where there were none.
    let mut done: Vec<Vec<f64>> = vec![Vec::new(); pairs.len()];
    for _ in 0..MOST_ROUNDS {
        let mut farthest = 0.0f64;
        for (pair, done) in pairs.iter().zip(&mut done) {
            if let Some(factors) = equalize_pair(&mut graph, pair.first, pair.second) {
                done.resize(factors.len(), 1.0);
                done.iter_mut().zip(&factors).for_each(|(product, factor)| *product *= factor);
                farthest = factors.iter().fold(farthest, |far, factor| far.max(factor.ln().abs()));
            }
        }
        if farthest < SETTLED {
            break;
        }
    }
    let label = |graph: &Graph, at: usize| graph.nodes.get(at).and_then(Option::as_ref).map(node_label);
    let told = pairs.iter().zip(&done).filter(|(_, factors)| !factors.is_empty()).filter_map(|(pair, factors)| {
        let (first, second) = (label(&graph, pair.first)?, label(&graph, pair.second)?);
        Some(EqualizedPair { first, second, channels: factors.len() })
    });
    let told: Vec<EqualizedPair> = told.collect();
    let between = pairs.iter().zip(&done).filter(|(_, factors)| !factors.is_empty());
    let divisors =
        between.flat_map(|(pair, factors)| pair.between.iter().map(|value| (value.clone(), factors.clone())));
    let divisors = divisors.collect();
    let document = if told.is_empty() { inlined } else { graph.finish(&inlined)? };
    Ok(Equalized { document, pairs: told, divisors })
}

/// Positions of two convolutions that follow each other directly, and the values between them.
struct Pair {
    first: usize,
    second: usize,
    between: Vec<String>,
}

/// The convolutions that follow each other directly.
fn pairs(graph: &Graph) -> Vec<Pair> {
    let mut found = Vec::new();
    for (first, node) in graph.nodes.iter().enumerate() {
        let Some(node) = node.as_ref().filter(|node| is_conv(graph, node)) else { continue };
        let mut value = node.output_name(0).unwrap_or_default().to_owned();
        let mut between = vec![value.clone()];
        while graph.readers(&value) == 1 && !graph.is_graph_output(&value) {
            let reader = graph.nodes.iter().enumerate().find_map(|(at, node)| {
                let node = node.as_ref()?;
                (node.input_name(0) == Some(value.as_str())).then_some((at, node))
            });
            let Some((at, reader)) = reader else { break };
            match reader.op_type() {
                "Conv" if is_conv(graph, reader) => {
                    found.push(Pair { first, second: at, between });
                    break;
                }
                "Relu" | "LeakyRelu" | "MaxPool" | "AveragePool" | "GlobalAveragePool" | "GlobalMaxPool"
                | "Identity" | "Dropout" => {
                    let more = reader.output.iter().skip(1).any(|name| !name.is_empty());
                    let Some(output) = reader.output_name(0).filter(|_| !more) else { break };
                    value = output.to_owned();
                    between.push(value.clone());
                }
                _ => break,
            }
        }
    }
    found
}

/// A convolution whose weight, and bias if it has one, are constants that nobody else reads.
fn is_conv(graph: &Graph, node: &NodeProto) -> bool {
    let own = |name: &str| graph.initializer(name).is_some() && graph.readers(name) == 1 && graph.is_float(name);
    node.op_type() == "Conv"
        && node.domain_name().is_empty()
        && node.input_name(1).is_some_and(own)
        && node.input_name(2).is_none_or(own)
}

/// Moves factors between two layers, and gives them, one for each channel.
fn equalize_pair(graph: &mut Graph, first: usize, second: usize) -> Option<Vec<f64>> {
    let before = graph.nodes.get(first)?.clone()?;
    let after = graph.nodes.get(second)?.clone()?;
    let (w1, w2) = (graph.tensor(before.input_name(1)?)?.ok()?, graph.tensor(after.input_name(1)?)?.ok()?);
    let outputs = Channels::along(w1.shape(), 0)?;
    let inputs = InputChannels::of(w2.shape(), after.int("group").unwrap_or(1), outputs.count)?;
    let (mut v1, mut v2) = (w1.to_f64().ok()?, w2.to_f64().ok()?);
    let reach = |values: &[f64], channel: &dyn Fn(usize) -> usize| {
        let mut reach = vec![0.0f64; outputs.count];
        for (at, value) in values.iter().enumerate() {
            if let Some(reach) = reach.get_mut(channel(at)) {
                *reach = reach.max(value.abs());
            }
        }
        reach
    };
    let (r1, r2) = (reach(&v1, &|at| outputs.of(at)), reach(&v2, &|at| inputs.of_element(at)));
    let factor = |(r1, r2): (&f64, &f64)| if *r1 > 0.0 && *r2 > 0.0 { (r1 / r2).sqrt() } else { 1.0 };
    let factors: Vec<f64> = r1.iter().zip(&r2).map(factor).collect();
    let of = |channel: usize| factors.get(channel).copied().unwrap_or(1.0);
    v1.iter_mut().enumerate().for_each(|(at, value)| *value /= of(outputs.of(at)));
    v2.iter_mut().enumerate().for_each(|(at, value)| *value *= of(inputs.of_element(at)));
    let (t1, t2) =
        (real_tensor(w1.dtype(), w1.shape(), v1.into_iter())?, real_tensor(w2.dtype(), w2.shape(), v2.into_iter())?);
    if let Some(bias_name) = before.input_name(2) {
        let bias = graph.tensor(bias_name)?.ok()?;
        let values = bias.to_f64().ok()?;
        let scaled = values.iter().enumerate().map(|(at, value)| value / of(at));
        let scaled = real_tensor(bias.dtype(), bias.shape(), scaled)?;
        graph.replace(bias_name, &scaled);
    }
    graph.replace(before.input_name(1)?, &t1);
    graph.replace(after.input_name(1)?, &t2);
    Some(factors)
}

/// Which input channel an element of a convolution's weight belongs to.
pub(super) struct InputChannels {
    /// Input channels of one group.
    per_group: usize,
    /// Output channels of one group.
    outputs: usize,
    /// Elements of a kernel.
    inner: usize,
}

impl InputChannels {
    /// `None` where the weight does not fit `count` input channels.
    pub fn of(shape: &[usize], group: i64, count: usize) -> Option<Self> {
        let group = usize::try_from(group).ok().filter(|&group| group > 0)?;
        let (&outputs, &per_group) = (shape.first()?, shape.get(1)?);
        let fits = per_group.checked_mul(group)? == count && outputs.is_multiple_of(group) && outputs > 0;
        let inner = shape.get(2..)?.iter().product();
        (fits && per_group > 0 && inner > 0).then_some(InputChannels { per_group, outputs: outputs / group, inner })
    }

    /// The channel of an element.
    pub fn of_element(&self, at: usize) -> usize {
        let kernel = at / self.inner;
        let (output, local) = (kernel / self.per_group, kernel % self.per_group);
        output / self.outputs * self.per_group + local
    }
}
