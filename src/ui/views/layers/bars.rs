//! The bar of each row: the measure that the tree is sorted by, so that the eye finds the trouble before a click.

use super::rows::Item;
use crate::ui::session::ColorBy;
use crate::worker::LayerRow;
use leptos::prelude::*;

/// A ratio that fills a bar: at 8 bits most tensors are below it.
const FULL_DB: f64 = 50.0;
/// Below these a ratio is called poor, and fair.
const POOR_DB: f64 = 15.0;
const FAIR_DB: f64 = 25.0;

/// What the bars show.
#[derive(Clone, Copy)]
pub struct Bars {
    /// The measure.
    pub by: Memo<ColorBy>,
    /// Its figure of every layer.
    pub figures: Memo<Vec<Option<f64>>>,
}

/// One bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// How much of it is filled, 0 to 1.
    pub share: f64,
    /// Its class: judged where there is something to judge.
    pub class: &'static str,
    /// In words.
    pub words: String,
}

impl Bars {
    /// The bar of a row; parameters have one in the measure of their own widths only.
    pub fn of(self, item: &Item, layers: &[LayerRow]) -> Option<Bar> {
        let by = self.by.get();
        self.figures.with(|figures| {
            let figure = match item {
                Item::Scope(_) => None,
                Item::Layer(layer) => figures.get(*layer).copied().flatten(),
                Item::Parameter(layer, parameter) => {
                    let width = layers.get(*layer)?.parameters.get(*parameter)?.width;
                    width.filter(|_| by == ColorBy::WeightRange)
                }
            };
            bar(by, figure?, figures.iter().flatten().copied().fold(0.0, f64::max))
        })
    }
}

fn bar(by: ColorBy, figure: f64, largest: f64) -> Option<Bar> {
    Some(match by {
        ColorBy::None => return None,
        ColorBy::WeightRange | ColorBy::WeightError if largest <= 0.0 => return None,
        ColorBy::WeightRange => Bar { share: figure / largest, class: "", words: format!("range {figure:.4}") },
        ColorBy::WeightError => Bar { share: figure / largest, class: "", words: format!("error {figure:.3} %") },
        ColorBy::Cumulative | ColorBy::Local if figure == f64::INFINITY => {
            Bar { share: 1.0, class: "good", words: "no error".to_owned() }
        }
        ColorBy::Cumulative | ColorBy::Local => Bar {
            share: (figure / FULL_DB).clamp(0.02, 1.0),
            class: match figure {
                db if db < POOR_DB => "bad",
                db if db < FAIR_DB => "warn",
                _ => "good",
            },
            words: format!("{figure:.1} dB"),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_judged_and_a_range_is_not() {
        let class = |by, figure| bar(by, figure, 4.0).map(|bar| (bar.share, bar.class));
        assert_eq!(class(ColorBy::Cumulative, 10.0), Some((0.2, "bad")));
        assert_eq!(class(ColorBy::Local, 20.0), Some((0.4, "warn")));
        assert_eq!(class(ColorBy::Local, 80.0), Some((1.0, "good")));
        assert_eq!(class(ColorBy::Local, f64::INFINITY), Some((1.0, "good")));
        assert_eq!(class(ColorBy::WeightRange, 1.0), Some((0.25, "")));
        assert_eq!(bar(ColorBy::WeightError, 0.0, 0.0), None);
        assert_eq!(bar(ColorBy::None, 1.0, 1.0), None);
    }
}
