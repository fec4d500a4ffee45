//! A measure as colours of boxes: the sequential ramp, strongest where the trouble is.

use crate::chart::data::Direction;
use crate::chart::{Color, Theme};

/// A measure with a figure for some of the boxes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shading {
    /// What is measured.
    pub name: String,
    /// Its unit: "dB", "%"; empty without one.
    pub unit: String,
    /// Which way is better; where neither is, much is strong.
    pub direction: Direction,
    /// The figure of every box; `None` where there is none, infinite where a ratio has no error to divide by.
    pub figures: Vec<Option<f64>>,
}

impl Shading {
    /// The figures at the weak and at the strong end of the ramp; `None` without a finite figure.
    pub fn ends(&self) -> Option<(f64, f64)> {
        let finite = || self.figures.iter().flatten().copied().filter(|figure| figure.is_finite());
        let (least, most) = (finite().reduce(f64::min)?, finite().reduce(f64::max)?);
        Some(if self.direction == Direction::HigherIsBetter { (most, least) } else { (least, most) })
    }

    /// Where a box stands on the ramp: 0 weak, 1 strong. Where all figures are one, it is weak.
    pub fn share(&self, node: usize) -> Option<f64> {
        let figure = self.figures.get(node).copied().flatten().filter(|figure| !figure.is_nan())?;
        let (weak, strong) = self.ends()?;
        if weak == strong {
            return Some(0.0);
        }
        Some(((figure - weak) / (strong - weak)).clamp(0.0, 1.0))
    }

    /// The colour of every box.
    pub fn colors(&self, theme: &Theme) -> Vec<Option<Color>> {
        (0..self.figures.len()).map(|node| self.share(node).map(|share| theme.sequential_at(share))).collect()
    }

    /// A figure in words: "21.8 dB", "0.41 %"; "exact" where there is no error at all.
    pub fn words(&self, figure: f64) -> String {
        if figure.is_infinite() {
            return "exact".to_owned();
        }
        let digits = crate::chart::format::value(figure, 3);
        if self.unit.is_empty() { digits } else { format!("{digits} {}", self.unit) }
    }

    /// What is measured, with its unit and which way is better.
    pub fn title(&self) -> String {
        let better = match self.direction {
            Direction::None => None,
            Direction::HigherIsBetter => Some("higher is better"),
            Direction::LowerIsBetter => Some("lower is better"),
        };
        let unit = Some(self.unit.as_str()).filter(|unit| !unit.is_empty());
        std::iter::once(self.name.as_str()).chain(unit).chain(better).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sqnr(figures: &[Option<f64>]) -> Shading {
        Shading {
            name: "cumulative SQNR".into(),
            unit: "dB".into(),
            direction: Direction::HigherIsBetter,
            figures: figures.to_vec(),
        }
    }

    #[test]
    fn the_worst_is_strongest() {
        let shading = sqnr(&[Some(40.0), Some(10.0), None, Some(f64::INFINITY), Some(25.0), Some(f64::NAN)]);
        assert_eq!(shading.ends(), Some((40.0, 10.0)));
        let shares: Vec<Option<f64>> = (0..6).map(|node| shading.share(node)).collect();
        assert_eq!(shares, [Some(0.0), Some(1.0), None, Some(0.0), Some(0.5), None]);
        let error = Shading { direction: Direction::LowerIsBetter, ..shading };
        assert_eq!((error.share(0), error.share(1)), (Some(1.0), Some(0.0)));
    }

    #[test]
    fn one_figure_alone_is_not_the_worst() {
        assert_eq!(sqnr(&[Some(12.0)]).share(0), Some(0.0));
        assert_eq!(sqnr(&[Some(f64::INFINITY)]).share(0), None);
        assert_eq!(sqnr(&[]).ends(), None);
    }

    #[test]
    fn figures_and_titles_in_words() {
        let shading = sqnr(&[]);
        assert_eq!(shading.words(21.84), "21.8 dB");
        assert_eq!(shading.words(f64::INFINITY), "exact");
        assert_eq!(shading.title(), "cumulative SQNR, dB, higher is better");
        let width = Shading { name: "weight range".into(), ..Shading::default() };
        assert_eq!((width.title(), width.words(0.25)), ("weight range".to_owned(), "0.250".to_owned()));
    }

    #[test]
    fn both_themes_have_a_colour_for_every_figure() {
        for theme in [Theme::LIGHT, Theme::DARK] {
            let colors = sqnr(&[Some(40.0), Some(10.0), None]).colors(&theme);
            assert_eq!(colors, [Some(theme.sequential[0]), Some(theme.sequential[4]), None]);
        }
    }
}
