//! Scale and zero point tensors to [`QuantParams`].

use super::lookup::Parameters;
use super::params::{Granularity, QuantParams};
use crate::onnx::{Dim, Document};
use crate::tensor::{DType, Tensor};

/// How a node applies a scale.
pub(super) struct ScaleUse {
    /// The axis of a vector of scales, counted from the end where negative.
    pub axis: i64,
    /// Elements per scale along the axis; 0 where scales are per tensor or per channel.
    pub block_size: usize,
    /// The stored type where no zero point tells it.
    pub default_dtype: DType,
}

/// Reads a scale and its zero point.
pub(super) fn read_params(
    document: &Document,
    shape: Option<&[Dim]>,
    scale: &str,
    zero_point: Option<&str>,
    how: &ScaleUse,
) -> Parameters {
    let constant = |name: &str| document.is_constant(&document.origin(name));
    if !constant(scale) || zero_point.is_some_and(|name| !constant(name)) {
        return Parameters::AtRunTime { dtype: how.default_dtype };
    }
    match read(document, shape, scale, zero_point, how) {
        Ok(params) => Parameters::Fixed(params),
        Err(why) => Parameters::Unusable(why),
    }
}

fn read(
    document: &Document,
    shape: Option<&[Dim]>,
    scale: &str,
    zero_point: Option<&str>,
    how: &ScaleUse,
) -> Result<QuantParams, String> {
    let constant = |name: &str| -> Result<Tensor, String> {
        let tensor = document.constant(&document.origin(name));
        tensor.ok_or_else(|| format!("'{name}' cannot be read"))?.map_err(|error| error.to_string())
    };
    let scale_tensor = constant(scale)?;
    let scales = scale_tensor.to_f32().map_err(|error| format!("scale '{scale}': {error}"))?;
    if scales.is_empty() {
        return Err(format!("scale '{scale}' is empty"));
    }
    let zero_tensor = zero_point.map(constant).transpose()?;
    let dtype = zero_tensor.as_ref().map_or(how.default_dtype, Tensor::dtype);
    let mut zero_points = match &zero_tensor {
        // Float types have no zero point but 0.
        Some(tensor) if dtype.is_float() => vec![0; tensor.len()],
        Some(tensor) => {
            let integers = tensor.to_i64().map_err(|error| format!("zero point: {error}"))?;
            let narrow =
                integers.into_iter().map(|value| i32::try_from(value).map_err(|_| format!("zero point {value}")));
            narrow.collect::<Result<_, _>>()?
        }
        None => vec![0; scales.len()],
    };
    // One zero point for all scales is what some writers mean by a scalar.
    if let ([single], true) = (zero_points.as_slice(), scales.len() > 1) {
        zero_points = vec![*single; scales.len()];
    }
    if zero_points.len() != scales.len() {
        return Err(format!("{} scales and {} zero points", scales.len(), zero_points.len()));
    }
    let granularity = granularity(shape, &scale_tensor, how)?;
    Ok(QuantParams { scale: scales, zero_point: zero_points, dtype, granularity })
}

fn granularity(shape: Option<&[Dim]>, scale: &Tensor, how: &ScaleUse) -> Result<Granularity, String> {
    let count = scale.len();
    if how.block_size == 0 && count == 1 {
        return Ok(Granularity::PerTensor);
    }
    let rank = match shape {
        Some(shape) => shape.len(),
        // Without the tensor's rank a negative axis has no place, a blocked scale's own rank is the tensor's.
        None if how.block_size > 0 => scale.shape().len(),
        None if how.axis >= 0 => how.axis as usize + 1,
        None => return Err("the tensor's rank is not known, and the axis counts from the end".to_owned()),
    };
    let axis = if how.axis < 0 { how.axis.saturating_add(rank as i64) } else { how.axis };
    let axis = usize::try_from(axis).ok().filter(|&axis| axis < rank);
    let axis = axis.ok_or_else(|| format!("axis {} of a tensor of rank {rank}", how.axis))?;
    let dim = shape.and_then(|shape| shape.get(axis)?.known());
    if how.block_size == 0 {
        return match dim {
            Some(dim) if dim != count => Err(format!("{count} scales along an axis of {dim}")),
            _ => Ok(Granularity::PerChannel { axis }),
        };
    }
    let block_size = how.block_size;
    let dims = shape.unwrap_or_default().iter().map(Dim::known).enumerate();
    for (position, dim) in dims {
        let expected = if position == axis { dim.map(|dim| dim.div_ceil(block_size)) } else { dim };
        let found = scale.shape().get(position).copied();
        if expected.is_some() && expected != found {
            return Err(format!("scales of shape {:?} for blocks of {block_size} along axis {axis}", scale.shape()));
        }
    }
    Ok(Granularity::Blocked { axis, block_size })
}
