//! A row of the tree.

use super::Tree;
use super::rows::{Item, Row};
use crate::ui::{Session, format, use_session};
use crate::worker::LayerRow;
use leptos::prelude::*;
use leptos::tachys::html::attribute::custom::custom_attribute;

/// Selects what a row stands for; a scope selects nothing.
pub fn choose(session: Session, item: &Item) {
    let chosen = session.workspace.with_untracked(|workspace| match item {
        Item::Scope(_) => None,
        Item::Layer(layer) => Some((workspace.layers.get(*layer)?.name.clone(), None)),
        Item::Parameter(layer, parameter) => {
            let layer = workspace.layers.get(*layer)?;
            Some((layer.name.clone(), layer.parameters.get(*parameter).map(|parameter| parameter.role.clone())))
        }
    });
    if let Some((layer, parameter)) = chosen {
        session.select(&layer, parameter.as_deref());
    }
}

/// The letter and the colour class of an operator's tile.
pub(in crate::ui::views) fn tile(op: &str) -> (&'static str, &'static str) {
    match op {
        "Conv" | "ConvTranspose" | "DepthwiseConv" => ("C", "conv"),
        "MatMul" | "Gemm" => ("D", "dense"),
        "Relu" | "Clip" | "LeakyRelu" | "Sigmoid" | "Tanh" | "Softmax" | "HardSwish" | "Gelu" | "Elu" | "PRelu" => {
            ("A", "act")
        }
        "AveragePool" | "MaxPool" | "GlobalAveragePool" | "GlobalMaxPool" | "ReduceMean" => ("P", "pool"),
        "Add" | "Sub" => ("+", "norm"),
        "Mul" | "Div" => ("×", "norm"),
        "BatchNormalization" | "LayerNormalization" | "InstanceNormalization" => ("N", "norm"),
        "Reshape" | "Flatten" | "Transpose" | "Squeeze" | "Unsqueeze" | "Concat" | "Pad" | "Slice" => ("R", "shape"),
        _ => ("·", "shape"),
    }
}

/// What a row shows, taken from the workspace.
struct Content {
    label: String,
    title: String,
    letter: &'static str,
    class: &'static str,
    quantized: bool,
}

fn content(layers: &[LayerRow], item: &Item, level: usize) -> Option<Content> {
    match item {
        Item::Scope(name) => Some(Content {
            label: name.split('#').next().unwrap_or_default().to_owned(),
            title: String::new(),
            letter: "",
            class: "scope",
            quantized: false,
        }),
        Item::Layer(layer) => {
            let layer = layers.get(*layer)?;
            let (letter, class) = tile(&layer.op);
            // Under its scope's row a layer goes by the rest of its name.
            let own = layer.name.split_once('/').filter(|_| level > 1).map_or(layer.name.as_str(), |(_, own)| own);
            Some(Content {
                label: own.to_owned(),
                title: format!("{} {} {}", layer.name, layer.op, layer.detail),
                letter,
                class,
                quantized: layer.quantized,
            })
        }
        Item::Parameter(layer, parameter) => {
            let parameter = layers.get(*layer)?.parameters.get(*parameter)?;
            Some(Content {
                label: parameter.role.clone(),
                title: format::shape(&parameter.shape),
                letter: "",
                class: "parameter",
                quantized: parameter.quantized,
            })
        }
    }
}

/// One row: tile, name, badge, and the bar of the measure.
#[component]
pub fn RowView(
    /// What the rows share.
    tree: Tree,
    /// The row.
    row: Row,
    /// Its place among the visible rows.
    place: usize,
) -> impl IntoView {
    let session = use_session();
    let Row { item, level, expanded } = row;
    let shown = session.workspace.with_untracked(|workspace| content(&workspace.layers, &item, level))?;
    let is = |chosen: Memo<Option<Item>>| {
        let item = item.clone();
        Memo::new(move |_| chosen.with(|chosen| chosen.as_ref() == Some(&item)))
    };
    let (selected, tab_stop) = (is(tree.marked), is(tree.tab_stop));
    let is_scope = matches!(item, Item::Scope(_));
    let layer = if let Item::Layer(layer) = item { Some(layer) } else { None };
    let edited = move || {
        let edited = layer.is_some_and(|layer| tree.edited.with(|edited| edited.contains(&layer)));
        edited.then(|| view! { <b class="edit" title="differs from the file">"● "</b> })
    };
    let (clicked, folded) = (item.clone(), item.clone());
    let choose = move |_| {
        choose(session, &clicked);
        if matches!(clicked, Item::Scope(_)) {
            tree.toggle(&clicked);
            tree.cursor.set(Some(clicked.clone()));
        }
    };
    let barred = item.clone();
    let bar = Memo::new(move |_| session.workspace.with(|workspace| tree.bars.of(&barred, &workspace.layers)));
    let total = move || tree.rows.with(Vec::len).to_string();
    Some(view! {
        <div
            class=format!("row {}", shown.class)
            role="treeitem"
            {..custom_attribute("aria-level", level.to_string())}
            aria-posinset=(place + 1).to_string()
            aria-setsize=total
            aria-selected=move || selected.get().to_string()
            aria-expanded=expanded.map(|open| open.to_string())
            tabindex=move || if tab_stop.get() { "0" } else { "-1" }
            title=shown.title
            style=format!("--level:{level}")
            on:click=choose
        >
            <span class="fold" aria-hidden="true" on:click=move |event| {
                event.stop_propagation();
                tree.toggle(&folded);
            }>{expanded.map(|open| if open { "▾" } else { "▸" })}</span>
            <i class=format!("op {}", shown.class) aria-hidden="true">{shown.letter}</i>
            <span class="n">{edited}{shown.label}</span>
            {shown.quantized.then(|| view! { <span class="q" title="has quantization parameters">"Q"</span> })}
            <span class="bar" class:hidden=is_scope aria-hidden="true" title=move || bar.get().map(|bar| bar.words)>
                {move || bar.get().map(|bar| view! { <u class=bar.class style=format!("width:{:.1}%", bar.share * 100.0)></u> })}
            </span>
        </div>
    })
}
