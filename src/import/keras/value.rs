//! Values of the model while it is converted: Keras's shape, and how the ONNX tensor is laid out.

use crate::tensor::DType;

/// How an ONNX tensor holds a Keras tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Axes in Keras's order.
    AsIs,
    /// The last axis of Keras's order moved behind the batch: what ONNX calls channels first.
    ChannelsFirst,
}

/// A Keras tensor in the ONNX graph.
#[derive(Clone, Debug)]
pub(super) struct Value {
    /// Name of the ONNX value.
    pub name: String,
    /// Dims in Keras's order, `None` for open ones; the whole is `None` behind a layer that is not known.
    pub shape: Option<Vec<Option<usize>>>,
    pub layout: Layout,
    pub dtype: DType,
    /// Name of the ONNX value (batch, time) that is false where a step is to be skipped.
    pub mask: Option<String>,
}

impl Value {
    pub fn new(name: String, shape: Option<Vec<Option<usize>>>, layout: Layout) -> Self {
        Value { name, shape, layout, dtype: DType::Float32, mask: None }
    }

    pub fn rank(&self) -> Option<usize> {
        self.shape.as_ref().map(Vec::len)
    }

    /// The last dim, where it is known.
    pub fn last_dim(&self) -> Option<usize> {
        self.shape.as_ref()?.last().copied().flatten()
    }

    /// The value with the shape that the file says, where nothing else is known.
    pub fn with_declared_shape(&self, shape: Option<&[Option<usize>]>) -> Self {
        let shape = self.shape.clone().or_else(|| shape.map(<[_]>::to_vec));
        Value { shape, ..self.clone() }
    }

    /// The same shape and layout under another name.
    pub fn named(&self, name: String) -> Self {
        Value { name, ..self.clone() }
    }

    /// The axis of the ONNX tensor that holds an axis of Keras's order. `None` where it is out of range.
    pub fn physical_axis(&self, axis: i64) -> Option<i64> {
        let Some(rank) = self.rank() else {
            // Behind an unknown layer everything is in Keras's order.
            return Some(axis);
        };
        let axis = if axis < 0 { axis + rank as i64 } else { axis };
        if !(0..rank as i64).contains(&axis) {
            return None;
        }
        Some(match self.layout {
            Layout::AsIs => axis,
            Layout::ChannelsFirst if axis == 0 => 0,
            Layout::ChannelsFirst if axis == rank as i64 - 1 => 1,
            Layout::ChannelsFirst => axis + 1,
        })
    }

    /// A list of one entry per axis of Keras's order in the order of the ONNX tensor.
    pub fn physical<T: Clone>(&self, list: &[T]) -> Vec<T> {
        match (self.layout, list) {
            (Layout::ChannelsFirst, [batch, middle @ .., last]) => {
                [batch, last].into_iter().chain(middle).cloned().collect()
            }
            _ => list.to_vec(),
        }
    }

    /// Whether both layouts hold the elements in the same order, as far as the shape tells.
    pub fn layouts_agree(&self) -> bool {
        let Some(shape) = &self.shape else { return false };
        let (spatial, channels) = match shape.as_slice() {
            [_, spatial @ .., channels] => (spatial, channels),
            _ => return true,
        };
        *channels == Some(1) || spatial.iter().filter(|dim| **dim != Some(1)).count() == 0
    }
}

/// The axes that turn Keras's order into channels first.
pub(super) fn to_channels_first(rank: usize) -> Vec<i64> {
    let rank = rank as i64;
    [0, rank - 1].into_iter().chain(1..rank - 1).collect()
}

/// The axes that turn channels first into Keras's order.
pub(super) fn from_channels_first(rank: usize) -> Vec<i64> {
    [0].into_iter().chain(2..rank as i64).chain([1]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_follow_the_layout() {
        let value = Value::new("x".to_owned(), Some(vec![None, Some(4), Some(5), Some(3)]), Layout::ChannelsFirst);
        assert_eq!([0, 1, 2, 3, -1].map(|axis| value.physical_axis(axis)), [0, 2, 3, 1, 1].map(Some));
        assert_eq!(value.physical_axis(4), None);
        assert_eq!(value.physical(&["n", "h", "w", "c"]), ["n", "c", "h", "w"]);
        assert_eq!(to_channels_first(4), [0, 3, 1, 2]);
        assert_eq!(from_channels_first(4), [0, 2, 3, 1]);
    }
}
