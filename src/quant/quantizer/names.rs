//! Names that a user types, checked against the model.

use super::error::QuantizeError;
use super::options::{QDQ_OPS, QOPERATOR_OPS, QuantizeOptions};
use crate::onnx::Document;
use std::collections::BTreeSet;

/// Names offered in place of an unknown one, at most.
const OFFERED: usize = 3;

impl QuantizeOptions {
    /// Fails for a node or an operator type that the model has not: left alone, a misspelt name would change nothing, or
    /// leave everything float. An operator type that a quantizer knows may be named where the model
    /// has none.
    pub fn check_names(&self, document: &Document) -> Result<(), QuantizeError> {
        let graph = document.graph();
        let nodes: BTreeSet<&str> = graph.node.iter().map(|node| node.name()).filter(|name| !name.is_empty()).collect();
        let there: BTreeSet<&str> = graph.node.iter().map(|node| node.op_type()).collect();
        let known: BTreeSet<&str> = there.iter().chain(QDQ_OPS).chain(QOPERATOR_OPS).copied().collect();
        let none = BTreeSet::new();
        for (what, asked, names) in [
            ("node", &self.nodes, &nodes),
            ("node", &self.nodes_excluded, &nodes),
            ("operator type", &self.op_types_excluded, &known),
            ("operator type", self.op_types.as_ref().unwrap_or(&none), &known),
        ] {
            unknown(what, asked.iter(), names)?;
        }
        Ok(())
    }
}

fn unknown<'a>(
    what: &'static str,
    mut asked: impl Iterator<Item = &'a String>,
    names: &BTreeSet<&str>,
) -> Result<(), QuantizeError> {
    match asked.find(|name| !names.contains(name.as_str())) {
        Some(name) => {
            let mut near: Vec<(usize, &str)> = names.iter().map(|known| (distance(name, known), *known)).collect();
            near.sort_unstable();
            let near = near.into_iter().take(OFFERED).map(|(_, known)| known.to_owned()).collect();
            Err(QuantizeError::Unknown { what, name: name.clone(), near })
        }
        None => Ok(()),
    }
}

/// Letters to change, add or take away (Levenshtein), upper and lower case being the same.
fn distance(one: &str, other: &str) -> usize {
    let letters = |text: &str| text.to_lowercase().chars().collect::<Vec<_>>();
    let (one, other) = (letters(one), letters(other));
    let mut row: Vec<usize> = (0..other.len() + 1).collect();
    for (at, letter) in one.iter().enumerate() {
        let mut next = vec![at + 1];
        for (column, wanted) in other.iter().enumerate() {
            let cost = |list: &[usize], at: usize| list.get(at).copied().unwrap_or(usize::MAX - 1);
            let changed = cost(&row, column) + usize::from(letter != wanted);
            next.push(changed.min(cost(&row, column + 1) + 1).min(cost(&next, column) + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_few_letters_away() {
        assert_eq!((distance("Convv", "Conv"), distance("conv", "Conv"), distance("", "ab")), (1, 0, 2));
        assert_eq!(distance("kitten", "sitting"), 3);
        let names = BTreeSet::from(["Conv", "ConvTranspose", "Gemm", "Relu"]);
        let Err(QuantizeError::Unknown { near, .. }) = unknown("operator type", ["Convv".to_owned()].iter(), &names)
        else {
            panic!("a name that is not there");
        };
        assert_eq!(near[0], "Conv");
        assert_eq!(unknown("operator type", ["Conv".to_owned()].iter(), &names), Ok(()));
    }
}
