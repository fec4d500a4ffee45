//! Where branches join: Add, Concat and Mul work on one grid, so branches of different scales cost.

use super::measure_head::{MeasureHead, state_of};
use super::table::{Cell, Column, DataTable, Line, figures, words};
use crate::export::{Table, TableError};
use crate::ui::session::playground::Measurement;
use crate::ui::{format, use_session};
use crate::worker::ResidualRow;
use leptos::prelude::*;

const COLUMNS: &[Column] = &[
    words("node"),
    words("operator"),
    words("branches"),
    figures("ratio", "largest scale over smallest"),
    words("result"),
    figures("joined SQNR (dB)", "when only the branches are rounded; higher is better"),
    figures("cost (dB)", "what it would be more if every branch had the smallest scale's noise"),
];

/// The card.
#[component]
pub fn Residuals() -> impl IntoView {
    let answer = use_session().playground.measures.residuals;
    let rows = move || answer.with(|taken| taken.as_ref().map(|taken| taken.answer.rows.clone()).unwrap_or_default());
    let lines = Memo::new(move |_| rows().iter().map(line).collect::<Vec<_>>());
    let measured = Memo::new(move |_| answer.with(Option::is_some));
    let export = Callback::new(move |()| Some(export_table(&rows())));
    let table = move |empty: &'static str| view! { <DataTable label="Residuals" columns=COLUMNS lines empty /> };
    view! {
        <section class="card" aria-label="Joined branches">
            <MeasureHead title="Residuals" measure="Measure residuals" what=Measurement::Residuals stem="residuals" export
                state=state_of(answer, |answer| answer.count) />
            {move || table(if measured.get() { "No branches join in this model." } else { "Run an input (R): where branches join, their scales stand here." })}
        </section>
    }
}

fn grid(scale: f32, zero_point: i32) -> String {
    format!("{} @ {zero_point}", format::number(f64::from(scale)))
}

fn branches(row: &ResidualRow) -> String {
    let branch = |(tensor, scale, zero_point): &(String, f32, i32)| format!("{tensor}: {}", grid(*scale, *zero_point));
    row.branches.iter().map(branch).collect::<Vec<_>>().join("; ")
}

fn output(row: &ResidualRow) -> String {
    row.output.map_or_else(|| "–".to_owned(), |(scale, zero_point)| grid(scale, zero_point))
}

fn line(row: &ResidualRow) -> Line {
    let db = |value: Option<f64>| Cell::number(value, |value| format!("{value:.2}"));
    // A click goes to the branch with the largest scale: the one to look at.
    let widest = row.branches.iter().max_by(|a, b| a.1.total_cmp(&b.1));
    let cells = vec![
        Cell::Text(row.node.clone()),
        Cell::Text(row.op.clone()),
        Cell::Text(branches(row)),
        Cell::number(Some(row.ratio), |ratio| format!("{ratio:.4}")),
        Cell::Text(output(row)),
        db(row.joined_sqnr_db),
        db(row.cost_db),
    ];
    Line { tensor: widest.map(|(tensor, ..)| tensor.clone()).unwrap_or_default(), cells, dirty: false }
}

fn export_table(rows: &[ResidualRow]) -> Result<Table, TableError> {
    let headers = ["node", "operator", "branches", "ratio", "result", "joined_sqnr_db", "cost_db"];
    let row = |row: &ResidualRow| {
        vec![
            row.node.as_str().into(),
            row.op.as_str().into(),
            branches(row).into(),
            row.ratio.into(),
            output(row).into(),
            row.joined_sqnr_db.into(),
            row.cost_db.into(),
        ]
    };
    Table::new(headers.map(str::to_owned).to_vec(), rows.iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_leads_to_its_widest_branch() {
        let row = ResidualRow {
            node: "add".into(),
            op: "Add".into(),
            layer: None,
            branches: vec![("a".into(), 0.1, 0), ("b".into(), 0.3, -3)],
            ratio: 3.0,
            output: None,
            joined_sqnr_db: Some(30.0),
            cost_db: None,
        };
        let line = line(&row);
        assert_eq!((line.tensor.as_str(), line.cells.len()), ("b", COLUMNS.len()));
        assert_eq!(branches(&row), "a: 0.1 @ 0; b: 0.3 @ -3");
        assert_eq!(export_table(&[row]).unwrap().rows().len(), 1);
    }
}
