//! The packed weights of quantized layers, in every way that files keep them.

use super::graph::{Args, Made, Refusal};
use super::python::{Heap, Packed, Py};
use super::tensor::Constant;
use std::rc::Rc;

fn constant(value: &Py) -> Option<Rc<Constant>> {
    match value {
        Py::Tensor(constant) => Some(constant.clone()),
        _ => None,
    }
}

/// What `quantized.conv2d_prepack` and `quantized.linear_prepack` make, and what unpacking gives back; `None` for
/// other names.
pub(super) fn prepack(name: &str, args: &Args) -> Made<Option<Py>> {
    let Some(name) = name.strip_prefix("quantized.") else { return Ok(None) };
    let spatial = match name.chars().find(char::is_ascii_digit) {
        Some('1') => 1,
        Some('3') => 3,
        Some(_) => 2,
        None => 0,
    };
    if name.ends_with("_unpack") {
        let Some(Py::Packed(packed)) = args.get(0, "packed") else {
            return Err(Refusal::new("weights that are not packed"));
        };
        let bias = packed.bias.clone().map_or(Py::None, Py::Tensor);
        return Ok(Some(Py::tuple(vec![Py::Tensor(packed.weight.clone()), bias])));
    }
    if !name.ends_with("_prepack") && name != "linear_prepack_fp16" {
        return Ok(None);
    }
    let weight = args.get(0, "weight").and_then(constant);
    let weight = weight.ok_or_else(|| Refusal::new("packed weights that are computed"))?;
    let bias = args.get(1, "bias").and_then(constant);
    let transposed = name.starts_with("conv_transpose");
    let count = spatial.max(1);
    let packed = if spatial == 0 {
        linear(weight, bias)
    } else {
        let after = usize::from(transposed);
        Packed {
            spatial,
            weight,
            bias,
            stride: args.ints_of(2, "stride", count, 1)?,
            padding: args.ints_of(3, "padding", count, 0)?,
            output_padding: if transposed { args.ints_of(4, "output_padding", count, 0)? } else { vec![0; count] },
            dilation: args.ints_of(4 + after, "dilation", count, 1)?,
            groups: args.int_or(5 + after, "groups", 1)?,
            transposed,
        }
    };
    Ok(Some(Py::Packed(Rc::new(packed))))
}

fn linear(weight: Rc<Constant>, bias: Option<Rc<Constant>>) -> Packed {
    Packed {
        spatial: 0,
        weight,
        bias,
        stride: Vec::new(),
        padding: Vec::new(),
        dilation: Vec::new(),
        output_padding: Vec::new(),
        groups: 1,
        transposed: false,
    }
}

/// The packed weights that an object of `torch.classes.quantized` keeps in its state; `None` for other values.
pub(super) fn of(heap: &Heap, value: &Py) -> Option<Rc<Packed>> {
    if let Py::Packed(packed) = value {
        return Some(packed.clone());
    }
    let Py::Object(object) = value else { return None };
    let object = heap.get(*object);
    if !object.class.contains("torch.classes.quantized.") {
        return None;
    }
    let state = object.state.as_ref().and_then(Py::items).or_else(|| Some(object.args.clone()))?;
    // Some writers put the state into a tuple of its own.
    let state = match state.as_slice() {
        [single] => single.items().unwrap_or(state),
        _ => state,
    };
    let packed = if object.class.contains("LinearPackedParams") {
        linear(constant(state.first()?)?, state.get(1).and_then(constant))
    } else {
        conv_state(&state)?
    };
    Some(Rc::new(packed))
}

/// A convolution's state, as text version "2" (sizes in a tensor) or number 3 (sizes in a list) have it.
fn conv_state(state: &[Py]) -> Option<Packed> {
    let [_version, first, second] = state else { return None };
    let (numbers, weight, bias) = match first.items()?.as_slice() {
        [Py::Tensor(sizes), Py::Tensor(weight), ..] => {
            let bias = second.items().and_then(|items| items.first().and_then(constant));
            (sizes.tensor.to_i64().ok()?, weight.clone(), bias)
        }
        items => {
            let numbers: Option<Vec<i64>> = items.iter().map(Py::as_int).collect();
            let tensors = second.items()?;
            let mut found = tensors.iter().filter_map(constant);
            (numbers?, found.next()?, found.next())
        }
    };
    let spatial = usize::try_from(*numbers.first()?).ok().filter(|spatial| (1..=3).contains(spatial))?;
    let part = |index: usize| numbers.get(1 + index * spatial..1 + (index + 1) * spatial).map(<[i64]>::to_vec);
    let (stride, padding, dilation, output_padding) = (part(0)?, part(1)?, part(2)?, part(3)?);
    let groups = *numbers.get(1 + 4 * spatial)?;
    let transposed = numbers.get(2 + 4 * spatial).is_some_and(|flags| flags & 1 != 0);
    Some(Packed { spatial, weight, bias, stride, padding, dilation, output_padding, groups, transposed })
}
