//! How often a classifier is right, how sure that figure is, and how two classifiers differ.

mod comparison;
mod evaluation;
mod interval;
mod mcnemar;
mod score;

pub use comparison::{ClassChange, Comparison, Flip, Flips, compare, flips};
pub use evaluation::{ClassAccuracy, Evaluation, Fraction, evaluate};
pub use interval::{Interval, wilson_95};
pub use mcnemar::{McNemar, mcnemar};
pub use score::{ItemScore, score};
