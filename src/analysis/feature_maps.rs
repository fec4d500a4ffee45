//! An activation as something to look at: a page of small grey or diverging maps, or bars where it has no extent.

use super::downsample::{area_average, shown_sides};
use super::layout::Layout;
use ndarray::{Array2, ArrayView2, ArrayViewD, Axis, IxDyn};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Most maps on a page, whatever is asked for.
pub const MAX_MAPS: usize = 64;
/// Longest side of a map in elements, whatever is asked for.
pub const MAX_MAP_SIDE: usize = 64;
/// Most bars on a page.
pub const MAX_BARS: usize = 1024;

/// How values become intensities 0 to 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Intensity {
    /// Zero is 128; `-m` is 1 and `m` is 255, where `m` is the largest magnitude. For a diverging palette.
    Diverging,
    /// The smallest value is 0, the largest 255. For a sequential palette.
    MinMax,
}

/// What part of an activation to show, and how.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ViewOptions {
    /// Where the channels are.
    pub layout: Layout,
    /// Which item of the batch.
    pub item: usize,
    /// The first channel (or bar) of the page.
    pub first_channel: usize,
    /// Maps on the page, at most [`MAX_MAPS`].
    pub most_maps: usize,
    /// Longest side of a map, at most [`MAX_MAP_SIDE`]; larger ones are shrunk by area average.
    pub most_side: usize,
    /// Palette the intensities are for.
    pub intensity: Intensity,
    /// Scale every map by its own values; otherwise by those of all channels of the item, so that pages compare.
    pub per_map: bool,
}

impl Default for ViewOptions {
    fn default() -> Self {
        ViewOptions {
            layout: Layout::ChannelsFirst,
            item: 0,
            first_channel: 0,
            most_maps: MAX_MAPS,
            most_side: MAX_MAP_SIDE,
            intensity: Intensity::Diverging,
            per_map: false,
        }
    }
}

/// What an activation is shown as.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ActivationView {
    /// It has spatial extent: a map per channel.
    Maps(FeatureMaps),
    /// It is a list of numbers.
    Bars(Bars),
}

/// One page of feature maps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureMaps {
    /// Channels the activation has.
    pub channel_count: usize,
    /// Rows of a channel before shrinking; dims between channel and last are folded into rows.
    pub source_rows: usize,
    /// Columns of a channel before shrinking.
    pub source_columns: usize,
    /// Rows of every map.
    pub rows: usize,
    /// Columns of every map.
    pub columns: usize,
    /// The maps, in channel order.
    pub maps: Vec<FeatureMap>,
}

/// One channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureMap {
    /// Index of the channel.
    pub channel: usize,
    /// Smallest finite value before shrinking; `None` without one.
    pub min: Option<f32>,
    /// Largest finite value before shrinking.
    pub max: Option<f32>,
    /// Value that the lowest intensity stands for.
    pub low: f32,
    /// Value that intensity 255 stands for.
    pub high: f32,
    /// `rows x columns` intensities, row by row. Elements that are not finite take the middle, 128.
    pub pixels: Vec<u8>,
}

/// One page of numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bars {
    /// Numbers the activation has.
    pub count: usize,
    /// Index of the first one here.
    pub first: usize,
    /// The numbers, at most [`MAX_BARS`].
    pub values: Vec<f32>,
    /// Smallest finite value over all of them; `None` without one.
    pub min: Option<f32>,
    /// Largest finite value over all of them.
    pub max: Option<f32>,
}

/// Why an activation cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FeatureMapError {
    /// Values and shape disagree.
    #[error("{found} values do not fill the shape {shape:?}")]
    Shape {
        /// Dims.
        shape: Vec<usize>,
        /// Number of values.
        found: usize,
    },
    /// Two activations of different size are to be subtracted.
    #[error("the shapes {left:?} and {right:?} differ")]
    Different {
        /// Dims of the first.
        left: Vec<usize>,
        /// Dims of the second.
        right: Vec<usize>,
    },
    /// There is no such item.
    #[error("item {item} was asked for, the batch has {batch}")]
    Item {
        /// Item asked for.
        item: usize,
        /// Items there are.
        batch: usize,
    },
}

/// The page of `values` that `options` ask for. The first dim is the batch, unless there is only one dim.
///
/// Three dims and more are maps, one per channel; a map per channel of one element each, two dims, one and none are
/// bars. A page beyond the last channel is empty.
pub fn activation_view(
    values: &[f32],
    shape: &[usize],
    options: &ViewOptions,
) -> Result<ActivationView, FeatureMapError> {
    let mismatch = |_| FeatureMapError::Shape { shape: shape.to_vec(), found: values.len() };
    let whole = ArrayViewD::from_shape(IxDyn(shape), values).map_err(mismatch)?;
    if shape.len() < 2 {
        return Ok(ActivationView::Bars(bars(values, options.first_channel)));
    }
    let ViewOptions { item, layout, .. } = *options;
    let batch = shape[0];
    if item >= batch {
        return Err(FeatureMapError::Item { item, batch });
    }
    let item = whole.index_axis_move(Axis(0), item);
    let channel_axis = match layout {
        Layout::ChannelsFirst => 0,
        Layout::ChannelsLast => item.ndim() - 1,
    };
    let channel_count = item.len_of(Axis(channel_axis));
    if item.len() == channel_count {
        let values: Vec<f32> = item.iter().copied().collect();
        return Ok(ActivationView::Bars(bars(&values, options.first_channel)));
    }
    Ok(ActivationView::Maps(page(item, Axis(channel_axis), options)))
}

/// [`activation_view`] of `other - reference`.
pub fn difference_view(
    reference: (&[f32], &[usize]),
    other: (&[f32], &[usize]),
    options: &ViewOptions,
) -> Result<ActivationView, FeatureMapError> {
    let ((x, left), (y, right)) = (reference, other);
    if left != right || x.len() != y.len() {
        return Err(FeatureMapError::Different { left: left.to_vec(), right: right.to_vec() });
    }
    let difference: Vec<f32> = x.iter().zip(y).map(|(x, y)| y - x).collect();
    activation_view(&difference, left, options)
}

fn bars(values: &[f32], first: usize) -> Bars {
    let (min, max) = extremes(values.iter());
    let page = values.iter().skip(first).take(MAX_BARS).copied().collect();
    Bars { count: values.len(), first, values: page, min, max }
}

fn page(item: ArrayViewD<f32>, axis: Axis, options: &ViewOptions) -> FeatureMaps {
    let channel_count = item.len_of(axis);
    let last_spatial = if axis.0 + 1 == item.ndim() { item.ndim() - 2 } else { item.ndim() - 1 };
    let source_columns = item.len_of(Axis(last_spatial));
    let source_rows = if item.is_empty() { 0 } else { item.len() / channel_count / source_columns };
    let (rows, columns) = shown_sides(source_rows, source_columns, options.most_side.clamp(1, MAX_MAP_SIDE));
    let shared = (!options.per_map).then(|| scale(extremes(item.iter()), options.intensity));
    let map = |channel: usize| {
        let values: Vec<f32> = item.index_axis(axis, channel).iter().copied().collect();
        let (min, max) = extremes(values.iter());
        let (low, high) = shared.unwrap_or_else(|| scale((min, max), options.intensity));
        // The count is that of the channel, so the shape always fits; were it not to, the map would have no pixels.
        let source = ArrayView2::from_shape((source_rows, source_columns), &values);
        let shrunk = source.map_or_else(|_| Array2::zeros((0, 0)), |source| area_average(source, rows, columns));
        let pixels = shrunk.iter().map(|&value| intensity(value, low, high, options.intensity)).collect();
        FeatureMap { channel, min, max, low, high, pixels }
    };
    let end = options.first_channel.saturating_add(options.most_maps.min(MAX_MAPS)).min(channel_count);
    let maps = (options.first_channel..end).map(map).collect();
    FeatureMaps { channel_count, source_rows, source_columns, rows, columns, maps }
}

/// The smallest and the largest finite value.
fn extremes<'a>(values: impl Iterator<Item = &'a f32>) -> (Option<f32>, Option<f32>) {
    let finite = values.copied().filter(|value| value.is_finite());
    let widened = finite.fold(None, |extremes, value| {
        let (low, high) = extremes.unwrap_or((value, value));
        Some((value.min(low), value.max(high)))
    });
    (widened.map(|(low, _)| low), widened.map(|(_, high)| high))
}

/// The values that the ends of the palette stand for.
fn scale((min, max): (Option<f32>, Option<f32>), intensity: Intensity) -> (f32, f32) {
    let (low, high) = (min.unwrap_or(0.0), max.unwrap_or(0.0));
    match intensity {
        Intensity::MinMax => (low, high),
        Intensity::Diverging => {
            let magnitude = low.abs().max(high.abs());
            (-magnitude, magnitude)
        }
    }
}

/// The middle of the palette: zero when diverging, and what has no place on the scale.
const MIDDLE: f64 = 128.0;

fn intensity(value: f32, low: f32, high: f32, kind: Intensity) -> u8 {
    let (value, low, high) = (f64::from(value), f64::from(low), f64::from(high));
    if !value.is_finite() || low >= high {
        return MIDDLE as u8;
    }
    let position = match kind {
        Intensity::MinMax => (value - low) / (high - low) * 255.0,
        Intensity::Diverging => MIDDLE + value / high * 127.0,
    };
    position.round_ties_even() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maps(view: ActivationView) -> FeatureMaps {
        match view {
            ActivationView::Maps(maps) => maps,
            ActivationView::Bars(bars) => panic!("{bars:?}"),
        }
    }

    fn bars_of(view: ActivationView) -> Bars {
        match view {
            ActivationView::Bars(bars) => bars,
            ActivationView::Maps(maps) => panic!("{maps:?}"),
        }
    }

    #[test]
    fn both_layouts_give_the_same_maps() {
        // (1, 2, 2, 3) channels first against (1, 2, 3, 2) channels last.
        let first: Vec<f32> = (0..12).map(|v| v as f32 - 6.0).collect();
        let last: Vec<f32> = (0..6).flat_map(|v| [first[v], first[v + 6]]).collect();
        let options = ViewOptions::default();
        let from_first = maps(activation_view(&first, &[1, 2, 2, 3], &options).unwrap());
        let options = ViewOptions { layout: Layout::ChannelsLast, ..options };
        assert_eq!(maps(activation_view(&last, &[1, 2, 3, 2], &options).unwrap()), from_first);
        assert_eq!((from_first.rows, from_first.columns, from_first.channel_count), (2, 3, 2));
        // Largest magnitude 6: -6 is 1, 0 is 128, 5 is 128 + 105.83.
        assert_eq!(from_first.maps[0].pixels, [1, 22, 43, 64, 86, 107]);
        assert_eq!(from_first.maps[1].pixels[0], 128);
        assert_eq!(from_first.maps[1].pixels[5], 234);
    }

    #[test]
    fn min_max_per_map() {
        let options = ViewOptions { intensity: Intensity::MinMax, per_map: true, ..Default::default() };
        let found = maps(activation_view(&[1.0, 3.0, 10.0, 10.0], &[1, 2, 1, 2], &options).unwrap());
        assert_eq!(found.maps[0].pixels, [0, 255]);
        assert_eq!((found.maps[1].min, found.maps[1].pixels.as_slice()), (Some(10.0), &[128u8, 128][..]));
    }

    #[test]
    fn pages_are_capped() {
        let values = vec![1.0f32; 100 * 128 * 96];
        let shape = [1, 100, 128, 96];
        let options = ViewOptions { most_maps: 1000, most_side: 1000, ..Default::default() };
        let first = maps(activation_view(&values, &shape, &options).unwrap());
        assert_eq!((first.maps.len(), first.rows, first.columns), (64, 64, 48));
        assert_eq!((first.source_rows, first.source_columns), (128, 96));
        let second = maps(activation_view(&values, &shape, &ViewOptions { first_channel: 64, ..options }).unwrap());
        assert_eq!((second.maps.len(), second.maps[0].channel), (36, 64));
        let beyond = maps(activation_view(&values, &shape, &ViewOptions { first_channel: 500, ..options }).unwrap());
        assert!(beyond.maps.is_empty());
    }

    #[test]
    fn what_has_no_extent_is_bars() {
        let options = ViewOptions { item: 1, ..Default::default() };
        assert_eq!(bars_of(activation_view(&[1.0, 2.0, 3.0, 4.0], &[2, 2], &options).unwrap()).values, [3.0, 4.0]);
        let pooled = activation_view(&[1.0, 2.0, 3.0, 4.0], &[2, 2, 1, 1], &options).unwrap();
        assert_eq!(bars_of(pooled).values, [3.0, 4.0]);
        assert_eq!(bars_of(activation_view(&[7.0], &[], &options).unwrap()).values, [7.0]);
        let long = bars_of(activation_view(&vec![0.5; 3000], &[3000], &options).unwrap());
        assert_eq!((long.count, long.values.len(), long.max), (3000, MAX_BARS, Some(0.5)));
    }

    #[test]
    fn more_and_fewer_dims() {
        let values: Vec<f32> = (0..48).map(|v| v as f32).collect();
        let strips = maps(activation_view(&values, &[2, 3, 8], &ViewOptions::default()).unwrap());
        assert_eq!((strips.channel_count, strips.rows, strips.columns), (3, 1, 8));
        let folded = maps(activation_view(&values, &[1, 2, 2, 3, 4], &ViewOptions::default()).unwrap());
        assert_eq!((folded.channel_count, folded.rows, folded.columns), (2, 6, 4));
    }

    #[test]
    fn differences() {
        let shape = [1usize, 1, 1, 2];
        let found = difference_view((&[1.0, 2.0], &shape), (&[1.0, 1.5], &shape), &ViewOptions::default()).unwrap();
        assert_eq!(maps(found).maps[0].pixels, [128, 1]);
        let refused = difference_view((&[1.0], &[1]), (&[1.0, 2.0], &[2]), &ViewOptions::default());
        assert!(matches!(refused, Err(FeatureMapError::Different { .. })));
    }

    #[test]
    fn bad_input_is_named() {
        let options = ViewOptions { item: 1, ..Default::default() };
        let one = activation_view(&[1.0, 2.0], &[1, 2], &options);
        assert_eq!(one, Err(FeatureMapError::Item { item: 1, batch: 1 }));
        assert!(matches!(activation_view(&[1.0], &[2, 2], &options), Err(FeatureMapError::Shape { .. })));
        let nothing = activation_view(&[], &[1, 0, 4, 4], &ViewOptions::default()).unwrap();
        assert_eq!(bars_of(nothing).count, 0);
        let flat = maps(activation_view(&[], &[1, 3, 0, 4], &ViewOptions::default()).unwrap());
        assert_eq!((flat.maps.len(), flat.maps[0].pixels.len()), (3, 0));
        let bad = maps(activation_view(&[f32::NAN, 1.0], &[1, 1, 1, 2], &ViewOptions::default()).unwrap());
        assert_eq!(bad.maps[0].pixels, [128, 255]);
    }
}
