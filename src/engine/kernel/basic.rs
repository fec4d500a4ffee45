//! Operators that only look at types, shapes and constants, and `Div`.

use super::{Inputs, Kernel, required};
use crate::engine::broadcast;
use crate::engine::limits::MAX_ELEMENTS;
use crate::engine::lower::FlatNode;
use crate::engine::tract_node::TractNode;
use crate::engine::value::{KernelError, Value, round_to};
use crate::onnx::proto::NodeProto;
use crate::onnx::{NodeExt, tensor_from_proto};
use crate::quant::{encode_f4e2m1, encode_f8};
use crate::tensor::{DType, decode_f4e2m1, decode_f8};
use half::f16;

/// The kernel of a basic operator of ai.onnx; `None` for other operators.
pub(super) fn build(flat: &FlatNode) -> Result<Option<Box<dyn Kernel>>, KernelError> {
    let node = &flat.proto;
    if !node.domain_name().is_empty() {
        return Ok(None);
    }
    let kernel: Box<dyn Kernel> = match node.op_type() {
        "Constant" => {
            let value = constant(node)?;
            Box::new(move |_: Inputs<'_>| Ok(vec![value.clone()]))
        }
        "Identity" => Box::new(|inputs: Inputs<'_>| Ok(vec![required(inputs, 0)?.clone()])),
        "Shape" => {
            let (start, end) = (NodeExt::int(node, "start").unwrap_or(0), NodeExt::int(node, "end"));
            Box::new(move |inputs: Inputs<'_>| shape_of(required(inputs, 0)?, start, end))
        }
        "Size" => Box::new(|inputs: Inputs<'_>| {
            Ok(vec![Value::from_vec(DType::Int64, &[], vec![required(inputs, 0)?.len() as i64])?])
        }),
        "Reshape" if flat.opset >= 5 => {
            let keep_zero = NodeExt::int(node, "allowzero").unwrap_or(0) != 0;
            Box::new(move |inputs: Inputs<'_>| {
                let x = required(inputs, 0)?;
                Ok(vec![x.reshaped(&target_shape(x.shape(), &required(inputs, 1)?.to_i64s()?, keep_zero)?)?])
            })
        }
        "ConstantOfShape" => {
            let fill = match NodeExt::tensor(node, "value") {
                Some(tensor) => Value::from_plain(&tensor_from_proto(tensor).map_err(|e| e.to_string())?)?,
                None => Value::from_vec(DType::Float32, &[], vec![0f32])?,
            };
            Box::new(move |inputs: Inputs<'_>| constant_of_shape(required(inputs, 0)?, &fill))
        }
        "Cast" => {
            let number = NodeExt::int(node, "to").unwrap_or(0);
            let to = i32::try_from(number).ok().and_then(DType::from_onnx);
            let to = to.filter(|&t| !matches!(t, DType::String | DType::Complex64 | DType::Complex128));
            let to = to.ok_or_else(|| format!("a cast to the data type {number} cannot be computed"))?;
            let saturate = NodeExt::int(node, "saturate").unwrap_or(1) != 0;
            Box::new(move |inputs: Inputs<'_>| Ok(vec![cast(required(inputs, 0)?, to, saturate)?]))
        }
        "CastLike" => {
            let saturate = NodeExt::int(node, "saturate").unwrap_or(1) != 0;
            Box::new(move |inputs: Inputs<'_>| {
                Ok(vec![cast(required(inputs, 0)?, required(inputs, 1)?.dtype(), saturate)?])
            })
        }
        "Div" => {
            let mut integers = TractNode::new(flat)?;
            Box::new(move |inputs: Inputs<'_>| divide(inputs, &mut integers))
        }
        _ => return Ok(None),
    };
    Ok(Some(kernel))
}

/// The tensor of a `Constant` node, whichever attribute holds it.
fn constant(node: &NodeProto) -> Result<Value, KernelError> {
    if let Some(tensor) = NodeExt::tensor(node, "value") {
        return Value::from_plain(&tensor_from_proto(tensor).map_err(|e| e.to_string())?);
    }
    if let Some(float) = NodeExt::float(node, "value_float") {
        return Value::from_vec(DType::Float32, &[], vec![float]);
    }
    if let Some(int) = NodeExt::int(node, "value_int") {
        return Value::from_vec(DType::Int64, &[], vec![int]);
    }
    if let Some(floats) = NodeExt::attribute(node, "value_floats") {
        return Value::from_vec(DType::Float32, &[floats.floats.len()], floats.floats.clone());
    }
    if let Some(ints) = NodeExt::attribute(node, "value_ints") {
        return Value::from_vec(DType::Int64, &[ints.ints.len()], ints.ints.clone());
    }
    Err("a constant of strings or a sparse constant cannot be computed with".to_owned())
}

fn shape_of(x: &Value, start: i64, end: Option<i64>) -> Result<Vec<Value>, KernelError> {
    let rank = x.shape().len() as i64;
    let clip = |at: i64| if at < 0 { at + rank } else { at }.clamp(0, rank) as usize;
    let (start, end) = (clip(start), clip(end.unwrap_or(rank)));
    let dims: Vec<i64> = x.shape().get(start..end.max(start)).unwrap_or(&[]).iter().map(|&d| d as i64).collect();
    Ok(vec![Value::from_vec(DType::Int64, &[dims.len()], dims)?])
}

/// The shape a `Reshape` asks for: 0 copies a dim unless `allowzero`, one -1 takes what is left.
fn target_shape(from: &[usize], wanted: &[i64], keep_zero: bool) -> Result<Vec<usize>, KernelError> {
    let wrong = || format!("the shape {wanted:?} does not hold the elements of {from:?}");
    let mut open = None;
    let mut shape = Vec::with_capacity(wanted.len());
    for (axis, &dim) in wanted.iter().enumerate() {
        shape.push(match dim {
            0 if !keep_zero => *from.get(axis).ok_or_else(wrong)?,
            -1 if open.is_none() => {
                open = Some(axis);
                1
            }
            dim => usize::try_from(dim).map_err(|_| wrong())?,
        });
    }
    let (total, known) = (product(from).ok_or_else(wrong)?, product(&shape).ok_or_else(wrong)?);
    if let Some(dim) = open.and_then(|axis| shape.get_mut(axis)) {
        *dim = total.checked_div(known).ok_or_else(wrong)?;
    }
    if product(&shape) == Some(total) { Ok(shape) } else { Err(wrong()) }
}

fn product(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim))
}

fn constant_of_shape(shape: &Value, fill: &Value) -> Result<Vec<Value>, KernelError> {
    let dims = shape.to_i64s()?.into_iter().map(usize::try_from).collect::<Result<Vec<_>, _>>();
    let dims = dims.map_err(|_| "the shape holds a negative dim".to_owned())?;
    if product(&dims).is_none_or(|count| count > MAX_ELEMENTS) {
        return Err(format!("a tensor of shape {dims:?} is larger than the engine's limit"));
    }
    let scalar = fill.reshaped(&[])?;
    let filled = scalar.tensor().broadcast_scalar_to_shape(&dims).map_err(|e| e.to_string())?;
    Ok(vec![Value::new(fill.dtype(), std::sync::Arc::new(filled))?])
}

/// `Cast`: floats to integers cut toward zero, integers keep their low bits, narrow floats round half to even.
pub(crate) fn cast(x: &Value, to: DType, saturate: bool) -> Result<Value, KernelError> {
    if x.dtype() == to {
        return Ok(x.clone());
    }
    let shape = x.shape();
    let from_float = x.dtype().is_float();
    let wide = || -> Result<Vec<f64>, KernelError> {
        let cast = x.tensor().cast_to::<f64>().map_err(|e| e.to_string())?;
        let plain = cast.try_as_plain_ram().map_err(|e| e.to_string())?;
        Ok(plain.as_slice::<f64>().map_err(|e| e.to_string())?.to_vec())
    };
    if to == DType::Bool {
        let flags: Vec<bool> = match from_float {
            true => wide()?.into_iter().map(|v| v != 0.0).collect(),
            false => x.to_i64s()?.into_iter().map(|v| v != 0).collect(),
        };
        return Value::from_vec(to, shape, flags);
    }
    if to.is_int() {
        let numbers: Vec<i64> = match from_float {
            true if to == DType::Uint64 => wide()?.into_iter().map(|v| v as u64 as i64).collect(),
            true => wide()?.into_iter().map(|v| v as i64).collect(),
            false => x.to_i64s()?,
        };
        // Types narrower than their carrier wrap inside their own width, as two's complement does.
        let fold: Box<dyn Fn(i64) -> i64> = match (to.int_range(), to.bits()) {
            (Some((low, _)), Some(bits)) if bits < 8 => Box::new(move |v| (v - low).rem_euclid(1 << bits) + low),
            _ => Box::new(|v| v),
        };
        return Value::from_i64s(to, shape, &numbers.into_iter().map(fold).collect::<Vec<_>>());
    }
    if to == DType::Float64 {
        return Value::from_vec(to, shape, wide()?);
    }
    let narrow = |v: f32| match to {
        DType::Float4E2m1 => decode_f4e2m1(encode_f4e2m1(v)),
        float if float.bits() == Some(8) => decode_f8(float, encode_f8(float, v, saturate)),
        float => round_to(float, v),
    };
    let numbers: Vec<f32> = match (x.dtype(), to) {
        // One rounding, not two.
        (DType::Float64, DType::Float16) => wide()?.into_iter().map(|v| f16::from_f64(v).to_f32()).collect(),
        (DType::Bool, _) => x.to_i64s()?.into_iter().map(|v| v as f32).collect(),
        _ => x.to_f32s()?.into_iter().map(narrow).collect(),
    };
    Value::from_vec(to, shape, numbers)
}

/// Float division by division: tract turns a constant divisor into a multiplication by its reciprocal, which differs
/// in the last bit and moves values across rounding edges. Integers are left to tract.
fn divide(inputs: Inputs<'_>, integers: &mut TractNode) -> Result<Vec<Value>, KernelError> {
    let (a, b) = (required(inputs, 0)?, required(inputs, 1)?);
    let (Ok(x), Ok(y)) = (a.f32s(), b.f32s()) else {
        let zero = b.to_i64s().is_ok_and(|divisors| divisors.contains(&0));
        return if zero { Err("an integer is divided by 0".to_owned()) } else { integers.run(inputs) };
    };
    let (shape, quotients) = broadcast::zip((x, a.shape()), (y, b.shape()), |a, b| a / b)?;
    Ok(vec![Value::from_vec(DType::Float32, &shape, quotients)?.retyped(a.dtype())?])
}
