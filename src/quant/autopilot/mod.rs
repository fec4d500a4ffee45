//! The plain part of the autopilot: what can be chosen, what is asked for, and how candidates are ranked.
//!
//! Running them is the worker's: it measures [`Recipe`]s on images and asks [`better`] which to go on with.

mod rank;
mod recipe;
mod split;

pub use rank::{Standing, Target, better, front, halving, ladder};
pub use recipe::{Recipe, RowChange, first_recipes};
pub use split::{Split, split};
