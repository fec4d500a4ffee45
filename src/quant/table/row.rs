//! A row of the table.

use super::grid::Grid;
use super::written::{WrittenNodes, WrittenRow};
use crate::quant::TensorKind;
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How a quantized model is written in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TableFormat {
    /// QuantizeLinear and DequantizeLinear around float operators.
    #[default]
    Qdq,
    /// QLinear operators.
    QOperator,
}

/// Every quantized tensor of a float graph.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QuantTable {
    /// The rows, in the order in which the graph meets their tensors.
    pub rows: Vec<Row>,
    /// How the model was written, and is written again unless told otherwise.
    pub format: TableFormat,
    /// In QOperator form: nodes, by their first output, that stay float between integers, even where an integer
    /// operator could say what the rows say.
    pub float_nodes: BTreeSet<String>,
    /// What the file had besides the rows; lowering gives it back.
    pub written: Arc<WrittenNodes>,
}

/// A quantized tensor of the float graph. [`Row::new`] makes one.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The value of the float graph whose readers see it rounded: a node's output, a graph input or an initializer.
    /// Where it is an output of the graph, what the outside sees is rounded too.
    pub tensor: String,
    /// Where `tensor` is a copy (`Identity`, or a second initializer) that lifting made because the value itself has
    /// readers that do not see it rounded, or a row of its own: the value it copies.
    pub source: Option<String>,
    /// What it is in the network.
    pub kind: TensorKind,
    /// Where its codes come from.
    pub mode: RowMode,
    /// Scale, zero point, bits.
    pub grid: Grid,
    /// Whether it is quantized; a row that is off lets the float value through.
    pub enabled: bool,
    /// The activation function that the quantizer's saturation stands for. Readers see `clamp(value)` where the row is
    /// off and `round(clamp(value))` where it is on, which equals `round(value)` as long as the codes end there too.
    pub absorbed: Option<Clamp>,
    /// The axis along which this tensor may have a scale for each index: output channels of a weight.
    pub channel_axis: Option<usize>,
    /// The data, where it is constant.
    pub constant: Option<ConstantData>,
    /// For a bias: whose scales make its own.
    pub bias_of: Option<BiasOf>,
    /// The names in the file.
    pub names: RowNames,
    /// The row as the file has it; `None` where no file had it.
    pub written: Option<Arc<WrittenRow>>,
}

/// Where a row's codes come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RowMode {
    /// From the row's scale and zero point.
    #[default]
    Fixed,
    /// From the values' range in each run (`DynamicQuantizeLinear`).
    Dynamic,
}

/// Bounds of an activation function: Relu is 0 to infinity, Clip(0, 6) is 0 to 6.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Clamp {
    /// Lower bound.
    pub low: f32,
    /// Upper bound.
    pub high: f32,
}

/// A constant behind its integers.
#[derive(Clone, Debug, PartialEq)]
pub struct ConstantData {
    /// The real values, float32: of the float variant where one is open, else the file's integers dequantized.
    pub float: Tensor,
    /// Whether `float` is what the integers were made from, and not the integers dequantized.
    pub float_is_original: bool,
    /// The file's codes in their stored type, there as long as the row's grid is the file's: integers of 32 bits do
    /// not survive a way through float32, and a file need not have rounded as we do. `None`: the codes are made from
    /// `float`.
    pub stored: Option<Tensor>,
    /// Whether the file keeps the floats, with a `QuantizeLinear` behind them.
    pub quantized_in_graph: bool,
}

/// A bias is stored with scale = input scale x weight scale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BiasOf {
    /// `tensor` of the row of the input.
    pub input: String,
    /// `tensor` of the row of the weight.
    pub weight: String,
}

/// Names that lowering gives back; an empty name is made by ONNX Runtime's convention.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowNames {
    /// Value name of the scale.
    pub scale: String,
    /// Value name of the zero point.
    pub zero_point: String,
    /// The integers: output of QuantizeLinear, or the stored initializer.
    pub quantized: String,
    /// Output of DequantizeLinear.
    pub dequantized: String,
    /// Node name of QuantizeLinear.
    pub quantize_node: String,
    /// Node name of DequantizeLinear.
    pub dequantize_node: String,
}

impl Row {
    /// An enabled activation row with names by ONNX Runtime's convention; constants fill in `constant`.
    pub fn new(tensor: impl Into<String>, kind: TensorKind, grid: Grid) -> Row {
        Row {
            tensor: tensor.into(),
            source: None,
            kind,
            mode: RowMode::Fixed,
            grid,
            enabled: true,
            absorbed: None,
            channel_axis: None,
            constant: None,
            bias_of: None,
            names: RowNames::default(),
            written: None,
        }
    }
}

impl ConstantData {
    /// The data of a constant that no file has stored yet.
    pub fn new(float: Tensor) -> ConstantData {
        ConstantData { float, float_is_original: true, stored: None, quantized_in_graph: false }
    }
}

impl QuantTable {
    /// The row of a tensor.
    pub fn row(&self, tensor: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.tensor == tensor)
    }

    /// The row of a tensor, to be changed.
    pub fn row_mut(&mut self, tensor: &str) -> Option<&mut Row> {
        self.rows.iter_mut().find(|row| row.tensor == tensor)
    }
}
