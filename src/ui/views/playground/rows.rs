//! Which of the layer's tensors is edited.

use super::describe;
use super::table::Name;
use crate::ui::use_session;
use crate::worker::RowState;
use leptos::prelude::*;

/// What a row's button says.
#[derive(Clone, PartialEq)]
struct Choice {
    tensor: String,
    what: &'static str,
    grid: String,
    dirty: bool,
    enabled: bool,
}

impl Choice {
    fn of(row: &RowState) -> Choice {
        let grid = match (row.enabled, &row.grid.params.scale[..]) {
            (false, _) => "off".to_owned(),
            (true, [_]) => row.grid.params.dtype.to_string(),
            (true, scales) => format!("{} × {}", row.grid.params.dtype, scales.len()),
        };
        let what = if row.layer.is_none() { "input" } else { describe::kind(row.kind) };
        Choice { tensor: row.tensor.clone(), what, grid, dirty: row.dirty, enabled: row.enabled }
    }
}

/// The rows of the selected layer, and steps to the rows before and after.
#[component]
pub fn Rows() -> impl IntoView {
    let session = use_session();
    let playground = session.playground;
    let here = Memo::new(move |_| {
        playground.tensor.with(|tensor| {
            playground.table.with(|table| {
                let table = table.as_ref()?;
                let place = table.rows.iter().position(|row| Some(&row.tensor) == tensor.as_ref())?;
                Some((place, table.rows.len()))
            })
        })
    });
    let choices = Memo::new(move |_| {
        playground.table.with(|table| {
            let rows = table.as_ref().map(|table| &table.rows[..]).unwrap_or_default();
            let layer = here.get().and_then(|(place, _)| rows.get(place)).map(|row| row.layer);
            // Tensors without a layer are the graph's inputs: few, and together.
            rows.iter().filter(|row| Some(row.layer) == layer).map(Choice::of).collect::<Vec<_>>()
        })
    });
    let step = move |back: bool| {
        let next = here.get_untracked().and_then(|(place, count)| {
            if back { place.checked_sub(1) } else { Some(place + 1).filter(|next| *next < count) }
        });
        let tensor = playground.table.with_untracked(|table| Some(table.as_ref()?.rows.get(next?)?.tensor.clone()));
        if let Some(tensor) = tensor {
            session.edit_tensor(&tensor);
        }
    };
    let button = move |choice: Choice| {
        let (tensor, target) = (choice.tensor.clone(), choice.tensor.clone());
        let pressed = move || playground.tensor.with(|now| (now.as_ref() == Some(&tensor)).to_string());
        view! {
            <button type="button" class="row-choice" class:off=!choice.enabled aria-pressed=pressed
                on:click=move |_| session.edit_tensor(&target)>
                <span>{choice.what}{choice.dirty.then(|| view! { <b class="edit" title="differs from the file">" ●"</b> })}</span>
                <Name name=choice.tensor.clone() />
                <small>{choice.grid}</small>
            </button>
        }
    };
    view! {
        <div class="row-steps">
            <button type="button" class="ghost icon" aria-label="Previous tensor" disabled=move || here.get().is_none_or(|(place, _)| place == 0) on:click=move |_| step(true)>"‹"</button>
            <span class="hint">{move || here.get().map(|(place, count)| format!("tensor {} of {count}", place + 1))}</span>
            <button type="button" class="ghost icon" aria-label="Next tensor" disabled=move || here.get().is_none_or(|(place, count)| place + 1 >= count) on:click=move |_| step(false)>"›"</button>
        </div>
        <div class="row-choices" role="group" aria-label="Tensors of this layer">
            {move || choices.get().into_iter().map(button).collect_view()}
        </div>
    }
}
