//! The error of every tensor: made here (local) beside what everything upstream does to it too (cumulative).

use super::describe;
use super::measure_head::{MeasureHead, state_of};
use super::table::{Cell, Column, DataTable, Line, figures, words};
use crate::chart::{Axis, Chart, Depth, Direction, Plot, Role, Series};
use crate::export::{self, Table, TableError};
use crate::platform;
use crate::ui::chart::{ChartView, kept_view};
use crate::ui::session::playground::{Answer, Measurement};
use crate::ui::{format, roles, use_session};
use crate::worker::{ErrorMetrics, LayerErrorRow, Measured, TensorKind};
use leptos::prelude::*;
use std::collections::HashSet;

const COLUMNS: &[Column] = &[
    words("tensor"),
    words("kind"),
    figures("local SQNR (dB)", "before and after its own rounding; higher is better"),
    figures("cumulative SQNR (dB)", "the float model's tensor against this model's; higher is better"),
    figures("local MSE", "mean of the squared differences"),
    figures("cumulative MSE", "mean of the squared differences"),
    figures("local cosine", "1 is the same direction"),
    figures("cumulative cosine", "1 is the same direction"),
    figures("local max error", "largest absolute difference"),
    figures("cumulative max error", "largest absolute difference"),
];

/// While a handle is dragged the table is drawn this often.
const TABLE_EVERY_MS: f64 = 1000.0;

/// Which tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    All,
    Activations,
    Constants,
}

impl Which {
    fn holds(self, kind: TensorKind) -> bool {
        match self {
            Which::All => true,
            Which::Activations => kind == TensorKind::Activation,
            Which::Constants => kind != TensorKind::Activation,
        }
    }
}

/// The card with chart and table.
#[component]
pub fn LayerError() -> impl IntoView {
    let session = use_session();
    let playground = session.playground;
    let answer = playground.measures.layer_errors;
    let which = RwSignal::new(Which::All);
    let dirty = dirty_tensors();
    let rows = move || answer.with(|taken| taken.as_ref().map(|taken| taken.answer.rows.clone()).unwrap_or_default());
    let settled = settled(answer, playground.dragging);
    let lines = Memo::new(move |_| {
        let rows = settled.get();
        let kept = rows.iter().filter(|row| which.get().holds(row.kind));
        dirty.with(|dirty| kept.map(|row| line(row, dirty)).collect::<Vec<_>>())
    });
    // The chart is about depth: what flows, unless only constants are asked for.
    let drawn = Memo::new(move |_| {
        let which = if which.get() == Which::All { Which::Activations } else { which.get() };
        rows().into_iter().filter(|row| which.holds(row.kind)).collect::<Vec<_>>()
    });
    let view = kept_view("layer error", || Some(String::new()));
    let chart = Signal::derive(move || {
        let role = session
            .workspace
            .with(|workspace| playground.model.get().map_or(Role::Neutral, |model| roles::role_of(workspace, model)));
        drawn.with(|rows| chart(rows, playground.tensor.get().as_deref(), role))
    });
    let select = Callback::new(move |index: usize| {
        let tensor = drawn.with_untracked(|rows| rows.get(index).map(|row| row.tensor.clone()));
        if let Some(tensor) = tensor {
            session.edit_tensor(&tensor);
        }
    });
    let export = Callback::new(move |()| Some(export_table(&rows())));
    let option = move |value: Which, label: &'static str| {
        view! { <button type="button" aria-pressed=move || (which.get() == value).to_string() on:click=move |_| which.set(value)>{label}</button> }
    };
    view! {
        <section class="card" aria-label="Error along the network">
            <MeasureHead title="Layer error" measure="Measure layer error" what=Measurement::LayerErrors stem="layer-error" export
                state=state_of(answer, |answer| answer.count) />
            <div class="tools">
                <div class="seg" role="group" aria-label="Tensors">{option(Which::All, "all")}{option(Which::Activations, "activations")}{option(Which::Constants, "weights")}</div>
            </div>
            <ChartView chart view height_px=Signal::stored(190.0) bare=true on_select=select />
            <DataTable label="Layer error" columns=COLUMNS lines empty="Run an input (R): the error of every tensor stands here." />
        </section>
    }
}

/// The rows for the table: hundreds of cells, which the browser lays out and paints for longer than a frame. While a
/// handle is dragged the chart shows every answer, the table one now and then; at its end the last one.
fn settled(answer: Answer<Measured<LayerErrorRow>>, dragging: RwSignal<bool>) -> RwSignal<Vec<LayerErrorRow>> {
    let rows = RwSignal::new(Vec::new());
    let shown_ms = StoredValue::new(f64::NEG_INFINITY);
    Effect::new(move |_| {
        let (dragging, now_ms) = (dragging.get(), platform::now_ms());
        answer.with(|taken| {
            let there = taken.as_ref().map(|taken| &taken.answer.rows);
            if !dragging || now_ms - shown_ms.get_value() > TABLE_EVERY_MS {
                shown_ms.set_value(now_ms);
                rows.set(there.cloned().unwrap_or_default());
            }
        });
    });
    rows
}

/// Names of the rows that differ from the file.
pub fn dirty_tensors() -> Memo<HashSet<String>> {
    let table = use_session().playground.table;
    Memo::new(move |_| {
        table.with(|table| {
            let rows = table.iter().flat_map(|table| &table.rows).filter(|row| row.dirty);
            rows.map(|row| row.tensor.clone()).collect()
        })
    })
}

/// A figure of both errors, and of both before the edits.
type Pick<T> = fn(&ErrorMetrics) -> T;

fn line(row: &LayerErrorRow, dirty: &HashSet<String>) -> Line {
    let original = row.original.as_ref();
    let pair = |pick: Pick<Option<f64>>, show: fn(&ErrorMetrics) -> String| {
        let cell = |now: Option<&ErrorMetrics>, was: Option<&ErrorMetrics>| {
            let text = |metrics: Option<&ErrorMetrics>| metrics.map_or_else(|| "–".to_owned(), show);
            let value = now.and_then(pick);
            match was {
                Some(_) if text(now) != text(was) => Cell::Changed(value, text(now), text(was)),
                _ => Cell::Number(value, text(now)),
            }
        };
        let local = cell(Some(&row.local), original.map(|(local, _)| local));
        let cumulative = cell(row.cumulative.as_ref(), original.and_then(|(_, cumulative)| cumulative.as_ref()));
        [local, cumulative]
    };
    fn figure(value: Option<f64>) -> String {
        value.map_or_else(|| "–".to_owned(), format::number)
    }
    let mut cells = vec![Cell::Text(row.tensor.clone()), Cell::Text(describe::kind(row.kind).to_owned())];
    cells.extend(pair(describe::sqnr_db, |metrics| match metrics.sqnr_db {
        Some(sqnr_db) => format!("{sqnr_db:.2}"),
        None => describe::sqnr(metrics),
    }));
    cells.extend(pair(|metrics| metrics.mse, |metrics| figure(metrics.mse)));
    cells.extend(pair(
        |metrics| metrics.cosine,
        |metrics| metrics.cosine.map_or_else(|| "–".to_owned(), |cosine| format!("{cosine:.6}")),
    ));
    cells.extend(pair(|metrics| metrics.max_abs, |metrics| figure(metrics.max_abs)));
    Line { tensor: row.tensor.clone(), cells, dirty: dirty.contains(&row.tensor) }
}

fn chart(rows: &[LayerErrorRow], selected: Option<&str>, original: Role) -> Chart {
    let db = |metrics: Option<&ErrorMetrics>| metrics.and_then(describe::sqnr_db).unwrap_or(f64::NAN);
    let series = |pick: &dyn Fn(&LayerErrorRow) -> f64| rows.iter().map(pick).collect::<Vec<f64>>();
    let edited = rows.iter().any(|row| row.original.is_some());
    let mut lines = Vec::new();
    let mut points = Vec::new();
    if edited {
        let before = |row: &LayerErrorRow| db(row.original.as_ref().and_then(|(_, cumulative)| cumulative.as_ref()));
        lines.push(Series::new("cumulative, original", original, series(&before)));
        lines.push(Series::new("cumulative, edited", Role::Edited, series(&|row| db(row.cumulative.as_ref()))));
        points.push(Series::new("local, edited", Role::Edited, series(&|row| db(Some(&row.local)))));
    } else {
        lines.push(Series::new("cumulative", original, series(&|row| db(row.cumulative.as_ref()))));
        points.push(Series::new("local", Role::Neutral, series(&|row| db(Some(&row.local)))));
    }
    Chart {
        title: "Error along the network".to_owned(),
        note: String::new(),
        file_stem: "error-along-the-network".to_owned(),
        plot: Plot::Depth(Depth {
            x: Axis::new("tensor", ""),
            y: Axis::new("SQNR", "dB").directed(Direction::HigherIsBetter),
            labels: rows.iter().map(|row| row.tensor.clone()).collect(),
            lines,
            points,
            selected: rows.iter().position(|row| Some(row.tensor.as_str()) == selected),
        }),
    }
}

/// Every figure, the ones before the edits too.
fn export_table(rows: &[LayerErrorRow]) -> Result<Table, TableError> {
    const FIGURES: [(&str, Pick<Option<f64>>); 5] = [
        ("sqnr_db", describe::sqnr_db),
        ("mse", |metrics| metrics.mse),
        ("mae", |metrics| metrics.mae),
        ("cosine", |metrics| metrics.cosine),
        ("max_error", |metrics| metrics.max_abs),
    ];
    let parts = ["local", "cumulative", "original_local", "original_cumulative"];
    let mut headers = vec!["tensor".to_owned(), "kind".to_owned(), "values".to_owned()];
    headers.extend(parts.iter().flat_map(|part| FIGURES.iter().map(move |(figure, _)| format!("{part}_{figure}"))));
    let row = |row: &LayerErrorRow| {
        let original = row.original.as_ref();
        let sources = [
            Some(&row.local),
            row.cumulative.as_ref(),
            original.map(|(local, _)| local),
            original.and_then(|(_, cumulative)| cumulative.as_ref()),
        ];
        let mut cells: Vec<export::Cell> =
            vec![row.tensor.as_str().into(), describe::kind(row.kind).into(), row.local.count.into()];
        for metrics in sources {
            cells.extend(FIGURES.iter().map(|(_, pick)| export::Cell::from(metrics.and_then(pick))));
        }
        cells
    };
    Table::new(headers, rows.iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(sqnr_db: f64) -> ErrorMetrics {
        ErrorMetrics { count: 4, different_count: 2, mse: Some(0.5), sqnr_db: Some(sqnr_db), ..ErrorMetrics::default() }
    }

    fn row(original: bool) -> LayerErrorRow {
        LayerErrorRow {
            tensor: "conv".into(),
            kind: TensorKind::Activation,
            layer: Some(0),
            local: metrics(30.0),
            cumulative: Some(metrics(20.0)),
            original: original.then(|| (metrics(31.0), Some(metrics(20.0)))),
        }
    }

    #[test]
    fn only_what_an_edit_changed_says_what_it_was() {
        let line = line(&row(true), &HashSet::new());
        assert_eq!(line.cells.len(), COLUMNS.len());
        assert_eq!(line.cells[2], Cell::Changed(Some(30.0), "30.00".into(), "31.00".into()));
        assert_eq!(line.cells[3], Cell::Number(Some(20.0), "20.00".into()));
    }

    #[test]
    fn the_export_has_every_figure() {
        let csv = export_table(&[row(false)]).unwrap().to_csv().unwrap();
        let (head, body) = csv.split_once('\n').unwrap();
        assert!(head.starts_with(
            "tensor,kind,values,local_sqnr_db,local_mse,local_mae,local_cosine,local_max_error,cumulative_sqnr_db"
        ));
        assert!(body.starts_with("conv,activation,4,30.0,0.5,,,,20.0,0.5"), "{body}");
    }

    #[test]
    fn the_chart_shows_both_only_after_an_edit() {
        let names = |chart: &Chart| chart.legend().into_iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(names(&chart(&[row(false)], None, Role::Int8)), ["cumulative", "local"]);
        assert_eq!(
            names(&chart(&[row(true)], Some("conv"), Role::Int8)),
            ["cumulative, original", "cumulative, edited", "local, edited"]
        );
    }
}
