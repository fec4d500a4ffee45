//! A drawing as the tab shows it: boxes, their names, and how they find the layers of the tree.

use crate::chart::graph::{Network, NetworkBox, NetworkLine};
use crate::chart::scene::{Rect, at};
use crate::ui::find::{find, has};
use crate::ui::format;
use crate::worker::{GraphDrawing, GraphNode, GraphNodeKind, LayerRow};

/// A drawing and the network in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// What the worker said.
    pub drawing: GraphDrawing,
    /// The same as a chart takes it.
    pub network: Network,
}

impl Shown {
    /// Takes a drawing.
    pub fn of(drawing: GraphDrawing) -> Self {
        let boxes = drawing.nodes.iter().map(|node| NetworkBox {
            area: Rect { x: node.x, y: node.y, width: node.width, height: node.height },
            op: node.op.clone(),
            name: node.name.clone(),
            shape: shape(node),
            quantized: node.quantized,
        });
        let lines = drawing.edges.iter().map(|edge| NetworkLine {
            from: edge.from,
            to: edge.to,
            points: edge.points.iter().map(|&(x, y)| at(x, y)).collect(),
        });
        let network = Network {
            width_px: drawing.width_px,
            height_px: drawing.height_px,
            boxes: boxes.collect(),
            lines: lines.collect(),
        };
        Shown { drawing, network }
    }

    /// Width and height of the whole.
    pub fn size(&self) -> (f64, f64) {
        (self.network.width_px, self.network.height_px)
    }

    /// The box of a layer of the tree; where only nodes that belong to it are drawn, the first of those.
    pub fn box_of(&self, layer: usize) -> Option<usize> {
        let is = |node: &GraphNode| node.layer == Some(layer);
        let nodes = &self.drawing.nodes;
        let own = nodes.iter().position(|node| is(node) && node.kind == GraphNodeKind::Operation);
        own.or_else(|| nodes.iter().position(is))
    }

    /// The boxes that have the words looked for: themselves, or as a layer of the tree. `None` without words.
    pub fn found(&self, layers: &[LayerRow], needle: &str) -> Option<Vec<bool>> {
        let hit = |node: &GraphNode| {
            has(&node.name, needle)
                || has(&node.op, needle)
                || node.outputs.iter().any(|port| has(&port.name, needle))
                || node.layer.and_then(|layer| layers.get(layer)).is_some_and(|layer| find(layer, needle).is_some())
        };
        (!needle.is_empty()).then(|| self.drawing.nodes.iter().map(hit).collect())
    }
}

/// Dims of what a node makes first; empty where they are not known.
pub fn shape(node: &GraphNode) -> String {
    match node.outputs.first().map(|port| port.shape.as_slice()) {
        None => String::new(),
        Some([only]) if only == "?" => String::new(),
        Some(dims) => format::shape(dims),
    }
}

/// A node's accessible name: "Conv conv2d_4".
pub fn label(node: &GraphNode) -> String {
    format!("{} {}", node.op, node.name)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::worker::{GraphQuery, PortSummary};

    fn node(kind: GraphNodeKind, name: &str, layer: Option<usize>, dims: &[&str]) -> GraphNode {
        let port = PortSummary {
            name: format!("{name}:0"),
            dtype: "float".into(),
            shape: dims.iter().map(|dim| (*dim).to_owned()).collect(),
        };
        GraphNode {
            kind,
            op: "Conv".into(),
            name: name.into(),
            layer,
            quantized: false,
            inputs: Vec::new(),
            outputs: vec![port],
            x: 0.0,
            y: 0.0,
            width: 100.0,
            height: 50.0,
        }
    }

    /// Two layers, the first with a node before it that quantizes.
    pub fn shown() -> Shown {
        let nodes = vec![
            node(GraphNodeKind::Plumbing, "q", Some(0), &["?"]),
            node(GraphNodeKind::Operation, "stem", Some(0), &["1", "N"]),
            node(GraphNodeKind::Operation, "head", Some(1), &[]),
        ];
        let query = GraphQuery { model: 1, quantizers: true };
        Shown::of(GraphDrawing { query, revision: 1, width_px: 100.0, height_px: 50.0, nodes, edges: Vec::new() })
    }

    /// A layer without parameters.
    pub fn layer(name: &str) -> LayerRow {
        LayerRow {
            name: name.into(),
            op: "Conv".into(),
            detail: String::new(),
            quantized: false,
            composite: false,
            parameters: Vec::new(),
            outputs: vec![Some(format!("{name}_in_another_file"))],
        }
    }

    #[test]
    fn a_layer_finds_its_operation_before_what_belongs_to_it() {
        let shown = shown();
        assert_eq!((shown.box_of(0), shown.box_of(1), shown.box_of(2)), (Some(1), Some(2), None));
        let shapes: Vec<&str> = shown.network.boxes.iter().map(|node| node.shape.as_str()).collect();
        assert_eq!(shapes, ["", "1 × N", "scalar"]);
        assert_eq!(label(&shown.drawing.nodes[1]), "Conv stem");
    }

    #[test]
    fn what_the_tree_finds_is_found_here() {
        let layers = [layer("stem"), layer("head")];
        let shown = shown();
        assert_eq!(shown.found(&layers, ""), None);
        assert_eq!(shown.found(&layers, "head:0"), Some(vec![false, false, true]));
        // By a name that only another model's file has.
        assert_eq!(shown.found(&layers, "stem_in_another"), Some(vec![true, true, false]));
    }
}
