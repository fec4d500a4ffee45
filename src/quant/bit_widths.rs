//! The bit-width study: a float network with its weights rounded to one number of bits and its activations to another.
//!
//! What is rounded is what a PyTorch simulation with hooks rounds (the original project's): the weights of
//! convolutions and of fully connected layers, and what those layers, activation functions and average pools put out.
//! Biases, batch normalization and residual sums stay in float. Weights are symmetric, per tensor or per output channel.

use super::TensorKind;
use super::table::{ConstantData, Grid, GridError, Row};
use crate::onnx::{Document, NodeExt};
use crate::tensor::Tensor;
use std::collections::BTreeSet;

/// Bits that the study offers, for weights and for activations alike.
pub const BITS: [u8; 8] = [2, 3, 4, 5, 6, 7, 8, 16];

/// A weight that is rounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundedWeight {
    /// Its value name.
    pub tensor: String,
    /// The axis of its output channels; `None` where it has none.
    pub axis: Option<usize>,
}

/// A layer with a rounded weight whose bias can take off what the rounding adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorrectedLayer {
    /// What it puts out.
    pub output: String,
    /// The axis of the channels there; negative: from the end.
    pub axis: i64,
}

/// What is rounded in a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rounded {
    /// Weights, in graph order, each once.
    pub weights: Vec<RoundedWeight>,
    /// Activations, in graph order.
    pub activations: Vec<String>,
    /// Layers with a rounded weight and a place for a bias, in graph order.
    pub layers: Vec<CorrectedLayer>,
}

/// The axis of a weight's output channels, as the node that reads it says.
fn channel_axis(node: &crate::onnx::proto::NodeProto, rank: usize) -> Option<usize> {
    let axis = match node.op_type() {
        "Conv" => 0,
        "ConvTranspose" => 1,
        "Gemm" if node.int("transB").unwrap_or(0) != 0 => 0,
        "Gemm" => 1,
        "MatMul" => rank.checked_sub(1)?,
        _ => return None,
    };
    (axis < rank).then_some(axis)
}

/// Whether what a node puts out is rounded.
fn rounds_output(node: &crate::onnx::proto::NodeProto) -> bool {
    matches!(
        node.op_type(),
        "Conv"
            | "ConvTranspose"
            | "Gemm"
            | "MatMul"
            | "Relu"
            | "LeakyRelu"
            | "PRelu"
            | "Elu"
            | "Selu"
            | "Celu"
            | "Gelu"
            | "Clip"
            | "HardSwish"
            | "Mish"
            | "Softplus"
            | "ThresholdedRelu"
            | "AveragePool"
            | "GlobalAveragePool"
    )
}

impl Rounded {
    /// Finds what is rounded. `shape_of_constant` gives the dims of a value that is the same in every run. `mat_mul`
    /// says whether weights that a `MatMul` reads count: in the original simulation a dense layer that the converter
    /// wrote as MatMul and Add has no weight of its own and stays in float.
    pub fn of(document: &Document, mat_mul: bool, shape_of_constant: &dyn Fn(&str) -> Option<Vec<usize>>) -> Rounded {
        let mut rounded = Rounded::default();
        let mut met = BTreeSet::new();
        for &position in document.index().order() {
            let Some(node) = document.node(position).filter(|node| node.domain_name().is_empty()) else { continue };
            let Some(output) = node.output_name(0) else { continue };
            // A constant is no activation, whatever made it.
            if rounds_output(node) && shape_of_constant(output).is_none() {
                rounded.activations.push(output.to_owned());
            }
            let has_weight = match node.op_type() {
                "Conv" | "ConvTranspose" | "Gemm" => true,
                other => mat_mul && other == "MatMul",
            };
            let Some(tensor) = node.input_name(1).filter(|_| has_weight) else { continue };
            let Some(shape) = shape_of_constant(tensor) else { continue };
            if met.insert(tensor.to_owned()) {
                let axis = channel_axis(node, shape.len());
                rounded.weights.push(RoundedWeight { tensor: tensor.to_owned(), axis });
            }
            let axis = if matches!(node.op_type(), "Gemm" | "MatMul") { -1 } else { 1 };
            if node.op_type() != "MatMul" || adds_bias(document, output, shape.last().copied(), shape_of_constant) {
                rounded.layers.push(CorrectedLayer { output: output.to_owned(), axis });
            }
        }
        rounded
    }
}

/// Whether an `Add` with one constant number per channel is all that reads what a `MatMul` makes.
fn adds_bias(
    document: &Document,
    output: &str,
    channels: Option<usize>,
    shape_of_constant: &dyn Fn(&str) -> Option<Vec<usize>>,
) -> bool {
    let [slot] = document.index().consumers(output) else { return false };
    let Some(add) = document.node(slot.node).filter(|add| add.op_type() == "Add") else { return false };
    let constant = add.input_name(usize::from(add.input_name(0) == Some(output)));
    let stored = constant.filter(|name| document.index().initializer(name).is_some());
    let shape = stored.and_then(shape_of_constant).unwrap_or_default();
    let external = document.graph().output.iter().any(|port| port.name() == output);
    !external
        && channels.is_some()
        && shape.last().copied() == channels
        && shape.iter().product::<usize>() == shape.last().copied().unwrap_or(0)
}

impl RoundedWeight {
    /// The row that rounds the weight's values to so many bits, symmetric, or leaves them (`None`).
    pub fn row(&self, values: &Tensor, bits: Option<u8>, per_channel: bool) -> Result<Row, GridError> {
        let numbers = values.to_f32().map_err(|error| GridError::Row(error.to_string()))?;
        let axis = self.axis.filter(|_| per_channel);
        let grid = Grid::over_values(&numbers, values.shape(), axis, bits.unwrap_or(8), true)?;
        let float = Tensor::from_vec(values.shape().to_vec(), numbers);
        let float = float.map_err(|error| GridError::Row(error.to_string()))?;
        let mut row = Row::new(&self.tensor, TensorKind::Weight, grid);
        row.enabled = bits.is_some();
        row.constant = Some(ConstantData::new(float));
        Ok(row)
    }
}

/// The row that rounds an activation of this range to so many bits.
pub fn activation_row(tensor: &str, range: (f32, f32), bits: u8, symmetric: bool) -> Result<Row, GridError> {
    Ok(Row::new(tensor, TensorKind::Activation, Grid::over(&[range], None, bits, symmetric)?))
}

/// The row that leaves an activation as it is.
pub fn free_row(tensor: &str) -> Result<Row, GridError> {
    Ok(Row { enabled: false, ..activation_row(tensor, (0.0, 0.0), 8, true)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest relative difference that one rounding of the scale to f32 makes.
    const SCALE: f32 = 1e-7;

    #[test]
    fn symmetric_codes_reach_one_further_down() {
        let grid = Grid::over(&[(-1.0, 0.5)], None, 4, true).unwrap();
        assert_eq!((grid.codes(), grid.params.zero_point.as_slice()), ((-8, 7), [0].as_slice()));
        assert!((grid.params.scale[0] - 1.0 / 7.0).abs() <= SCALE);
        // Half to even, and saturation at both ends.
        let scale = grid.params.scale[0];
        let values = [0.5 * scale, 1.5 * scale, -7.6 * scale, -9.0, 9.0];
        assert_eq!(grid.quantize(&values, &[5]).unwrap().to_i64().unwrap(), [0, 2, -8, -8, 7]);
    }

    #[test]
    fn asymmetric_codes_cover_the_range_with_0_in_it() {
        let grid = Grid::over(&[(-1.0, 2.0)], None, 2, false).unwrap();
        assert_eq!((grid.codes(), grid.params.zero_point.as_slice()), ((0, 3), [1].as_slice()));
        assert_eq!(grid.params.scale, [1.0]);
        let grid = Grid::over(&[(1.0, 2.0)], None, 16, false).unwrap();
        assert_eq!((grid.codes(), grid.params.zero_point[0]), ((0, 65535), 0));
        assert!((grid.params.scale[0] - 2.0 / 65535.0).abs() <= SCALE);
    }

    #[test]
    fn every_channel_has_its_own_scale() {
        let weight = RoundedWeight { tensor: "w".into(), axis: Some(0) };
        let values = Tensor::from_vec(vec![2, 2], vec![0.7f32, -0.3, 0.0, 0.0]).unwrap();
        let row = weight.row(&values, Some(3), true).unwrap();
        assert!((row.grid.params.scale[0] - 0.7 / 3.0).abs() <= SCALE);
        // A channel of zeros keeps them.
        assert_eq!(row.grid.params.scale[1], 1.0);
        let seen = row.seen_constant().unwrap().unwrap().to_f32().unwrap();
        assert!((seen[0] - 0.7).abs() <= SCALE && (seen[1] + 0.7 / 3.0).abs() <= SCALE && seen[2..] == [0.0, 0.0]);
        let row = weight.row(&values, None, false).unwrap();
        assert_eq!((row.enabled, row.grid.params.scale.len()), (false, 1));
    }

    #[test]
    fn a_range_that_is_not_finite_is_refused() {
        assert!(activation_row("x", (0.0, f32::INFINITY), 8, true).is_err());
        assert!(Grid::over(&[(0.0, 1.0)], None, 1, true).is_err());
        assert!(!free_row("x").unwrap().enabled);
    }
}
