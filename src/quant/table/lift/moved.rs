//! Operators that read integers and make no new ones: the same on reals.

use super::Lift;
use super::plan::{Plan, Reader, ScaleNames};
use crate::onnx::proto::NodeProto;
use crate::onnx::{NodeExt, Signature, is_dequantize, tensor_to_proto};
use crate::quant::table::Grid;
use crate::quant::table::codes::integers;
use crate::quant::table::error::TableError;
use crate::quant::table::row::{ConstantData, Row};
use crate::quant::table::transparent::{moves_integers, pads_with_number};
use crate::quant::{Granularity, TensorKind};
use crate::tensor::DType;
use std::collections::HashSet;

impl Plan {
    /// The grid of the integers that a node moves or compares: that of their maker, or, for a stored constant, that by
    /// which it is read behind the node. `None` where it reads no such integers.
    pub fn moved(&mut self, reader: &Reader<'_>, node: &NodeProto) -> Option<(Grid, Option<ScaleNames>)> {
        let stored = node.input_name(0)?;
        if let Some(grid) = self.grids.get(stored) {
            return Some((grid.clone(), self.scales.get(stored).cloned()));
        }
        let narrow = matches!(reader.facts.dtype(stored), Some(DType::Int8 | DType::Uint8));
        if !narrow || !moves_integers(node) || !reader.document.is_constant(stored) {
            return None;
        }
        let (grid, scale) = by_readers(reader, node)?;
        self.constants.insert(stored.to_owned(), (grid.clone(), scale.clone()));
        Some((grid, Some(scale)))
    }

    /// Fails where the number that a `Pad` adds is no code of this grid.
    pub fn check_number(&self, reader: &Reader<'_>, node: &NodeProto, grid: &Grid) -> Result<(), String> {
        let Some(number) = node.input_name(2) else { return Ok(()) };
        let made = self.grids.get(number).is_some_and(|made| made == grid);
        let constant = reader.document.is_constant(number) && reader.facts.dtype(number) == Some(grid.params.dtype);
        match made || constant {
            true => Ok(()),
            false => Err("the number it adds is not made with the scale of its input".to_owned()),
        }
    }
}

/// The one scale by which a DequantizeLinear or a QLinear operator reads what a node makes of a constant, other movers
/// between; the first that is found speaks for all, and others are compared with it.
fn by_readers(reader: &Reader<'_>, node: &NodeProto) -> Option<(Grid, ScaleNames)> {
    let mut waiting: Vec<&str> = node.output.iter().map(String::as_str).filter(|output| !output.is_empty()).collect();
    let mut seen: HashSet<&str> = waiting.iter().copied().collect();
    while let Some(value) = waiting.pop() {
        for slot in reader.document.index().consumers(value) {
            let Some(next) = reader.document.node(slot.node) else { continue };
            let names = |scale: Option<usize>, zero_point: Option<usize>| {
                let name = |at: Option<usize>| at.and_then(|at| next.input_name(at)).map(str::to_owned);
                name(scale).map(|scale| (scale, name(zero_point)))
            };
            let found = if is_dequantize(next) && slot.position == 0 {
                let grid = reader.linear(next, reader.facts.dtype(value).unwrap_or(DType::Uint8)).ok();
                grid.zip(names(Some(1), Some(2)))
            } else if moves_integers(next) && slot.position == 0 {
                let made = next.output.iter().map(String::as_str).filter(|output| !output.is_empty());
                let new: Vec<&str> = made.filter(|output| seen.insert(output)).collect();
                waiting.extend(new);
                None
            } else {
                let signature = Signature::of(next);
                let operand = signature.operands.iter().find(|operand| operand.position == slot.position);
                operand.filter(|operand| operand.scale.is_some()).and_then(|operand| {
                    let grid = reader.operand(next, &signature, operand, value).ok();
                    grid.zip(names(operand.scale, operand.zero_point))
                })
            };
            if let Some((grid, scale)) = found.filter(|(grid, _)| grid.params.granularity == Granularity::PerTensor) {
                return Some((grid, scale));
            }
        }
    }
    None
}

impl Lift<'_> {
    /// An operator that hands integers on as they are, or compares them: the same on reals.
    pub fn transparent(&mut self, node: &NodeProto) -> Result<(), TableError> {
        let plan = self.plan;
        let stored = node.input_name(0).unwrap_or_default();
        let real = match (self.real_of(stored), plan.constants.get(stored)) {
            (Some(real), _) => real,
            (None, Some((grid, (scale, zero_point)))) => {
                self.stored_constant(stored, grid, None, [Some(scale), zero_point.as_deref()])?
            }
            (None, None) => String::new(),
        };
        let mut copy = node.clone();
        for (position, input) in copy.input.iter_mut().enumerate() {
            *input = if position == 0 { real.clone() } else { self.read(input) };
        }
        if pads_with_number(node) {
            let number = self.number_added(node)?;
            let length = copy.input.len().max(3);
            copy.input.resize(length, String::new());
            copy.input.get_mut(2).into_iter().for_each(|input| input.clone_from(&number));
            while copy.input.last().is_some_and(String::is_empty) {
                copy.input.pop();
            }
        }
        for output in copy.output.iter_mut().filter(|output| plan.grids.contains_key(*output)) {
            let name = self.real_name(output);
            self.reals.insert(output.clone(), name.clone());
            *output = name;
        }
        if let Some(output) = copy.output_name(0) {
            self.written.operators.insert(output.to_owned(), node.clone());
        }
        self.nodes.push(copy);
        Ok(())
    }

    /// The float value that a `Pad` adds, empty for 0: of integers, left out means code 0.
    fn number_added(&mut self, node: &NodeProto) -> Result<String, TableError> {
        let plan = self.plan;
        let stored = node.input_name(0).unwrap_or_default();
        let known = plan.constants.get(stored);
        let grid = plan.grids.get(stored).or(known.map(|(grid, _)| grid));
        let scale = plan.scales.get(stored).or(known.map(|(_, scale)| scale));
        let (Some(grid), Some(scale)) = (grid, scale) else { return Ok(String::new()) };
        let Some(number) = node.input_name(2) else {
            return match grid.params.zero_point.as_slice() {
                [0] => Ok(String::new()),
                _ => self.code_zero(node, grid, scale),
            };
        };
        if Some(number) == scale.1.as_deref() {
            return Ok(String::new());
        }
        match self.real_of(number) {
            Some(real) => Ok(real),
            None => self.stored_constant(number, grid, None, [Some(&scale.0), scale.1.as_deref()]),
        }
    }

    /// A row for code 0, which is not real 0 on this grid.
    fn code_zero(&mut self, node: &NodeProto, grid: &Grid, scale: &ScaleNames) -> Result<String, TableError> {
        let tensor = self.names.fresh(&format!("{}_padding", node.output_name(0).unwrap_or_default()));
        let fail = |error| TableError::tensor(&tensor, error);
        let codes = integers(grid.params.dtype, &[], &[0]).map_err(fail)?;
        let float = grid.dequantize(&codes).map_err(fail)?;
        self.added.push(tensor_to_proto(&tensor, &float));
        let mut row = Row::new(tensor.clone(), TensorKind::Constant, grid.clone());
        self.name_scale(&mut row, [Some(&scale.0), scale.1.as_deref()], None, None);
        let data = ConstantData::new(float);
        row.constant = Some(ConstantData { float_is_original: false, stored: Some(codes), ..data });
        self.add_row(row, &tensor);
        Ok(tensor)
    }
}
