//! Python functions that a generated file contains where it needs them: what torch has no operator of its own for.

use super::emit::Flavour;
use std::collections::BTreeSet;

macro_rules! sources {
    ($($name:literal),* $(,)?) => {
        /// The source of a helper; empty for a name that is none.
        pub(super) fn source(name: &str) -> &'static str {
            match name {
                $($name => include_str!(concat!("python/", $name, ".py")),)*
                _ => "",
            }
        }

        #[cfg(test)]
        const ALL: &[&str] = &[$($name),*];
    };
}

sources!(
    "_average_pool",
    "_conv_transpose",
    "_gather",
    "_pad",
    "_recurrent",
    "_reshape",
    "_resize",
    "_same_pads",
    "_slice",
    "_softmax_2d",
);

/// The classes of quantizers.
pub(super) fn quantizers(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::Exact => include_str!("python/quantizers_exact.py"),
        Flavour::Pt2e => include_str!("python/quantizers_pt2e.py"),
    }
}

/// The helpers in the order in which they are written.
pub(super) fn with_needed(names: &BTreeSet<&'static str>) -> impl Iterator<Item = &'static str> {
    names.iter().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_helper_is_one_function_of_its_name() {
        for name in ALL {
            assert!(source(name).starts_with(&format!("def {name}(")), "{name}");
            assert_eq!(source(name).matches("\ndef ").count(), 0, "{name}");
        }
        assert_eq!(source("os"), "");
    }
}
