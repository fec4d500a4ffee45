//! Where the items of each rank stand: as near as they may to what they are linked with, in their order and apart.
//!
//! For one rank that is a least-squares problem with an exact answer: minimize `sum w (x - wanted)^2` with
//! `x[i + 1] - x[i]` at least what the two need. Less these distances the `x` must not fall, which is isotonic
//! regression, solved by pooling neighbours that are the wrong way round (Ayer et al., 1955).

use super::layered::Ranks;

/// Between two boxes.
const BOX_GAP_PX: f64 = 28.0;
/// Beside a line.
const LINE_GAP_PX: f64 = 18.0;
/// Passes over all ranks, down and up in turn. The last one goes down: a chain is straight below what it hangs on.
const PASSES: usize = 25;
/// How much a line that passes pulls, beside a box: a far line shall be straight.
const LINE_WEIGHT: f64 = 4.0;
/// How much a box that nothing leads to pulls: constants stand beside the way of the data and do not bend it.
const SOURCE_WEIGHT: f64 = 0.002;
/// How much an item without neighbours holds on to its place.
const LOOSE_WEIGHT: f64 = 1e-4;

/// The centre of every item.
pub fn placed(ranks: &Ranks) -> Vec<f64> {
    let apart: Vec<Vec<f64>> = ranks.ranks.iter().map(|items| offsets(ranks, items)).collect();
    let mut center = vec![0.0; ranks.items.len()];
    for (items, offsets) in ranks.ranks.iter().zip(&apart) {
        let half = offsets.last().map_or(0.0, |last| last / 2.0);
        for (&item, offset) in items.iter().zip(offsets) {
            center[item] = offset - half;
        }
    }
    for pass in 0..PASSES {
        let count = ranks.ranks.len();
        let downwards = pass % 2 == 0;
        let (first, second) = if downwards { (&ranks.above, &ranks.below) } else { (&ranks.below, &ranks.above) };
        for step in 0..count {
            let rank = if downwards { step } else { count - 1 - step };
            let (items, offsets) = (&ranks.ranks[rank], &apart[rank]);
            let (wanted, weights): (Vec<f64>, Vec<f64>) = items
                .iter()
                .map(|&item| {
                    // What has no neighbours on one side goes by those on the other.
                    let neighbours = if first[item].is_empty() { &second[item] } else { &first[item] };
                    wish(ranks, &center, item, neighbours)
                })
                .unzip();
            for (&item, place) in items.iter().zip(settled(&wanted, &weights, offsets)) {
                center[item] = place;
            }
        }
    }
    center
}

/// Where an item wants to be, and how much.
fn wish(ranks: &Ranks, center: &[f64], item: usize, neighbours: &[usize]) -> (f64, f64) {
    let is_line = |item: usize| ranks.items[item].node.is_none();
    let (mut sum, mut weight) = (0.0, 0.0);
    for &other in neighbours {
        let own = match () {
            () if is_line(item) && is_line(other) => LINE_WEIGHT,
            () if ranks.above[other].is_empty() => SOURCE_WEIGHT,
            () => 1.0,
        };
        sum += own * center[other];
        weight += own;
    }
    if weight == 0.0 {
        return (center[item], LOOSE_WEIGHT);
    }
    // Where a constant and the data both want the middle, the constant gives way.
    let own = if ranks.above[item].is_empty() { SOURCE_WEIGHT } else { 1.0 };
    (sum / weight, weight * own)
}

/// The distance of each item of a rank from the first, when they stand as close as they may.
fn offsets(ranks: &Ranks, items: &[usize]) -> Vec<f64> {
    let mut offset = 0.0;
    let mut offsets = Vec::with_capacity(items.len());
    for (place, &item) in items.iter().enumerate() {
        if let Some(&before) = place.checked_sub(1).and_then(|before| items.get(before)) {
            let (one, two) = (&ranks.items[before], &ranks.items[item]);
            let gap = if one.node.is_some() && two.node.is_some() { BOX_GAP_PX } else { LINE_GAP_PX };
            offset += one.width / 2.0 + gap + two.width / 2.0;
        }
        offsets.push(offset);
    }
    offsets
}

/// The places nearest to the wanted ones (weighted least squares) that are at least as far apart as `offsets`.
fn settled(wanted: &[f64], weights: &[f64], offsets: &[f64]) -> Vec<f64> {
    // Blocks that move as one: (weighted sum, weight, items).
    let mut blocks: Vec<(f64, f64, usize)> = Vec::with_capacity(wanted.len());
    for ((wanted, weight), offset) in wanted.iter().zip(weights).zip(offsets) {
        blocks.push(((wanted - offset) * weight, *weight, 1));
        while let [.., one, two] = blocks.as_slice()
            && one.0 / one.1 > two.0 / two.1
        {
            let merged = (one.0 + two.0, one.1 + two.1, one.2 + two.2);
            blocks.truncate(blocks.len() - 2);
            blocks.push(merged);
        }
    }
    let places = blocks.iter().flat_map(|&(sum, weight, count)| std::iter::repeat_n(sum / weight, count));
    places.zip(offsets).map(|(place, offset)| place + offset).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_room_stands_where_it_wants() {
        assert_eq!(settled(&[0.0, 50.0, 90.0], &[1.0; 3], &[0.0, 10.0, 20.0]), [0.0, 50.0, 90.0]);
    }

    #[test]
    fn a_crowd_stands_around_its_mean() {
        // Three that all want 0, ten apart: -10, 0, 10. By hand.
        assert_eq!(settled(&[0.0; 3], &[1.0; 3], &[0.0, 10.0, 20.0]), [-10.0, 0.0, 10.0]);
        // The heavier of two moves less: minimum of 3 a^2 + (a + 8)^2 at a = -2.
        assert_eq!(settled(&[0.0; 2], &[3.0, 1.0], &[0.0, 8.0]), [-2.0, 6.0]);
        assert_eq!(settled(&[9.0, 1.0, 30.0], &[1.0; 3], &[0.0, 2.0, 4.0]), [4.0, 6.0, 30.0]);
    }
}
