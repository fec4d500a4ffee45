//! Where each layer's error comes from: shares of one whole, that add up to what was measured.

use super::layer_error::dirty_tensors;
use super::measure_head::{MeasureHead, state_of};
use super::table::{Cell, Column, DataTable, Line, figures, words};
use crate::export::{self, Table, TableError};
use crate::ui::session::playground::Measurement;
use crate::ui::{format, use_session};
use crate::worker::LedgerRow;
use leptos::prelude::*;

const COLUMNS: &[Column] = &[
    words("layer output"),
    figures("error (MSE)", "mean squared error of the output against the float model's"),
    figures("where it comes from", "the parts below, drawn; sorted by the inherited share"),
    figures("weight rounding", "share of the error; negative where it works against the rest"),
    figures("weight clipping", "share of the error; negative where it works against the rest"),
    figures("activation rounding", "of the output itself"),
    figures("activation clipping", "of the output itself"),
    figures("bias", "from the bias's rounding"),
    figures("inherited", "from what came in"),
];

/// A term of a row: its name, the class of its colour, the export's header, and the number.
type Term = (&'static str, &'static str, &'static str, fn(&LedgerRow) -> f64);

const TERMS: [Term; 6] = [
    ("weight rounding", "is-round", "weight_rounding", |row| row.weight_rounding),
    ("weight clipping", "is-clip", "weight_clipping", |row| row.weight_clipping),
    ("activation rounding", "is-int8", "activation_rounding", |row| row.activation_rounding),
    ("activation clipping", "is-edit", "activation_clipping", |row| row.activation_clipping),
    ("bias", "is-uint8", "bias", |row| row.bias),
    ("inherited", "is-neutral", "inherited", |row| row.inherited),
];

/// A term's share of the row's error; `None` without error.
fn share(row: &LedgerRow, term: &Term) -> Option<f64> {
    (row.total > 0.0).then(|| term.3(row) / row.total)
}

/// The parts of a bar: the size of every term, for terms that work against each other have a size too.
fn parts(row: &LedgerRow) -> Vec<(&'static str, f64)> {
    TERMS.iter().map(|term| (term.1, share(row, term).unwrap_or(0.0).abs())).filter(|(_, size)| *size > 0.0).collect()
}

/// The table over all layers.
#[component]
pub fn ErrorLedger() -> impl IntoView {
    let answer = use_session().playground.measures.ledger;
    let dirty = dirty_tensors();
    let rows = move || answer.with(|taken| taken.as_ref().map(|taken| taken.answer.rows.clone()).unwrap_or_default());
    let lines = Memo::new(move |_| {
        let line = |row: &LedgerRow| {
            let mut cells = vec![
                Cell::Text(row.tensor.clone()),
                Cell::number(Some(row.total), format::number),
                Cell::Parts(share(row, &TERMS[5]).unwrap_or(0.0), parts(row)),
            ];
            cells.extend(TERMS.iter().map(|term| Cell::number(share(row, term), format::percent)));
            Line { tensor: row.tensor.clone(), cells, dirty: dirty.with(|dirty| dirty.contains(&row.tensor)) }
        };
        rows().iter().map(line).collect::<Vec<_>>()
    });
    let export = Callback::new(move |()| Some(export_table(&rows())));
    view! {
        <section class="card" aria-label="Error by source">
            <MeasureHead title="Error ledger" measure="Split the error" what=Measurement::Ledger stem="error-ledger" export
                state=state_of(answer, |answer| answer.count) />
            <Legend />
            <DataTable label="Error ledger" columns=COLUMNS lines empty="Run an input (R): each layer's error stands here, split by its sources." />
        </section>
    }
}

#[component]
fn Legend() -> impl IntoView {
    let entry =
        |term: &Term| view! { <span><b class=format!("swatch {}", term.1) aria-hidden="true"></b>" "{term.0}</span> };
    view! { <div class="shares">{TERMS.iter().map(entry).collect_view()}</div> }
}

fn export_table(rows: &[LedgerRow]) -> Result<Table, TableError> {
    let mut headers = ["node", "tensor", "total_mse"].map(str::to_owned).to_vec();
    headers.extend(TERMS.iter().map(|term| format!("{}_mse", term.2)));
    let row = |row: &LedgerRow| {
        let mut cells: Vec<export::Cell> = vec![row.node.as_str().into(), row.tensor.as_str().into(), row.total.into()];
        cells.extend(TERMS.iter().map(|term| export::Cell::from(term.3(row))));
        cells
    };
    Table::new(headers, rows.iter().map(row).collect())
}

/// The same for the selected layer alone, beside the editor.
#[component]
pub fn ErrorSources() -> impl IntoView {
    let session = use_session();
    let playground = session.playground;
    let row = Memo::new(move |_| {
        let selected = playground.row()?;
        playground.measures.ledger.with(|taken| {
            let rows = &taken.as_ref()?.answer.rows;
            let exact = rows.iter().find(|row| row.tensor == selected.tensor);
            exact.or_else(|| rows.iter().find(|row| row.layer.is_some() && row.layer == selected.layer)).cloned()
        })
    });
    let list = move || {
        row.get().map(|row| {
            let terms = TERMS.iter().filter_map(|term| Some((term, share(&row, term)?)));
            let line = |(term, share): (&Term, f64)| {
                view! { <dt><b class=format!("swatch {}", term.1) aria-hidden="true"></b>" "{term.0}</dt><dd>{format::percent(share)}</dd> }
            };
            let bar = parts(&row).into_iter().map(|(class, size)| view! { <u class=class style:flex=format!("{size:.4}")></u> });
            view! {
                <p class="hint">{format!("output {} · error {}", row.tensor, format::number(row.total))}</p>
                <div class="ledger" aria-hidden="true">{bar.collect_view()}</div>
                <dl class="facts">{terms.map(line).collect_view()}</dl>
            }
        })
    };
    view! {
        <Show when=move || row.with(Option::is_some)>
            <section class="card" aria-label="Where the error comes from">
                <header class="card-head"><h3>"Where the error comes from"</h3></header>
                {list}
            </section>
        </Show>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_that_work_against_the_rest_have_a_size_in_the_bar() {
        let row = LedgerRow {
            node: "n".into(),
            tensor: "y".into(),
            layer: None,
            total: 2.0,
            weight_rounding: 1.0,
            weight_clipping: 0.0,
            activation_rounding: 2.0,
            activation_clipping: 0.0,
            bias: -1.0,
            inherited: 0.0,
        };
        assert_eq!(parts(&row), [("is-round", 0.5), ("is-int8", 1.0), ("is-uint8", 0.5)]);
        assert_eq!(share(&row, &TERMS[4]), Some(-0.5));
        assert_eq!(share(&LedgerRow { total: 0.0, ..row.clone() }, &TERMS[0]), None);
        let csv = export_table(&[row]).unwrap().to_csv().unwrap();
        assert!(csv.ends_with("n,y,2.0,1.0,0.0,2.0,0.0,-1.0,0.0\n"), "{csv}");
    }
}
