//! `QuantizeLinear` and `DequantizeLinear` nodes with their parameters.

use super::{Integers, Lower};
use crate::onnx::proto::NodeProto;
use crate::onnx::{Attr, NodeExt};
use crate::quant::table::Grid;
use crate::quant::table::codes::integers;
use crate::quant::table::error::TableError;
use crate::quant::table::row::{Row, TableFormat};
use crate::quant::{Granularity, TensorKind};
use crate::tensor::{DType, Tensor};

/// `ai.onnx` versions: the first with the operators, with an axis, and with 16 and 4 bit types and blocks.
const OPSET_FIRST: i64 = 10;
const OPSET_AXIS: i64 = 13;
const OPSET_NARROW: i64 = 21;

impl Lower<'_> {
    /// The names of a row's scale and zero point, made on first demand.
    pub fn scale_of(&mut self, row: &Row) -> Result<(String, Option<String>), TableError> {
        if let Some(names) = self.scales.get(&row.tensor) {
            return Ok(names.clone());
        }
        let written = row.written.as_deref();
        let unedited = written.filter(|written| written.grid.as_ref() == Some(&row.grid));
        // A bias has names of its own, as ONNX Runtime's quantizer gives them.
        let stem = match row.kind {
            TensorKind::Bias => format!("{}_quantized", row.tensor),
            _ => row.tensor.clone(),
        };
        let fail = |error| TableError::tensor(&row.tensor, error);
        let decoded = |proto: Option<&crate::onnx::proto::TensorProto>| {
            proto.and_then(|proto| crate::onnx::tensor_from_proto(proto).ok())
        };
        let (file_scale, file_zero) =
            (written.and_then(|it| it.scale.as_ref()), written.and_then(|it| it.zero_point.as_ref()));
        let shape = scale_shape(row, decoded(file_scale));
        let content = Tensor::from_vec(shape.clone(), row.grid.params.scale.clone()).map_err(fail)?;
        let content = unedited.and_then(|it| decoded(it.scale.as_ref())).unwrap_or(content);
        let scale = self.tensor(&row.names.scale, &format!("{stem}_scale"), &content, file_scale);
        let left_out = written.is_some_and(|written| {
            let same_type = written.grid.as_ref().is_some_and(|grid| grid.params.dtype == row.grid.params.dtype);
            let zero = row.grid.params.zero_point.iter().all(|&zero_point| zero_point == 0);
            written.scale.is_some() && written.zero_point.is_none() && same_type && zero
        });
        let zero_point = match left_out {
            true => None,
            false => {
                let shape = match row.grid.params.granularity {
                    Granularity::PerTensor => {
                        decoded(file_zero).map(|found| found.shape().to_vec()).unwrap_or_default()
                    }
                    _ => shape,
                };
                let values: Vec<i64> = row.grid.params.zero_point.iter().map(|&value| value.into()).collect();
                let content = match unedited.and_then(|it| decoded(it.zero_point.as_ref())) {
                    Some(content) => content,
                    None => {
                        let shape = if shape.iter().product::<usize>() == values.len() { shape } else { vec![] };
                        integers(row.grid.params.dtype, &shape, &values).map_err(fail)?
                    }
                };
                Some(self.tensor(&row.names.zero_point, &format!("{stem}_zero_point"), &content, file_zero))
            }
        };
        self.scales.insert(row.tensor.clone(), (scale.clone(), zero_point.clone()));
        Ok((scale, zero_point))
    }

    /// Writes the `QuantizeLinear` of a row behind `value`.
    pub fn quantize(&mut self, row: &Row, value: &str) -> Result<Integers, TableError> {
        let (scale, zero_point) = self.scale_of(row)?;
        let convention = match self.format {
            TableFormat::Qdq => format!("{}_QuantizeLinear_Output", row.tensor),
            TableFormat::QOperator => format!("{}_quantized", row.tensor),
        };
        let name = self.name(&row.names.quantized, &convention);
        let template = row.written.as_ref().and_then(|written| written.quantize.as_ref());
        let template = template.filter(|node| node.op_type() == "QuantizeLinear");
        let node = self.linear(row, "QuantizeLinear", template, &row.names.quantize_node);
        let input = [Some(value.to_owned()), Some(scale.clone()), zero_point.clone()];
        self.nodes.push(NodeProto { input: input.into_iter().flatten().collect(), output: vec![name.clone()], ..node });
        self.dtypes.insert(name.clone(), row.grid.params.dtype);
        Ok(Integers { name, scale, zero_point, grid: row.grid.clone(), row: row.tensor.clone() })
    }

    /// Writes the `DequantizeLinear` of a row behind its integers; `raw` is the name of the value before rounding.
    pub fn dequantize(&mut self, row: &Row, raw: &str) -> Result<String, TableError> {
        let Some(integers) = self.integers.get(&row.tensor).cloned() else { return Ok(row.tensor.clone()) };
        let outside = self.external.contains(row.tensor.as_str()) && raw != row.tensor;
        let constant = row.constant.is_some() && !self.stays_float(row);
        let is_made = self.own_names.contains(&row.tensor);
        let own = row.names.dequantized == row.tensor || (row.names.dequantized.is_empty() && self.takes_own_name(row));
        let own = own && integers.name != row.tensor;
        let output = match (outside || constant || !is_made) && own || outside {
            true => row.tensor.clone(),
            false => {
                let written = if row.names.dequantized == row.tensor { "" } else { row.names.dequantized.as_str() };
                self.name(written, &format!("{}_DequantizeLinear_Output", row.tensor))
            }
        };
        let template = row.written.as_ref().and_then(|written| written.dequantize.as_ref());
        let node = self.linear(row, "DequantizeLinear", template, &row.names.dequantize_node);
        let input = [Some(integers.name), Some(integers.scale), integers.zero_point];
        let input = input.into_iter().flatten().collect();
        self.nodes.push(NodeProto { input, output: vec![output.clone()], ..node });
        Ok(output)
    }

    /// Whether ONNX Runtime's convention gives the dequantized value the tensor's own name: for biases, and in
    /// QOperator form, where no node makes the value itself.
    fn takes_own_name(&self, row: &Row) -> bool {
        row.kind == TensorKind::Bias || (self.format == TableFormat::QOperator && row.constant.is_none())
    }

    /// Writes the `DequantizeLinear` of integers that were moved, under the float graph's own name.
    pub fn dequantize_moved(&mut self, value: &str, integers: &Integers) {
        let name = format!("{value}_DequantizeLinear");
        let node =
            match (self.rows.get(integers.row.as_str()).copied(), self.foreign.get(integers.row.as_str()).copied()) {
                (Some(row), _) => self.linear(row, "DequantizeLinear", None, &name),
                (None, Some(foreign)) => NodeProto { name: Some(name), ..foreign.clone() },
                (None, None) => return,
            };
        let input = [Some(integers.name.clone()), Some(integers.scale.clone()), integers.zero_point.clone()];
        let input = input.into_iter().flatten().collect();
        self.nodes.push(NodeProto { input, output: vec![value.to_owned()], ..node });
    }

    /// A node without inputs and outputs: the file's own, or one of the operator set that has the row's type.
    fn linear(&mut self, row: &Row, op: &str, template: Option<&NodeProto>, name: &str) -> NodeProto {
        let params = &row.grid.params;
        let file = row.written.as_ref().and_then(|written| written.grid.as_ref());
        let fits = |file: &Grid| file.params.dtype == params.dtype && file.params.granularity == params.granularity;
        let mut node = template.cloned().unwrap_or_default();
        if template.is_none() || !file.is_some_and(fits) {
            node.op_type = Some(op.to_owned());
            node.domain = self.needs_contrib(row).then(|| "com.microsoft".to_owned());
            node.attribute.retain(|it| !matches!(it.name(), "axis" | "block_size" | "output_dtype"));
            let mut set = |name: &str, value: usize| node.attribute.push(Attr::Int(value as i64).into_proto(name));
            match params.granularity {
                Granularity::PerTensor => {}
                Granularity::PerChannel { axis } => set("axis", axis),
                Granularity::Blocked { axis, block_size } => {
                    set("axis", axis);
                    set("block_size", block_size);
                }
            }
        }
        if template.is_none() {
            let convention = format!("{}_{op}", row.tensor);
            node.name = Some(if name.is_empty() { convention } else { name.to_owned() });
        }
        self.contrib |= node.domain_name() == "com.microsoft";
        node
    }

    /// Whether the model's operator set cannot say it and ONNX Runtime's own operators have to.
    fn needs_contrib(&self, row: &Row) -> bool {
        let opset = self.float.opset("").unwrap_or(1);
        let needed = match (row.grid.params.dtype, row.grid.params.granularity) {
            (_, Granularity::Blocked { .. }) => OPSET_NARROW,
            (DType::Int8 | DType::Uint8 | DType::Int32, Granularity::PerTensor) => OPSET_FIRST,
            (DType::Int8 | DType::Uint8 | DType::Int32, Granularity::PerChannel { .. }) => OPSET_AXIS,
            _ => OPSET_NARROW,
        };
        // Where one tensor has 16 or 4 bits, ONNX Runtime's quantizer writes all its nodes in its own domain.
        let late = |row: &&Row| {
            let dtype = row.grid.params.dtype;
            row.enabled && matches!(dtype, DType::Int16 | DType::Uint16 | DType::Int4 | DType::Uint4)
        };
        let all = row.written.is_none() && opset < OPSET_NARROW && self.table.rows.iter().any(|row| late(&row));
        opset < needed || all
    }
}

/// The dims of a row's scale tensor: of one scale none, or as the file has them; of several a vector, or blocks.
fn scale_shape(row: &Row, file: Option<Tensor>) -> Vec<usize> {
    match row.grid.params.granularity {
        Granularity::PerTensor => match file.filter(|file| file.len() == 1) {
            Some(file) => file.shape().to_vec(),
            None if row.kind == TensorKind::Bias => vec![1],
            None => Vec::new(),
        },
        Granularity::PerChannel { .. } => vec![row.grid.params.scale.len()],
        Granularity::Blocked { axis, block_size } => {
            let shape = row.constant.as_ref().map(|constant| constant.float.shape().to_vec());
            let file = file.map(|file| file.shape().to_vec());
            let mut shape = shape.or(file).unwrap_or_default();
            if let (Some(dim), true) = (shape.get_mut(axis), row.constant.is_some()) {
                *dim = dim.div_ceil(block_size.max(1));
            }
            shape
        }
    }
}
