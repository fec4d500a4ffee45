//! The windows of average pooling: where they start, which elements they hold and how many the mean counts.

use super::limits::check_attributes;
use super::value::KernelError;
use crate::onnx::NodeExt;
use crate::onnx::proto::NodeProto;

/// The attributes of an average pooling node.
#[derive(Clone, Debug)]
pub(super) struct Pooling {
    kernel: Vec<usize>,
    strides: Vec<i64>,
    pads: Vec<i64>,
    auto_pad: String,
    ceil_mode: bool,
    pub count_include_pad: bool,
}

/// The windows of one axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct AxisWindows {
    dim: usize,
    size: usize,
    stride: usize,
    before: i64,
    after: i64,
    /// How many windows there are.
    pub count: usize,
}

/// One window along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// First element inside of the data.
    pub start: usize,
    /// One past the last element inside of the data.
    pub end: usize,
    /// Elements inside of data or padding; less than the kernel where `ceil_mode` lets a window reach further.
    pub padded: usize,
}

impl AxisWindows {
    /// The window at a position.
    pub fn span(&self, position: usize) -> Span {
        let (dim, start) = (self.dim as i64, (position * self.stride) as i64 - self.before);
        let end = start + self.size as i64;
        let inside = |at: i64| at.clamp(0, dim) as usize;
        Span { start: inside(start), end: inside(end), padded: (end.min(dim + self.after) - start).max(0) as usize }
    }
}

impl Pooling {
    /// Reads the attributes; dilated windows are refused.
    pub fn new(node: &NodeProto) -> Result<Self, KernelError> {
        check_attributes(node)?;
        let kernel: Vec<usize> = NodeExt::ints(node, "kernel_shape").iter().map(|&k| k as usize).collect();
        if kernel.is_empty() {
            return Err("the attribute kernel_shape is missing".to_owned());
        }
        if NodeExt::ints(node, "dilations").iter().any(|&d| d != 1) {
            return Err("dilated average pooling is not known to the engine".to_owned());
        }
        let or = |name: &str, default: i64, count: usize| match NodeExt::ints(node, name) {
            [] => Ok(vec![default; count]),
            given if given.len() == count => Ok(given.to_vec()),
            given => Err(format!("the attribute {name} has {} entries, {count} are needed", given.len())),
        };
        let flag = |name: &str| NodeExt::int(node, name).unwrap_or(0) != 0;
        Ok(Pooling {
            strides: or("strides", 1, kernel.len())?,
            pads: or("pads", 0, 2 * kernel.len())?,
            auto_pad: NodeExt::string(node, "auto_pad").unwrap_or("NOTSET").to_owned(),
            ceil_mode: flag("ceil_mode"),
            count_include_pad: flag("count_include_pad"),
            kernel,
        })
    }

    /// Number of elements in a window.
    pub fn volume(&self) -> usize {
        self.kernel.iter().product()
    }

    /// Stride along the last axis.
    pub fn last_stride(&self) -> i64 {
        self.strides.last().copied().unwrap_or(1)
    }

    /// Whether the one window is all of the data, with strides of 1 and no padding.
    pub fn is_global(&self, windows: &[AxisWindows]) -> bool {
        self.strides.iter().all(|&s| s == 1)
            && windows.iter().all(|w| w.dim == w.size && w.before == 0 && w.after == 0 && w.count == 1)
    }

    /// Whether no axis of the window is longer than this.
    pub fn is_at_most(&self, size: usize) -> bool {
        self.kernel.iter().all(|&k| k <= size)
    }

    /// The windows of every spatial axis of data of shape (batch, channels, spatial...).
    pub fn windows(&self, shape: &[usize]) -> Result<Vec<AxisWindows>, KernelError> {
        let spatial = shape.get(2..).filter(|s| s.len() == self.kernel.len());
        let spatial =
            spatial.ok_or_else(|| format!("data of shape {shape:?} does not fit a window of {:?}", self.kernel))?;
        spatial.iter().enumerate().map(|(axis, &dim)| self.along(axis, dim)).collect()
    }

    fn along(&self, axis: usize, dim: usize) -> Result<AxisWindows, KernelError> {
        let at = |list: &[i64], index: usize| list.get(index).copied().unwrap_or(0);
        let (size, stride) = (self.kernel.get(axis).copied().unwrap_or(1), at(&self.strides, axis).max(1));
        let (length, window) = (dim as i64, size as i64);
        let made = |before, after, count: i64| AxisWindows {
            dim,
            size,
            stride: stride as usize,
            before,
            after,
            count: count.max(0) as usize,
        };
        if self.auto_pad.starts_with("SAME") {
            let count = (length + stride - 1) / stride;
            let total = ((count - 1) * stride + window - length).max(0);
            let before = if self.auto_pad == "SAME_LOWER" { (total + 1) / 2 } else { total / 2 };
            return Ok(made(before, total - before, count));
        }
        let valid = self.auto_pad == "VALID";
        let (before, after) =
            if valid { (0, 0) } else { (at(&self.pads, axis), at(&self.pads, axis + self.kernel.len())) };
        let free = length + before + after - window;
        if free < 0 {
            return Err(format!("a window of {size} does not fit into {dim} elements"));
        }
        let mut count = if self.ceil_mode { (free + stride - 1) / stride } else { free / stride } + 1;
        // The last window has to start inside of the data or its leading padding.
        if self.ceil_mode && (count - 1) * stride >= length + before {
            count -= 1;
        }
        Ok(made(before, after, count))
    }
}

/// One window over a plane: its spans, and where its rows start in the plane, counted in rows.
#[derive(Debug, Default)]
pub(super) struct Window {
    pub spans: Vec<Span>,
    rows: Vec<usize>,
    width: usize,
}

impl Window {
    /// Moves to the window at a flat position of the result's plane.
    pub fn move_to(&mut self, windows: &[AxisWindows], position: usize) {
        self.spans.clear();
        let mut rest = position;
        for axis in windows.iter().rev() {
            self.spans.push(axis.span(rest % axis.count.max(1)));
            rest /= axis.count.max(1);
        }
        self.spans.reverse();
        self.width = windows.last().map_or(1, |axis| axis.dim);
        self.rows.clear();
        self.rows.push(0);
        for (axis, span) in windows.iter().zip(&self.spans).take(windows.len().saturating_sub(1)) {
            let rows = std::mem::take(&mut self.rows);
            self.rows = rows.iter().flat_map(|&row| (span.start..span.end).map(move |i| row * axis.dim + i)).collect();
        }
    }

    /// Elements inside of the data.
    pub fn inside(&self) -> usize {
        self.spans.iter().map(|s| s.end - s.start).product()
    }

    /// Elements inside of data and padding.
    pub fn padded(&self) -> usize {
        self.spans.iter().map(|s| s.padded).product()
    }

    fn columns(&self) -> std::ops::Range<usize> {
        self.spans.last().map_or(0..0, |last| last.start..last.end)
    }

    /// Sum of the elements in memory order.
    pub fn sum(&self, data: &[f32]) -> f32 {
        let elements = self.rows.iter().filter_map(|&row| {
            let columns = self.columns();
            data.get(row * self.width + columns.start..row * self.width + columns.end)
        });
        elements.flatten().fold(0f32, |sum, &v| sum + v)
    }

    /// Sum of the column sums.
    pub fn sum_by_columns(&self, data: &[f32]) -> f32 {
        let at = |row: usize, column: usize| data.get(row * self.width + column).copied().unwrap_or(0.0);
        let column_sum = |column| self.rows.iter().fold(0f32, |sum, &row| sum + at(row, column));
        self.columns().map(column_sum).fold(0f32, |sum, v| sum + v)
    }
}
