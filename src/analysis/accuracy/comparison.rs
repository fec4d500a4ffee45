//! Two classifiers on the same items.

use super::evaluation::{class_count, evaluate_classes};
use super::mcnemar::{McNemar, mcnemar};
use super::score::ItemScore;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};

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
    /// Change of its accuracy in points (percent of its items that both have seen); `None` without such items.
    pub points: Option<f64>,
}

/// A classifier against a baseline, on the labelled items that both have seen: one that was stopped earlier is not
/// compared on other items than the baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Labelled items that both have seen.
    pub compared: u64,
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

/// A classifier against a baseline, by their scores. **Every figure is over the items that both have seen**: of an
/// evaluation that was stopped, one model may have seen more of them. `None` without a labelled one.
pub fn compare(baseline: &[ItemScore], other: &[ItemScore], class_names: &[String]) -> Option<Comparison> {
    let classes = class_count(baseline, class_names).max(class_count(other, class_names));
    let same = class_count(baseline, class_names) == class_count(other, class_names);
    let seen = |scores: &[ItemScore]| scores.iter().map(|score| score.item).collect::<HashSet<u32>>();
    let common = |scores: &[ItemScore], seen: &HashSet<u32>| -> Vec<ItemScore> {
        scores.iter().filter(|score| seen.contains(&score.item)).copied().collect()
    };
    let (first, second) = (common(baseline, &seen(other)), common(other, &seen(baseline)));
    let flips = flips(&first, &second);
    let evaluated = |scores: &[ItemScore]| evaluate_classes(scores, class_names, classes);
    let (base, own) = (evaluated(&first), evaluated(&second));
    let per_class = own.per_class.iter().zip(&base.per_class).map(|(own, base)| ClassChange {
        class_name: own.class_name.clone(),
        points: own.fraction.percent().zip(base.fraction.percent()).map(|(own, base)| own - base),
    });
    let difference = || own.confusion.iter().zip(&base.confusion).map(|(own, base)| *own as i64 - *base as i64);
    Some(Comparison {
        compared: own.overall.total,
        points: own.overall.percent()? - base.overall.percent()?,
        per_class: per_class.collect(),
        mcnemar: mcnemar(flips.lost, flips.won),
        confusion: same.then(|| difference().collect()),
    })
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
    /// Two classes; the label of each item, and what is said of it.
    fn said(items: &[(u32, u32, u32)]) -> Vec<ItemScore> {
        let of = |&(item, label, best): &(u32, u32, u32)| {
            let outputs = if best == 0 { [0.9, 0.1] } else { [0.1, 0.9] };
            score(item, &outputs, Some(label), true)
        };
        items.iter().filter_map(of).collect()
    }

    #[test]
    fn a_change_is_over_the_items_that_both_have_seen() {
        // The baseline was stopped after three items, all right; the other went on and was right of all that follow.
        let first = said(&[(0, 0, 0), (1, 1, 1), (2, 0, 0)]);
        let second = said(&[(0, 0, 0), (1, 1, 0), (2, 0, 0), (3, 1, 1), (4, 1, 1), (5, 1, 1)]);
        let found = compare(&first, &second, &[]).unwrap();
        assert_eq!(found.compared, 3);
        assert!((found.points + 100.0 / 3.0).abs() < 1e-9, "{}", found.points);
        assert_eq!(found.per_class.iter().map(|class| class.points).collect::<Vec<_>>(), [Some(0.0), Some(-100.0)]);
        assert_eq!((found.mcnemar.first_only, found.mcnemar.second_only), (1, 0));
        assert_eq!(found.confusion, Some(vec![0, 0, 1, -1]));
    }

    #[test]
    fn nothing_is_compared_without_common_labels() {
        let first = said(&[(0, 0, 0)]);
        assert_eq!(compare(&first, &[], &[]), None);
        assert_eq!(compare(&first, &said(&[(1, 0, 0)]), &[]), None);
        let unlabelled: Vec<ItemScore> = score(0, &[0.2, 0.8], None, true).into_iter().collect();
        assert_eq!(compare(&unlabelled, &unlabelled, &[]), None);
        // A class that no common item has: no change, and not one of none.
        let second = said(&[(0, 0, 0), (1, 1, 1)]);
        assert_eq!(compare(&first, &second, &[]).unwrap().per_class[1].points, None);
    }
}
