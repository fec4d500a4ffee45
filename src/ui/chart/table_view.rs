//! A chart's data as a table.

use super::state::ChartState;
use crate::chart::table::table;
use leptos::prelude::*;

/// More rows than this are not put into the page at once; the CSV has them all.
const MOST_ROWS: usize = 500;

/// The table behind a chart.
#[component]
pub fn TableView(
    /// The chart.
    state: ChartState,
) -> impl IntoView {
    let content = move || {
        let table = state.chart.with(table);
        let all = table.rows.len();
        let head = table.columns.into_iter().map(|column| view! { <th scope="col">{column}</th> }).collect_view();
        let rows = table.rows.into_iter().take(MOST_ROWS).map(|row| {
            let cells = row.into_iter().map(|cell| view! { <td class:num=cell.is_number()>{cell.display()}</td> });
            view! { <tr>{cells.collect_view()}</tr> }
        });
        let rest = (all > MOST_ROWS).then(|| {
            view! {
                <p class="hint">{format!("The first {MOST_ROWS} of {all} rows; the CSV export has all.")}</p>
            }
        });
        let title = state.chart.with(|chart| chart.title.clone());
        view! {
            <table class="data">
                <caption class="visually-hidden">{title}</caption>
                <thead><tr>{head}</tr></thead>
                <tbody>{rows.collect_view()}</tbody>
            </table>
            {rest}
        }
    };
    let label = move || state.chart.with(|chart| format!("{}, as a table", chart.title));
    view! {
        // Focusable, because what scrolls must scroll by keys too.
        <div class="chart-table" tabindex="0" role="group" aria-label=label>{content}</div>
    }
}
