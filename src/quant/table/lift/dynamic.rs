//! Integer operators whose input is quantized in each run, as `quantize_dynamic` writes them:
//! `DynamicQuantizeLinear -> ConvInteger | MatMulInteger -> Cast -> Mul`.

use super::plan::{Part, Plan, Reader};
use super::{Lift, identity};
use crate::onnx::NodeExt;
use crate::onnx::proto::NodeProto;
use crate::quant::lookup_params::ScaleUse;
use crate::quant::table::Grid;
use crate::quant::table::error::TableError;
use crate::quant::table::row::{Row, RowMode};
use crate::quant::table::written::WrittenRow;
use crate::quant::{Granularity, QuantParams, TensorKind};
use crate::tensor::DType;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// An integer operator with everything that belongs to it.
pub(super) struct Pattern {
    /// Position of the `DynamicQuantizeLinear`.
    quantize: usize,
    /// Positions of the operator, the cast, the product of the scales where it is a node, the product with it.
    nodes: Vec<usize>,
    /// The weight as it is stored, its grid, its scale and its zero point.
    weight: (String, Grid, String, Option<String>),
    /// The value that the last node writes.
    output: String,
}

/// Finds the patterns and enters their nodes.
pub(super) fn find(reader: &Reader<'_>, plan: &mut Plan, reasons: &mut HashMap<usize, String>) {
    let nodes = reader.document.graph().node.iter().enumerate();
    let integer = nodes
        .filter(|(_, node)| node.domain_name().is_empty() && matches!(node.op_type(), "ConvInteger" | "MatMulInteger"));
    let mut patterns = Vec::new();
    for (position, node) in integer {
        match pattern(reader, plan, position, node) {
            Ok(pattern) => patterns.push(pattern),
            Err(reason) => {
                reasons.insert(position, reason);
            }
        }
    }
    // A quantizer that others read too stays, and with it those that read it.
    loop {
        let inside: HashSet<usize> = patterns.iter().flat_map(|pattern| pattern.nodes.iter().copied()).collect();
        let before = patterns.len();
        patterns.retain(|pattern| {
            let Some(node) = reader.document.node(pattern.quantize) else { return false };
            let index = reader.document.index();
            let shared = node.output.iter().any(|output| {
                plan.external.contains(output)
                    || index.consumers(output).iter().any(|slot| !inside.contains(&slot.node))
            });
            if let (true, Some(&at)) = (shared, pattern.nodes.first()) {
                reasons.insert(at, "what quantizes its input has other readers too".to_owned());
            }
            !shared
        });
        if patterns.len() == before {
            break;
        }
    }
    for (position, node) in reader.document.graph().node.iter().enumerate() {
        if node.op_type() == "DynamicQuantizeLinear" {
            reasons.insert(position, "its integers do not only go into integer operators that are lifted".to_owned());
        }
    }
    for pattern in patterns {
        for &position in pattern.nodes.iter().chain([&pattern.quantize]) {
            plan.parts.insert(position, Part::Absorbed);
        }
        if let Some(&last) = pattern.nodes.last() {
            plan.parts.insert(last, Part::Dynamic(Box::new(pattern)));
        }
    }
}

fn pattern(reader: &Reader<'_>, plan: &Plan, position: usize, node: &NodeProto) -> Result<Pattern, String> {
    let document = reader.document;
    let index = document.index();
    let other = || "it is not quantized and rescaled as quantize_dynamic does it".to_owned();
    let input = node.input_name(0).ok_or_else(other)?;
    let slot = index.producer(input).filter(|slot| slot.position == 0).ok_or_else(other)?;
    let quantizer = document.node(slot.node).filter(|node| node.op_type() == "DynamicQuantizeLinear");
    let quantizer = quantizer.ok_or_else(other)?;
    if node.input_name(2) != quantizer.output_name(2) {
        return Err("its zero point is not its input's".to_owned());
    }
    let rescale = document.rescale(position).ok_or_else(other)?;
    let weight_scale = rescale.weight_scale.ok_or_else(other)?;
    if rescale.input_scale.as_deref() != quantizer.output_name(1) {
        return Err("its scale is not its input's".to_owned());
    }
    // The addition of a bias is a float operator like any other.
    let count = rescale.nodes.len() - usize::from(rescale.bias.is_some());
    let mut behind: Vec<usize> = rescale.nodes.into_iter().take(count).collect();
    let last = behind.pop().and_then(|at| Some((at, document.node(at)?)));
    let (product, maker) = last.ok_or_else(other)?;
    let output = maker.output_name(0).ok_or_else(other)?.to_owned();
    let mut nodes = vec![position];
    nodes.extend(behind);
    nodes.push(product);
    for &at in nodes.iter().filter(|&&at| at != product) {
        let inner = document.node(at).and_then(|node| node.output_name(0)).ok_or_else(other)?;
        let alone = matches!(index.consumers(inner), [slot] if nodes.contains(&slot.node));
        if !alone || plan.external.contains(inner) {
            return Err("a value between it and its rescaling has other readers".to_owned());
        }
    }
    // The three factors in one product or in two that follow each other round differently; only the first is lifted.
    if nodes.len() != 4 {
        return Err("its two scales are not multiplied first".to_owned());
    }
    let stored = node.input_name(1).filter(|name| document.is_constant(name)).ok_or("its weight is no constant")?;
    let axis = if node.op_type() == "ConvInteger" { 0 } else { -1 };
    let default_dtype = reader.facts.dtype(stored).unwrap_or(DType::Uint8);
    let how = ScaleUse { axis, block_size: 0, default_dtype };
    let zero_point = node.input_name(3);
    let grid = reader.grid(&[Some(stored)], Some(&weight_scale), zero_point, &how)?;
    if axis == 0 && grid.params.granularity != Granularity::PerTensor {
        return Err("its weight has several scales".to_owned());
    }
    let weight = (stored.to_owned(), grid, weight_scale, zero_point.map(str::to_owned));
    Ok(Pattern { quantize: slot.node, nodes, weight, output })
}

impl Lift<'_> {
    /// Writes the float operator with a row that is quantized in each run and a row for the weight.
    pub fn dynamic(&mut self, pattern: &Pattern) -> Result<(), TableError> {
        let nodes: Vec<NodeProto> = pattern.nodes.iter().filter_map(|&at| self.document.node(at)).cloned().collect();
        let (Some(quantizer), Some(operator)) = (self.document.node(pattern.quantize), nodes.first()) else {
            return Ok(());
        };
        let input = self.dynamic_row(quantizer);
        let (stored, grid, scale, zero_point) = &pattern.weight;
        let weight = self.stored_constant(stored, grid, None, [Some(scale), zero_point.as_deref()])?;
        let name = operator.name();
        self.nodes.push(NodeProto {
            op_type: Some(operator.op_type().trim_end_matches("Integer").to_owned()),
            name: Some(name.strip_suffix("_quant").unwrap_or(name).to_owned()),
            input: vec![input, weight],
            output: vec![pattern.output.clone()],
            ..operator.clone()
        });
        self.written.dynamic.insert(pattern.output.clone(), nodes);
        Ok(())
    }

    /// The row of a value that `DynamicQuantizeLinear` reads.
    fn dynamic_row(&mut self, node: &NodeProto) -> String {
        let (value, stored) = (node.input_name(0).unwrap_or_default(), node.output_name(0).unwrap_or_default());
        if let Some(real) = self.reals.get(stored) {
            return real.clone();
        }
        let source = self.read(value);
        let alone = source == value
            && !self.plan.external.contains(value)
            && !self.row_at.contains_key(value)
            && self.document.index().consumers(value).len() == 1;
        let (tensor, copied) = match alone {
            true => (source, None),
            false => {
                // The file's own name of what is rounded: the integers are gone from the float graph.
                let copy = stored.to_owned();
                self.nodes.push(identity(&source, &copy));
                (copy, Some(source))
            }
        };
        let params = QuantParams {
            scale: vec![1.0],
            zero_point: vec![0],
            dtype: DType::Uint8,
            granularity: Granularity::PerTensor,
        };
        let mut row = Row::new(tensor.clone(), TensorKind::Activation, Grid { params, bits: 8, narrow_range: false });
        row.source = copied;
        row.mode = RowMode::Dynamic;
        row.names.quantized = stored.to_owned();
        row.names.scale = node.output_name(1).unwrap_or_default().to_owned();
        row.names.zero_point = node.output_name(2).unwrap_or_default().to_owned();
        row.names.quantize_node = node.name().to_owned();
        row.written = Some(Arc::new(WrittenRow {
            grid: Some(row.grid.clone()),
            quantize: Some(node.clone()),
            ..WrittenRow::default()
        }));
        self.reals.insert(stored.to_owned(), tensor.clone());
        self.add_row(row, value);
        tensor
    }
}
