//! What the field "Find a layer" finds: the tree shows it alone, the graph dims the rest.

use crate::worker::LayerRow;

/// Where a layer has the words looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// In its name, its operator, or the name of a value that it puts out.
    Itself,
    /// Only in the role or a value's name of one of its parameters.
    Parameter,
}

/// The filter as it is compared: without regard to case and to blanks around it.
pub fn needle(filter: &str) -> String {
    filter.trim().to_lowercase()
}

/// Whether a text has the words, which are a [`needle`].
pub fn has(text: &str, needle: &str) -> bool {
    text.to_lowercase().contains(needle)
}

/// Where a layer has the words; everything has the empty ones itself.
pub fn find(layer: &LayerRow, needle: &str) -> Option<Found> {
    let found = |text: &str| has(text, needle);
    if found(&layer.name) || found(&layer.op) || layer.outputs.iter().flatten().any(|value| found(value)) {
        return Some(Found::Itself);
    }
    let by_parameter = layer
        .parameters
        .iter()
        .any(|parameter| found(&parameter.role) || parameter.values.iter().flatten().any(|value| found(value)));
    by_parameter.then_some(Found::Parameter)
}
