//! A layered drawing (Sugiyama, Tagawa and Toda, 1981): ranks by the longest way from the inputs, an order within each rank
//! that crosses few lines (`order`), and places that keep lines straight (`place`).
//!
//! Everything is a few passes over boxes and links, nothing recurses, and the same network always gives the same
//! drawing: thousands of boxes take milliseconds.

use super::order::ordered;
use super::place::placed;

/// Room around the whole.
const MARGIN_PX: f64 = 24.0;
/// Between two ranks.
const RANK_GAP_PX: f64 = 44.0;
/// Between two lanes of far lines.
const LANE_PX: f64 = 14.0;
/// A line over more ranks than this does not go between the boxes but down a lane beside them all: a value that every
/// layer of a deep network reads would need a way through every rank of it.
const FARTHEST: usize = 64;

/// Where everything is.
pub struct Layered {
    pub width: f64,
    pub height: f64,
    /// The top left corner of every box.
    pub corners: Vec<(f64, f64)>,
    /// For every link the points of its line, downwards; upwards for one that closes a cycle.
    pub lines: Vec<Vec<(f64, f64)>>,
}

/// What stands in a rank: a box, or the place where a line passes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Item {
    /// Position of the box; `None` for a place where lines of a box further up pass.
    pub node: Option<usize>,
    pub width: f64,
}

/// Items in ranks, with the links between neighbouring ranks.
#[derive(Debug, Default)]
pub struct Ranks {
    pub items: Vec<Item>,
    /// The items of each rank, from left to right.
    pub ranks: Vec<Vec<usize>>,
    /// For each item the items of the rank above that it is linked with.
    pub above: Vec<Vec<usize>>,
    /// The same below.
    pub below: Vec<Vec<usize>>,
}

impl Ranks {
    fn add(&mut self, item: Item, rank: usize) -> usize {
        let number = self.items.len();
        self.items.push(item);
        self.above.push(Vec::new());
        self.below.push(Vec::new());
        if let Some(rank) = self.ranks.get_mut(rank) {
            rank.push(number);
        }
        number
    }

    fn link(&mut self, upper: usize, lower: usize) {
        if !self.below[upper].contains(&lower) {
            self.below[upper].push(lower);
            self.above[lower].push(upper);
        }
    }
}

/// The way of a link from its upper to its lower box.
enum Way {
    /// Through these places, one in each rank between.
    Between(Vec<usize>),
    /// Down a lane at the side.
    Lane,
}

/// Lays boxes of these sizes out. Links go from maker to reader; boxes are in an order in which makers come first, and
/// a link against that order (a cycle in a broken file) is drawn upwards.
pub fn layered(sizes: &[(f64, f64)], links: &[(usize, usize)]) -> Layered {
    // Every link from the box that stands higher.
    let down: Vec<(usize, usize)> = links.iter().map(|&(from, to)| (from.min(to), from.max(to))).collect();
    let rank = ranks(sizes.len(), &down);
    let count = rank.iter().max().map_or(0, |last| last + 1);
    let mut ranks = Ranks { ranks: vec![Vec::new(); count], ..Ranks::default() };
    for (node, &(width, _)) in sizes.iter().enumerate() {
        ranks.add(Item { node: Some(node), width }, rank[node]);
    }
    let ways = ways(&mut ranks, &rank, &down);
    ordered(&mut ranks);
    let centers = placed(&ranks);

    let heights: Vec<f64> = ranks.ranks.iter().map(|items| tallest(items, &ranks, sizes)).collect();
    let tops: Vec<f64> = heights
        .iter()
        .scan(MARGIN_PX, |next, height| {
            let top = *next;
            *next += height + RANK_GAP_PX;
            Some(top)
        })
        .collect();
    let left = (0..ranks.items.len()).map(|item| centers[item] - ranks.items[item].width / 2.0);
    let shift = MARGIN_PX - left.reduce(f64::min).unwrap_or(0.0);
    let center: Vec<f64> = centers.iter().map(|center| center + shift).collect();
    let right = (0..ranks.items.len()).map(|item| center[item] + ranks.items[item].width / 2.0);
    let right = right.reduce(f64::max).unwrap_or(0.0);
    let corners: Vec<(f64, f64)> =
        sizes.iter().enumerate().map(|(node, &(width, _))| (center[node] - width / 2.0, tops[rank[node]])).collect();
    let lanes = lanes(&down, &ways, &rank);
    let lane_x = |lane: usize| right + MARGIN_PX + lane as f64 * LANE_PX;
    let bottom = |rank: usize| tops[rank] + heights[rank];
    let line = |(position, way): (usize, &Way)| {
        let (upper, lower) = down[position];
        let mut points = vec![(center[upper], tops[rank[upper]] + sizes[upper].1)];
        match way {
            Way::Between(places) => {
                for (at, &place) in (rank[upper] + 1..).zip(places) {
                    points.extend([(center[place], tops[at]), (center[place], bottom(at))]);
                }
            }
            Way::Lane => {
                let x = lane_x(lanes[position].unwrap_or(0));
                points.extend([(x, tops[rank[upper] + 1]), (x, bottom(rank[lower] - 1))]);
            }
        }
        points.push((center[lower], tops[rank[lower]]));
        if links[position].0 > links[position].1 {
            points.reverse();
        }
        points
    };
    let lines = ways.iter().enumerate().map(line).collect();
    let outermost = lanes.iter().flatten().max().map_or(right, |&lane| lane_x(lane));
    let height = tops.last().zip(heights.last()).map_or(0.0, |(top, height)| top + height);
    Layered { width: outermost + MARGIN_PX, height: height + MARGIN_PX, corners, lines }
}

/// The rank of every box: below everything it reads, by the longest way. What does not hang on the first box, the first
/// input of the network, comes right above what reads it: a second input, and what is computed from constants.
fn ranks(count: usize, links: &[(usize, usize)]) -> Vec<usize> {
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut makers: Vec<Vec<usize>> = vec![Vec::new(); count];
    for &(from, to) in links {
        readers[from].push(to);
        makers[to].push(from);
    }
    let mut rank = vec![0usize; count];
    let mut loose = vec![false; count];
    for node in 1..count {
        rank[node] = makers[node].iter().map(|&maker| rank[maker] + 1).max().unwrap_or(0);
        loose[node] = makers[node].iter().all(|&maker| loose[maker]);
    }
    // From the end, so that what leads to a loose box alone follows it down.
    for node in (0..count).rev().filter(|&node| loose[node]) {
        if let Some(first) = readers[node].iter().map(|&reader| rank[reader]).min() {
            rank[node] = first.saturating_sub(1);
        }
    }
    let top = rank.iter().min().copied().unwrap_or(0);
    rank.iter().map(|rank| rank - top).collect()
}

/// The ways of all links; those over several ranks get a place in each. The links of one box share them: a line that
/// forks where its readers are is one line until then.
fn ways(ranks: &mut Ranks, rank: &[usize], links: &[(usize, usize)]) -> Vec<Way> {
    let mut chains: Vec<Vec<usize>> = vec![Vec::new(); rank.len()];
    let mut ways = Vec::with_capacity(links.len());
    for &(upper, lower) in links {
        let between = rank[lower].saturating_sub(rank[upper] + 1);
        if between > FARTHEST {
            ways.push(Way::Lane);
            continue;
        }
        for at in chains[upper].len()..between {
            let place = ranks.add(Item { node: None, width: 0.0 }, rank[upper] + 1 + at);
            let above = chains[upper].last().copied().unwrap_or(upper);
            ranks.link(above, place);
            chains[upper].push(place);
        }
        let places = chains[upper][..between].to_vec();
        ranks.link(places.last().copied().unwrap_or(upper), lower);
        ways.push(Way::Between(places));
    }
    ways
}

/// A lane for every link that needs one, as few as possible; the links of one box share theirs.
fn lanes(links: &[(usize, usize)], ways: &[Way], rank: &[usize]) -> Vec<Option<usize>> {
    let mut spans: std::collections::BTreeMap<(usize, usize), usize> = std::collections::BTreeMap::new();
    let far = |position: &usize| matches!(ways[*position], Way::Lane);
    for position in (0..links.len()).filter(far) {
        let (upper, lower) = links[position];
        let end = spans.entry((rank[upper], upper)).or_default();
        *end = rank[lower].max(*end);
    }
    let mut ends: Vec<usize> = Vec::new();
    let mut taken = std::collections::HashMap::new();
    for (&(start, upper), &end) in &spans {
        let free = ends.iter().position(|&busy| busy <= start);
        let lane = free.unwrap_or(ends.len());
        if free.is_none() {
            ends.push(0);
        }
        ends[lane] = end;
        taken.insert(upper, lane);
    }
    (0..links.len()).map(|position| taken.get(&links[position].0).copied().filter(|_| far(&position))).collect()
}

fn tallest(items: &[usize], ranks: &Ranks, sizes: &[(f64, f64)]) -> f64 {
    items.iter().filter_map(|&item| ranks.items[item].node).map(|node| sizes[node].1).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    const BOX: (f64, f64) = (100.0, 50.0);

    /// What every drawing holds: boxes apart, lines downwards, from box to box, through no box.
    fn check(sizes: &[(f64, f64)], links: &[(usize, usize)]) -> Layered {
        let drawing = layered(sizes, links);
        assert_eq!((drawing.corners.len(), drawing.lines.len()), (sizes.len(), links.len()));
        let area = |node: usize| {
            let ((x, y), (width, height)) = (drawing.corners[node], sizes[node]);
            (x, y, x + width, y + height)
        };
        let mut by_rank: Vec<usize> = (0..sizes.len()).collect();
        by_rank.sort_by(|&a, &b| {
            drawing.corners[a]
                .1
                .total_cmp(&drawing.corners[b].1)
                .then(drawing.corners[a].0.total_cmp(&drawing.corners[b].0))
        });
        for pair in by_rank.windows(2) {
            let (one, two) = (area(pair[0]), area(pair[1]));
            assert!(one.2 < two.0 || one.3 < two.1, "boxes {pair:?} touch");
        }
        for (&(from, to), line) in links.iter().zip(&drawing.lines) {
            assert!(line.iter().all(|(x, y)| (0.0..=drawing.width).contains(x) && (0.0..=drawing.height).contains(y)));
            let (one, two) = (area(from), area(to));
            assert_eq!(line[0], (one.0 + (one.2 - one.0) / 2.0, one.3));
            assert_eq!(line[line.len() - 1], (two.0 + (two.2 - two.0) / 2.0, two.1));
            assert!(line.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{line:?}");
        }
        drawing
    }

    #[test]
    fn a_chain_is_straight() {
        let drawing = check(&[BOX, (60.0, 50.0), BOX], &[(0, 1), (1, 2)]);
        assert!(drawing.lines.iter().flatten().all(|point| (point.0 - drawing.lines[0][0].0).abs() < 1e-6));
        assert_eq!(drawing.corners[1].1, drawing.corners[0].1 + BOX.1 + RANK_GAP_PX);
    }

    #[test]
    fn a_shortcut_passes_beside_the_boxes_it_skips() {
        let drawing = check(&[BOX; 4], &[(0, 1), (1, 2), (2, 3), (0, 3)]);
        let skipped = drawing.corners[1];
        for &(x, y) in &drawing.lines[3][1..5] {
            assert!(x < skipped.0 || x > skipped.0 + BOX.0, "({x}, {y}) is inside of a box");
        }
    }

    #[test]
    fn what_only_constants_lead_to_stands_above_its_reader() {
        // 0 -> 1 -> 2 -> 3, and 4 -> 5 -> 3 without an input: boxes in running order.
        let drawing = check(&[BOX; 6], &[(0, 1), (1, 2), (2, 5), (3, 4), (4, 5)]);
        assert_eq!(drawing.corners[4].1, drawing.corners[2].1);
        assert_eq!(drawing.corners[3].1, drawing.corners[1].1);
    }

    #[test]
    fn a_cycle_is_drawn_upwards_and_ends() {
        let drawing = layered(&[BOX; 3], &[(0, 1), (1, 2), (2, 0)]);
        let back = &drawing.lines[2];
        assert!(back.first().map(|p| p.1) > back.last().map(|p| p.1), "{back:?}");
        assert!(layered(&[], &[]).corners.is_empty());
    }

    #[test]
    fn thousands_of_boxes_are_placed_at_once() {
        let since = Instant::now();
        // Residual blocks, and a value that all of them read.
        let count = 3000;
        let mut links: Vec<(usize, usize)> = (1..count).map(|node| (node - 1, node)).collect();
        links.extend((4..count).step_by(4).map(|node| (node - 4, node)));
        links.extend((10..count).step_by(10).map(|node| (0, node)));
        links.sort_unstable();
        links.dedup();
        check(&vec![BOX; count], &links);
        assert!(since.elapsed().as_secs_f64() < 10.0, "{:?}", since.elapsed());
    }

    #[test]
    fn a_wide_graph_stays_apart() {
        // 60 branches of unequal widths that all join again, crosswise.
        let mut sizes = vec![BOX];
        let mut links = Vec::new();
        for branch in 0..60 {
            sizes.extend([(80.0 + f64::from(branch), 50.0), (140.0 - f64::from(branch), 50.0)]);
            let first = sizes.len() - 2;
            links.extend([(0, first), (first, first + 1)]);
        }
        let last = sizes.len();
        sizes.push(BOX);
        links.extend((2..last).step_by(2).map(|node| (node, last)));
        check(&sizes, &links);
    }
}
