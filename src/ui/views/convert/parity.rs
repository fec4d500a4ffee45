//! One network in several formats.

use super::open_layer;
use crate::ui::views::playground::table::{Cell, Column, DataTable, Line, figures, words};
use crate::ui::{format, use_session};
use crate::worker::{Parity, ParityMember, ParityRow};
use leptos::prelude::*;

const COLUMNS: &[Column] = &[
    words("weight"),
    words("name in each file"),
    words("shape in each"),
    words("order of axes"),
    words("equal"),
    figures("max error", "largest absolute difference from the first that has it"),
];

/// The region.
#[component]
pub fn ParityCard() -> impl IntoView {
    let session = use_session();
    let parity = session.conversion.parity;
    let names = move || {
        session.workspace.with(|workspace| {
            let models = workspace.models.iter().map(|model| (model.id, model.name.clone()));
            models.collect::<Vec<_>>()
        })
    };
    // Of models that are still open.
    let shown = Memo::new(move |_| {
        let open = names();
        parity.get().filter(|parity| parity.models.iter().all(|id| open.iter().any(|(open, _)| open == id)))
    });
    let lines = move || {
        let names = names();
        shown.with(|parity| parity.as_ref().map(|parity| lines(parity, &names)).unwrap_or_default())
    };
    let notes = move || shown.with(|parity| parity.as_ref().map(|parity| parity.notes.clone()).unwrap_or_default());
    view! {
        <section class="card" aria-label="Parity">
            <header class="card-head"><h3>"Parity"</h3><small>"the weights of all open models side by side, whatever their formats, names and layouts"</small></header>
            <div class="actions"><button type="button" class="primary" on:click=move |_| session.compare_parity()>"Compare weights"</button></div>
            <ul class="plain" role="status" aria-label="Parity result">{move || notes().into_iter().map(|note| view! { <li>{note}</li> }).collect_view()}</ul>
            {move || shown.with(Option::is_some).then(|| view! {
                <div class="parity"><DataTable label="Parity" columns=COLUMNS lines=Signal::derive(lines) empty="No model has a weight."
                    choose=Callback::new(move |row: String| open_layer(session, &row)) /></div>
            })}
        </section>
    }
}

fn lines(parity: &Parity, names: &[(u32, String)]) -> Vec<Line> {
    let model = |at: usize| {
        let id = parity.models.get(at);
        names.iter().find(|(own, _)| Some(own) == id).map_or("", |(_, name)| name.as_str()).to_owned()
    };
    let line = |row: &ParityRow| {
        let each = |show: &dyn Fn(&ParityMember) -> String| {
            let members = row.members.iter().enumerate();
            let lines = members.filter_map(|(at, member)| Some(format!("{}: {}", model(at), show(member.as_ref()?))));
            Cell::Text(lines.collect::<Vec<_>>().join("\n"))
        };
        let layer = row.layer.clone().unwrap_or_default();
        let weight = if layer.is_empty() { row.role.clone() } else { format!("{layer} · {}", row.role) };
        let equal = match (row.max_abs_difference, row.equal_bits) {
            (_, true) => "equal bits",
            (Some(_), false) => "differs",
            (None, false) if row.members.iter().flatten().count() > 1 => "other shape",
            (None, false) => "in one file alone",
        };
        let cells = vec![
            Cell::Text(weight),
            each(&|member| member.name.clone()),
            each(&|member| format::shape(&member.shape)),
            each(&|member| match (&member.transposition, &member.rows) {
                (_, Some(rows)) => format!("rows of {}", format::shape(rows)),
                (None, None) => "as it is".to_owned(),
                (Some(order), None) => format!("{order:?}"),
            }),
            Cell::Text(equal.to_owned()),
            Cell::number(row.max_abs_difference, format::number),
        ];
        Line { tensor: layer, cells, dirty: false }
    };
    parity.rows.iter().map(line).collect()
}
