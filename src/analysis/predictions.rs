//! What a classifier's output says.

use crate::tensor::{Tensor, TensorError};
use serde::{Deserialize, Serialize};

/// Probabilities may miss a sum of 1 by this much: float32 softmax over a thousand classes stays far below.
const SUM_TOLERANCE: f64 = 1e-3;

/// What is known about an output from the graph.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OutputFacts {
    /// Whether a Softmax makes the output; `None` where that is not known, then the values decide.
    pub after_softmax: Option<bool>,
    /// Step between neighbouring values where the output is quantized: such probabilities are each off by up to half a
    /// step, so their sum may miss 1 by half a step per class.
    pub quantization_step: Option<f32>,
}

/// Where the probabilities come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScoreKind {
    /// The output holds probabilities already.
    Probabilities,
    /// The output holds logits; a softmax was applied to them for showing.
    SoftmaxApplied,
    /// A single score, shown as it is: a softmax of one value says nothing.
    Single,
}

/// One class of the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Its name; the index in words where there is none.
    pub class: String,
    /// Its index.
    pub index: usize,
    /// Its probability, or the score itself for [`ScoreKind::Single`].
    pub probability: f64,
    /// The output's value where that is a logit.
    pub logit: Option<f32>,
}

/// The best classes of one item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Predictions {
    /// Where the probabilities come from.
    pub kind: ScoreKind,
    /// The best classes, best first; equal ones by index.
    pub top: Vec<Prediction>,
    /// Probability of the best class less that of the second; `None` with fewer than two.
    pub margin: Option<f64>,
    /// Number of classes.
    pub class_count: usize,
}

/// The position of the largest value, the first of equal ones, as `numpy.argmax`: a NaN counts as largest.
/// `None` without values.
pub fn argmax(values: &[f32]) -> Option<usize> {
    ranking(values).first().copied()
}

/// All positions, best first: NaN, then descending, equal values by position.
fn ranking(values: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    let key = |&index: &usize| values.get(index).copied().unwrap_or(f32::NAN);
    // Both zeros are equal, so `total_cmp` would not do; the sort is stable, which settles ties.
    order.sort_by(|a, b| {
        let (a, b) = (key(a), key(b));
        b.is_nan().cmp(&a.is_nan()).then(b.partial_cmp(&a).unwrap_or(std::cmp::Ordering::Equal))
    });
    order
}

/// The best `most` classes of one item's output.
///
/// Probabilities are recognized by the graph (`facts.after_softmax`), or else by the values: all in 0..=1 with a sum
/// within 1e-3 of 1 (plus half a quantization step per class). Anything else is taken for logits.
pub fn predictions(output: &[f32], class_names: &[String], most: usize, facts: OutputFacts) -> Predictions {
    let kind = score_kind(output, facts);
    let probabilities = match kind {
        ScoreKind::SoftmaxApplied => softmax(output),
        ScoreKind::Probabilities | ScoreKind::Single => output.iter().map(|&value| f64::from(value)).collect(),
    };
    let probability = |index: usize| probabilities.get(index).copied().unwrap_or(f64::NAN);
    // Ranked by the output itself: a softmax may round different logits to equal probabilities.
    let order = ranking(output);
    let margin = match order.as_slice() {
        [first, second, ..] => Some(probability(*first) - probability(*second)),
        _ => None,
    };
    let entry = |&index: &usize| Prediction {
        class: class_names.get(index).cloned().unwrap_or_else(|| format!("class {index}")),
        index,
        probability: probability(index),
        logit: output.get(index).copied().filter(|_| kind == ScoreKind::SoftmaxApplied),
    };
    Predictions { kind, top: order.iter().take(most).map(entry).collect(), margin, class_count: output.len() }
}

/// [`predictions`] of every item of an output of shape (batch, classes, 1...); one dim or none is a single item.
pub fn tensor_predictions(
    output: &Tensor,
    class_names: &[String],
    most: usize,
    facts: OutputFacts,
) -> Result<Vec<Predictions>, TensorError> {
    let values = output.to_f32()?;
    let batch = if output.shape().len() < 2 { 1 } else { output.shape()[0] };
    let classes = values.len().checked_div(batch).unwrap_or(0);
    let item = |index| values.get(index * classes..(index + 1) * classes).unwrap_or(&[]);
    Ok((0..batch).map(|index| predictions(item(index), class_names, most, facts)).collect())
}

/// The probability of each class of one item's output, recognized as in [`predictions`]: logits get a softmax.
pub fn class_probabilities(output: &[f32], facts: OutputFacts) -> Vec<f64> {
    match score_kind(output, facts) {
        ScoreKind::SoftmaxApplied => softmax(output),
        ScoreKind::Probabilities | ScoreKind::Single => output.iter().map(|&value| f64::from(value)).collect(),
    }
}

/// What the values of an output are: by the graph, or else by the values themselves.
pub fn score_kind(output: &[f32], facts: OutputFacts) -> ScoreKind {
    let sum: f64 = output.iter().map(|&value| f64::from(value)).sum();
    let rounding = f64::from(facts.quantization_step.unwrap_or(0.0)) / 2.0 * output.len() as f64;
    let look_like_probabilities =
        output.iter().all(|value| (0.0..=1.0).contains(value)) && (sum - 1.0).abs() <= SUM_TOLERANCE + rounding;
    match facts.after_softmax {
        Some(true) => ScoreKind::Probabilities,
        _ if output.len() < 2 => ScoreKind::Single,
        None if look_like_probabilities => ScoreKind::Probabilities,
        _ => ScoreKind::SoftmaxApplied,
    }
}

/// `exp(x - max) / sum(exp(x - max))` in f64. An infinite logit takes all; NaN spreads to every class.
fn softmax(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let power = |&logit: &f32| if logit == largest { 1.0 } else { f64::from(logit - largest).exp() };
    let powers: Vec<f64> = logits.iter().map(power).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        ["cat", "dog", "ship"].map(str::to_owned).to_vec()
    }

    #[test]
    fn probabilities_stay_as_they_are() {
        let found = predictions(&[0.25, 0.5, 0.25], &names(), 2, OutputFacts::default());
        assert_eq!((found.kind, found.margin, found.class_count), (ScoreKind::Probabilities, Some(0.25), 3));
        let best = found.top.iter().map(|p| (p.class.as_str(), p.index, p.probability, p.logit)).collect::<Vec<_>>();
        assert_eq!(best, [("dog", 1, 0.5, None), ("cat", 0, 0.25, None)]);
    }

    #[test]
    fn logits_get_a_softmax() {
        let found = predictions(&[0.0, 2f32.ln(), -200.0], &names(), 5, OutputFacts::default());
        assert_eq!((found.kind, found.top.len()), (ScoreKind::SoftmaxApplied, 3));
        assert!((found.top[0].probability - 2.0 / 3.0).abs() < 1e-7);
        assert_eq!((found.top[0].logit, found.top[2].index), (Some(2f32.ln()), 2));
        let huge = predictions(&[1000.0, f32::INFINITY, f32::NEG_INFINITY], &names(), 3, OutputFacts::default());
        assert_eq!(huge.top.iter().map(|p| p.probability).collect::<Vec<_>>(), [1.0, 0.0, 0.0]);
    }

    #[test]
    fn quantized_probabilities_need_not_add_up() {
        let output = [0.4921875, 0.4921875, 0.0078125];
        assert_eq!(predictions(&output, &[], 1, OutputFacts::default()).kind, ScoreKind::SoftmaxApplied);
        let step = OutputFacts { quantization_step: Some(1.0 / 128.0), ..Default::default() };
        assert_eq!(predictions(&output, &[], 1, step).kind, ScoreKind::Probabilities);
        let after = OutputFacts { after_softmax: Some(true), ..Default::default() };
        assert_eq!(predictions(&output, &[], 1, after).kind, ScoreKind::Probabilities);
        let logits = OutputFacts { after_softmax: Some(false), ..Default::default() };
        assert_eq!(predictions(&[0.5, 0.5], &[], 1, logits).kind, ScoreKind::SoftmaxApplied);
    }

    #[test]
    fn ties_go_to_the_lowest_index() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0]), Some(1));
        assert_eq!(argmax(&[-0.0, 0.0]), Some(0));
        assert_eq!(argmax(&[1.0, f32::NAN, f32::NAN]), Some(1));
        assert_eq!(argmax(&[]), None);
    }

    #[test]
    fn a_batch_is_cut_into_items() {
        let output = Tensor::from_vec(vec![2, 2, 1, 1], vec![0.25f32, 0.75, 1.0, 0.0]).unwrap();
        let found = tensor_predictions(&output, &[], 1, OutputFacts::default()).unwrap();
        assert_eq!(found.iter().map(|p| p.top[0].class.as_str()).collect::<Vec<_>>(), ["class 1", "class 0"]);
        let single = Tensor::from_vec(vec![1, 1], vec![-3.0f32]).unwrap();
        assert_eq!(tensor_predictions(&single, &[], 1, OutputFacts::default()).unwrap()[0].kind, ScoreKind::Single);
        let empty = Tensor::from_vec::<f32>(vec![0, 10], vec![]).unwrap();
        assert!(tensor_predictions(&empty, &[], 1, OutputFacts::default()).unwrap().is_empty());
    }
}
