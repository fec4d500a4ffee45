//! Pooling to a number of points: windows that follow from the sizes.

use super::elementwise::requantized;
use super::pooling::{Window, pool};
use super::{Args, Graph, Made, Refusal, reshape};
use crate::import::pytorch::python::{Py, ValueId};
use crate::onnx::Dim;
use crate::tensor::DType;

/// Points of one axis that get a window, and nodes, of their own.
const MAX_POINTS: i64 = 256;

/// Start and end of the windows of one axis, as ATen places them: point `i` of `out` reaches from
/// `floor(i * size / out)` to `ceil((i + 1) * size / out)`.
fn windows(size: i64, out: i64) -> Vec<(i64, i64)> {
    (0..out).map(|point| (point * size / out, ((point + 1) * size + out - 1) / out)).collect()
}

/// Kernel and stride, where windows have one of each.
fn regular(windows: &[(i64, i64)]) -> Option<(i64, i64)> {
    let kernel = windows.first().map(|(start, end)| end - start)?;
    let stride = windows.get(1).map_or(kernel, |second| second.0);
    let fits = |(at, window): (usize, &(i64, i64))| *window == (at as i64 * stride, at as i64 * stride + kernel);
    (stride > 0 && windows.iter().enumerate().all(fits)).then_some((kernel, stride))
}

/// `adaptive_avg_pool` and `adaptive_max_pool`: to one point; by a pooling where all windows of an axis are alike; else
/// window by window, axis after axis, which is the same for means and for maxima.
pub(super) fn adaptive(graph: &mut Graph, args: &Args, spatial: usize, average: bool) -> Made<ValueId> {
    let id = graph.operand(args.required(0, "input")?)?;
    let wanted = match args.get(1, "output_size").and_then(Py::items) {
        // `None` keeps a dim as it is.
        Some(items) => items.iter().map(Py::as_int).collect(),
        None => vec![args.int(1, "output_size")?; spatial],
    };
    let wanted = if let [single] = wanted.as_slice() { vec![*single; spatial] } else { wanted };
    if wanted.len() != spatial {
        return Err(Refusal::new(format!("a pooling to {} sizes of {spatial} dims", wanted.len())));
    }
    graph.learn(id, &vec![Dim::Unknown; spatial + 2]);
    if wanted.iter().all(|&size| size == Some(1)) {
        return global(graph, id, spatial, average);
    }
    let shape = graph.shape(id).unwrap_or_default();
    let sizes: Option<Vec<i64>> =
        shape.iter().skip(2).map(|dim| dim.known().and_then(|dim| i64::try_from(dim).ok())).collect();
    let sizes = sizes.filter(|sizes| sizes.len() == spatial).ok_or_else(|| {
        Refusal::new("an adaptive pooling of an input whose size is not known: convert again with an input shape (N,3,224,224), or trace the model with an example input")
    })?;
    let mut axes = Vec::new();
    for (&size, wanted) in sizes.iter().zip(&wanted) {
        let points = wanted.unwrap_or(size);
        if points == size {
            axes.push(vec![(0, 1)]);
            continue;
        }
        if !(1..=MAX_POINTS).contains(&points) || !(1..=1 << 24).contains(&size) {
            return Err(Refusal::new(format!("an adaptive pooling from {size} to {points} points")));
        }
        axes.push(windows(size, points));
    }
    // Between the steps a quantized value stays real: PyTorch rounds once.
    let mut made = graph.dequantized(id);
    for (axis, windows) in axes.iter().enumerate().filter(|(_, windows)| regular(windows).is_none()) {
        made = one_by_one(graph, made, axis as i64 + 2, windows, average)?;
    }
    let (kernel, stride): (Vec<i64>, Vec<i64>) = axes.iter().map(|windows| regular(windows).unwrap_or((1, 1))).unzip();
    if kernel.iter().chain(&stride).any(|&size| size != 1) {
        let window = Window::plain(kernel, stride);
        let (op, wish) = if average { ("AveragePool", "adaptive_avg_pool") } else { ("MaxPool", "adaptive_max_pool") };
        made = pool(graph, &Py::Value(made), op, wish, &window, window.attributes())?;
    }
    requantized(graph, id, made, "adaptive_pool")
}

/// One point for each channel.
fn global(graph: &mut Graph, id: ValueId, spatial: usize, average: bool) -> Made<ValueId> {
    let mut shape = graph.shape(id).map(<[Dim]>::to_vec).unwrap_or_default();
    let first = shape.len().saturating_sub(spatial);
    shape.iter_mut().skip(first).for_each(|dim| *dim = Dim::Known(1));
    let (op, wish) =
        if average { ("GlobalAveragePool", "adaptive_avg_pool") } else { ("GlobalMaxPool", "adaptive_max_pool") };
    let name = graph.real(id);
    let made = graph.emit(op, &[&name], wish, &[], DType::Float32, Some(shape));
    requantized(graph, id, made, wish)
}

/// The mean or maximum of each window of an axis, joined again.
fn one_by_one(graph: &mut Graph, id: ValueId, axis: i64, windows: &[(i64, i64)], average: bool) -> Made<ValueId> {
    let op = if average { "ReduceMean" } else { "ReduceMax" };
    let mut points: Vec<Py> = Vec::new();
    for (position, &(start, end)) in windows.iter().enumerate() {
        // The windows of an axis that grows are often the same.
        let before = position.checked_sub(1);
        if let (true, Some(point)) = (before.and_then(|at| windows.get(at)) == Some(&(start, end)), points.last()) {
            points.push(point.clone());
            continue;
        }
        let window = reshape::slice(graph, &Py::Value(id), axis, Some(start), Some(end), 1)?;
        points.push(Py::Value(reshape::reduce(graph, window, op, Some(&[axis]), true, "adaptive_point")?));
    }
    reshape::concat(graph, &points, axis, "adaptive_pool")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_placed_as_aten_does() {
        assert_eq!(windows(7, 3), [(0, 3), (2, 5), (4, 7)]);
        assert_eq!(regular(&windows(7, 3)), Some((3, 2)));
        assert_eq!(regular(&windows(12, 3)), Some((4, 4)));
        assert_eq!(regular(&windows(7, 7)), Some((1, 1)));
        assert_eq!(windows(12, 5), [(0, 3), (2, 5), (4, 8), (7, 10), (9, 12)]);
        assert_eq!(regular(&windows(12, 5)), None);
        // More points than there is input: values are repeated.
        assert_eq!(windows(2, 6), [(0, 1), (0, 1), (0, 1), (1, 2), (1, 2), (1, 2)]);
        assert_eq!(regular(&windows(2, 6)), None);
        assert_eq!(regular(&windows(1, 7)), None);
    }
}
