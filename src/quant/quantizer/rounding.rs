//! Adaptive rounding: weights rounded so that the layer's output, not the weight, is nearest.
//!
//! AdaRound (Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization", 2020) finds by gradient
//! descent which weights to round down and which up. This is the same problem, a quadratic form of the inputs' products,
//! solved by coordinate descent from rounding to nearest: deterministic, without a step size, and never worse than
//! nearest on the data it is given.

use crate::quant::QuantParams;
use crate::quant::scale_indices;
use crate::quant::scales::ScaleError;
use crate::quant::table::integers;
use crate::tensor::Tensor;

/// Passes over all weights of a channel at most.
const MOST_PASSES: usize = 20;

/// Sums of products of a layer's inputs, `sum(x x^T)`: all that rounding has to know of the data. Memory is the square
/// of the number of inputs of one output, whatever the number of samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Gram {
    size: usize,
    sums: Vec<f64>,
    samples: u64,
}

impl Gram {
    /// For a layer whose outputs each have `size` inputs: input channels of a group times kernel elements.
    pub fn new(size: usize) -> Self {
        Gram { size, sums: vec![0.0; size.saturating_mul(size)], samples: 0 }
    }

    /// Takes the inputs of one output; others than `size` numbers are left out.
    pub fn add(&mut self, inputs: &[f32]) {
        if inputs.len() != self.size {
            return;
        }
        for (row, &left) in inputs.iter().enumerate().filter(|(_, left)| **left != 0.0) {
            if let Some(sums) = self.sums.get_mut(row * self.size..(row + 1) * self.size) {
                for (sum, &right) in sums.iter_mut().zip(inputs) {
                    *sum += f64::from(left) * f64::from(right);
                }
            }
        }
        self.samples += 1;
    }

    /// Samples taken.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// The error of an output whose weights are off by `error`: `error^T G error`, summed over the samples.
    pub fn error(&self, error: &[f64]) -> f64 {
        let product = |row: usize| -> f64 {
            let sums = self.sums.get(row * self.size..(row + 1) * self.size).unwrap_or_default();
            sums.iter().zip(error).map(|(sum, error)| sum * error).sum()
        };
        error.iter().enumerate().map(|(row, error)| error * product(row)).sum()
    }
}

/// The window of a convolution, as its attributes say: two values per spatial axis, rows first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Kernel size.
    pub kernel: [usize; 2],
    /// Strides.
    pub strides: [usize; 2],
    /// Dilations.
    pub dilations: [usize; 2],
    /// Padding before the first row and column.
    pub pads_before: [usize; 2],
    /// Rows and columns of the result.
    pub output: [usize; 2],
}

/// Calls `take` with the inputs of every `every`th output of one group of a convolution, in the weight's order (channel,
/// row, column); padding is 0. `shape` is (batch, channels, height, width), `channels` the group's first and last but
/// one.
pub fn patches(
    values: &[f32],
    shape: [usize; 4],
    channels: std::ops::Range<usize>,
    window: &Window,
    every: usize,
    mut take: impl FnMut(&[f32]),
) {
    let [batch, count, height, width] = shape;
    let [rows, columns] = window.output;
    let mut patch = Vec::with_capacity(channels.len() * window.kernel[0] * window.kernel[1]);
    let places = (0..batch).flat_map(|b| (0..rows).flat_map(move |r| (0..columns).map(move |c| (b, r, c))));
    for (item, row, column) in places.step_by(every.max(1)) {
        patch.clear();
        for channel in channels.clone() {
            for ky in 0..window.kernel[0] {
                for kx in 0..window.kernel[1] {
                    let y = (row * window.strides[0] + ky * window.dilations[0]).checked_sub(window.pads_before[0]);
                    let x = (column * window.strides[1] + kx * window.dilations[1]).checked_sub(window.pads_before[1]);
                    let value = match (y.filter(|&y| y < height), x.filter(|&x| x < width)) {
                        (Some(y), Some(x)) => values.get(((item * count + channel) * height + y) * width + x),
                        _ => None,
                    };
                    patch.push(value.copied().unwrap_or(0.0));
                }
            }
        }
        take(&patch);
    }
}

/// The integers of a weight whose first axis is the output channel, rounded so that the outputs over the samples of
/// `grams` are nearest to the float weight's. One `Gram` for each group of output channels, in order. Each weight moves
/// to one of its two neighbouring integers at most.
pub fn round_to_data(weight: &Tensor, params: &QuantParams, grams: &[Gram]) -> Result<Tensor, ScaleError> {
    let outputs = weight.shape().first().copied().unwrap_or(0);
    let codes = round_outputs(weight, params, grams, 0..outputs)?;
    Ok(integers(params.dtype, weight.shape(), &codes)?)
}

/// The integers of some output channels only, as [`round_to_data`] finds them: each channel is found by itself.
pub(super) fn round_outputs(
    weight: &Tensor,
    params: &QuantParams,
    grams: &[Gram],
    wanted: std::ops::Range<usize>,
) -> Result<Vec<i64>, ScaleError> {
    let indices = scale_indices(params, weight.shape());
    let outputs = weight.shape().first().copied().unwrap_or(0);
    let misfit = ScaleError::Scales { found: params.scale.len(), expected: outputs };
    let indices = indices.ok_or(misfit.clone())?;
    let bounds = params.dtype.int_range().ok_or(ScaleError::Type(params.dtype))?;
    let values = weight.to_f32()?;
    if grams.is_empty() || outputs == 0 || !outputs.is_multiple_of(grams.len()) {
        return Err(misfit);
    }
    let size = values.len() / outputs;
    let mut codes = Vec::with_capacity(size * wanted.len());
    let channels = values.chunks(size.max(1)).zip(indices.chunks(size.max(1))).enumerate();
    for (output, (values, indices)) in channels.skip(wanted.start).take(wanted.len()) {
        let gram =
            grams.get(output / (outputs / grams.len())).filter(|gram| gram.size == size).ok_or(misfit.clone())?;
        let weights = values.iter().zip(indices).map(|(&value, &index)| Rounded {
            value: f64::from(value),
            scale: f64::from(params.scale.get(index).copied().unwrap_or(1.0)),
            zero_point: f64::from(params.zero_point.get(index).copied().unwrap_or(0)),
        });
        codes.extend(round_row(&weights.collect::<Vec<_>>(), gram, (bounds.0 as f64, bounds.1 as f64)));
    }
    Ok(codes)
}

/// A weight and its grid.
struct Rounded {
    value: f64,
    scale: f64,
    zero_point: f64,
}

impl Rounded {
    fn error(&self, code: f64) -> f64 {
        (code - self.zero_point) * self.scale - self.value
    }
}

/// Coordinate descent over the weights of one output.
fn round_row(weights: &[Rounded], gram: &Gram, (low, high): (f64, f64)) -> Vec<i64> {
    let exact = |weight: &Rounded| weight.value / weight.scale + weight.zero_point;
    let mut codes: Vec<f64> = weights
        .iter()
        // As weights are rounded elsewhere: the quotient in f32.
        .map(|w| (f64::from((w.value as f32) / (w.scale as f32)).round_ties_even() + w.zero_point).clamp(low, high))
        .collect();
    let mut errors: Vec<f64> = weights.iter().zip(&codes).map(|(weight, &code)| weight.error(code)).collect();
    let row = |at: usize| gram.sums.get(at * gram.size..(at + 1) * gram.size).unwrap_or_default();
    // G e, kept up to date.
    let mut slope: Vec<f64> =
        (0..weights.len()).map(|at| row(at).iter().zip(&errors).map(|(sum, error)| sum * error).sum()).collect();
    for _ in 0..MOST_PASSES {
        let mut moved = false;
        for (at, weight) in weights.iter().enumerate() {
            let (Some(code), Some(&gradient)) = (codes.get_mut(at), slope.get(at)) else { continue };
            let exact = exact(weight);
            let other = if *code > exact { exact.floor() } else { exact.ceil() }.clamp(low, high);
            let step = (other - *code) * weight.scale;
            let curvature = row(at).get(at).copied().unwrap_or(0.0);
            let change = 2.0 * step * gradient + step * step * curvature;
            // Sums of products are off by their rounding: a gain within it is none.
            if change < -1e-12 * (curvature * weight.scale * weight.scale) && step != 0.0 {
                *code = other;
                if let Some(error) = errors.get_mut(at) {
                    *error += step;
                }
                for (slope, sum) in slope.iter_mut().zip(row(at)) {
                    *slope += sum * step;
                }
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    codes.into_iter().map(|code| code as i64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::Granularity;
    use crate::tensor::DType;

    fn params(scale: f32) -> QuantParams {
        QuantParams { scale: vec![scale], zero_point: vec![0], dtype: DType::Int8, granularity: Granularity::PerTensor }
    }

    #[test]
    fn errors_that_add_up_are_rounded_against_each_other() {
        // Equal inputs: 0.4 + 0.4 is nearer to 1 + 0 than to 0 + 0.
        let weight = Tensor::from_vec(vec![1, 2], vec![0.4f32, 0.4]).unwrap();
        let mut gram = Gram::new(2);
        gram.add(&[1.0, 1.0]);
        let codes = round_to_data(&weight, &params(1.0), &[gram.clone()]).unwrap().to_i64().unwrap();
        assert_eq!(codes.iter().sum::<i64>(), 1);
        // Opposite inputs: they cancel as they are.
        let mut opposite = Gram::new(2);
        opposite.add(&[1.0, -1.0]);
        assert_eq!(round_to_data(&weight, &params(1.0), &[opposite]).unwrap().to_i64().unwrap(), [0, 0]);
        assert!(round_to_data(&weight, &params(1.0), &[Gram::new(3)]).is_err());
        assert_eq!(gram.samples(), 1);
    }

    #[test]
    fn never_worse_than_nearest_on_its_data() {
        let noise = |seed: usize| ((seed * 7919 + 104_729) % 1009) as f32 / 1009.0 - 0.5;
        let values: Vec<f32> = (0..4 * 18).map(|at| noise(at) * 2.0).collect();
        let weight = Tensor::from_vec(vec![4, 2, 3, 3], values.clone()).unwrap();
        let window = Window { kernel: [3, 3], strides: [1, 1], dilations: [1, 1], pads_before: [1, 1], output: [6, 6] };
        let input: Vec<f32> = (0..72).map(|at| noise(at * 31 + 5) + 0.7).collect();
        let mut gram = Gram::new(18);
        patches(&input, [1, 2, 6, 6], 0..2, &window, 1, |patch| gram.add(patch));
        assert_eq!(gram.samples(), 36);
        let scale = 1.0f32 / 3.0;
        let rounded = round_to_data(&weight, &params(scale), &[gram.clone()]).unwrap().to_i64().unwrap();
        let error = |codes: &dyn Fn(usize) -> f64| -> f64 {
            (0..4)
                .map(|output| {
                    let off = (0..18)
                        .map(|at| codes(output * 18 + at) * f64::from(scale) - f64::from(values[output * 18 + at]));
                    gram.error(&off.collect::<Vec<_>>())
                })
                .sum()
        };
        let nearest = error(&|at| f64::from((values[at] / scale).round_ties_even()));
        let adapted = error(&|at| rounded[at] as f64);
        assert!(adapted < nearest * 0.6, "{adapted} {nearest}");
        for (code, value) in rounded.iter().zip(&values) {
            assert!((*code as f32 - value / scale).abs() < 1.0);
        }
    }

    #[test]
    fn patches_see_padding_as_zero() {
        let window = Window { kernel: [2, 1], strides: [1, 1], dilations: [1, 1], pads_before: [1, 0], output: [2, 2] };
        let mut seen = Vec::new();
        patches(&[1.0, 2.0, 3.0, 4.0], [1, 1, 2, 2], 0..1, &window, 1, |patch| seen.push(patch.to_vec()));
        assert_eq!(seen, [[0.0, 1.0], [0.0, 2.0], [1.0, 3.0], [2.0, 4.0]]);
    }
}
