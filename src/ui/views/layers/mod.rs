//! The tree of layers and parameters.

mod bars;
mod row;
mod rows;
mod window;

use super::layer_figures::figures;
use crate::platform::KeyboardEvent;
use crate::ui::session::Selection;
use crate::ui::turns::{focus_later, in_own_turn};
use crate::ui::use_session;
use crate::worker::Workspace;
use bars::Bars;
use leptos::prelude::*;
use row::RowView;
pub(super) use row::tile;
use rows::{Item, Row, Sort, rows};
use std::collections::HashSet;
use window::Window;

/// What the tree's rows share.
#[derive(Clone, Copy)]
struct Tree {
    rows: Memo<Vec<Row>>,
    bars: Bars,
    folded: RwSignal<HashSet<Item>>,
    /// A scope that the keys have gone to: it has the focus, and is not selected.
    cursor: RwSignal<Option<Item>>,
    /// The row that the Tab key goes to: the scope that the keys have gone to, else the selected row; where that does not
    /// show, its layer's, else the first.
    tab_stop: Memo<Option<Item>>,
    /// The row that looks selected: what is selected, or its layer while that is folded.
    marked: Memo<Option<Item>>,
    /// Layers of which the playground has changed a tensor.
    edited: Memo<HashSet<usize>>,
}

impl Tree {
    fn toggle(self, item: &Item) {
        self.folded.update(|folded| {
            if !folded.remove(item) {
                folded.insert(item.clone());
            }
        });
    }
}

/// The panel on the left.
#[component]
pub fn Layers() -> impl IntoView {
    let session = use_session();
    let filter = session.find;
    let sort = RwSignal::new(Sort::default());
    let folded = RwSignal::new(HashSet::<Item>::new());
    let figures = Memo::new(move |_| {
        let by = sort.get().measure();
        session.workspace.with(|workspace| {
            let measured = by.is_measured().then_some(session.playground.measures.layer_errors);
            let errors = measured.and_then(|errors| errors.get()).filter(|taken| taken.workspace == workspace.revision);
            let errors = errors.as_ref().map_or(&[][..], |taken| taken.answer.rows.as_slice());
            figures(by, &workspace.layers, errors)
        })
    });
    let rows = Memo::new(move |_| {
        session.workspace.with(|workspace| {
            figures.with(|figures| rows(&workspace.layers, &filter.get(), sort.get(), figures, &folded.read()))
        })
    });
    let bars = Bars { by: Memo::new(move |_| sort.get().measure()), figures };
    let selected = Memo::new(move |_| {
        session.workspace.with(|workspace| session.selection.with(|selection| selected_item(workspace, selection)))
    });
    let cursor = RwSignal::new(None::<Item>);
    let marked = Memo::new(move |_| {
        let selected = selected.get();
        rows.with(|rows| place_of(rows, selected.as_ref()).map(|place| rows[place].item.clone()))
    });
    let tab_stop = Memo::new(move |_| {
        let (cursor, marked) = (cursor.get(), marked.get());
        rows.with(|rows| {
            let there = cursor.filter(|cursor| rows.iter().any(|row| row.item == *cursor));
            there.or(marked).or_else(|| rows.first().map(|row| row.item.clone()))
        })
    });
    let edited = Memo::new(move |_| {
        session.playground.table.with(|table| {
            let rows = table.iter().flat_map(|table| &table.rows).filter(|row| row.dirty);
            rows.filter_map(|row| row.layer).collect()
        })
    });
    let tree = Tree { rows, bars, folded, cursor, tab_stop, marked, edited };
    let window = Window::new(rows);
    // What is selected anywhere, in a chart or by the address, is seen here too.
    Effect::new(move |_| {
        selected.track();
        cursor.set(None);
    });
    Effect::new(move |_| {
        let stop = tab_stop.get();
        in_own_turn(move || {
            if let Some(place) = rows.try_with_untracked(|rows| place_of(rows, stop.as_ref())).flatten() {
                window.reveal(place);
            }
        });
    });
    let empty = move || session.workspace.with(|workspace| workspace.layers.is_empty());
    view! {
        <nav class="layers" aria-label="Layers panel">
            <div class="pane-head">
                <h2>"Layers"</h2>
                <select aria-label="Sort layers" on:change=move |event| {
                    let chosen = event_target_value(&event);
                    let chosen = Sort::ALL.into_iter().find(|sort| sort.label() == chosen).unwrap_or_default();
                    sort.set(chosen);
                    session.measure_for(chosen.measure());
                }>
                    {Sort::ALL.map(|sort| view! { <option value=sort.label()>{sort.label()}</option> }).into_iter().collect_view()}
                </select>
            </div>
            <div class="search">
                <input type="search" id="find-layer" placeholder="Find a layer" aria-label="Find a layer"
                    prop:value=filter on:input=move |event| filter.set(event_target_value(&event))
                    on:keydown=move |event| go_to_found(&event, session, tree) />
                <kbd>"Ctrl F"</kbd>
            </div>
            <Show when=empty>
                <p class="tree-empty">"The layers of an opened model stand here: operations with their parameters, in the order they run."</p>
            </Show>
            <Show when=move || !empty() && rows.with(Vec::is_empty)>
                <p class="tree-empty">"No layer or parameter has this in its name."</p>
            </Show>
            <div class="tree" role="tree" aria-label="Layers" on:keydown=move |event| steer(&event, session, tree)
                on:scroll=move |event| window.follow(&event) node_ref=window.frame>
                <div style:height=move || format!("{}px", window.before_px()) aria-hidden="true"></div>
                <For each=move || window.drawn.get() key=|(place, row)| (*place, row.clone()) let:((place, row))>
                    <RowView tree row place />
                </For>
                <div style:height=move || format!("{}px", window.after_px()) aria-hidden="true"></div>
            </div>
            <Show when=move || bars.by.get().is_measured() && !empty() && figures.with(|figures| figures.iter().all(Option::is_none))>
                <p class="tree-empty" role="status" aria-label="Measure of the tree">{move || session.measuring_words()}</p>
            </Show>
        </nav>
    }
}

/// The selected layer or parameter.
fn selected_item(workspace: &Workspace, selection: &Selection) -> Option<Item> {
    let (layer, row) = selection.layer_in(workspace)?;
    let role = selection.parameter.as_deref();
    let parameter = role.and_then(|role| row.parameters.iter().position(|parameter| parameter.role == role));
    Some(parameter.map_or(Item::Layer(layer.row), |parameter| Item::Parameter(layer.row, parameter)))
}

/// An item's place among the rows; a parameter that does not show is where its layer is.
fn place_of(rows: &[Row], item: Option<&Item>) -> Option<usize> {
    let item = item?;
    let layer = if let Item::Parameter(layer, _) = item { Some(Item::Layer(*layer)) } else { None };
    let place = |item: &Item| rows.iter().position(|row| row.item == *item);
    place(item).or_else(|| place(&layer?))
}

/// From the field into what it found: Enter and the arrow down choose the first layer.
fn go_to_found(event: &KeyboardEvent, session: crate::ui::Session, tree: Tree) {
    if !matches!(event.key().as_str(), "Enter" | "ArrowDown") {
        return;
    }
    event.prevent_default();
    let found = tree
        .rows
        .with_untracked(|rows| rows.iter().find(|row| !matches!(row.item, Item::Scope(_))).map(|row| row.item.clone()));
    if let Some(item) = found {
        row::choose(session, &item);
        focus_later("[role=treeitem][tabindex='0']");
    }
}

/// Arrows as in every tree: up and down walk, right unfolds, left folds and then goes to what a row stands under, Home and
/// End jump, Enter and Space choose. A scope that is open is passed over: it says nothing that its layers do not.
fn steer(event: &KeyboardEvent, session: crate::ui::Session, tree: Tree) {
    let rows = tree.rows.get_untracked();
    let here = tree.tab_stop.get_untracked().and_then(|item| rows.iter().position(|row| row.item == item));
    let stops = |row: &Row| !matches!(row.item, Item::Scope(_)) || row.expanded == Some(false);
    let next = |start: usize| (start..rows.len()).find(|&place| stops(&rows[place]));
    let last = |end: usize| (0..end).rev().find(|&place| stops(&rows[place]));
    let row = here.map(|here| &rows[here]);
    let folds = |wanted: bool| row.filter(|row| row.expanded == Some(!wanted));
    let target = match event.key().as_str() {
        "ArrowDown" => next(here.map_or(0, |here| here + 1)),
        "ArrowUp" => last(here.unwrap_or(rows.len())),
        "Home" => next(0),
        "End" => last(rows.len()),
        "ArrowRight" => {
            if let Some(row) = folds(true) {
                tree.toggle(&row.item);
            }
            here
        }
        "ArrowLeft" => match (folds(false), here) {
            (Some(row), _) => {
                tree.toggle(&row.item);
                here
            }
            (None, Some(here)) => (0..here).rev().find(|&above| rows[above].level < rows[here].level),
            (None, None) => None,
        },
        "Enter" | " " => {
            if let Some(row) = row.filter(|row| matches!(row.item, Item::Scope(_))) {
                tree.toggle(&row.item);
            }
            here
        }
        _ => return,
    };
    event.prevent_default();
    if let Some(row) = target.and_then(|place| rows.get(place)) {
        tree.cursor.set(matches!(row.item, Item::Scope(_)).then(|| row.item.clone()));
        if target != here || matches!(event.key().as_str(), "Enter" | " ") {
            row::choose(session, &row.item);
        }
        // Folding draws the row anew.
        focus_later("[role=treeitem][tabindex='0']");
    }
}
