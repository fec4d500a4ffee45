//! The figures of one classifier.

use super::interval::{Interval, wilson_95};
use super::score::ItemScore;
use serde::{Deserialize, Serialize};

/// Correct of total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Fraction {
    /// Items that are right.
    pub correct: u64,
    /// Items looked at.
    pub total: u64,
    /// Their quotient, 0 to 1; `None` without items.
    pub accuracy: Option<f64>,
}

impl Fraction {
    /// `correct` of `total`.
    pub fn new(correct: u64, total: u64) -> Self {
        Fraction { correct, total, accuracy: (total > 0).then(|| correct as f64 / total as f64) }
    }

    /// The accuracy in percent.
    pub fn percent(&self) -> Option<f64> {
        self.accuracy.map(|accuracy| 100.0 * accuracy)
    }
}

/// The figures of one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassAccuracy {
    /// Its name; "class 3" where there is none.
    pub class_name: String,
    /// Items of this class, and those that were recognized (recall).
    pub fraction: Fraction,
    /// Items that were taken for this class.
    pub predicted: u64,
}

/// The figures of one classifier on one data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Over all labelled items.
    pub overall: Fraction,
    /// 95 % interval of the accuracy.
    pub interval: Option<Interval>,
    /// Per class.
    pub per_class: Vec<ClassAccuracy>,
    /// Rows are true classes, columns predicted ones, row by row.
    pub confusion: Vec<u64>,
    /// Correct among the best k, for k = 1 to 5 as far as there are classes.
    pub top_k: Vec<Fraction>,
    /// Mean cross-entropy in nats of the labelled items.
    pub cross_entropy: Option<f64>,
    /// Items without a label, which count nowhere else.
    pub unlabelled: u64,
}

/// Sums up the scores of one classifier. Classes are as many as names, labels and predictions ask for.
pub fn evaluate(scores: &[ItemScore], class_names: &[String]) -> Evaluation {
    evaluate_classes(scores, class_names, class_count(scores, class_names))
}

/// How many classes names, labels and predictions ask for.
pub(super) fn class_count(scores: &[ItemScore], class_names: &[String]) -> usize {
    let highest = scores.iter().flat_map(|score| [Some(score.best), score.label]).flatten().max();
    class_names.len().max(highest.map_or(0, |highest| highest as usize + 1))
}

/// [`evaluate`] for a number of classes.
pub(super) fn evaluate_classes(scores: &[ItemScore], class_names: &[String], classes: usize) -> Evaluation {
    let mut confusion = vec![0u64; classes * classes];
    let labelled: Vec<(&ItemScore, u32)> = scores.iter().filter_map(|score| Some((score, score.label?))).collect();
    for (score, label) in &labelled {
        if let Some(cell) = confusion.get_mut(*label as usize * classes + score.best as usize) {
            *cell += 1;
        }
    }
    let cell = |row: usize, column: usize| confusion.get(row * classes + column).copied().unwrap_or(0);
    let per_class = (0..classes).map(|class| ClassAccuracy {
        class_name: class_names.get(class).cloned().unwrap_or_else(|| format!("class {class}")),
        fraction: Fraction::new(cell(class, class), (0..classes).map(|column| cell(class, column)).sum()),
        predicted: (0..classes).map(|row| cell(row, class)).sum(),
    });
    let per_class: Vec<ClassAccuracy> = per_class.collect();
    let total = labelled.len() as u64;
    let within = |k: u32| labelled.iter().filter(|(score, _)| score.rank.is_some_and(|rank| rank < k)).count() as u64;
    let correct = labelled.iter().filter(|(score, label)| score.best == *label).count() as u64;
    let logs: Vec<f64> = scores.iter().filter_map(|score| score.log_probability.map(f64::from)).collect();
    Evaluation {
        overall: Fraction::new(correct, total),
        interval: wilson_95(correct, total),
        per_class,
        top_k: (1..=classes.min(5) as u32).map(|k| Fraction::new(within(k), total)).collect(),
        cross_entropy: (!logs.is_empty()).then(|| -logs.iter().sum::<f64>() / logs.len() as f64),
        unlabelled: scores.len() as u64 - total,
        confusion,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::score;

    #[test]
    fn counts_per_class() {
        let outputs = [([0.9f32, 0.1, 0.0], 0u32), ([0.2, 0.7, 0.1], 0), ([0.1, 0.2, 0.7], 2)];
        let scores: Vec<ItemScore> = outputs
            .iter()
            .enumerate()
            .filter_map(|(at, (values, label))| score(at as u32, values, Some(*label), true))
            .collect();
        let found = evaluate(&scores, &["a".to_owned(), "b".to_owned(), "c".to_owned()]);
        assert_eq!(found.overall, Fraction::new(2, 3));
        assert_eq!(found.per_class[0].fraction, Fraction::new(1, 2));
        assert_eq!(found.per_class[1].predicted, 1);
        assert_eq!(found.confusion, [1, 1, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(found.top_k[1], Fraction::new(3, 3));
    }

    #[test]
    fn nothing_to_count() {
        let found = evaluate(&[], &[]);
        assert_eq!((found.overall, found.interval, found.cross_entropy), (Fraction::new(0, 0), None, None));
        assert_eq!((found.overall.accuracy, found.overall.percent()), (None, None));
    }
}
