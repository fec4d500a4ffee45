//! The value range of every layer, float and dequantized, for one screen.

use super::sample::Sample;
use super::stats::stats;
use serde::{Deserialize, Serialize};

/// From the smallest to the largest finite element of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// Smallest element.
    pub min: f64,
    /// Largest element.
    pub max: f64,
    /// `max - min`.
    pub width: f64,
}

impl Span {
    /// The span of these elements; `None` without a finite one.
    pub fn of<T: Sample>(values: &[T]) -> Option<Self> {
        let stats = stats(values);
        let (min, max) = (stats.min?, stats.max?);
        Some(Span { min, max, width: max - min })
    }
}

/// The weight ranges of one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerRange {
    /// The operation that uses the weight.
    pub layer: String,
    /// The weight.
    pub tensor: String,
    /// Of the float model's weight; `None` where the float model is not open or the weight has no finite element.
    pub float: Option<Span>,
    /// Of the quantized model's weight after dequantization; `None` where there is none.
    pub dequantized: Option<Span>,
}

impl LayerRange {
    /// The width that the row is coloured by: the float weight's, or the dequantized one's where there is no other.
    pub fn width(&self) -> Option<f64> {
        self.float.or(self.dequantized).map(|span| span.width)
    }
}

/// The row of one layer; the weights are given as their values, the quantized one dequantized.
pub fn layer_range(layer: &str, tensor: &str, float: Option<&[f32]>, dequantized: Option<&[f32]>) -> LayerRange {
    LayerRange {
        layer: layer.to_owned(),
        tensor: tensor.to_owned(),
        float: float.and_then(Span::of),
        dequantized: dequantized.and_then(Span::of),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_widths() {
        let row = layer_range("conv1", "w", Some(&[-1.0, 0.25, f32::NAN]), Some(&[-0.5, 0.5]));
        assert_eq!(row.float, Some(Span { min: -1.0, max: 0.25, width: 1.25 }));
        assert_eq!(row.width(), Some(1.25));
        assert_eq!(layer_range("conv1", "w", None, Some(&[-0.5, 0.5])).width(), Some(1.0));
        assert_eq!(layer_range("conv1", "w", Some(&[]), None).width(), None);
    }
}
