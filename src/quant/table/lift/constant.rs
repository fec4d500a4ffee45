//! Constants that are stored as integers.

use super::{Lift, axis_of};
use crate::onnx::proto::NodeProto;
use crate::onnx::{NodeExt, tensor_to_proto};
use crate::quant::TensorKind;
use crate::quant::table::Grid;
use crate::quant::table::error::TableError;
use crate::quant::table::row::{ConstantData, Row};
use crate::quant::table::written::WrittenRow;
use crate::tensor::{DType, Tensor};
use std::sync::Arc;

/// The codes of a bias made from the float variant's values may be one off: whoever made them may have multiplied the
/// scales in another order. Those of a weight may be too, where its quotients lie on a rounding edge.
const STEPS: i64 = 1;
/// In this share of a weight's elements at most; in all of a bias's.
const MOVED_AT_MOST: f64 = 1e-3;

impl Lift<'_> {
    /// The row of a stored constant under this grid, made where there is none yet; gives the float initializer's name.
    /// `dequantize` is the node that reads it, where there is one; `scale` names scale and zero point.
    pub fn stored_constant(
        &mut self,
        stored: &str,
        grid: &Grid,
        dequantize: Option<&NodeProto>,
        scale: [Option<&str>; 2],
    ) -> Result<String, TableError> {
        dequantize.into_iter().for_each(|node| self.consume(node));
        self.consumed.insert(stored.to_owned());
        self.consumed.extend(scale.into_iter().flatten().map(str::to_owned));
        let known = self.made.get(stored).into_iter().flatten().find(|(made, _)| made == grid);
        if let Some((_, tensor)) = known {
            return Ok(tensor.clone());
        }
        let message = self.document.constant_proto(stored);
        let codes = self.document.constant(stored).transpose()?;
        let codes = codes.ok_or_else(|| TableError::row(stored, "the stored integers cannot be read"))?;
        let output = dequantize.and_then(|node| node.output_name(0));
        let tensor = self.constant_name(stored, output);
        let kind = match self.kinds.get(stored).copied() {
            Some(TensorKind::Activation) | None => TensorKind::Constant,
            Some(kind) => kind,
        };
        let mut row = Row::new(tensor.clone(), kind, grid.clone());
        row.names.quantized = stored.to_owned();
        row.names.dequantized = output.unwrap_or_default().to_owned();
        row.names.dequantize_node = dequantize.map(|node| node.name().to_owned()).unwrap_or_default();
        self.name_scale(&mut row, scale, None, dequantize);
        let mut written: WrittenRow = row.written.as_deref().cloned().unwrap_or_default();
        written.stored = message.cloned();
        if let Some(message) = written.stored.as_mut() {
            message.name = Some(stored.to_owned());
        }
        row.written = Some(Arc::new(written));
        let weight_axis = self.weight_axis(output.unwrap_or(stored));
        if weight_axis.is_some() && kind == TensorKind::Constant {
            // Read through a Transpose.
            row.kind = TensorKind::Weight;
        }
        row.channel_axis = weight_axis.or_else(|| axis_of(grid));
        row.constant = Some(self.constant_data(stored, grid, codes)?);
        if let Some(constant) = &row.constant {
            self.added.push(tensor_to_proto(&tensor, &constant.float));
        }
        self.made.entry(stored.to_owned()).or_default().push((grid.clone(), tensor.clone()));
        self.add_row(row, stored);
        Ok(tensor)
    }

    /// The name of the float constant: the stored one's without the quantizer's suffix, or the dequantized one's.
    fn constant_name(&mut self, stored: &str, output: Option<&str>) -> String {
        let inner = output.filter(|output| !self.plan.external.contains(*output));
        let stripped = stored.strip_suffix("_quantized").filter(|name| !name.is_empty());
        let wish = stripped.filter(|name| self.names.is_free(name) || inner == Some(*name)).or(inner);
        // The output of a DequantizeLinear that is lifted is free, as long as no other row has taken it.
        match wish {
            Some(wish) if !self.row_at.contains_key(wish) => {
                self.names.take(wish);
                wish.to_owned()
            }
            _ => self.names.fresh(&format!("{}_float", stripped.unwrap_or(stored))),
        }
    }

    /// The real numbers: the float variant's where they give these codes, else the codes dequantized.
    fn constant_data(&mut self, stored: &str, grid: &Grid, codes: Tensor) -> Result<ConstantData, TableError> {
        let fail = |error| TableError::tensor(stored, error);
        if let Some(float) = self.variant.and_then(|variant| variant.constants.get(stored)) {
            match self.agree(float, grid, &codes) {
                Ok(float) => {
                    let data = ConstantData::new(float);
                    return Ok(ConstantData { stored: Some(codes), ..data });
                }
                Err(why) => self.notes.push(format!("'{stored}': the float variant's values are not used: {why}")),
            }
        }
        let float = grid.dequantize(&codes).map_err(fail)?;
        Ok(ConstantData { float_is_original: false, stored: Some(codes), ..ConstantData::new(float) })
    }

    /// The float tensor, where it is what the codes were made from. The stored codes stay, so a few that whoever made
    /// them has rounded to the other side change nothing; nor does a symmetric quantizer that clips at -127 and not
    /// at -128.
    fn agree(&self, float: &Tensor, grid: &Grid, codes: &Tensor) -> Result<Tensor, String> {
        let values = float.to_f32().map_err(|error| error.to_string())?;
        // A bias may be stored with another rank; its elements are the same.
        let same = float.shape() == codes.shape() || (grid.params.dtype == DType::Int32 && float.len() == codes.len());
        if !same {
            return Err(format!("they have the shape {:?} and not {:?}", float.shape(), codes.shape()));
        }
        let made = grid.quantize(&values, codes.shape()).and_then(|made| made.to_i64());
        let (made, found) = (made.map_err(|e| e.to_string())?, codes.to_i64().map_err(|e| e.to_string())?);
        let bias = grid.params.dtype == DType::Int32;
        let lowest = i64::from(grid.codes().0);
        let clipped = |code: i64| grid.signed() && !bias && (lowest..=lowest + 1).contains(&code);
        let (mut moved, mut other) = (0usize, 0usize);
        for (&made, &found) in made.iter().zip(&found).filter(|(made, found)| made != found) {
            match (made - found).abs() <= STEPS {
                _ if clipped(made) && clipped(found) => {}
                true => moved += 1,
                false => other += 1,
            }
        }
        if !bias && moved as f64 > MOVED_AT_MOST * found.len() as f64 {
            other += moved;
        }
        match other {
            0 => Tensor::from_vec(codes.shape().to_vec(), values).map_err(|error| error.to_string()),
            _ => Err(format!("{other} of {} do not give the stored integers", found.len())),
        }
    }

    /// The axis of the output channels of a weight, by the operator that reads it; `None` for other constants.
    pub fn weight_axis(&self, value: &str) -> Option<usize> {
        let readers = self.document.index().consumers(value).iter();
        let mut axes = readers.filter_map(|slot| {
            let node = self.document.node(slot.node)?;
            let rank = || self.facts.shape(value).map(<[_]>::len);
            match (node.op_type(), slot.position) {
                ("Conv", 1) | ("QLinearConv", 3) | ("ConvInteger", 1) => Some(0),
                ("ConvTranspose", 1) => Some(1),
                ("Gemm", 1) | ("QGemm", 3) => Some(usize::from(node.int("transB").unwrap_or(0) == 0)),
                ("MatMul" | "MatMulInteger", 1) | ("QLinearMatMul", 3) => {
                    rank()?.checked_sub(1).filter(|&axis| axis > 0)
                }
                ("DequantizeLinear" | "Identity", 0) => self.weight_axis(node.output_name(0)?),
                ("Transpose", 0) => {
                    let turned = self.weight_axis(node.output_name(0)?)?;
                    let order = node.ints("perm");
                    match order.get(turned) {
                        Some(&axis) => usize::try_from(axis).ok(),
                        // Without an order the axes are turned round.
                        None => rank()?.checked_sub(turned + 1),
                    }
                }
                _ => None,
            }
        });
        axes.next()
    }
}
