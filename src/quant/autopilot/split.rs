//! Which images calibrate and which choose.

use rand_core::{RngCore, SeedableRng};
use rand_pcg::Pcg64Mcg;
use std::collections::BTreeMap;

/// Images of a data set, by position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Images that ranges, rounding and biases are found on.
    pub calibration: Vec<usize>,
    /// Other images, that candidates are compared on. A prefix of them has all classes alike.
    pub selection: Vec<usize>,
}

/// Takes `count` of the items at random, classes alike, half to calibrate and half to choose. The same seed gives the
/// same split. A single item does both.
pub fn split(labels: &[Option<u32>], count: usize, seed: u64) -> Split {
    let mut classes: BTreeMap<Option<u32>, Vec<usize>> = BTreeMap::new();
    for (item, label) in labels.iter().enumerate() {
        classes.entry(*label).or_default().push(item);
    }
    let mut generator = Pcg64Mcg::seed_from_u64(seed);
    let mut below = |bound: usize| (generator.next_u64() % (bound.max(1) as u64)) as usize;
    for items in classes.values_mut() {
        // Fisher-Yates.
        for at in (1..items.len()).rev() {
            items.swap(at, below(at + 1));
        }
    }
    // One of each class in turn, until all are taken.
    let mut mixed = Vec::with_capacity(labels.len());
    let longest = classes.values().map(Vec::len).max().unwrap_or(0);
    for at in 0..longest {
        mixed.extend(classes.values().filter_map(|items| items.get(at).copied()));
    }
    mixed.truncate(count);
    if mixed.len() < 2 {
        return Split { calibration: mixed.clone(), selection: mixed };
    }
    let selection = mixed.split_off(mixed.len().div_ceil(2));
    // In order, as a data set is read.
    mixed.sort_unstable();
    Split { calibration: mixed, selection }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_split_and_classes_alike() {
        let labels: Vec<Option<u32>> = (0..100).map(|item| Some(item / 25)).collect();
        let found = split(&labels, 40, 7);
        assert_eq!(found, split(&labels, 40, 7));
        assert_ne!(found, split(&labels, 40, 8));
        assert_eq!((found.calibration.len(), found.selection.len()), (20, 20));
        assert!(found.calibration.iter().all(|item| !found.selection.contains(item)));
        for class in 0..4 {
            assert_eq!(found.selection.iter().take(8).filter(|item| **item / 25 == class).count(), 2);
        }
    }

    #[test]
    fn few_items_and_none() {
        assert_eq!(split(&[None], 10, 1), Split { calibration: vec![0], selection: vec![0] });
        assert_eq!(split(&[], 10, 1), Split::default());
        let three = split(&[None; 3], 10, 1);
        assert_eq!((three.calibration.len(), three.selection.len()), (2, 1));
    }
}
