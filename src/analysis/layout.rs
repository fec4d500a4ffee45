//! Where an activation keeps its channels.

use serde::{Deserialize, Serialize};

/// Order of the dims of an activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Layout {
    /// Batch, channels, then the spatial dims: the order of every ONNX operator.
    ChannelsFirst,
    /// Batch, the spatial dims, then channels: TensorFlow's order, met at the ends of converted models.
    ChannelsLast,
}

/// More channels than this are hardly an image's.
const MOST_IMAGE_CHANNELS: usize = 4;

/// The layout of an activation of this shape.
///
/// `spatial_op` says that an operator with spatial meaning (Conv, a pooling, BatchNormalization, ...) makes or uses the
/// value; ONNX defines these channels first, so that decides. Otherwise an image shape does: 1 to 4 as last dim, and
/// more than that as second, is channels last. Everything else is channels first.
pub fn guess_layout(shape: &[usize], spatial_op: bool) -> Layout {
    let is_image_count = |dim: Option<&usize>| dim.is_some_and(|dim| (1..=MOST_IMAGE_CHANNELS).contains(dim));
    if !spatial_op && shape.len() >= 4 && is_image_count(shape.last()) && !is_image_count(shape.get(1)) {
        Layout::ChannelsLast
    } else {
        Layout::ChannelsFirst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_told_by_their_shape() {
        assert_eq!(guess_layout(&[1, 32, 32, 3], false), Layout::ChannelsLast);
        assert_eq!(guess_layout(&[1, 32, 32, 3], true), Layout::ChannelsFirst);
        assert_eq!(guess_layout(&[1, 3, 32, 32], false), Layout::ChannelsFirst);
        assert_eq!(guess_layout(&[1, 16, 32, 32], false), Layout::ChannelsFirst);
        assert_eq!(guess_layout(&[1, 1, 1, 1], false), Layout::ChannelsFirst);
        assert_eq!(guess_layout(&[], false), Layout::ChannelsFirst);
    }
}
