//! QLinear operators in place of float operators, where they say exactly what the rows say.

use super::{Integers, Lower, Row, RowMode, TableFormat};
use crate::onnx::proto::NodeProto;
use crate::onnx::{Attr, NodeExt};
use crate::quant::Granularity;
use crate::quant::table::Grid;
use crate::quant::table::error::TableError;
use crate::quant::table::transparent::moves_integers;
use crate::tensor::DType;

/// From this `ai.onnx` version on MaxPool and Clip take 8-bit integers.
const OPSET_INTEGER_POOL: i64 = 12;

/// The QLinear operator of a float operator, with the number of its data inputs.
fn form(node: &NodeProto) -> Option<(&'static str, usize)> {
    if !node.domain_name().is_empty() {
        return None;
    }
    let unit = |name: &str| node.float(name).unwrap_or(1.0) == 1.0;
    Some(match node.op_type() {
        "Conv" => ("QLinearConv", 2),
        "MatMul" => ("QLinearMatMul", 2),
        "Gemm" if unit("alpha") && unit("beta") => ("QGemm", 2),
        "Add" => ("QLinearAdd", 2),
        "Mul" => ("QLinearMul", 2),
        "AveragePool" if node.ints("dilations").iter().all(|&step| step == 1) => ("QLinearAveragePool", 1),
        "GlobalAveragePool" => ("QLinearGlobalAveragePool", 1),
        "Sigmoid" => ("QLinearSigmoid", 1),
        "LeakyRelu" => ("QLinearLeakyRelu", 1),
        "Softmax" => ("QLinearSoftmax", 1),
        "Concat" => ("QLinearConcat", node.input.len()),
        _ => return None,
    })
}

/// Whether a node is of an operator that has a QLinear form.
pub fn has_integer_form(node: &NodeProto) -> bool {
    form(node).is_some()
}

impl Lower<'_> {
    /// Writes a QLinear operator and gives true, where every operand and the result have fitting rows.
    pub fn operator(&mut self, node: &NodeProto) -> Result<bool, TableError> {
        let Some((op, factors)) = form(node).filter(|_| !self.left_float(node)) else { return Ok(false) };
        let [output] = node.output.as_slice() else { return Ok(false) };
        let Some(result) = self.rows.get(output.as_str()).copied().filter(|row| is_result(row)) else {
            return Ok(false);
        };
        let Some(operands) = self.operands(op, node, factors, result)? else { return Ok(false) };
        let bias = match (node.input_name(2), matches!(op, "QLinearConv" | "QGemm")) {
            (Some(bias), true) => match self.bias(bias, &operands)? {
                Some(bias) => Some(bias),
                None => return Ok(false),
            },
            _ => None,
        };
        let (scale, zero_point) = self.named_scale(result)?;
        let mut input = if op == "QLinearConcat" { vec![scale.clone(), zero_point.clone()] } else { Vec::new() };
        for operand in &operands {
            let zero_point = match &operand.zero_point {
                Some(zero_point) => zero_point.clone(),
                None => self.zeros(&operand.row, &operand.grid)?,
            };
            input.extend([operand.name.clone(), operand.scale.clone(), zero_point]);
        }
        if op == "QGemm" {
            input.push(bias.clone().unwrap_or_default());
        }
        if op != "QLinearConcat" {
            input.extend([scale.clone(), zero_point.clone()]);
        }
        if op == "QLinearConv" {
            input.extend(bias);
        }
        let written = self.table.written.operators.get(output).filter(|written| written.op_type() == op);
        let made = match written {
            Some(written) => written.clone(),
            None => self.new_operator(node, op),
        };
        let name = self.name(&result.names.quantized, &format!("{output}_quantized"));
        self.contrib |= made.domain_name() == "com.microsoft";
        self.nodes.push(NodeProto { input, output: vec![name.clone()], ..made });
        self.dtypes.insert(name.clone(), result.grid.params.dtype);
        let (grid, row) = (result.grid.clone(), output.clone());
        self.integers.insert(output.clone(), Integers { name, scale, zero_point: Some(zero_point), grid, row });
        if self.external.contains(output.as_str()) {
            let seen = self.dequantize(result, "")?;
            self.see(output, seen);
        }
        Ok(true)
    }

    /// Whether the table says that this node stays float.
    fn left_float(&self, node: &NodeProto) -> bool {
        node.output_name(0).is_some_and(|output| self.table.float_nodes.contains(output))
    }

    fn new_operator(&self, node: &NodeProto, op: &str) -> NodeProto {
        let mut made = node.clone();
        made.op_type = Some(op.to_owned());
        made.domain = (!matches!(op, "QLinearConv" | "QLinearMatMul")).then(|| "com.microsoft".to_owned());
        made.name = Some(format!("{}_quant", node.name()));
        made.attribute
            .retain(|it| !(op == "QGemm" && it.name() == "beta") && it.name() != "dilations" || op == "QLinearConv");
        if op == "QLinearSoftmax" {
            made.attribute.push(Attr::Int(self.float.opset("").unwrap_or(1)).into_proto("opset"));
        }
        if op == "QLinearGlobalAveragePool" {
            made.attribute.push(Attr::Int(0).into_proto("channels_last"));
        }
        made
    }

    /// Scale and zero point of a row for an operator that needs both.
    fn named_scale(&mut self, row: &Row) -> Result<(String, String), TableError> {
        let (scale, zero_point) = self.scale_of(row)?;
        match zero_point {
            Some(zero_point) => Ok((scale, zero_point)),
            None => Ok((scale, self.zeros(&row.tensor, &row.grid)?)),
        }
    }

    /// The zero points of a grid whose file has left them out, for an operator that needs them.
    fn zeros(&mut self, tensor: &str, grid: &Grid) -> Result<String, TableError> {
        let zeros = vec![0; grid.params.scale.len()];
        let shape: Vec<usize> = if zeros.len() == 1 { Vec::new() } else { vec![zeros.len()] };
        let content = crate::quant::table::codes::integers(grid.params.dtype, &shape, &zeros);
        let content = content.map_err(|error| TableError::tensor(tensor, error))?;
        Ok(self.tensor("", &format!("{tensor}_zero_point"), &content, None))
    }

    /// The integers of every operand; `None` where one has none, or types that the kernels do not take together.
    fn operands(
        &mut self,
        op: &str,
        node: &NodeProto,
        factors: usize,
        result: &Row,
    ) -> Result<Option<Vec<Integers>>, TableError> {
        let dtype = result.grid.params.dtype;
        let transposed = node.int("transB").unwrap_or(0) != 0;
        let mut found = Vec::new();
        for position in 0..factors {
            let Some(integers) = node.input_name(position).map(|input| self.available(input)).transpose()?.flatten()
            else {
                return Ok(None);
            };
            let weight = position == 1 && matches!(op, "QLinearConv" | "QLinearMatMul" | "QGemm");
            let rank = node.input_name(position).and_then(|input| self.facts.shape(input)).map(<[_]>::len);
            let types =
                integers.grid.params.dtype == dtype || (weight && dtype == DType::Uint8 && is_8_bit(&integers.grid));
            let spreads = match integers.grid.params.granularity {
                Granularity::PerTensor => true,
                Granularity::PerChannel { axis } if weight => {
                    let zero_points = &integers.grid.params.zero_point;
                    zero_points.iter().all(|zero_point| Some(zero_point) == zero_points.first())
                        && match op {
                            "QLinearConv" => axis == 0,
                            "QGemm" => axis == usize::from(!transposed),
                            _ => axis == 1 && rank == Some(2),
                        }
                }
                _ => false,
            };
            if !types || !spreads {
                return Ok(None);
            }
            found.push(integers);
        }
        Ok(Some(found))
    }

    /// The integers of a value, where it has any.
    fn available(&mut self, value: &str) -> Result<Option<Integers>, TableError> {
        if let Some(row) = self.rows.get(value).copied() {
            if !row.enabled || row.mode != RowMode::Fixed {
                return Ok(None);
            }
            if row.constant.is_some() && !self.integers.contains_key(value) {
                self.constant(row)?;
            }
        }
        Ok(self.integers.get(value).cloned())
    }

    /// The stored integers of a bias whose scale is the product of the operands' scales.
    fn bias(&mut self, value: &str, operands: &[Integers]) -> Result<Option<String>, TableError> {
        let Some(row) = self.rows.get(value).copied().filter(|row| row.enabled) else { return Ok(None) };
        let [input, weight] = operands else { return Ok(None) };
        if !crate::quant::table::bias::follows(row, &input.grid, &weight.grid) {
            return Ok(None);
        }
        Ok(self.available(value)?.map(|integers| integers.name))
    }

    /// Writes an operator that moves integers on the integers themselves.
    pub fn transparent(&mut self, node: &NodeProto) -> Result<bool, TableError> {
        let old_pool = node.op_type() == "MaxPool" && self.float.opset("").unwrap_or(1) < OPSET_INTEGER_POOL;
        let Some(integers) = node.input_name(0).and_then(|input| self.integers.get(input)).cloned() else {
            return Ok(false);
        };
        let row = self.rows.get(integers.row.as_str());
        if !moves_integers(node)
            || self.left_float(node)
            || old_pool
            || node.op_type() == "GlobalMaxPool" // ONNX has it for floats only.
            || !is_8_bit(&integers.grid)
            || integers.grid.params.granularity != Granularity::PerTensor
            || row.is_some_and(|row| row.constant.is_some())
        {
            return Ok(false);
        }
        // A row of its own on the moved value is no rounding where it has the same codes. A QOperator file that has one
        // nevertheless keeps it.
        let converted = self.table.format != TableFormat::QOperator;
        let same = |output: &String| {
            self.rows.get(output.as_str()).is_none_or(|row| {
                converted
                    && row.enabled
                    && row.mode == RowMode::Fixed
                    && row.grid == integers.grid
                    && row.covers_absorbed()
            })
        };
        if !node.output.iter().filter(|output| !output.is_empty()).all(same) {
            return Ok(false);
        }
        let mut copy = node.clone();
        for (position, input) in copy.input.iter_mut().enumerate().filter(|(_, input)| !input.is_empty()) {
            *input = if position == 0 { integers.name.clone() } else { self.read(input)? };
        }
        let written = node.output_name(0).and_then(|output| self.table.written.operators.get(output));
        // ONNX Runtime's quantizer gives a Split other names than the rest.
        let split = node.op_type() == "Split" && self.format == TableFormat::QOperator && written.is_none();
        if split && !node.name().is_empty() {
            copy.name = Some(format!("{}_quant", node.name()));
        }
        for (position, output) in copy.output.iter_mut().enumerate().filter(|(_, output)| !output.is_empty()) {
            let file = written.and_then(|written| written.output_name(position)).unwrap_or_default();
            // Integers that nodes left as written read have their name in the float graph.
            let name = match self.table.written.moved.get(file).is_some_and(|grid| *grid == integers.grid) {
                true if self.moved.insert(file.to_owned()) => file.to_owned(),
                _ => self.name(file, &format!("{output}{}quantized", if split { "" } else { "_" })),
            };
            self.dtypes.insert(name.clone(), integers.grid.params.dtype);
            let value = std::mem::replace(output, name.clone());
            let moved = Integers { name, ..integers.clone() };
            self.integers.insert(value, moved);
        }
        self.nodes.push(copy);
        for output in &node.output {
            if self.external.contains(output.as_str()) {
                self.read(output)?;
            }
        }
        Ok(true)
    }
}

/// Whether a row's codes are those that a QLinear operator's result saturates to.
fn is_result(row: &Row) -> bool {
    row.enabled
        && row.mode == RowMode::Fixed
        && row.source.is_none()
        && row.constant.is_none()
        && is_8_bit(&row.grid)
        && row.grid.uses_all_codes()
        && row.grid.params.granularity == Granularity::PerTensor
        && row.covers_absorbed()
}

fn is_8_bit(grid: &Grid) -> bool {
    matches!(grid.params.dtype, DType::Int8 | DType::Uint8)
}
