//! The shape rules of single operators, on dims that may be names or unknown.

use super::attributes::NodeExt;
use super::facts::{Dim, ValueFact};
use super::infer::{Inferred, Reader};
use crate::tensor::DType;

type Shape = Vec<Dim>;

/// An axis counted from the front; `None` out of range.
pub(super) fn axis_of(axis: i64, rank: usize) -> Option<usize> {
    let axis = if axis < 0 { axis.checked_add(rank as i64)? } else { axis };
    usize::try_from(axis).ok().filter(|&axis| axis < rank)
}

fn at(list: &[i64], position: usize, default: i64) -> i64 {
    list.get(position).copied().unwrap_or(default)
}

/// Multidirectional broadcasting of two shapes.
pub(super) fn broadcast(a: Option<Shape>, b: Option<Shape>) -> Option<Shape> {
    let (a, b) = (a?, b?);
    let rank = a.len().max(b.len());
    let from_end = |shape: &Shape, back: usize| match shape.len().checked_sub(back) {
        Some(position) => shape.get(position).cloned().unwrap_or(Dim::Known(1)),
        None => Dim::Known(1),
    };
    let dim = |back| match (from_end(&a, back), from_end(&b, back)) {
        (Dim::Known(1), other) | (other, Dim::Known(1)) => other,
        (Dim::Known(known), _) | (_, Dim::Known(known)) => Dim::Known(known),
        (one, other) if one == other => one,
        _ => Dim::Unknown,
    };
    Some((1..=rank).rev().map(dim).collect())
}

/// One spatial dim behind a sliding window.
struct Window {
    kernel: usize,
    stride: usize,
    dilation: usize,
    pads: (usize, usize),
    same: bool,
    ceil: bool,
}

impl Window {
    fn slide(&self, dim: &Dim) -> Dim {
        let Dim::Known(dim) = *dim else { return Dim::Unknown };
        if self.same {
            return Dim::Known(dim.div_ceil(self.stride));
        }
        let extent = self.dilation.saturating_mul(self.kernel.saturating_sub(1)).saturating_add(1);
        let padded = dim.saturating_add(self.pads.0).saturating_add(self.pads.1);
        let Some(room) = padded.checked_sub(extent) else { return Dim::Known(0) };
        if !self.ceil {
            return Dim::Known(room / self.stride + 1);
        }
        let count = room.div_ceil(self.stride) + 1;
        // A window that starts in the padding behind the data is left out (ONNX Pool operators, opset 19 on; ORT always).
        let starts_inside = (count - 1).saturating_mul(self.stride) < dim.saturating_add(self.pads.0);
        Dim::Known(if starts_inside { count } else { count - 1 })
    }
}

fn windows(read: &Reader, kernel: &[usize]) -> Vec<Window> {
    let node = read.node;
    let (strides, dilations, pads) = (node.ints("strides"), node.ints("dilations"), node.ints("pads"));
    let positive = |value: i64| usize::try_from(value).unwrap_or(1).max(1);
    let pad = |value: i64| usize::try_from(value).unwrap_or(0);
    let auto_pad = node.string("auto_pad").unwrap_or("NOTSET");
    let window = |(axis, &kernel): (usize, &usize)| Window {
        kernel,
        stride: positive(at(strides, axis, 1)),
        dilation: positive(at(dilations, axis, 1)),
        pads: match auto_pad {
            "VALID" => (0, 0),
            _ => (pad(at(pads, axis, 0)), pad(at(pads, axis + pads.len() / 2, 0))),
        },
        same: auto_pad.starts_with("SAME"),
        ceil: node.int("ceil_mode").unwrap_or(0) != 0,
    };
    kernel.iter().enumerate().map(window).collect()
}

/// The kernel of a convolution: the attribute, or the weight's dims from the third on.
pub(super) fn kernel(read: &Reader, weight: usize) -> Option<Vec<usize>> {
    let given = read.node.ints("kernel_shape");
    match given.is_empty() {
        false => given.iter().map(|&dim| usize::try_from(dim).ok()).collect(),
        true => read.shape(weight)?.get(2..)?.iter().map(Dim::known).collect(),
    }
}

pub(super) fn conv(read: &Reader, input: usize, weight: usize) -> Option<Shape> {
    let (x, w) = (read.shape(input)?, read.shape(weight)?);
    let windows = windows(read, &kernel(read, weight)?);
    let spatial = x.get(2..).filter(|spatial| spatial.len() == windows.len())?;
    let mut shape = vec![x.first()?.clone(), w.first()?.clone()];
    shape.extend(windows.iter().zip(spatial).map(|(window, dim)| window.slide(dim)));
    Some(shape)
}

/// `stride x (in - 1) + output_padding + dilated kernel - pads`, or `output_shape`, or `in x stride` with SAME.
pub(super) fn conv_transpose(read: &Reader) -> Option<Shape> {
    let (x, w) = (read.shape(0)?, read.shape(1)?);
    let kernel = kernel(read, 1)?;
    let spatial = x.get(2..).filter(|spatial| spatial.len() == kernel.len())?;
    let group = usize::try_from(read.node.int("group").unwrap_or(1)).ok()?;
    let channels = w.get(1)?.known().map_or(Dim::Unknown, |channels| Dim::Known(channels.saturating_mul(group)));
    let mut shape = vec![x.first()?.clone(), channels];
    let given = read.node.ints("output_shape");
    let extra = read.node.ints("output_padding");
    for (axis, (dim, window)) in spatial.iter().zip(windows(read, &kernel)).enumerate() {
        let given =
            given.get(given.len().saturating_sub(kernel.len()) + axis).and_then(|&dim| usize::try_from(dim).ok());
        shape.push(match (given, dim.known()) {
            (Some(given), _) => Dim::Known(given),
            (None, Some(dim)) if window.same => Dim::Known(dim.saturating_mul(window.stride)),
            (None, Some(dim)) => {
                let extent = window.dilation.saturating_mul(window.kernel.saturating_sub(1)).saturating_add(1);
                let extra = usize::try_from(at(extra, axis, 0)).unwrap_or(0);
                let full =
                    window.stride.saturating_mul(dim.saturating_sub(1)).saturating_add(extent).saturating_add(extra);
                Dim::Known(full.saturating_sub(window.pads.0.saturating_add(window.pads.1)))
            }
            (None, None) => Dim::Unknown,
        });
    }
    Some(shape)
}

pub(super) fn pool(read: &Reader, input: usize) -> Option<Shape> {
    let x = read.shape(input)?;
    let kernel: Vec<usize> =
        read.node.ints("kernel_shape").iter().map(|&k| usize::try_from(k).ok()).collect::<Option<_>>()?;
    let windows = windows(read, &kernel);
    let channels_last = read.node.int("channels_last").unwrap_or(0) != 0;
    let first = if channels_last { 1 } else { 2 };
    let spatial = x.get(first..first + windows.len()).filter(|_| x.len() == windows.len() + 2)?;
    let slid: Vec<Dim> = windows.iter().zip(spatial).map(|(window, dim)| window.slide(dim)).collect();
    let (front, back) = (x.get(..first)?.to_vec(), x.get(first + windows.len()..)?.to_vec());
    Some([front, slid, back].concat())
}

pub(super) fn global_pool(x: Option<Shape>, channels_last: bool) -> Option<Shape> {
    let x = x?;
    let rank = x.len();
    let kept = |axis: usize| axis == 0 || axis == if channels_last { rank.saturating_sub(1) } else { 1 };
    Some(x.into_iter().enumerate().map(|(axis, dim)| if kept(axis) { dim } else { Dim::Known(1) }).collect())
}

/// numpy.matmul: vectors are rows on the left and columns on the right, leading dims broadcast.
pub(super) fn matmul(read: &Reader, left: usize, right: usize) -> Option<Shape> {
    let (mut a, mut b) = (read.shape(left)?, read.shape(right)?);
    let (vector_a, vector_b) = (a.len() == 1, b.len() == 1);
    if vector_a {
        a.insert(0, Dim::Known(1));
    }
    if vector_b {
        b.push(Dim::Known(1));
    }
    let (lead_a, rows) = a.split_at_checked(a.len().checked_sub(2)?)?;
    let (lead_b, columns) = b.split_at_checked(b.len().checked_sub(2)?)?;
    let mut shape = broadcast(Some(lead_a.to_vec()), Some(lead_b.to_vec()))?;
    if !vector_a {
        shape.push(rows.first()?.clone());
    }
    if !vector_b {
        shape.push(columns.get(1)?.clone());
    }
    Some(shape)
}

pub(super) fn gemm(read: &Reader, left: usize, right: usize) -> Option<Shape> {
    let (a, b) = (read.shape(left)?, read.shape(right)?);
    let flag = |name| usize::from(read.node.int(name).unwrap_or(0) != 0);
    Some(vec![a.get(flag("transA"))?.clone(), b.get(1 - flag("transB"))?.clone()])
}

pub(super) fn transpose(x: Option<Shape>, perm: &[i64]) -> Option<Shape> {
    let x = x?;
    match perm.is_empty() {
        true => Some(x.into_iter().rev().collect()),
        false => perm.iter().map(|&axis| x.get(axis_of(axis, x.len())?).cloned()).collect(),
    }
}

fn product(dims: &[Dim]) -> Option<usize> {
    dims.iter().try_fold(1usize, |product, dim| product.checked_mul(dim.known()?))
}

/// 0 copies a dim (unless `allowzero`), -1 takes what is left. A symbolic batch passes through -1 where the other
/// dims use up the rest exactly.
pub(super) fn reshape(read: &Reader) -> Option<Shape> {
    let x = read.shape(0);
    let wanted = match read.constant_ints(1) {
        Some(wanted) => wanted,
        None => return read.content(1),
    };
    let allow_zero = read.node.int("allowzero").unwrap_or(0) != 0;
    let mut shape = Vec::with_capacity(wanted.len());
    for (axis, &dim) in wanted.iter().enumerate() {
        shape.push(match dim {
            0 if !allow_zero => x.as_ref().and_then(|x| x.get(axis).cloned()).unwrap_or(Dim::Unknown),
            -1 => Dim::Unknown,
            dim => Dim::Known(usize::try_from(dim).ok()?),
        });
    }
    let (Some(open), Some(x)) = (wanted.iter().position(|&dim| dim == -1), x) else { return Some(shape) };
    // Dims that are on both sides cancel out; what is left has to be numbers, or one symbol alone.
    let mut rest = x;
    for (axis, dim) in shape.iter().enumerate().filter(|(axis, _)| *axis != open) {
        if !matches!(dim, Dim::Known(_)) {
            let same = rest.iter().position(|other| other == dim && *dim != Dim::Unknown);
            match same.or_else(|| (wanted.get(axis) == Some(&0)).then_some(axis).filter(|&axis| axis < rest.len())) {
                Some(same) => _ = rest.remove(same),
                None => return Some(shape),
            }
        }
    }
    let known: Vec<Dim> = rest.iter().filter(|dim| dim.known().is_some()).cloned().collect();
    let symbols: Vec<Dim> = rest.into_iter().filter(|dim| dim.known().is_none()).collect();
    let others: Vec<Dim> = shape.iter().filter(|dim| dim.known().is_some()).cloned().collect();
    let ratio = product(&known).zip(product(&others)).filter(|&(_, b)| b > 0).filter(|(a, b)| a % b == 0);
    if let (Some((a, b)), Some(slot)) = (ratio, shape.get_mut(open)) {
        *slot = match (symbols.as_slice(), a / b) {
            ([], ratio) => Dim::Known(ratio),
            ([symbol], 1) => symbol.clone(),
            _ => Dim::Unknown,
        };
    }
    Some(shape)
}

pub(super) fn flatten(x: Option<Shape>, axis: i64) -> Option<Shape> {
    let x = x?;
    let axis = if axis < 0 { axis.checked_add(x.len() as i64)? } else { axis };
    let (front, back) = x.split_at_checked(usize::try_from(axis).ok()?)?;
    let whole = |dims: &[Dim]| match (product(dims), dims) {
        (Some(product), _) => Dim::Known(product),
        (None, [single]) => single.clone(),
        _ => Dim::Unknown,
    };
    Some(vec![whole(front), whole(back)])
}

pub(super) fn squeeze(x: Option<Shape>, axes: Option<Vec<i64>>) -> Option<Shape> {
    let x = x?;
    let rank = x.len();
    let dropped: Vec<usize> = match axes.filter(|axes| !axes.is_empty()) {
        Some(axes) => axes.iter().map(|&axis| axis_of(axis, rank)).collect::<Option<_>>()?,
        // Without axes every dim of 1 goes; a dim that is not known may be one.
        None if x.iter().any(|dim| dim.known().is_none()) => return None,
        None => (0..rank).filter(|&axis| x.get(axis) == Some(&Dim::Known(1))).collect(),
    };
    Some(x.into_iter().enumerate().filter(|(axis, _)| !dropped.contains(axis)).map(|(_, dim)| dim).collect())
}

pub(super) fn unsqueeze(x: Option<Shape>, axes: Option<Vec<i64>>) -> Option<Shape> {
    let (mut x, axes) = (x?, axes?);
    let rank = x.len() + axes.len();
    let mut axes: Vec<usize> = axes.iter().map(|&axis| axis_of(axis, rank)).collect::<Option<_>>()?;
    axes.sort_unstable();
    for axis in axes {
        if axis > x.len() {
            return None;
        }
        x.insert(axis, Dim::Known(1));
    }
    Some(x)
}

pub(super) fn concat(shapes: &[Shape], axis: i64) -> Option<Shape> {
    let mut shape = shapes.first()?.clone();
    let axis = axis_of(axis, shape.len())?;
    let sum = shapes.iter().try_fold(0usize, |sum, shape| sum.checked_add(shape.get(axis)?.known()?));
    for (position, dim) in shape.iter_mut().enumerate() {
        // The other dims agree: a number anywhere is the number.
        *dim = match position == axis {
            true => sum.map_or(Dim::Unknown, Dim::Known),
            false => {
                let all = shapes.iter().filter_map(|shape| shape.get(position));
                all.clone().find(|dim| dim.known().is_some()).unwrap_or(dim).clone()
            }
        };
    }
    Some(shape)
}

/// `Slice` over constant bounds; of a shape's elements it gives elements.
pub(super) fn slice(read: &Reader, dtype: Option<DType>) -> Vec<Inferred> {
    let starts = read.ints_at(1, "starts");
    let ends = read.ints_at(2, "ends");
    let (Some(mut shape), Some(starts), Some(ends)) = (read.shape(0), starts, ends) else {
        let open = read.shape(0).map(|shape| vec![Dim::Unknown; shape.len()]);
        return vec![(ValueFact::new(dtype, open), None)];
    };
    let axes = read.ints_at(3, "axes").unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = read.constant_ints(4).unwrap_or_default();
    let mut content = read.content(0);
    for (position, &axis) in axes.iter().enumerate() {
        let (Some(axis), Some(&start), Some(&end)) =
            (axis_of(axis, shape.len()), starts.get(position), ends.get(position))
        else {
            return vec![(ValueFact::new(dtype, None), None)];
        };
        let step = at(&steps, position, 1);
        let Some(slot) = shape.get_mut(axis) else { continue };
        let Dim::Known(dim) = *slot else { continue };
        let Some((first, count)) = slice_range(dim, start, end, step) else {
            return vec![(ValueFact::new(dtype, None), None)];
        };
        *slot = Dim::Known(count);
        let pick = |content: Vec<Dim>| {
            let index = |i: usize| usize::try_from(first + i as i64 * step).ok();
            (0..count).map(|i| content.get(index(i)?).cloned()).collect::<Option<Vec<Dim>>>()
        };
        content = content.and_then(pick);
    }
    // A sliced axis of unknown length stays unknown.
    for &axis in &axes {
        if let Some(slot) = axis_of(axis, shape.len()).and_then(|axis| shape.get_mut(axis))
            && slot.known().is_none()
        {
            *slot = Dim::Unknown;
        }
    }
    vec![(ValueFact::new(dtype, Some(shape)), content)]
}

/// First index and number of elements of `start:end:step` in a dim, clamped as numpy and ONNX do.
fn slice_range(dim: usize, start: i64, end: i64, step: i64) -> Option<(i64, usize)> {
    let dim = i64::try_from(dim).ok()?;
    let (low, high) = if step > 0 { (0, dim) } else { (-1, dim - 1) };
    let bound = |value: i64, low: i64| (if value < 0 { value.saturating_add(dim) } else { value }).clamp(low, high);
    // A start before the front of a backward slice is the front.
    let start = bound(start, if step > 0 { 0 } else { low.max(-1) });
    let end = bound(end, low);
    let count = match step {
        0 => return None,
        step if step > 0 => (end - start).max(0).checked_add(step - 1)? / step,
        step => (start - end).max(0).checked_add(-(step + 1))? / step.checked_neg()?,
    };
    Some((start, usize::try_from(count).ok()?))
}

pub(super) fn gather(read: &Reader, dtype: Option<DType>) -> Vec<Inferred> {
    let axis = read.node.int("axis").unwrap_or(0);
    let shape = (|| {
        let (x, indices) = (read.shape(0)?, read.shape(1)?);
        let axis = axis_of(axis, x.len())?;
        Some([x.get(..axis)?, &indices, x.get(axis + 1..)?].concat())
    })();
    let content = read.content(0).zip(read.constant_ints(1)).and_then(|(content, indices)| {
        indices.iter().map(|&index| content.get(axis_of(index, content.len())?).cloned()).collect()
    });
    vec![(ValueFact::new(dtype, shape), content)]
}

pub(super) fn pad(read: &Reader) -> Option<Shape> {
    let x = read.shape(0)?;
    let pads = read.ints_at(1, "pads")?;
    let axes = read.constant_ints(3).unwrap_or_else(|| (0..x.len() as i64).collect());
    let mut shape = x;
    for (position, &axis) in axes.iter().enumerate() {
        let rank = shape.len();
        let slot = shape.get_mut(axis_of(axis, rank)?)?;
        let (before, after) = (at(&pads, position, 0), at(&pads, position + axes.len(), 0));
        *slot = match slot.known().and_then(|dim| i64::try_from(dim).ok()) {
            Some(dim) => Dim::Known(usize::try_from(dim.checked_add(before)?.checked_add(after)?).ok()?),
            None if before == 0 && after == 0 => slot.clone(),
            None => Dim::Unknown,
        };
    }
    Some(shape)
}

pub(super) fn split(read: &Reader, dtype: Option<DType>) -> Vec<Inferred> {
    let parts = read.node.output.len();
    let sizes = read.ints_at(1, "split");
    let part = |position: usize| {
        let mut shape = read.shape(0)?;
        let rank = shape.len();
        let slot = shape.get_mut(axis_of(read.node.int("axis").unwrap_or(0), rank)?)?;
        *slot = match (&sizes, slot.known()) {
            (Some(sizes), _) => usize::try_from(*sizes.get(position)?).map_or(Dim::Unknown, Dim::Known),
            (None, _) if read.node.input_name(1).is_some() => Dim::Unknown,
            // Equal parts, the last one smaller (num_outputs, opset 18).
            (None, Some(dim)) => {
                let each = dim.div_ceil(parts.max(1));
                Dim::Known(each.min(dim.saturating_sub(each.saturating_mul(position))))
            }
            (None, None) => Dim::Unknown,
        };
        Some(shape)
    };
    (0..parts).map(|position| (ValueFact::new(dtype, part(position)), None)).collect()
}

pub(super) fn resize(read: &Reader) -> Option<Shape> {
    let x = read.shape(0)?;
    let node = read.node;
    // Upsample and Resize of opset 10 have the scales second; later ones roi second, scales third, sizes fourth.
    let old = node.op_type() == "Upsample" || node.input.len() == 2;
    if !NodeExt::ints(node, "axes").is_empty() {
        return Some(vec![Dim::Unknown; x.len()]);
    }
    if let Some(sizes) = read.constant_ints(3).filter(|_| !old) {
        return sizes.iter().map(|&size| usize::try_from(size).ok().map(Dim::Known)).collect();
    }
    let scales = match node.input_name(if old { 1 } else { 2 }) {
        Some(name) => read.document.constant(name)?.ok()?.to_f64().ok()?,
        None => NodeExt::attribute(node, "scales")?.floats.iter().map(|&scale| f64::from(scale)).collect(),
    };
    let scaled = |(dim, scale): (&Dim, &f64)| match dim {
        Dim::Known(dim) => Dim::Known((*dim as f64 * scale).floor() as usize),
        other if *scale == 1.0 => other.clone(),
        _ => Dim::Unknown,
    };
    (scales.len() == x.len()).then(|| x.iter().zip(&scales).map(scaled).collect())
}

pub(super) fn depth_space(read: &Reader) -> Option<Shape> {
    let x = read.shape(0)?;
    let block = usize::try_from(NodeExt::int(read.node, "blocksize")?).ok().filter(|&block| block > 0)?;
    let [batch, channels, height, width] = x.as_slice() else { return None };
    let up = read.node.op_type() == "DepthToSpace";
    let area = block.checked_mul(block)?;
    let times =
        |dim: &Dim, factor: usize| dim.known().map_or(Dim::Unknown, |dim| Dim::Known(dim.saturating_mul(factor)));
    let over = |dim: &Dim, factor: usize| dim.known().map_or(Dim::Unknown, |dim| Dim::Known(dim / factor));
    Some(match up {
        true => vec![batch.clone(), over(channels, area), times(height, block), times(width, block)],
        false => vec![batch.clone(), times(channels, area), over(height, block), over(width, block)],
    })
}

pub(super) fn reduce(read: &Reader, input: usize, axes: Option<Vec<i64>>) -> Option<Shape> {
    let x = read.shape(input)?;
    let rank = x.len();
    let keep = read.node.int("keepdims").unwrap_or(1) != 0;
    let axes = match axes.filter(|axes| !axes.is_empty()) {
        Some(axes) => axes.iter().map(|&axis| axis_of(axis, rank)).collect::<Option<Vec<_>>>()?,
        None if read.node.int("noop_with_empty_axes").unwrap_or(0) != 0 => return Some(x),
        None => (0..rank).collect(),
    };
    let dims = x.into_iter().enumerate();
    Some(match keep {
        true => dims.map(|(axis, dim)| if axes.contains(&axis) { Dim::Known(1) } else { dim }).collect(),
        false => dims.filter(|(axis, _)| !axes.contains(axis)).map(|(_, dim)| dim).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(dims: &[usize]) -> Option<Shape> {
        Some(dims.iter().map(|&dim| Dim::Known(dim)).collect())
    }

    #[test]
    fn broadcasting_keeps_names() {
        let batch = || Dim::Symbol("N".into());
        let with_batch = Some(vec![batch(), Dim::Known(3)]);
        assert_eq!(broadcast(with_batch.clone(), known(&[3])), with_batch);
        assert_eq!(broadcast(known(&[2, 1]), known(&[4])), known(&[2, 4]));
        assert_eq!(broadcast(known(&[]), known(&[4])), known(&[4]));
        assert_eq!(broadcast(with_batch, None), None);
    }

    #[test]
    fn slices_clamp() {
        assert_eq!(slice_range(10, 0, i64::MAX, 1), Some((0, 10)));
        assert_eq!(slice_range(10, -3, -1, 1), Some((7, 2)));
        assert_eq!(slice_range(10, -1, i64::MIN, -1), Some((9, 10)));
        assert_eq!(slice_range(10, 8, 2, -3), Some((8, 2)));
        assert_eq!(slice_range(10, 1, 10, 4), Some((1, 3)));
        assert_eq!(slice_range(10, 20, 30, 1), Some((10, 0)));
        assert_eq!(slice_range(10, 0, 5, 0), None);
    }

    #[test]
    fn squeeze_and_unsqueeze() {
        assert_eq!(squeeze(known(&[1, 3, 1]), None), known(&[3]));
        assert_eq!(squeeze(known(&[1, 3, 1]), Some(vec![-1])), known(&[1, 3]));
        assert_eq!(unsqueeze(known(&[3]), Some(vec![0, -1])), known(&[1, 3, 1]));
        assert_eq!(unsqueeze(known(&[3]), Some(vec![9])), None);
    }

    #[test]
    fn windows_round_down_or_up() {
        let window = |ceil| Window { kernel: 3, stride: 2, dilation: 1, pads: (0, 0), same: false, ceil };
        assert_eq!(window(false).slide(&Dim::Known(6)), Dim::Known(2));
        assert_eq!(window(true).slide(&Dim::Known(6)), Dim::Known(3));
        assert_eq!(window(false).slide(&Dim::Known(2)), Dim::Known(0));
    }
}
