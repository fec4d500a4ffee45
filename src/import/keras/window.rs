//! How TensorFlow places windows: output sizes and padding, axis by axis.

/// One axis of a convolution or pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Axis {
    pub size: Option<usize>,
    pub kernel: usize,
    pub stride: usize,
    pub dilation: usize,
}

/// The `padding` of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Padding {
    Valid,
    Same,
    /// All in front, so that no output sees what comes later.
    Causal,
}

impl Axis {
    /// How far a window reaches.
    pub fn reach(&self) -> usize {
        (self.kernel.saturating_sub(1)).saturating_mul(self.dilation).saturating_add(1)
    }

    /// Padding before and after; `None` where it depends on a size that is open.
    ///
    /// `same` gives ceil(size / stride) outputs and puts the odd element behind, so that a stride above 1 pads less in
    /// front than a symmetric padding would. Source: TensorFlow's `GetWindowedOutputSizeVerbose`.
    pub fn pads(&self, padding: Padding) -> Option<(usize, usize)> {
        match padding {
            Padding::Valid => Some((0, 0)),
            Padding::Causal => Some((self.reach() - 1, 0)),
            Padding::Same => {
                let total = match self.stride {
                    1 => self.reach() - 1,
                    stride => {
                        let size = self.size?;
                        let covered = size.div_ceil(stride).saturating_sub(1).saturating_mul(stride);
                        covered.saturating_add(self.reach()).saturating_sub(size)
                    }
                };
                Some((total / 2, total - total / 2))
            }
        }
    }

    /// The number of outputs; the outer `None` where no window fits, the inner one where the size is open.
    pub fn outputs(&self, padding: Padding) -> Option<Option<usize>> {
        let Some(size) = self.size else { return Some(None) };
        match padding {
            Padding::Same => Some(Some(size.div_ceil(self.stride))),
            Padding::Valid => Some(Some(size.checked_sub(self.reach())? / self.stride + 1)),
            Padding::Causal => Some(Some(size.div_ceil(self.stride))),
        }
    }

    /// A transposed convolution on this axis: outputs, padding before and after, and elements added behind.
    ///
    /// Keras makes `size * stride` outputs with `same`, and at least a whole window with `valid`; TensorFlow computes
    /// the gradient of the convolution that would shrink that many outputs to the input.
    pub fn transposed(
        &self,
        padding: Padding,
        output_padding: Option<usize>,
    ) -> (Option<usize>, (usize, usize), usize) {
        let (stride, reach) = (self.stride as i64, self.reach() as i64);
        // outputs - size * stride
        let extra = match (output_padding, padding) {
            (Some(added), Padding::Same) => -stride + reach - 2 * (reach / 2) + added as i64,
            (Some(added), _) => -stride + reach + added as i64,
            (None, Padding::Same) => 0,
            (None, _) => (reach - stride).max(0),
        };
        // (size - 1) * stride + reach - outputs
        let surplus = reach - stride - extra;
        let outputs = self.size.map(|size| (size as i64).saturating_mul(stride).saturating_add(extra).max(0) as usize);
        let total = surplus.max(0) as usize;
        (outputs, (total / 2, total - total / 2), (-surplus).max(0) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(size: usize, kernel: usize, stride: usize, dilation: usize) -> Axis {
        Axis { size: Some(size), kernel, stride, dilation }
    }

    #[test]
    fn same_pads_as_tensorflow_does() {
        assert_eq!(axis(32, 3, 1, 1).pads(Padding::Same), Some((1, 1)));
        assert_eq!(axis(32, 3, 2, 1).pads(Padding::Same), Some((0, 1)));
        assert_eq!(axis(33, 3, 2, 1).pads(Padding::Same), Some((1, 1)));
        assert_eq!(axis(32, 1, 2, 1).pads(Padding::Same), Some((0, 0)));
        assert_eq!(axis(10, 2, 1, 3).pads(Padding::Same), Some((1, 2)));
        assert_eq!(axis(5, 4, 3, 1).pads(Padding::Same), Some((1, 1)));
        let open = Axis { size: None, ..axis(0, 3, 2, 1) };
        assert_eq!((open.pads(Padding::Same), open.outputs(Padding::Same)), (None, Some(None)));
        assert_eq!(Axis { stride: 1, ..open }.pads(Padding::Same), Some((1, 1)));
    }

    #[test]
    fn windows_that_do_not_fit_are_none() {
        assert_eq!(axis(5, 3, 2, 1).outputs(Padding::Valid), Some(Some(2)));
        assert_eq!(axis(2, 3, 1, 1).outputs(Padding::Valid), None);
        assert_eq!(axis(7, 3, 2, 1).outputs(Padding::Same), Some(Some(4)));
        assert_eq!(axis(7, 3, 1, 2).pads(Padding::Causal), Some((4, 0)));
    }

    #[test]
    fn transposed_windows_grow_by_the_stride() {
        assert_eq!(axis(4, 3, 2, 1).transposed(Padding::Same, None), (Some(8), (0, 1), 0));
        assert_eq!(axis(4, 3, 2, 1).transposed(Padding::Valid, None), (Some(9), (0, 0), 0));
        assert_eq!(axis(4, 2, 3, 1).transposed(Padding::Same, None), (Some(12), (0, 0), 1));
        assert_eq!(axis(4, 2, 3, 1).transposed(Padding::Valid, None), (Some(12), (0, 0), 1));
        assert_eq!(axis(4, 3, 2, 1).transposed(Padding::Same, Some(1)), (Some(8), (0, 1), 0));
        assert_eq!(axis(4, 3, 2, 1).transposed(Padding::Valid, Some(1)), (Some(10), (0, 0), 1));
    }
}
