//! The network as a table: what the drawing shows, for those who read rows.

use super::board::Board;
use super::shown::shape;
use crate::platform;
use crate::ui::views::playground::table::{Cell, Column, DataTable, Line, words};
use crate::worker::{GraphNode, PortSummary};
use leptos::prelude::*;

const COLUMNS: &[Column] = &[words("node"), words("operator"), words("inputs"), words("outputs"), words("shape")];

/// The table, made when it is opened. A row selects its layer.
#[component]
pub fn AsTable(
    /// What the parts share.
    board: Board,
) -> impl IntoView {
    let open = RwSignal::new(false);
    let lines = move || {
        board.shown.with(|shown| shown.iter().flat_map(|shown| &shown.drawing.nodes).map(line).collect::<Vec<_>>())
    };
    let choose = Callback::new(move |name: String| {
        let node =
            board.shown.with_untracked(|shown| shown.as_ref()?.drawing.nodes.iter().position(|node| node.name == name));
        if let Some(node) = node {
            board.choose(node);
            board.reveal(node);
        }
    });
    view! {
        <details on:toggle=move |event| open.set(platform::is_open(&event))>
            <summary>"As a table"</summary>
            <Show when=move || open.get()>
                <DataTable label="Nodes" columns=COLUMNS lines=Signal::derive(lines) empty="The network has no nodes." choose />
            </Show>
        </details>
    }
}

fn line(node: &GraphNode) -> Line {
    let outputs = node.outputs.iter().map(|port: &PortSummary| port.name.as_str()).collect::<Vec<_>>();
    let op = if node.quantized { format!("{} [Q]", node.op) } else { node.op.clone() };
    let text = [node.name.clone(), op, node.inputs.join(", "), outputs.join(", "), shape(node)];
    Line { tensor: node.name.clone(), cells: text.map(Cell::Text).into(), dirty: false }
}
