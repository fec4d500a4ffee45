//! The order of the items in each rank, so that few lines cross.
//!
//! Barycenters: rank by rank, downwards and upwards in turn, every item goes to the mean of its neighbours' positions.
//! The order with the fewest crossings is kept.

use super::layered::Ranks;

/// Most sweeps over all ranks.
const SWEEPS: usize = 24;
/// Sweeps without a better order, after which it ends.
const PATIENCE: usize = 6;
/// Items that are moved at most in all sweeps together: very large networks get fewer sweeps.
const MOST_MOVES: usize = 1_000_000;

/// Orders the items of every rank.
pub fn ordered(ranks: &mut Ranks) {
    let mut position = vec![0usize; ranks.items.len()];
    note(&ranks.ranks, &mut position);
    let mut best = (crossings(ranks, &position), ranks.ranks.clone());
    let sweeps = SWEEPS.min(MOST_MOVES / ranks.items.len().max(1)).max(2);
    let mut patience = PATIENCE;
    for sweep in 0..sweeps {
        if best.0 == 0 || patience == 0 {
            break;
        }
        let downwards = sweep % 2 == 0;
        let count = ranks.ranks.len();
        for step in 1..count {
            let rank = if downwards { step } else { count - 1 - step };
            let neighbours = if downwards { &ranks.above } else { &ranks.below };
            let mut items: Vec<(f64, usize)> = ranks.ranks[rank]
                .iter()
                .map(|&item| {
                    let own = position[item] as f64;
                    let all = &neighbours[item];
                    let sum: f64 = all.iter().map(|&other| position[other] as f64).sum();
                    (if all.is_empty() { own } else { sum / all.len() as f64 }, item)
                })
                .collect();
            // Stable: equal ones stay as they are.
            items.sort_by(|a, b| a.0.total_cmp(&b.0));
            ranks.ranks[rank] = items.into_iter().map(|(_, item)| item).collect();
            for (place, &item) in ranks.ranks[rank].iter().enumerate() {
                position[item] = place;
            }
        }
        let now = crossings(ranks, &position);
        patience -= 1;
        if now < best.0 {
            best = (now, ranks.ranks.clone());
            patience = PATIENCE;
        }
    }
    ranks.ranks = best.1;
}

fn note(ranks: &[Vec<usize>], position: &mut [usize]) {
    for items in ranks {
        for (place, &item) in items.iter().enumerate() {
            position[item] = place;
        }
    }
}

/// How many pairs of lines cross between neighbouring ranks.
fn crossings(ranks: &Ranks, position: &[usize]) -> usize {
    let mut sum = 0;
    for (rank, items) in ranks.ranks.iter().enumerate() {
        let Some(next) = ranks.ranks.get(rank + 1) else { break };
        // The lower ends in the order of the upper ones; each pair that is the wrong way round is a crossing.
        let mut seen = Fenwick(vec![0; next.len() + 1]);
        let mut count = 0;
        for &item in items {
            let mut ends: Vec<usize> = ranks.below[item].iter().map(|&lower| position[lower]).collect();
            ends.sort_unstable();
            sum += ends.iter().map(|&end| count - seen.up_to(end)).sum::<usize>();
            ends.iter().for_each(|&end| seen.add(end));
            count += ends.len();
        }
    }
    sum
}

/// Counts by position, with sums of all up to one in logarithmic time (Fenwick, 1994).
struct Fenwick(Vec<usize>);

impl Fenwick {
    fn add(&mut self, position: usize) {
        let mut at = position + 1;
        while let Some(slot) = self.0.get_mut(at) {
            *slot += 1;
            at += at & at.wrapping_neg();
        }
    }

    /// How many are at this position or before it.
    fn up_to(&self, position: usize) -> usize {
        let (mut at, mut sum) = (position + 1, 0);
        while at > 0 {
            sum += self.0.get(at).copied().unwrap_or(0);
            at -= at & at.wrapping_neg();
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::super::layered::Item;
    use super::*;

    fn two_ranks(upper: usize, lower: usize, links: &[(usize, usize)]) -> Ranks {
        let mut ranks = Ranks {
            items: vec![Item::default(); upper + lower],
            ranks: vec![(0..upper).collect(), (upper..upper + lower).collect()],
            above: vec![Vec::new(); upper + lower],
            below: vec![Vec::new(); upper + lower],
        };
        for &(from, to) in links {
            ranks.below[from].push(upper + to);
            ranks.above[upper + to].push(from);
        }
        ranks
    }

    fn crossed(ranks: &Ranks) -> usize {
        let mut position = vec![0; ranks.items.len()];
        note(&ranks.ranks, &mut position);
        crossings(ranks, &position)
    }

    #[test]
    fn crossings_are_pairs_the_wrong_way_round() {
        assert_eq!(crossed(&two_ranks(2, 2, &[(0, 1), (1, 0)])), 1);
        assert_eq!(crossed(&two_ranks(2, 2, &[(0, 0), (1, 1)])), 0);
        // All with all: 3 choose 2 pairs above, as many below.
        let all: Vec<(usize, usize)> = (0..3).flat_map(|from| (0..3).map(move |to| (from, to))).collect();
        assert_eq!(crossed(&two_ranks(3, 3, &all)), 9);
    }

    #[test]
    fn a_twisted_ladder_is_untwisted() {
        let mut ranks = two_ranks(4, 4, &[(0, 3), (1, 2), (2, 1), (3, 0)]);
        assert_eq!(crossed(&ranks), 6);
        ordered(&mut ranks);
        assert_eq!(crossed(&ranks), 0);
    }
}
