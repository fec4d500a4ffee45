//! The network of a model as a drawing: what is a box (`network`), and where it stands (`layered`).

mod layered;
mod network;
mod order;
mod place;

use super::model::OpenModel;
use super::{Answered, Service};
use crate::worker::protocol::{GraphDrawing, GraphEdge, GraphNode, GraphQuery, Reply};
use network::{Network, Rows};

/// Height of every box: a line for the operator, the name and the shape each.
const BOX_HEIGHT_PX: f64 = 58.0;
/// About the width of a letter of a name, in the page's type.
const LETTER_PX: f64 = 7.4;
/// What a box has beside its longest line: the operator's colour on the left, and air.
const BOX_AIR_PX: f64 = 30.0;
/// Bounds of a box's width; a longer name is cut where it is drawn.
const BOX_WIDTH_PX: (f64, f64) = (136.0, 260.0);

impl Service {
    /// The drawing of a model's network.
    pub(super) fn graph(&self, query: GraphQuery) -> Answered {
        let model = self.model(query.model)?;
        let network = if query.quantizers {
            Network::whole(model, &self.rows_of(model))
        } else {
            Network::folded(model, &self.rows_of(model))
        };
        Ok((Reply::Graph(Box::new(drawing(network, query, self.revision))), None))
    }

    /// The rows of the layer tree that a model's nodes stand in.
    fn rows_of(&self, model: &OpenModel) -> Rows<'_> {
        let position = self.models.iter().position(|open| open.id == model.id);
        let node = |members: &[Option<super::align::Member>]| {
            let member = members.get(position?)?.as_ref()?;
            (!member.operation.absorbed).then_some(member.operation.node)
        };
        let rows = self.layout.members.iter().zip(&self.layout.rows).enumerate();
        rows.filter_map(|(place, (members, row))| Some((node(members)?, (place, row.name.as_str())))).collect()
    }
}

/// Gives every box its place and every link its line.
fn drawing(network: Network, query: GraphQuery, revision: u32) -> GraphDrawing {
    let Network { boxes, links } = network;
    let sizes: Vec<(f64, f64)> = boxes.iter().map(|node| (width_px(node), BOX_HEIGHT_PX)).collect();
    let pairs: Vec<(usize, usize)> = links.iter().map(|link| (link.from, link.to)).collect();
    let layered::Layered { width, height, corners, lines } = layered::layered(&sizes, &pairs);
    let placed = |((node, (x, y)), (width, height)): ((GraphNode, (f64, f64)), (f64, f64))| GraphNode {
        x,
        y,
        width,
        height,
        ..node
    };
    let edge = |(link, points): (network::Link, Vec<(f64, f64)>)| GraphEdge {
        from: link.from,
        to: link.to,
        value: link.value,
        points,
    };
    GraphDrawing {
        query,
        revision,
        width_px: width,
        height_px: height,
        nodes: boxes.into_iter().zip(corners).zip(sizes).map(placed).collect(),
        edges: links.into_iter().zip(lines).map(edge).collect(),
    }
}

fn width_px(node: &GraphNode) -> f64 {
    let shape = node.outputs.first().map_or(0, |port| port.shape.join(" × ").chars().count());
    // Beside the operator there is room for its mark, beside the shape for a figure.
    let letters = node.name.chars().count().max(node.op.chars().count() + 6).max(shape + 9);
    (letters as f64 * LETTER_PX + BOX_AIR_PX).clamp(BOX_WIDTH_PX.0, BOX_WIDTH_PX.1).ceil()
}
