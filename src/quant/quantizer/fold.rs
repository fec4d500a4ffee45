//! Factors and summands of channels that go into the convolution or the matrix product before.

use super::graph::Graph;
use crate::onnx::NodeExt;
use crate::onnx::proto::NodeProto;
use crate::onnx::tensor_to_proto;
use crate::tensor::{Channels, DType, Tensor};
use half::f16;
use std::collections::BTreeMap;

/// What a node does to each channel: `value x factor + summand`, in f64 until it is stored.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Affine {
    pub factor: Vec<f64>,
    pub summand: Vec<f64>,
}

impl Affine {
    /// Whether it multiplies by anything but 1.
    pub fn scales(&self) -> bool {
        self.factor.iter().any(|&factor| factor != 1.0)
    }

    /// Whether it adds anything but 0.
    pub fn adds(&self) -> bool {
        self.summand.iter().any(|&summand| summand != 0.0)
    }
}

/// The nodes that make each value, by position.
pub(super) fn makers(graph: &Graph) -> BTreeMap<String, usize> {
    let nodes = graph.nodes.iter().enumerate();
    nodes.filter_map(|(at, node)| Some((node.as_ref()?.output_name(0)?.to_owned(), at))).collect()
}

/// Where the factors and summands of a value's channels can go.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Site {
    /// The node with the weight, its second input.
    pub node: usize,
    /// How many output channels there are.
    pub count: usize,
    /// The axis of the weight that they lie on.
    pub weight_axis: usize,
    /// The axis of the value that they lie on, and its rank.
    pub channel_axis: usize,
    pub rank: usize,
    pub bias: Bias,
}

/// What is added to the product.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Bias {
    /// The node's third input, where there is one, times this factor.
    Input(f64),
    /// An input of the `Add` at this position behind the node.
    Sum { add: usize, at: usize },
    /// Nothing can be added.
    Nowhere,
}

/// The site of a value that only one node reads; `None` where its channels are on no single axis of a constant weight.
pub(super) fn site_of(graph: &Graph, makers: &BTreeMap<String, usize>, value: &str) -> Option<Site> {
    let free = |value: &str| graph.readers(value) == 1 && !graph.is_graph_output(value);
    let position = *makers.get(value).filter(|_| free(value))?;
    let node = graph.nodes.get(position)?.as_ref()?;
    if node.op_type() == "Add" && node.domain_name().is_empty() {
        return (0..2).find_map(|at| {
            let product = node.input_name(1 - at).filter(|product| free(product))?;
            let node_at = *makers.get(product)?;
            let site = product_site(graph, node_at).filter(|site| site.bias == Bias::Nowhere)?;
            let constant = graph.constant(node.input_name(at)?)?;
            along_channels(&constant, site.rank, site.channel_axis, site.count)?;
            Some(Site { bias: Bias::Sum { add: position, at }, ..site })
        });
    }
    product_site(graph, position)
}

fn product_site(graph: &Graph, position: usize) -> Option<Site> {
    let node = graph.nodes.get(position)?.as_ref().filter(|node| node.domain_name().is_empty())?;
    let dims = &graph.initializer(node.input_name(1)?)?.dims;
    let matrix = dims.len() == 2;
    let (weight_axis, channel_axis, rank, bias) = match node.op_type() {
        "Conv" => (0, 1, dims.len(), Bias::Input(1.0)),
        "ConvTranspose" if node.int("group").unwrap_or(1) == 1 => (1, 1, dims.len(), Bias::Input(1.0)),
        "Gemm" if matrix => {
            let beta = f64::from(node.float("beta").unwrap_or(1.0));
            let axis = usize::from(node.int("transB").unwrap_or(0) == 0);
            (axis, 1, 2, if beta == 0.0 { Bias::Nowhere } else { Bias::Input(beta) })
        }
        "MatMul" if matrix => {
            let rank = graph.rank(node.input_name(0)?)?;
            (1, rank.checked_sub(1).filter(|&axis| axis > 0)?, rank, Bias::Nowhere)
        }
        _ => return None,
    };
    let count = usize::try_from(*dims.get(weight_axis)?).ok()?;
    Some(Site { node: position, count, weight_axis, channel_axis, rank, bias })
}

/// What a node that reads a site's value at input `at` does to its channels, if that is all it does.
pub(super) fn affine_of(graph: &Graph, node: &NodeProto, at: usize, site: &Site) -> Option<Affine> {
    if node.op_type() == "BatchNormalization" {
        return batch_norm(graph, node, site.count).filter(|_| site.channel_axis == 1);
    }
    let other = graph.constant(node.input_name(1 - at)?)?;
    let values = along_channels(&other, site.rank, site.channel_axis, site.count)?;
    let (ones, zeros) = (vec![1.0; site.count], vec![0.0; site.count]);
    let affine = match node.op_type() {
        "Mul" => Affine { factor: values, summand: zeros },
        "Add" => Affine { factor: ones, summand: values },
        "Sub" => Affine { factor: ones, summand: values.into_iter().map(|value| -value).collect() },
        "Div" => Affine { factor: values.into_iter().map(|value| 1.0 / value).collect(), summand: zeros },
        _ => return None,
    };
    // An Add behind a matrix product is where its summands belong.
    (affine.scales() || site.bias != Bias::Nowhere).then_some(affine)
}

/// What a batch normalization with constant statistics does to its channels.
pub(super) fn batch_norm(graph: &Graph, node: &NodeProto, count: usize) -> Option<Affine> {
    let read = |position: usize| -> Option<Vec<f64>> {
        let values = graph.constant(node.input_name(position)?)?.to_f64().ok()?;
        (values.len() == count).then_some(values)
    };
    let (scale, offset, mean, variance) = (read(1)?, read(2)?, read(3)?, read(4)?);
    let epsilon = f64::from(node.float("epsilon").unwrap_or(1e-5));
    let factor: Vec<f64> = scale.iter().zip(&variance).map(|(s, v)| s / (v + epsilon).sqrt()).collect();
    let summand = offset.iter().zip(&mean).zip(&factor).map(|((o, m), f)| o - m * f).collect();
    Some(Affine { factor, summand })
}

/// The values of a constant for each channel of a tensor of this rank; `None` where it differs along another axis, or
/// would widen the tensor.
fn along_channels(constant: &Tensor, rank: usize, channel_axis: usize, count: usize) -> Option<Vec<f64>> {
    let shape = constant.shape();
    let missing = rank.checked_sub(shape.len())?;
    let fits =
        shape.iter().enumerate().all(|(axis, &dim)| dim == 1 || (axis + missing == channel_axis && dim == count));
    let values = constant.to_f64().ok().filter(|_| fits)?;
    match values.as_slice() {
        [one] => Some(vec![*one; count]),
        _ => (values.len() == count).then_some(values),
    }
}

/// Multiplies and adds into weight and bias of a site; makes a bias where there is none. `node` is what did it before: it
/// goes, its first input being `input`; behind a matrix product without a bias, what is added stays as an `Add`.
pub(super) fn fold_into(graph: &mut Graph, site: &Site, affine: &Affine, node: usize, input: &str) -> Option<()> {
    let product = graph.nodes.get(site.node)?.clone()?;
    let weight = graph.tensor(product.input_name(1)?)?.ok()?;
    let dtype = weight.dtype();
    // Everything is computed before anything is changed.
    let scaled = match affine.scales() {
        true => {
            let channels = Channels::along(weight.shape(), i64::try_from(site.weight_axis).ok()?)?;
            let values = weight.to_f64().ok()?;
            let factor = |at: usize| affine.factor.get(channels.of(at)).unwrap_or(&1.0);
            Some(real_tensor(dtype, weight.shape(), values.iter().enumerate().map(|(at, value)| value * factor(at)))?)
        }
        false => None,
    };
    let place = match site.bias {
        Bias::Input(beta) => Some((site.node, 2, beta)),
        Bias::Sum { add, at } => Some((add, at, 1.0)),
        Bias::Nowhere => None,
    };
    let bias = match place {
        Some((owner, at, beta)) => {
            let old = match graph.nodes.get(owner)?.as_ref()?.input_name(at) {
                Some(name) => Some(graph.constant(name)?),
                None => None,
            };
            let full = |shape: &Vec<usize>| shape.iter().product::<usize>() == site.count;
            let shape = old.as_ref().map(|old| old.shape().to_vec()).filter(full);
            // Biases have their channels last, as matrix products have.
            let values = match &old {
                Some(old) => along_channels(old, old.shape().len().max(1), old.shape().len().max(1) - 1, site.count)?,
                None => vec![0.0; site.count],
            };
            let pairs = values.iter().zip(&affine.factor).zip(&affine.summand);
            let new = pairs.map(|((bias, factor), summand)| bias * factor + summand / beta);
            let new = real_tensor(dtype, &shape.unwrap_or(vec![site.count]), new)?;
            let needed = old.is_some() || new.to_f64().ok()?.iter().any(|&value| value != 0.0);
            needed.then_some((owner, at, new))
        }
        None => None,
    };
    let rest = match site.bias == Bias::Nowhere && affine.adds() {
        true => Some(real_tensor(dtype, &[site.count], affine.summand.iter().copied())?),
        false => None,
    };
    if let Some(scaled) = scaled {
        graph.set_input(site.node, 1, &scaled)?;
    }
    if let Some((owner, at, new)) = bias {
        graph.set_input(owner, at, &new)?;
    }
    match rest {
        Some(rest) => graph.become_add(node, input, &rest),
        None => {
            let output = graph.nodes.get(node)?.as_ref()?.output_name(0)?.to_owned();
            graph.absorb(node, input, &output);
            Some(())
        }
    }
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
        let in_place =
            |name: &&str| self.initializer(name).is_some() && self.readers(name) == 1 && !self.is_graph_output(name);
        if let Some(name) = old.as_deref().filter(in_place) {
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

    /// Makes a node an `Add` of one of its inputs and a constant.
    fn become_add(&mut self, position: usize, input: &str, summand: &Tensor) -> Option<()> {
        let output = self.nodes.get(position)?.as_ref()?.output_name(0)?.to_owned();
        let name = self.unused(&format!("{output}_bias"));
        self.add_initializer(tensor_to_proto(&name, summand));
        let node = self.nodes.get_mut(position)?.as_mut()?;
        node.op_type = Some("Add".to_owned());
        node.attribute.clear();
        node.input = vec![input.to_owned(), name];
        node.output.truncate(1);
        Some(())
    }
}
