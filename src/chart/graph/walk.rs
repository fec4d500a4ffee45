//! How keys go from box to box: along the lines, and beside each other.

use super::Network;

/// A step in a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// To a box that makes what this one reads.
    Up,
    /// To a box that reads what this one makes.
    Down,
    /// To the next box on the left at the same height.
    Left,
    /// The same on the right.
    Right,
    /// To the first box.
    First,
    /// To the last one.
    Last,
}

impl Step {
    /// The step of a key (`KeyboardEvent.key`).
    pub fn of_key(key: &str) -> Option<Self> {
        Some(match key {
            "ArrowUp" => Step::Up,
            "ArrowDown" => Step::Down,
            "ArrowLeft" => Step::Left,
            "ArrowRight" => Step::Right,
            "Home" => Step::First,
            "End" => Step::Last,
            _ => return None,
        })
    }
}

/// The box that a step leads to. Of several it is the one nearest by its middle, of equally near ones the first; with
/// Left and Right the others can be reached from there.
pub fn step(network: &Network, from: usize, step: Step) -> Option<usize> {
    let here = network.boxes.get(from)?.area;
    let middle = |node: usize| network.boxes.get(node).map_or(0.0, |node| node.area.x + node.area.width / 2.0);
    let distance = |node: &usize| (middle(*node) - middle(from)).abs();
    let nearest = |a: &usize, b: &usize| distance(a).total_cmp(&distance(b)).then(a.cmp(b));
    let beside = |towards: f64| {
        let level = network.boxes.iter().enumerate().filter(|(_, node)| {
            let area = node.area;
            area.y < here.bottom() && here.y < area.bottom()
        });
        let on_side = level.map(|(node, _)| node).filter(|&node| (middle(node) - middle(from)) * towards > 0.0);
        on_side.min_by(nearest)
    };
    match step {
        Step::Up => network.makers(from).min_by(nearest),
        Step::Down => network.readers(from).min_by(nearest),
        Step::Left => beside(-1.0),
        Step::Right => beside(1.0),
        Step::First => (!network.boxes.is_empty()).then_some(0),
        Step::Last => network.boxes.len().checked_sub(1),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::fork;
    use super::*;

    #[test]
    fn arrows_follow_the_lines_and_cross_between_branches() {
        let network = fork();
        assert_eq!(step(&network, 0, Step::Down), Some(1), "two as near as each other: the first");
        assert_eq!(step(&network, 1, Step::Right), Some(2));
        assert_eq!(step(&network, 2, Step::Right), Some(4));
        assert_eq!(step(&network, 2, Step::Left), Some(1));
        assert_eq!(step(&network, 3, Step::Up), Some(1));
        assert_eq!(step(&network, 0, Step::Up), None);
        assert_eq!(step(&network, 4, Step::Down), None);
        assert_eq!((step(&network, 2, Step::First), step(&network, 2, Step::Last)), (Some(0), Some(4)));
        assert_eq!(step(&network, 99, Step::Down), None);
    }
}
