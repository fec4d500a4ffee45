//! What every failure tells a person: file, place, found, expected, what to do.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A failure in words. Errors stay typed inside the layers and become a `Problem` once, where they are shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Name of the file.
    pub file: String,
    /// The place inside it: a byte offset, a node, a tensor.
    pub place: String,
    /// What was found there.
    pub found: String,
    /// What was expected.
    pub expected: String,
    /// What the user can do about it.
    pub advice: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { file, place, found, expected, advice } = self;
        write!(f, "{file}, {place}: found {found}, expected {expected}. {advice}")
    }
}
