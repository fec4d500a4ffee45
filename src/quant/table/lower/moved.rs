//! Operators that read integers and make no new ones: they move them about, pick some of them, or compare them.

use super::operator::is_8_bit;
use super::{Integers, Lower, RowMode, TableFormat};
use crate::onnx::NodeExt;
use crate::onnx::proto::NodeProto;
use crate::quant::Granularity;
use crate::quant::table::error::TableError;
use crate::quant::table::transparent::{compares, moves_integers, pads_with_number};

/// From these `ai.onnx` versions on MaxPool, and Pad, Resize and ArgMax, take 8-bit integers in ONNX Runtime.
const OPSET_INTEGER_POOL: i64 = 12;
const OPSET_INTEGERS: i64 = 11;

/// The first operator set in which a node like this one takes 8-bit integers.
fn needed_opset(node: &NodeProto) -> i64 {
    match node.op_type() {
        "MaxPool" => OPSET_INTEGER_POOL,
        "Pad" | "Resize" | "ArgMax" | "ArgMin" => OPSET_INTEGERS,
        _ => 1,
    }
}

impl Lower<'_> {
    /// Writes an operator that moves integers, or compares them, on the integers themselves.
    pub fn transparent(&mut self, node: &NodeProto) -> Result<bool, TableError> {
        // ONNX has GlobalMaxPool for floats only.
        let candidate = (moves_integers(node) && node.op_type() != "GlobalMaxPool") || compares(node);
        if !candidate || self.left_float(node) || self.float.opset("").unwrap_or(1) < needed_opset(node) {
            return Ok(false);
        }
        let Some(integers) = node.input_name(0).map(|input| self.available(input)).transpose()?.flatten() else {
            return Ok(false);
        };
        if !is_8_bit(&integers.grid) || integers.grid.params.granularity != Granularity::PerTensor {
            return Ok(false);
        }
        if compares(node) {
            self.compare(node, &integers)?;
            return Ok(true);
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
        let Some(number) = self.number_added(node, &integers)? else { return Ok(false) };
        self.write_moved(node, &integers, number)?;
        Ok(true)
    }

    fn write_moved(&mut self, node: &NodeProto, integers: &Integers, number: String) -> Result<(), TableError> {
        let mut copy = node.clone();
        for (position, input) in copy.input.iter_mut().enumerate().filter(|(_, input)| !input.is_empty()) {
            match position {
                0 => input.clone_from(&integers.name),
                2 if node.op_type() == "Pad" => {}
                _ => *input = self.read(input)?,
            }
        }
        if node.op_type() == "Pad" {
            let length = copy.input.len().max(3);
            copy.input.resize(length, String::new());
            copy.input.get_mut(2).into_iter().for_each(|input| input.clone_from(&number));
            while copy.input.last().is_some_and(String::is_empty) {
                copy.input.pop();
            }
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
        Ok(())
    }

    /// The third input of a `Pad` on integers, empty where it has none; `None` where no integer says what is added.
    /// Real 0 is the zero point, whose tensor serves.
    fn number_added(&mut self, node: &NodeProto, integers: &Integers) -> Result<Option<String>, TableError> {
        if !pads_with_number(node) {
            return Ok(Some(String::new()));
        }
        let zero = || integers.zero_point.clone().unwrap_or_default();
        let Some(value) = node.input_name(2) else {
            let written = node.output_name(0).and_then(|output| self.table.written.operators.get(output));
            let left_out =
                integers.grid.params.zero_point == [0] && written.is_some_and(|it| it.input_name(2).is_none());
            return Ok(Some(if left_out { String::new() } else { zero() }));
        };
        if let Some(number) = self.available(value)? {
            return Ok((number.grid == integers.grid).then_some(number.name));
        }
        let float = self.float.constant(value).transpose()?.and_then(|tensor| tensor.to_f32().ok());
        let is_zero = !self.rows.contains_key(value) && float.is_some_and(|values| values == [0.0]);
        Ok(is_zero.then(zero))
    }

    /// Writes an operator that only compares: its result is the same on integers.
    fn compare(&mut self, node: &NodeProto, integers: &Integers) -> Result<(), TableError> {
        let mut copy = node.clone();
        copy.input.first_mut().into_iter().for_each(|input| input.clone_from(&integers.name));
        for output in copy.output.iter_mut().filter(|output| !output.is_empty()) {
            *output = self.raw_name(output);
        }
        self.nodes.push(copy);
        for output in node.output.iter().filter(|output| !output.is_empty()) {
            self.made(output)?;
        }
        Ok(())
    }
}
