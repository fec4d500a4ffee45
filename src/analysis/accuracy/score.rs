//! One item's output, reduced to what an evaluation needs.

use crate::analysis::argmax;
use serde::{Deserialize, Serialize};

/// What a classifier said of one item.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemScore {
    /// Position of the item in its data set.
    pub item: u32,
    /// The true class, where it is known.
    pub label: Option<u32>,
    /// The class with the largest output, the first of equal ones (`numpy.argmax`).
    pub best: u32,
    /// How many classes have a larger output than the true one, equal ones before it counted too: 0 is correct, below k
    /// is correct among the best k. `None` without a label or with a label that is no class.
    pub rank: Option<u32>,
    /// The best output less the second, in the output's own unit (probability, or logit); 0 with one class.
    pub margin: f32,
    /// Natural logarithm of the true class's probability; `None` without a label. Logits go through a log-softmax;
    /// probabilities are floored at 1e-12.
    pub log_probability: Option<f32>,
}

/// The score of an output vector. `None` without classes. `probabilities` tells whether the outputs are probabilities.
pub fn score(item: u32, outputs: &[f32], label: Option<u32>, probabilities: bool) -> Option<ItemScore> {
    let best = argmax(outputs)?;
    let largest = outputs.get(best).copied().unwrap_or(f32::NAN);
    let second = outputs.iter().enumerate().filter(|(at, _)| *at != best).map(|(_, &value)| value);
    let second = second.fold(f32::NEG_INFINITY, f32::max);
    let of_label = label.and_then(|label| Some((label as usize, *outputs.get(label as usize)?)));
    let rank = of_label.map(|(at, own)| {
        let before = |(other, &value): (usize, &f32)| {
            value > own || (value == own && other < at) || (value.is_nan() && other != at)
        };
        outputs.iter().enumerate().filter(|&pair| before(pair)).count() as u32
    });
    let log_probability = of_label.map(|(_, own)| {
        if probabilities {
            f64::from(own).max(1e-12).ln() as f32
        } else {
            let sum: f64 = outputs.iter().map(|&value| (f64::from(value) - f64::from(largest)).exp()).sum();
            (f64::from(own) - f64::from(largest) - sum.ln()) as f32
        }
    });
    let margin = if second == f32::NEG_INFINITY { 0.0 } else { largest - second };
    Some(ItemScore { item, label, best: best as u32, rank, margin, log_probability })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_and_margins() {
        let found = score(3, &[0.1, 0.6, 0.3], Some(2), true).unwrap();
        assert_eq!((found.best, found.rank), (1, Some(1)));
        assert!((found.margin - 0.3).abs() < 1e-6);
        assert!((found.log_probability.unwrap() - 0.3f32.ln()).abs() < 1e-6);
    }

    #[test]
    fn equal_outputs_go_to_the_first() {
        assert_eq!(score(0, &[0.5, 0.5], Some(1), true).unwrap().rank, Some(1));
        assert_eq!(score(0, &[0.5, 0.5], Some(0), true).unwrap().rank, Some(0));
    }

    #[test]
    fn logits_go_through_a_softmax() {
        let found = score(0, &[1.0, 2.0, 3.0], Some(2), false).unwrap();
        assert!((found.log_probability.unwrap() + 0.407606).abs() < 1e-5);
    }

    #[test]
    fn a_label_that_is_no_class_has_no_rank() {
        assert_eq!(score(0, &[0.2, 0.8], Some(7), true).unwrap().rank, None);
        assert_eq!(score(0, &[], None, true), None);
    }
}
