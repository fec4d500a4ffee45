//! Two classifiers on the same items.

use super::evaluation::Evaluation;
use super::mcnemar::{McNemar, mcnemar};
use super::score::ItemScore;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// An item that two classifiers see differently.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flip {
    /// The item as the first sees it.
    pub first: ItemScore,
    /// The item as the second sees it.
    pub second: ItemScore,
}

/// How often two classifiers agree.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Flips {
    /// Items that both have seen.
    pub compared: u64,
    /// Those they see differently, by falling margin of the first: what was surest and still flipped comes first.
    pub flips: Vec<Flip>,
    /// Flips from right to wrong.
    pub lost: u64,
    /// Flips from wrong to right.
    pub won: u64,
}

/// A class's change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassChange {
    /// Its name.
    pub class_name: String,
    /// Change of its accuracy in points (percent of its items).
    pub points: f64,
}

/// A classifier against a baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Change of the accuracy in points.
    pub points: f64,
    /// Per class.
    pub per_class: Vec<ClassChange>,
    /// The test on what only one gets right: `first` is the baseline.
    pub mcnemar: McNemar,
    /// Confusion matrix less the baseline's, where both have the same classes.
    pub confusion: Option<Vec<i64>>,
}

/// Where two classifiers part; items that only one has seen are left out.
pub fn flips(first: &[ItemScore], second: &[ItemScore]) -> Flips {
    let by_item: HashMap<u32, &ItemScore> = second.iter().map(|score| (score.item, score)).collect();
    let mut found = Flips::default();
    for score in first {
        let Some(&&other) = by_item.get(&score.item) else { continue };
        found.compared += 1;
        if score.best == other.best {
            continue;
        }
        found.lost += u64::from(score.label == Some(score.best));
        found.won += u64::from(score.label == Some(other.best));
        found.flips.push(Flip { first: *score, second: other });
    }
    found.flips.sort_by(|a, b| b.first.margin.total_cmp(&a.first.margin).then(a.first.item.cmp(&b.first.item)));
    found
}

/// A classifier's evaluation against a baseline's, with their flips.
pub fn compare(baseline: &Evaluation, other: &Evaluation, flips: &Flips) -> Comparison {
    let per_class = other.per_class.iter().zip(&baseline.per_class).map(|(own, base)| ClassChange {
        class_name: own.class_name.clone(),
        points: 100.0 * (own.fraction.accuracy - base.fraction.accuracy),
    });
    let same = baseline.confusion.len() == other.confusion.len();
    let difference = || other.confusion.iter().zip(&baseline.confusion).map(|(own, base)| *own as i64 - *base as i64);
    Comparison {
        points: 100.0 * (other.overall.accuracy - baseline.overall.accuracy),
        per_class: per_class.collect(),
        mcnemar: mcnemar(flips.lost, flips.won),
        confusion: same.then(|| difference().collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::score;

    #[test]
    fn flips_are_sorted_by_margin() {
        let one = |outputs: &[[f32; 2]]| -> Vec<ItemScore> {
            outputs.iter().enumerate().filter_map(|(at, values)| score(at as u32, values, Some(0), true)).collect()
        };
        let (first, second) = (one(&[[0.6, 0.4], [0.9, 0.1], [0.2, 0.8]]), one(&[[0.4, 0.6], [0.3, 0.7], [0.1, 0.9]]));
        let found = flips(&first, &second);
        assert_eq!(found.flips.iter().map(|flip| flip.first.item).collect::<Vec<_>>(), [1, 0]);
        assert_eq!((found.compared, found.lost, found.won), (3, 2, 0));
    }
}
