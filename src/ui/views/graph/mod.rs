//! The network of a model: boxes and lines, laid out in the worker, linked with the tree, coloured by a measure.

mod board;
mod export;
mod legend;
mod measure;
mod near;
mod picture;
mod shown;
mod stage;
mod table;

use crate::ui::chart::use_appearance;
use crate::ui::find::needle;
use crate::ui::session::ColorBy;
use crate::ui::turns::in_own_turn;
use crate::ui::views::controls::{Check, Choice};
use crate::ui::{format, use_session};
use crate::worker::{ModelId, Reply, Request};
use board::Board;
use export::Exports;
use legend::Legend;
use leptos::prelude::*;
use shown::Shown;
use stage::Stage;
use std::sync::Arc;
use table::AsTable;

/// The tab.
#[component]
pub fn GraphView() -> impl IntoView {
    let session = use_session();
    let nothing = move || session.workspace.with(|workspace| workspace.models.is_empty());
    view! {
        <Show when=nothing>
            <p class="empty card">"Open a model first: drop a file anywhere. Its network is drawn here, and coloured by the error of every layer."</p>
        </Show>
        <Show when=move || !nothing()><GraphCard /></Show>
    }
}

/// What the parts of the drawing share.
fn board() -> Board {
    let session = use_session();
    let theme = use_appearance().theme;
    let revision = Memo::new(move |_| session.workspace.with(|workspace| workspace.revision));
    // Asked again only when another drawing is wanted, or the layers have other positions.
    let question = Memo::new(move |_| Some((session.graph_query()?, revision.get())));
    let shown = session
        .query(
            move || question.get().map(|(query, _)| Request::Graph(query)),
            |reply, _| {
                if let Reply::Graph(drawing) = reply { Some(Arc::new(Shown::of(*drawing))) } else { None }
            },
        )
        .answer;
    let selected = Memo::new(move |_| {
        let layer = session.workspace.with(|workspace| {
            let layer = session.selection.with(|selection| selection.layer_in(workspace).map(|(id, _)| id));
            layer.filter(|layer| {
                shown.with(|shown| shown.as_ref().is_some_and(|shown| shown.drawing.revision == layer.revision))
            })
        })?;
        shown.with(|shown| shown.as_ref()?.box_of(layer.row))
    });
    let found = Memo::new(move |_| {
        let needle = session.find.with(|words| needle(words));
        session.workspace.with(|workspace| shown.with(|shown| shown.as_ref()?.found(&workspace.layers, &needle)))
    });
    let shading = Memo::new(move |_| {
        let by = session.graph.color_by.get();
        session.workspace.with(|workspace| {
            session.playground.measures.layer_errors.with(|taken| {
                let layers = (workspace.revision, workspace.layers.as_slice());
                shown.with(|shown| measure::shading(by, shown.as_ref()?, layers, taken.as_ref()))
            })
        })
    });
    let colors = Memo::new(move |_| {
        let theme = theme.get();
        shading.with(|shading| shading.as_ref().map(|shading| shading.colors(&theme)).unwrap_or_default())
    });
    Board {
        session,
        shown,
        frame: RwSignal::new((0.0, 0.0)),
        selected,
        tab_stop: RwSignal::new(0),
        found,
        shading,
        colors,
        dragged: StoredValue::new(false),
    }
}

/// Controls, drawing, table.
#[component]
fn GraphCard() -> impl IntoView {
    let session = use_session();
    let graph = session.graph;
    let board = board();
    // What is selected anywhere is seen here too, and is where the Tab key goes.
    Effect::new(move |_| {
        let selected = board.selected.get();
        let boxes = board.shown.with(|shown| shown.as_ref().map_or(0, |shown| shown.network.boxes.len()));
        match selected {
            Some(node) => {
                board.tab_stop.set(node);
                in_own_turn(move || {
                    if board.selected.try_get_untracked().flatten() == Some(node) {
                        board.reveal(node);
                    }
                });
            }
            // Another drawing may have fewer boxes.
            None if board.tab_stop.get_untracked() >= boxes => board.tab_stop.set(0),
            None => {}
        }
    });
    let models = move || {
        session.workspace.with(|workspace| {
            workspace.models.iter().map(|model| (model.id.to_string(), model.name.clone())).collect::<Vec<_>>()
        })
    };
    let model = move || session.graph_model().map(|model| model.id.to_string()).unwrap_or_default();
    let measures = ColorBy::ALL.map(|by| (by.label().to_owned(), by.label().to_owned())).to_vec();
    let color = move |label: String| {
        let found = ColorBy::ALL.into_iter().find(|by| by.label() == label);
        graph.color_by.set(found.unwrap_or_default());
    };
    let count = move || {
        board.shown.with(|shown| match shown {
            None => "laying out the network…".to_owned(),
            Some(shown) => {
                let boxes = shown.network.boxes.len() as u64;
                let found =
                    board.found.with(|found| found.as_ref().map(|found| found.iter().filter(|hit| **hit).count()));
                let found = found.map(|found| format!(" · {} found", format::grouped(found as u64)));
                format!(
                    "{} boxes{} · drag to move, turn the wheel to zoom",
                    format::grouped(boxes),
                    found.unwrap_or_default()
                )
            }
        })
    };
    let empty = move || board.shown.with(|shown| shown.as_ref().is_some_and(|shown| shown.network.boxes.is_empty()));
    view! {
        <section class="card graph" aria-label="Graph">
            <header class="card-head"><h3>"Graph"</h3><small>{count}</small></header>
            <div class="tools form">
                <Choice label="Model" choices=Signal::derive(models) value=Signal::derive(model)
                    choose=move |id: String| graph.chosen.set(id.parse::<ModelId>().ok()) />
                <Choice label="Colour by" choices=Signal::stored(measures)
                    value=Signal::derive(move || graph.color_by.get().label().to_owned()) choose=color />
                <Check label="Show QuantizeLinear nodes" value=graph.quantizers choose=move |on: bool| graph.quantizers.set(on) />
            </div>
            <div class="tools net-tools">
                <button type="button" class="small" on:click=move |_| board.zoom_in()>"Zoom in"</button>
                <button type="button" class="small" on:click=move |_| board.zoom_out()>"Zoom out"</button>
                <button type="button" class="small" on:click=move |_| board.fit()>"Fit"</button>
                <Exports board />
                <Legend board />
            </div>
            <Show when=empty><p class="hint">"The file holds weights without a network: there is nothing to draw."</p></Show>
            <Stage board />
            <AsTable board />
        </section>
    }
}
