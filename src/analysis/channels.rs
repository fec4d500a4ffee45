//! Statistics along an axis, and what a list of per-channel parameters amounts to.

use super::sample::{Sample, with_elements};
use super::stats::{Stats, stats_of_iter};
use crate::tensor::{Channels, Tensor, TensorError};
use serde::{Deserialize, Serialize};

/// The statistics of every channel along one axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelStats {
    /// The axis, counted from the front.
    pub axis: usize,
    /// One entry per index along the axis.
    pub channels: Vec<Stats>,
}

/// [`Stats`] of every channel of `tensor` along `axis`, which may be negative. `None` where the tensor has no such
/// axis; fails for complex numbers.
pub fn channel_stats(tensor: &Tensor, axis: i64) -> Result<Option<ChannelStats>, TensorError> {
    let Some(channels) = Channels::along(tensor.shape(), axis) else { return Ok(None) };
    let axis = if axis < 0 { axis + tensor.shape().len() as i64 } else { axis } as usize;
    let channels = with_elements!(tensor, values => each(&values, channels));
    Ok(Some(ChannelStats { axis, channels }))
}

fn each<T: Sample>(values: &[T], channels: Channels) -> Vec<Stats> {
    // Walking the blocks by position keeps the iterator clonable, which the two passes of the statistics need.
    let Channels { outer, count, inner } = channels;
    let channel = |index: usize| {
        let blocks = (0..outer).map(move |block| (block * count + index) * inner);
        stats_of_iter(blocks.flat_map(|start| values.get(start..start + inner).unwrap_or(&[])).map(|v| v.widen()))
    };
    (0..count).map(channel).collect()
}

/// Smallest, largest and mean of a list of parameters, scales for instance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParameterSummary {
    /// How many there are.
    pub count: usize,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// Arithmetic mean.
    pub mean: f64,
}

/// Summary of a tensor's scales over their finite entries; `None` where there is none.
pub fn scale_summary(scales: &[f32]) -> Option<ParameterSummary> {
    let stats = super::stats(scales);
    Some(ParameterSummary { count: scales.len(), min: stats.min?, max: stats.max?, mean: stats.mean? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_axis_of_a_small_tensor() {
        let tensor = Tensor::from_vec(vec![2, 3, 2], (0..12).map(|v| v as f32).collect()).unwrap();
        let means = |axis| {
            let stats = channel_stats(&tensor, axis).unwrap().unwrap();
            (stats.axis, stats.channels.iter().map(|s| s.mean.unwrap()).collect::<Vec<_>>())
        };
        assert_eq!(means(0), (0, vec![2.5, 8.5]));
        assert_eq!(means(1), (1, vec![3.5, 5.5, 7.5]));
        assert_eq!(means(-1), (2, vec![5.0, 6.0]));
        assert_eq!(channel_stats(&tensor, 3).unwrap(), None);
    }

    #[test]
    fn channels_are_the_tensor_cut_up() {
        let tensor = Tensor::from_vec(vec![2, 3, 4], (0..24).map(|v| v as i8 - 7).collect::<Vec<i8>>()).unwrap();
        let values: Vec<i8> = tensor.to_vec().unwrap();
        for (axis, dim) in [2usize, 3, 4].into_iter().enumerate() {
            let split = Channels::along(tensor.shape(), axis as i64).unwrap();
            let found = channel_stats(&tensor, axis as i64).unwrap().unwrap().channels;
            assert_eq!(found.len(), dim);
            for (index, stats) in found.iter().enumerate() {
                let own: Vec<i8> = split.values(&values, index).copied().collect();
                assert_eq!(*stats, super::super::stats(&own));
            }
        }
    }

    #[test]
    fn empty_axes() {
        let tensor = Tensor::from_vec::<f32>(vec![0, 3], vec![]).unwrap();
        assert_eq!(channel_stats(&tensor, 0).unwrap().unwrap().channels, []);
        assert_eq!(channel_stats(&tensor, 1).unwrap().unwrap().channels, [Stats::default(); 3]);
    }

    #[test]
    fn scales() {
        let summary = scale_summary(&[0.5, 0.25, 0.75]).unwrap();
        assert_eq!((summary.count, summary.min, summary.max, summary.mean), (3, 0.25, 0.75, 0.5));
        assert_eq!(scale_summary(&[]), None);
    }
}
