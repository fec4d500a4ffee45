//! Operations that move elements: reshape, transpose, slice, join, pad; and reductions.

use super::elementwise::requantized;
use super::{Args, Graph, Made, Origin, Refusal};
use crate::import::pytorch::python::{Py, ValueId};
use crate::onnx::{Attr, Dim};
use crate::tensor::DType;

/// An axis counted from the front.
pub(super) fn axis(graph: &Graph, id: ValueId, axis: i64) -> Made<usize> {
    let rank = graph.rank(id).ok_or_else(|| Refusal::new("an axis of a tensor whose rank is not known"))?;
    let counted = if axis < 0 { axis + rank as i64 } else { axis };
    let counted = usize::try_from(counted).ok().filter(|&axis| axis < rank.max(1));
    counted.ok_or_else(|| Refusal::new(format!("axis {axis} of a tensor of rank {rank}")))
}

/// `reshape`, `view`: every dim a number, -1, or a size of another value.
pub(super) fn reshape(graph: &mut Graph, input: &Py, dims: &[Py]) -> Made<ValueId> {
    let id = graph.operand(input)?;
    let mut wanted = Vec::new();
    let mut computed = vec![None; dims.len()];
    for (position, dim) in dims.iter().enumerate() {
        wanted.push(match dim {
            Py::Size(of, axis) => {
                computed[position] = Some((*of, *axis));
                let same = graph.shape(*of).and_then(|shape| shape.get(*axis)).cloned();
                let here = graph.shape(id).and_then(|shape| shape.get(position)).cloned();
                let copies = (*of == id && *axis == position)
                    || (matches!(same, Some(Dim::Symbol(_))) && same == here)
                    // The batch comes first, whatever was done to the rest.
                    || (*axis == 0 && position == 0);
                if copies { 0 } else { -1 }
            }
            dim => dim.as_int().ok_or_else(|| Refusal::new(format!("{} as a dim", dim.describe())))?,
        });
    }
    open_batch(graph, id, &mut wanted);
    if wanted.iter().filter(|&&dim| dim == -1).count() > 1 {
        return to_sizes(graph, id, &wanted, &computed);
    }
    to_shape(graph, id, &wanted, "reshape")
}

/// Reshape to dims of which several are sizes of values that a run tells.
fn to_sizes(graph: &mut Graph, id: ValueId, wanted: &[i64], computed: &[Option<(ValueId, usize)>]) -> Made<ValueId> {
    let base = graph.wish("reshape");
    let (mut parts, mut shape) = (Vec::new(), Vec::new());
    for (position, (&dim, size)) in wanted.iter().zip(computed).enumerate() {
        let Some((of, axis)) = size.filter(|_| dim == -1) else {
            parts.push(graph.builder.ints(&format!("{base}_dim"), &[dim])?);
            let here = graph.shape(id).and_then(|shape| shape.get(position)).cloned().unwrap_or(Dim::Unknown);
            shape.push(if dim == 0 { here } else { usize::try_from(dim).map_or(Dim::Unknown, Dim::Known) });
            continue;
        };
        let name = graph.real(of);
        let sizes = graph.builder.node("Shape", &[&name], &format!("{base}_sizes"), &[]);
        let at = graph.builder.ints(&format!("{base}_axis"), &[axis as i64])?;
        parts.push(graph.builder.node("Gather", &[&sizes, &at], &format!("{base}_size"), &[]));
        shape.push(graph.shape(of).and_then(|shape| shape.get(axis)).cloned().unwrap_or(Dim::Unknown));
    }
    if wanted.iter().zip(computed).filter(|(dim, size)| **dim == -1 && size.is_none()).count() > 1 {
        return Err(Refusal::new("a reshape with more than one dim that is not known"));
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let dims = graph.builder.node("Concat", &parts, &format!("{base}_shape"), &[("axis", 0i64.into())]);
    let (dtype, name) = (graph.value(id).dtype, graph.real(id));
    let made = graph.emit("Reshape", &[&name, &dims], "reshape", &[], dtype, Some(shape));
    requantized(graph, id, made, "reshape")
}

/// A trace has the batch size of its example built in where the code asked for it: it is left open again.
fn open_batch(graph: &Graph, id: ValueId, wanted: &mut [i64]) {
    let Some((Dim::Symbol(_), rest)) = graph.shape(id).and_then(<[Dim]>::split_first) else { return };
    let Some((first, others)) = wanted.split_first_mut() else { return };
    if graph.traced_batch != usize::try_from(*first).ok() {
        return;
    }
    let size = rest.iter().try_fold(1usize, |size, dim| size.checked_mul(dim.known()?));
    let product = others.iter().try_fold(1usize, |size, &dim| size.checked_mul(usize::try_from(dim).ok()?));
    if others.contains(&-1) || (size.is_some() && size == product) {
        *first = 0;
    }
}

/// Reshape to numbers, where 0 copies a dim and -1 takes the rest.
fn to_shape(graph: &mut Graph, id: ValueId, wanted: &[i64], wish: &str) -> Made<ValueId> {
    let old = graph.shape(id).map(<[Dim]>::to_vec);
    let mut shape: Vec<Dim> = wanted
        .iter()
        .enumerate()
        .map(|(position, &dim)| match dim {
            0 => old.as_ref().and_then(|old| old.get(position)).cloned().unwrap_or(Dim::Unknown),
            dim => usize::try_from(dim).map_or(Dim::Unknown, Dim::Known),
        })
        .collect();
    // What -1 stands for is known where everything but equal symbols is.
    if let (Some(old), Some(open)) = (&old, wanted.iter().position(|&dim| dim == -1)) {
        let mut left: Vec<&Dim> = old.iter().collect();
        let mut size = 1usize;
        let mut clear = true;
        for (position, dim) in shape.iter().enumerate().filter(|(position, _)| *position != open) {
            match dim {
                Dim::Known(known) => size = size.saturating_mul(*known),
                Dim::Symbol(_) if wanted[position] == 0 => {
                    clear &= left.iter().position(|other| *other == dim).map(|at| left.remove(at)).is_some();
                }
                _ => clear = false,
            }
        }
        let total = left.iter().try_fold(1usize, |total, dim| total.checked_mul(dim.known()?));
        if let (true, Some(total)) = (clear && size > 0, total) {
            shape[open] = Dim::Known(total / size);
        } else if let (true, [Dim::Symbol(_), rest @ ..], 0) = (clear, old.as_slice(), open) {
            // (N, a, b) as (-1, a * b) is still N.
            let rest = rest.iter().try_fold(1usize, |total, dim| total.checked_mul(dim.known()?));
            if rest == Some(size) {
                shape[open] = old[0].clone();
            }
        }
    }
    let (dtype, name) = (graph.value(id).dtype, graph.real(id));
    let base = graph.wish(wish);
    let dims = graph.builder.ints(&format!("{base}_shape"), wanted)?;
    let made = graph.emit("Reshape", &[&name, &dims], wish, &[], dtype, Some(shape));
    match wanted {
        [0, -1] => graph.values[made.0].origin = Some(Origin::Flattened(id)),
        [0 | -1, row] if *row > 0 => graph.learn_row(id, *row as usize),
        _ => {}
    }
    requantized(graph, id, made, wish)
}

/// `flatten`: from one axis to another.
pub(super) fn flatten(graph: &mut Graph, args: &Args) -> Made<ValueId> {
    let id = graph.operand(args.required(0, "input")?)?;
    let (start, end) = (args.int_or(1, "start_dim", 0)?, args.int_or(2, "end_dim", -1)?);
    let rank = graph.rank(id);
    let last = |axis: i64| axis == -1 || rank.is_some_and(|rank| axis == rank as i64 - 1);
    if start == 1 && last(end) {
        let shape = graph.shape(id).map(|shape| {
            let rest = shape.iter().skip(1).try_fold(1usize, |total, dim| total.checked_mul(dim.known()?));
            vec![shape.first().cloned().unwrap_or(Dim::Unknown), rest.map_or(Dim::Unknown, Dim::Known)]
        });
        let shape = shape.unwrap_or_else(|| vec![Dim::Unknown; 2]);
        let (dtype, name) = (graph.value(id).dtype, graph.real(id));
        let made = graph.emit("Flatten", &[&name], "flatten", &[("axis", 1.into())], dtype, Some(shape));
        graph.values[made.0].origin = Some(Origin::Flattened(id));
        return requantized(graph, id, made, "flatten");
    }
    let (start, end) = (axis(graph, id, start)?, axis(graph, id, end)?);
    let shape = graph.shape(id).map(<[Dim]>::to_vec).unwrap_or_default();
    let mut wanted = vec![0i64; start];
    wanted.push(-1);
    for dim in shape.iter().skip(end + 1) {
        let known = dim.known().ok_or_else(|| Refusal::new("a flatten before a dim that is not known"))?;
        wanted.push(known as i64);
    }
    to_shape(graph, id, &wanted, "flatten")
}

/// `permute` and what comes down to it.
pub(super) fn permute(graph: &mut Graph, input: &Py, order: &[i64]) -> Made<ValueId> {
    let id = graph.operand(input)?;
    graph.learn(id, &vec![Dim::Unknown; order.len()]);
    let rank = order.len() as i64;
    let order: Vec<usize> = order
        .iter()
        .filter_map(|&axis| usize::try_from(if axis < 0 { axis + rank } else { axis }).ok())
        .filter(|&axis| axis < order.len())
        .collect();
    let old = graph.shape(id).map(<[Dim]>::to_vec).unwrap_or_default();
    if order.len() as i64 != rank || old.len() != order.len() {
        return Err(Refusal::new(format!("a permutation of {rank} dims of a tensor of rank {}", old.len())));
    }
    let shape = order.iter().map(|&axis| old[axis].clone()).collect();
    let attribute: Vec<i64> = order.iter().map(|&axis| axis as i64).collect();
    let (dtype, name) = (graph.value(id).dtype, graph.real(id));
    let made = graph.emit("Transpose", &[&name], "permute", &[("perm", attribute.into())], dtype, Some(shape));
    graph.values[made.0].origin = Some(Origin::Permuted(id, order));
    requantized(graph, id, made, "permute")
}

/// `transpose`: two axes change places.
pub(super) fn transpose(graph: &mut Graph, args: &Args) -> Made<ValueId> {
    let input = args.required(0, "input")?.clone();
    let id = graph.operand(&input)?;
    let (first, second) = (axis(graph, id, args.int_or(1, "dim0", 0)?)?, axis(graph, id, args.int_or(2, "dim1", 1)?)?);
    let mut order: Vec<i64> = (0..graph.rank(id).unwrap_or(0) as i64).collect();
    order.swap(first, second);
    permute(graph, &input, &order)
}

/// `unsqueeze` and `squeeze` at axes; `squeeze` without axes takes every dim of 1.
pub(super) fn squeeze(graph: &mut Graph, args: &Args, insert: bool) -> Made<ValueId> {
    let id = graph.operand(args.required(0, "input")?)?;
    let axes = args.ints(1, "dim")?;
    let (dtype, name, wish) = (graph.value(id).dtype, graph.real(id), if insert { "unsqueeze" } else { "squeeze" });
    let shape = graph.shape(id).map(<[Dim]>::to_vec);
    let mut inputs = vec![name];
    if let Some(axes) = &axes {
        let base = graph.wish(wish);
        inputs.push(graph.builder.ints(&format!("{base}_axes"), axes)?);
    }
    let shape = match (shape, axes.as_deref()) {
        (Some(mut shape), Some([single])) if insert => {
            let at = if *single < 0 { single + shape.len() as i64 + 1 } else { *single };
            let at = usize::try_from(at).ok().filter(|&at| at <= shape.len());
            at.map(|at| {
                shape.insert(at, Dim::Known(1));
                shape
            })
        }
        (Some(mut shape), Some(axes)) if !insert => {
            let mut axes = axes.iter().map(|&at| axis(graph, id, at)).collect::<Made<Vec<usize>>>()?;
            axes.sort_unstable();
            // PyTorch leaves dims that are not 1 as they are; ONNX refuses them.
            if axes.iter().any(|&at| shape[at].known().is_some_and(|dim| dim != 1)) {
                return Ok(id);
            }
            axes.iter().rev().for_each(|&at| _ = shape.remove(at));
            Some(shape)
        }
        _ => None,
    };
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let made = graph.emit(if insert { "Unsqueeze" } else { "Squeeze" }, &inputs, wish, &[], dtype, shape);
    requantized(graph, id, made, wish)
}

/// `cat`: joins along an axis.
pub(super) fn concat(graph: &mut Graph, items: &[Py], along: i64, wish: &str) -> Made<ValueId> {
    let ids = items.iter().map(|item| graph.operand(item)).collect::<Made<Vec<ValueId>>>()?;
    let Some(&first) = ids.first() else { return Err(Refusal::new("a join of nothing")) };
    let mut shape = graph.shape(first).map(<[Dim]>::to_vec);
    if let (Some(dims), Ok(at)) = (&mut shape, axis(graph, first, along)) {
        let sizes = ids.iter().map(|&id| graph.shape(id).and_then(|shape| shape.get(at)?.known()));
        let total: Option<usize> = sizes.sum();
        dims[at] = total.map_or(Dim::Unknown, Dim::Known);
    }
    let names: Vec<String> = ids.iter().map(|&id| graph.real(id)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let dtype = graph.value(first).dtype;
    Ok(graph.emit("Concat", &names, wish, &[("axis", along.into())], dtype, shape))
}

/// `stack`: joins along a new axis.
pub(super) fn stack(graph: &mut Graph, items: &[Py], along: i64) -> Made<ValueId> {
    let mut raised = Vec::new();
    for item in items {
        raised.push(Py::Value(squeeze(graph, &Args::of(vec![item.clone(), Py::Int(along)]), true)?));
    }
    concat(graph, &raised, along, "stack")
}

/// `chunk`, `split`, `split_with_sizes`: the parts in order. `sizes` are those of the parts.
pub(super) fn split(graph: &mut Graph, input: &Py, sizes: &[i64], along: i64) -> Made<Vec<ValueId>> {
    let id = graph.operand(input)?;
    let at = axis(graph, id, along)?;
    let old = graph.shape(id).map(<[Dim]>::to_vec).unwrap_or_default();
    let (dtype, name) = (graph.value(id).dtype, graph.real(id));
    let base = graph.wish("split");
    let lengths = graph.builder.ints(&format!("{base}_sizes"), sizes)?;
    let wishes = vec![base.as_str(); sizes.len()];
    let names = graph.builder.node_of("", "Split", &[&name, &lengths], &wishes, &[("axis", along.into())]);
    let mut parts = Vec::new();
    for (name, &size) in names.into_iter().zip(sizes) {
        let mut shape = old.clone();
        shape[at] = usize::try_from(size).map_or(Dim::Unknown, Dim::Known);
        let part =
            graph.add(super::GraphValue { name, dtype, shape: Some(shape), quant: None, origin: None, row: None });
        parts.push(requantized(graph, id, part, "split")?);
    }
    Ok(parts)
}

/// The sizes of the parts of an axis: `count` parts of `size`, the last one smaller.
pub(super) fn part_sizes(graph: &mut Graph, input: &Py, along: i64, parts: Parts) -> Made<Vec<i64>> {
    let id = graph.operand(input)?;
    let at = axis(graph, id, along)?;
    let dim = graph.shape(id).and_then(|shape| shape.get(at)?.known()).map(|dim| dim as i64);
    let dim = dim.ok_or_else(|| Refusal::new("a split along a dim that is not known"))?;
    let size = match parts {
        Parts::Count(count) => (dim as u64).div_ceil(count.max(1) as u64) as i64,
        Parts::Size(size) => size,
    };
    if size < 1 || dim / size > 10_000 {
        return Err(Refusal::new(format!("a split of {dim} into parts of {size}")));
    }
    Ok((0..dim).step_by(size as usize).map(|start| size.min(dim - start)).collect())
}

/// How an axis is to be cut.
#[derive(Clone, Copy)]
pub(super) enum Parts {
    Count(i64),
    Size(i64),
}

/// `slice`: axis, start, end, step.
pub(super) fn slice(
    graph: &mut Graph,
    input: &Py,
    along: i64,
    start: Option<i64>,
    end: Option<i64>,
    step: i64,
) -> Made<ValueId> {
    let id = graph.operand(input)?;
    let (start, end) = (start.unwrap_or(0), end.unwrap_or(i64::MAX));
    if start == 0 && end == i64::MAX && step == 1 {
        return Ok(id);
    }
    let mut shape = graph.shape(id).map(<[Dim]>::to_vec);
    if let (Some(dims), Ok(at)) = (&mut shape, axis(graph, id, along)) {
        dims[at] = match dims[at].known() {
            Some(dim) if step > 0 => {
                let dim = dim as i64;
                let clamp = |index: i64| if index < 0 { (index + dim).max(0) } else { index.min(dim) };
                Dim::Known(((clamp(end) - clamp(start)).max(0) as usize).div_ceil(step as usize))
            }
            _ => Dim::Unknown,
        };
    }
    let (dtype, name, base) = (graph.value(id).dtype, graph.real(id), graph.wish("slice"));
    let mut inputs = vec![name];
    for (part, value) in [("starts", start), ("ends", end), ("axes", along), ("steps", step)] {
        inputs.push(graph.builder.ints(&format!("{base}_{part}"), &[value])?);
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let made = graph.emit("Slice", &inputs, "slice", &[], dtype, shape);
    requantized(graph, id, made, "slice")
}

/// `select`: one index of an axis, which goes.
pub(super) fn select(graph: &mut Graph, input: &Py, along: i64, index: i64) -> Made<ValueId> {
    let id = graph.operand(input)?;
    let mut shape = graph.shape(id).map(<[Dim]>::to_vec);
    match (&mut shape, axis(graph, id, along)) {
        (Some(dims), Ok(at)) => _ = dims.remove(at),
        _ => shape = None,
    }
    let (dtype, name, base) = (graph.value(id).dtype, graph.real(id), graph.wish("select"));
    let index = crate::tensor::Tensor::from_vec(vec![], vec![index])?;
    let index = graph.builder.initializer(&format!("{base}_index"), &index);
    let made = graph.emit("Gather", &[&name, &index], "select", &[("axis", along.into())], dtype, shape);
    requantized(graph, id, made, "select")
}

/// `pad`: pairs of numbers from the last axis on.
pub(super) fn pad(graph: &mut Graph, input: &Py, pads: &[i64], mode: &str, value: f64) -> Made<ValueId> {
    let id = graph.operand(input)?;
    let pairs = pads.as_chunks::<2>().0;
    if !pads.len().is_multiple_of(2) || graph.rank(id).is_some_and(|rank| rank < pairs.len()) {
        return Err(Refusal::new(format!("a padding of {} numbers", pads.len())));
    }
    if graph.rank(id).is_none() {
        // Images are padded in their two last dims, lines in one.
        graph.learn(id, &vec![Dim::Unknown; pairs.len() + 2]);
    }
    let mut shape = graph.shape(id).map(<[Dim]>::to_vec).unwrap_or_default();
    let rank = shape.len();
    let mut all = vec![0i64; 2 * rank];
    for (from_end, [before, after]) in pairs.iter().enumerate() {
        let at = rank - 1 - from_end;
        all[at] = *before;
        all[rank + at] = *after;
        let dim = shape[at].known().and_then(|dim| (dim as i64).checked_add(*before)?.checked_add(*after));
        let dim = dim.and_then(|dim| usize::try_from(dim).ok());
        shape[at] = dim.map_or(Dim::Unknown, Dim::Known);
    }
    let onnx_mode = match mode {
        "constant" => "constant",
        "reflect" => "reflect",
        "replicate" => "edge",
        other => return Err(Refusal::new(format!("a padding by the mode '{other}'"))),
    };
    let (dtype, name, base) = (graph.value(id).dtype, graph.real(id), graph.wish("pad"));
    let mut inputs = vec![name, graph.builder.ints(&format!("{base}_pads"), &all)?];
    if onnx_mode == "constant" {
        let number = graph.scalar(value, dtype)?;
        inputs.push(graph.real(number));
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let made = graph.emit("Pad", &inputs, "pad", &[("mode", onnx_mode.into())], dtype, Some(shape));
    // Batch and channels stay what they are: what a convolution behind tells of them holds before it too.
    if pairs.len() + 2 <= rank {
        graph.values[made.0].origin = Some(Origin::Same(id));
    }
    requantized(graph, id, made, "pad")
}

/// `mean`, `sum`, `amax`, `amin` over axes, or over all.
pub(super) fn reduce(
    graph: &mut Graph,
    id: ValueId,
    op: &str,
    axes: Option<&[i64]>,
    keep: bool,
    wish: &str,
) -> Made<ValueId> {
    let mut shape = graph.shape(id).map(<[Dim]>::to_vec);
    match (&mut shape, axes) {
        (Some(dims), Some(axes)) => {
            let mut positions = axes.iter().map(|&at| axis(graph, id, at)).collect::<Made<Vec<usize>>>()?;
            positions.sort_unstable();
            positions.dedup();
            for &at in positions.iter().rev() {
                match keep {
                    true => dims[at] = Dim::Known(1),
                    false => _ = dims.remove(at),
                }
            }
        }
        (shape, None) if !keep => *shape = Some(Vec::new()),
        _ => {}
    }
    let (dtype, name) = (graph.value(id).dtype, graph.real(id));
    let mut inputs = vec![name];
    let mut attributes: Vec<(&str, Attr)> = vec![("keepdims", keep.into())];
    if let Some(axes) = axes {
        // ReduceSum takes its axes as an input since 13, the others since 18.
        if op == "ReduceSum" || graph.builder.opset() >= 18 {
            let base = graph.wish(wish);
            inputs.push(graph.builder.ints(&format!("{base}_axes"), axes)?);
        } else {
            attributes.push(("axes", axes.to_vec().into()));
        }
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let made = graph.emit(op, &inputs, wish, &attributes, dtype, shape);
    requantized(graph, id, made, wish)
}

/// `to` and its short forms: another element type.
pub(super) fn cast(graph: &mut Graph, input: &Py, dtype: DType) -> Made<ValueId> {
    let id = graph.operand(input)?;
    if graph.value(id).dtype == dtype {
        return Ok(id);
    }
    let (name, shape) = (graph.real(id), graph.value(id).shape.clone());
    let made = graph.emit("Cast", &[&name], "cast", &[("to", i64::from(dtype.to_onnx()).into())], dtype, shape);
    graph.values[made.0].origin = Some(Origin::Same(id));
    Ok(made)
}
