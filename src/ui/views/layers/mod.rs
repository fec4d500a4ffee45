//! The tree of layers and parameters.

mod row;
mod rows;
mod window;

use crate::platform::KeyboardEvent;
use crate::ui::session::Selection;
use crate::ui::turns::{focus_later, in_own_turn};
use crate::ui::use_session;
use crate::worker::Workspace;
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
    folded: RwSignal<HashSet<Item>>,
    /// What is selected.
    selected: Memo<Option<Item>>,
    /// The row that the Tab key goes to: the selected one; where that does not show, its layer's, else the first.
    tab_stop: Memo<Option<Item>>,
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
    let rows = Memo::new(move |_| {
        session.workspace.with(|workspace| rows(&workspace.layers, &filter.get(), sort.get(), &folded.read()))
    });
    let selected = Memo::new(move |_| {
        session.workspace.with(|workspace| session.selection.with(|selection| selected_item(workspace, selection)))
    });
    let tab_stop = Memo::new(move |_| {
        let selected = selected.get();
        rows.with(|rows| {
            place_of(rows, selected.as_ref()).or((!rows.is_empty()).then_some(0)).map(|place| rows[place].item.clone())
        })
    });
    let edited = Memo::new(move |_| {
        session.playground.table.with(|table| {
            let rows = table.iter().flat_map(|table| &table.rows).filter(|row| row.dirty);
            rows.filter_map(|row| row.layer).collect()
        })
    });
    let tree = Tree { rows, folded, selected, tab_stop, edited };
    let window = Window::new(rows);
    // What is selected anywhere, in a chart or by the address, is seen here too.
    Effect::new(move |_| {
        let selected = selected.get();
        in_own_turn(move || {
            if let Some(place) = rows.try_with_untracked(|rows| place_of(rows, selected.as_ref())).flatten() {
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
                    let found = Sort::ALL.into_iter().find(|(_, label)| *label == chosen);
                    sort.set(found.map_or(Sort::default(), |(sort, _)| sort));
                }>
                    {Sort::ALL.map(|(_, label)| view! { <option value=label>{label}</option> }).into_iter().collect_view()}
                </select>
            </div>
            <div class="search">
                <input type="search" id="find-layer" placeholder="Find a layer" aria-label="Find a layer"
                    prop:value=filter on:input=move |event| filter.set(event_target_value(&event)) />
                <kbd>"Ctrl F"</kbd>
            </div>
            <div class="tree" role="tree" aria-label="Layers" on:keydown=move |event| steer(&event, session, tree)
                on:scroll=move |event| window.follow(&event) node_ref=window.frame>
                <div style:height=move || format!("{}px", window.before_px()) aria-hidden="true"></div>
                <For each=move || window.drawn.get() key=|(place, row)| (*place, row.clone()) let:((place, row))>
                    <RowView tree row place />
                </For>
                <div style:height=move || format!("{}px", window.after_px()) aria-hidden="true"></div>
            </div>
            <Show when=empty>
                <p class="tree-empty">"The layers of an opened model stand here: operations with their parameters, in the order they run."</p>
            </Show>
            <Show when=move || !empty() && rows.with(Vec::is_empty)>
                <p class="tree-empty">"No layer or parameter has this in its name."</p>
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

/// Arrows as in every tree: up and down walk, right unfolds, left folds, Home and End jump.
fn steer(event: &KeyboardEvent, session: crate::ui::Session, tree: Tree) {
    let rows = tree.rows.get_untracked();
    let here = place_of(&rows, tree.selected.get_untracked().as_ref());
    let step = |towards: isize| {
        let start = here.map_or(if towards > 0 { -1 } else { rows.len() as isize }, |here| here as isize);
        let mut place = start + towards;
        while rows.get(place.max(0) as usize).is_some_and(|row| place >= 0 && matches!(row.item, Item::Scope(_))) {
            place += towards;
        }
        usize::try_from(place).ok().filter(|&place| place < rows.len())
    };
    let fold = |wanted: bool| {
        let row = here.and_then(|here| rows.get(here));
        if let Some(row) = row.filter(|row| row.expanded == Some(!wanted)) {
            tree.toggle(&row.item);
        }
    };
    let target = match event.key().as_str() {
        "ArrowDown" => step(1),
        "ArrowUp" => step(-1),
        "Home" => rows.iter().position(|row| !matches!(row.item, Item::Scope(_))),
        "End" => rows.len().checked_sub(1),
        "ArrowRight" => {
            fold(true);
            None
        }
        "ArrowLeft" => {
            fold(false);
            None
        }
        _ => return,
    };
    event.prevent_default();
    if let Some(row) = target.and_then(|place| rows.get(place)) {
        row::choose(session, &row.item);
        focus_later("[role=treeitem][aria-selected=true]");
    }
}
