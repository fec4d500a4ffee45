//! What can be wrong with a dropped file.

use crate::problem::Problem;
use std::borrow::Cow;
use thiserror::Error;

/// Text of an error: fixed, or made from what was found.
type Words = Cow<'static, str>;

/// Why a file, or one place in it, cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ImportError {
    /// The bytes are not what the format says they should be.
    #[error("{place}: found {found}, expected {expected}")]
    Format {
        /// Where in the file.
        place: Words,
        /// What is there.
        found: Words,
        /// What should be there.
        expected: Words,
        /// What the user can do.
        advice: Words,
    },
    /// The bytes are fine, but this kind of content is not read.
    #[error("{place}: {what} cannot be read here")]
    Unsupported {
        /// Where in the file.
        place: Words,
        /// What was found.
        what: Words,
        /// What would be read instead.
        expected: Words,
        /// What the user can do.
        advice: Words,
    },
    /// The content is larger than a browser tab can take.
    #[error("{place}: {what} is {found}, over the limit of {limit}")]
    LimitExceeded {
        /// Where in the file.
        place: Words,
        /// Which quantity, with its unit: "unpacked bytes".
        what: Words,
        /// How much there is, at least.
        found: u64,
        /// How much is accepted.
        limit: u64,
    },
}

impl ImportError {
    /// A [`ImportError::Format`].
    pub fn format(
        place: impl Into<Words>,
        found: impl Into<Words>,
        expected: impl Into<Words>,
        advice: impl Into<Words>,
    ) -> Self {
        Self::Format { place: place.into(), found: found.into(), expected: expected.into(), advice: advice.into() }
    }

    /// A [`ImportError::Unsupported`].
    pub fn unsupported(
        place: impl Into<Words>,
        what: impl Into<Words>,
        expected: impl Into<Words>,
        advice: impl Into<Words>,
    ) -> Self {
        Self::Unsupported { place: place.into(), what: what.into(), expected: expected.into(), advice: advice.into() }
    }

    /// A file that ends before its content does.
    pub fn cut_short(place: impl Into<Words>, found: impl Into<Words>, expected: impl Into<Words>) -> Self {
        Self::format(place, found, expected, "The file is cut short: download or copy it again.")
    }

    /// The error in the words that a person reads, with the file it is about.
    pub fn into_problem(self, file: &str) -> Problem {
        let (place, found, expected, advice) = match self {
            Self::Format { place, found, expected, advice } => (place, found, expected, advice),
            Self::Unsupported { place, what, expected, advice } => (place, what, expected, advice),
            Self::LimitExceeded { place, what, found, limit } => (
                place,
                format!("{found} {what}").into(),
                format!("at most {limit}").into(),
                "Split the file, or take the part you need out of it and open that.".into(),
            ),
        };
        Problem {
            file: file.to_owned(),
            place: place.into_owned(),
            found: found.into_owned(),
            expected: expected.into_owned(),
            advice: advice.into_owned(),
        }
    }
}
