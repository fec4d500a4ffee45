//! Which candidate is better, which are on the front, and how many go on.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// What the user asks for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Most points of accuracy that may be lost against the float model.
    pub max_drop_points: f64,
    /// Most bytes of the file.
    pub max_bytes: usize,
}

/// How a candidate stands on the images that choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Bytes of its file.
    pub bytes: usize,
    /// Images that are right (or agree with the float model, where there are no labels).
    pub correct: u64,
    /// Images seen.
    pub total: u64,
    /// Of the float model on the same images.
    pub float_correct: u64,
    /// Power of the output's error over the power of the float model's output: `10^(-SQNR / 10)`; 0 without error.
    pub noise: f64,
}

impl Standing {
    /// Points of accuracy lost against the float model; 0 without images.
    pub fn drop_points(&self) -> f64 {
        match self.total {
            0 => 0.0,
            total => 100.0 * (self.float_correct as f64 - self.correct as f64) / total as f64,
        }
    }
}

impl Target {
    /// Whether the file is small enough.
    pub fn fits(&self, standing: &Standing) -> bool {
        standing.bytes <= self.max_bytes
    }

    /// Whether no more points are lost than may be.
    pub fn keeps(&self, standing: &Standing) -> bool {
        standing.drop_points() <= self.max_drop_points
    }
}

/// Which of two candidates is better; `Less` is the first. What fits comes before what does not, what keeps its accuracy
/// before what does not. Among those that fit the output nearer to the float model's wins: unlike a count of right
/// images it tells two good models apart on few images. Among those that do not fit the smaller file wins.
pub fn better(target: &Target, first: &Standing, second: &Standing) -> Ordering {
    let fits = |standing| target.fits(standing);
    let keeps = |standing| target.keeps(standing);
    let by_size = || first.bytes.cmp(&second.bytes);
    let by_noise = || first.noise.total_cmp(&second.noise);
    match (fits(first), fits(second)) {
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => by_size().then_with(by_noise),
        (true, true) => keeps(second).cmp(&keeps(first)).then_with(by_noise).then_with(by_size),
    }
}

/// Whether each candidate is on the front: no other is as small and more often right, or as often right and smaller. Of
/// equal ones the first is. More images right counts by share, then less noise.
pub fn front(standings: &[Standing]) -> Vec<bool> {
    let share =
        |standing: &Standing| if standing.total == 0 { 0.0 } else { standing.correct as f64 / standing.total as f64 };
    let good = |a: &Standing, b: &Standing| share(a).total_cmp(&share(b)).then(b.noise.total_cmp(&a.noise));
    let beaten = |at: usize, own: &Standing| {
        standings.iter().enumerate().any(|(other_at, other)| {
            let (quality, size) = (good(other, own), other.bytes.cmp(&own.bytes));
            let no_worse = quality != Ordering::Less && size != Ordering::Greater;
            no_worse && (quality == Ordering::Greater || size == Ordering::Less || other_at < at)
        })
    };
    standings.iter().enumerate().map(|(at, own)| own.total > 0 && !beaten(at, own)).collect()
}

/// Successive halving: how many candidates are measured on how many images, round by round. The first round has all of
/// them on a few images, each next one a third of them on three times as many, until `images` are seen by at least
/// `last`. So few candidates see all images at once.
pub fn halving(candidates: usize, images: usize, last: usize) -> Vec<(usize, usize)> {
    /// Images of the first round.
    const FIRST: usize = 32;
    if candidates <= last {
        return vec![(candidates, images)];
    }
    let mut rounds = Vec::new();
    let (mut left, mut seen) = (candidates, FIRST.min(images));
    loop {
        rounds.push((left, seen));
        if seen >= images {
            return rounds;
        }
        left = left.div_ceil(3).max(last.min(left));
        seen = if left <= last { images } else { (seen * 3).min(images) };
    }
}

/// 1, 2, 4, ... and `most`: how many tensors are changed at a time.
pub fn ladder(most: usize) -> Vec<usize> {
    let mut steps: Vec<usize> =
        std::iter::successors(Some(1usize), |step| step.checked_mul(2)).take_while(|step| *step < most).collect();
    steps.extend((most > 0).then_some(most));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(bytes: usize, correct: u64, noise: f64) -> Standing {
        Standing { bytes, correct, total: 100, float_correct: 90, noise }
    }

    #[test]
    fn what_fits_and_keeps_comes_first() {
        let target = Target { max_drop_points: 1.0, max_bytes: 100 };
        let order = |a, b| better(&target, &a, &b);
        assert_eq!(order(standing(100, 80, 0.5), standing(101, 90, 0.0)), Ordering::Less);
        assert_eq!(order(standing(90, 89, 0.5), standing(90, 88, 0.1)), Ordering::Less);
        assert_eq!(order(standing(90, 89, 0.2), standing(90, 95, 0.1)), Ordering::Greater);
        assert_eq!(order(standing(90, 89, 0.1), standing(80, 89, 0.1)), Ordering::Greater);
        assert_eq!(order(standing(200, 10, 0.9), standing(300, 90, 0.1)), Ordering::Less);
        assert_eq!(standing(1, 89, 0.0).drop_points(), 1.0);
        assert_eq!(Standing::default().drop_points(), 0.0);
    }

    #[test]
    fn the_front_is_what_nothing_beats() {
        let all = [standing(100, 90, 0.1), standing(80, 88, 0.2), standing(90, 87, 0.1), standing(80, 88, 0.2)];
        assert_eq!(front(&all), [true, true, false, false]);
        assert_eq!(front(&[Standing::default()]), [false]);
        // As many right with less noise, at more bytes.
        assert_eq!(front(&[standing(80, 88, 0.2), standing(90, 88, 0.1)]), [true, true]);
    }

    #[test]
    fn fewer_candidates_see_more_images() {
        assert_eq!(halving(44, 512, 4), [(44, 32), (15, 96), (5, 288), (4, 512)]);
        assert_eq!(halving(3, 8, 4), [(3, 8)]);
        assert_eq!(halving(3, 256, 4), [(3, 256)]);
        for (candidates, images, last) in [(1, 1, 1), (100, 10_000, 3), (5, 17, 9)] {
            assert_eq!(halving(candidates, images, last).last().unwrap().1, images);
        }
        assert_eq!(ladder(9), [1, 2, 4, 8, 9]);
        assert_eq!((ladder(1), ladder(0)), (vec![1], vec![]));
    }
}
