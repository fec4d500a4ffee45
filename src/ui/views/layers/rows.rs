//! Which rows the tree shows: scopes, layers and parameters, filtered and sorted.

use crate::ui::find::{Found, find, needle};
use crate::worker::LayerRow;
use std::collections::HashSet;

/// Order of the layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// As the graph runs, grouped by name scope.
    #[default]
    Graph,
    /// By name.
    Name,
    /// Widest weight range first.
    Width,
}

impl Sort {
    /// All orders with their labels.
    pub const ALL: [(Sort, &'static str); 3] =
        [(Sort::Graph, "graph order"), (Sort::Name, "name"), (Sort::Width, "weight range")];
}

/// What a row stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Item {
    /// A name scope.
    Scope(String),
    /// A layer, by its position in the workspace.
    Layer(usize),
    /// A parameter: positions of the layer and of the parameter in it.
    Parameter(usize, usize),
}

/// A visible row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// What it stands for.
    pub item: Item,
    /// Depth, from 1.
    pub level: usize,
    /// Whether its children show; `None` where it has none.
    pub expanded: Option<bool>,
}

/// The first name scope of a layer, "block_1" of "block_1/conv"; `None` without one.
fn scope(name: &str) -> Option<&str> {
    name.split_once('/').map(|(scope, _)| scope)
}

/// The layers of one scope that stand next to each other.
#[derive(Clone, Copy)]
struct Group<'a> {
    scope: &'a str,
    /// Level of its layers: one deeper where the scope has a row of its own.
    level: usize,
    open: bool,
}

/// The visible rows. `folded` holds the items whose state differs from the usual one: scopes are open, layers closed.
/// A filter matches names, operators and roles without regard to case, and shows what it found unfolded.
pub fn rows(layers: &[LayerRow], filter: &str, sort: Sort, folded: &HashSet<Item>) -> Vec<Row> {
    let filter = needle(filter);
    let mut shown: Vec<(usize, bool)> = Vec::new();
    for (position, layer) in layers.iter().enumerate() {
        if let Some(found) = find(layer, &filter) {
            shown.push((position, !filter.is_empty() && found == Found::Parameter));
        }
    }
    match sort {
        Sort::Graph => {}
        Sort::Name => shown.sort_by(|a, b| layers[a.0].name.cmp(&layers[b.0].name)),
        Sort::Width => shown.sort_by(|a, b| widest(&layers[b.0]).total_cmp(&widest(&layers[a.0]))),
    }
    let mut out = Vec::new();
    let mut current: Option<Group> = None;
    for (place, &(position, opened)) in shown.iter().enumerate() {
        let layer = &layers[position];
        let scope = if sort == Sort::Graph { scope(&layer.name) } else { None };
        if current.map(|group| group.scope) != scope {
            current = scope.map(|scope| Group { scope, level: 1, open: true });
            // A scope of a single layer says nothing that the layer's name does not.
            let next = shown.get(place + 1).and_then(|&(next, _)| self::scope(&layers[next].name));
            if let Some(name) = scope
                && next == scope
            {
                let item = Item::Scope(format!("{name}#{position}"));
                let open = !folded.contains(&item);
                current = Some(Group { scope: name, level: 2, open });
                out.push(Row { item, level: 1, expanded: Some(open) });
            }
        }
        if current.is_some_and(|group| !group.open) {
            continue;
        }
        let item = Item::Layer(position);
        let open = opened != folded.contains(&item);
        let expanded = (!layer.parameters.is_empty()).then_some(open);
        let level = current.map_or(1, |group| group.level);
        out.push(Row { item, level, expanded });
        if expanded == Some(true) {
            let parameters = (0..layer.parameters.len()).map(|parameter| Item::Parameter(position, parameter));
            out.extend(parameters.map(|item| Row { item, level: level + 1, expanded: None }));
        }
    }
    out
}

fn widest(layer: &LayerRow) -> f64 {
    layer.parameters.iter().filter_map(|parameter| parameter.width).fold(-1.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::ParameterRow;

    fn layer(name: &str, width: Option<f64>) -> LayerRow {
        let parameter = ParameterRow {
            role: "weight".into(),
            shape: vec![3],
            values: vec![Some(format!("{name}_w"))],
            quantized: false,
            width,
        };
        LayerRow {
            name: name.into(),
            op: "Conv".into(),
            detail: String::new(),
            quantized: false,
            composite: false,
            parameters: width.is_some().then_some(parameter).into_iter().collect(),
            outputs: vec![Some(format!("{name}:0"))],
        }
    }

    fn network() -> Vec<LayerRow> {
        vec![
            layer("stem", Some(1.0)),
            layer("block/conv", Some(3.0)),
            layer("block/relu", None),
            layer("head/dense", Some(2.0)),
        ]
    }

    fn text(layers: &[LayerRow], rows: &[Row]) -> Vec<String> {
        let name = |row: &Row| match &row.item {
            Item::Scope(name) => name.split('#').next().unwrap().to_owned(),
            Item::Layer(layer) => layers[*layer].name.clone(),
            Item::Parameter(layer, parameter) => layers[*layer].parameters[*parameter].role.clone(),
        };
        rows.iter().map(|row| format!("{}{}", "-".repeat(row.level - 1), name(row))).collect()
    }

    #[test]
    fn scopes_group_neighbours() {
        let layers = network();
        let shown = rows(&layers, "", Sort::Graph, &HashSet::new());
        assert_eq!(text(&layers, &shown), ["stem", "block", "-block/conv", "-block/relu", "head/dense"]);
    }

    #[test]
    fn folding_hides_and_unfolding_shows() {
        let layers = network();
        let scope = rows(&layers, "", Sort::Graph, &HashSet::new())[1].item.clone();
        let folded = HashSet::from([scope, Item::Layer(0)]);
        let shown = rows(&layers, "", Sort::Graph, &folded);
        assert_eq!(text(&layers, &shown), ["stem", "-weight", "block", "head/dense"]);
    }

    #[test]
    fn a_filter_finds_parameters_and_opens_them() {
        let layers = network();
        let shown = rows(&layers, "DENSE_W", Sort::Graph, &HashSet::new());
        assert_eq!(text(&layers, &shown), ["head/dense", "-weight"]);
    }

    #[test]
    fn the_widest_comes_first() {
        let layers = network();
        let shown = rows(&layers, "", Sort::Width, &HashSet::new());
        assert_eq!(text(&layers, &shown), ["block/conv", "head/dense", "stem", "block/relu"]);
    }
}
