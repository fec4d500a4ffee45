//! What every row does alone: the network with it alone off, and with it alone on.

use super::describe;
use super::layer_error::dirty_tensors;
use super::measure_head::{MeasureHead, state_of};
use super::table::{Cell, Column, DataTable, Line, figures, words};
use crate::export::{self, Table, TableError};
use crate::ui::session::playground::Measurement;
use crate::ui::use_session;
use crate::worker::{Quality, SensitivityReport, SensitivityRow};
use leptos::prelude::*;

const COLUMNS: &[Column] = &[
    words("tensor"),
    words("kind"),
    figures("rank", "1: the output gains most when this row alone is off"),
    figures("off: accuracy", "change against the quantized model, in points"),
    figures("off: cross-entropy", "change against the quantized model, in nats; less is better"),
    figures("off: SQNR (dB)", "change at the output against the quantized model; more is better"),
    figures("on: accuracy", "change against the float model, in points"),
    figures("on: cross-entropy", "change against the float model, in nats"),
    figures("on: SQNR (dB)", "at the output, with this row alone rounded"),
];

/// The card with its progress.
#[component]
pub fn Sensitivity() -> impl IntoView {
    let session = use_session();
    let playground = session.playground;
    let answer = playground.measures.sensitivity;
    let dirty = dirty_tensors();
    let report = move || answer.with(|taken| taken.as_ref().map(|taken| taken.answer.clone()));
    let lines = Memo::new(move |_| {
        let Some(report) = report() else { return Vec::new() };
        let ranks = ranks(&report);
        let lines = report.rows.iter().zip(ranks);
        dirty.with(|dirty| lines.map(|(row, rank)| line(&report, row, rank, dirty.contains(&row.tensor))).collect())
    });
    let running = move || playground.measures.running.get() == Some(Measurement::Sensitivity);
    let progress = Memo::new(move |_| {
        answer.with(|taken| {
            let fresh = taken.as_ref().filter(|taken| !taken.complete);
            fresh.map_or_else(Progress::default, |taken| Progress::of(&taken.answer))
        })
    });
    let base = move || {
        report().map(|report| {
            format!(
                "all rows on: {}; all off: {}",
                describe::quality(&report.quantized),
                describe::quality(&report.float)
            )
        })
    };
    let export = Callback::new(move |()| report().map(|report| export_table(&report)));
    view! {
        <section class="card" aria-label="Sensitivity by row">
            <MeasureHead title="Sensitivity" measure="Measure sensitivity" what=Measurement::Sensitivity stem="sensitivity" export
                state=state_of(answer, |answer| answer.count) />
            <p class="hint">{base}</p>
            <Show when=running>
                <div class="measuring">
                    <progress aria-label="Rows measured" max=move || progress.get().total.max(1).to_string() prop:value=move || progress.get().done.to_string()></progress>
                    <span class="hint">{move || progress.get().words()}</span>
                    <button type="button" class="small" on:click=move |_| session.stop_measuring()>"Stop"</button>
                </div>
            </Show>
            <DataTable label="Sensitivity" columns=COLUMNS lines
                empty="Switch each row off alone and on alone, and see what the answer gains and loses: measured, not guessed from the weights." />
        </section>
    }
}

/// How far a measurement is: rows times images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Progress {
    done: usize,
    total: usize,
    rows: usize,
    images: usize,
}

impl Progress {
    /// In the first image rows come one by one; later images make all of them better together.
    fn of(report: &SensitivityReport) -> Progress {
        let (rows, images) = (report.total, report.images.count.max(1));
        let first = report.rows.len() < rows;
        let done = if first { report.rows.len() } else { rows * report.count.clamp(1, images) };
        Progress { done, total: rows * images, rows, images }
    }

    fn words(self) -> String {
        match (self.rows, self.images) {
            (0, _) => "beginning".to_owned(),
            (rows, _) if self.done < rows => format!("{} of {rows} rows on image 1 of {}", self.done, self.images),
            (rows, images) => format!("{rows} rows on {} of {images} images", self.done / rows),
        }
    }
}

/// What the output gains when a row alone is off: less cross-entropy, else more SQNR.
fn gain(report: &SensitivityReport, row: &SensitivityRow) -> Option<f64> {
    let entropy = report.quantized.cross_entropy.zip(row.off.cross_entropy).map(|(with, without)| with - without);
    entropy.or_else(|| Some(row.off.output_sqnr_db? - report.quantized.output_sqnr_db?))
}

/// Places by gain, from 1; rows of equal gain in graph order.
fn ranks(report: &SensitivityReport) -> Vec<usize> {
    let gains: Vec<f64> = report.rows.iter().map(|row| gain(report, row).unwrap_or(f64::NEG_INFINITY)).collect();
    let mut order: Vec<usize> = (0..gains.len()).collect();
    order.sort_by(|&a, &b| gains[b].total_cmp(&gains[a]));
    let mut ranks = vec![0; gains.len()];
    for (rank, row) in order.into_iter().enumerate() {
        ranks[row] = rank + 1;
    }
    ranks
}

/// Accuracy in points, cross-entropy in nats, SQNR in dB: one version less another.
fn difference(one: &Quality, other: &Quality) -> [Option<f64>; 3] {
    let less = |one: Option<f64>, other: Option<f64>| Some(one? - other?);
    [
        less(one.accuracy, other.accuracy).map(|share| share * 100.0),
        less(one.cross_entropy, other.cross_entropy),
        less(one.output_sqnr_db, other.output_sqnr_db),
    ]
}

fn line(report: &SensitivityReport, row: &SensitivityRow, rank: usize, dirty: bool) -> Line {
    let [accuracy, entropy, sqnr_db] = difference(&row.off, &report.quantized);
    let [on_accuracy, on_entropy, _] = difference(&row.on, &report.float);
    let points = |value: Option<f64>| Cell::number(value, |points| describe::signed(points, 2));
    let nats = |value: Option<f64>| Cell::number(value, |nats| describe::signed(nats, 5));
    let cells = vec![
        Cell::Text(row.tensor.clone()),
        Cell::Text(describe::kind(row.kind).to_owned()),
        Cell::number(Some(rank as f64), |rank| format!("{rank:.0}")),
        points(accuracy),
        nats(entropy),
        points(sqnr_db),
        points(on_accuracy),
        nats(on_entropy),
        // Without an error in the float model there is nothing to subtract from: the figure itself says it.
        Cell::number(row.on.output_sqnr_db, |sqnr_db| format!("{sqnr_db:.2}")),
    ];
    Line { tensor: row.tensor.clone(), cells, dirty }
}

fn export_table(report: &SensitivityReport) -> Result<Table, TableError> {
    let mut headers = ["tensor", "kind", "rank"].map(str::to_owned).to_vec();
    for state in ["off", "on", "all_on", "all_off"] {
        headers.extend(["accuracy", "cross_entropy", "output_sqnr_db"].map(|figure| format!("{state}_{figure}")));
    }
    let row = |(row, rank): (&SensitivityRow, usize)| {
        let mut cells: Vec<export::Cell> =
            vec![row.tensor.as_str().into(), describe::kind(row.kind).into(), rank.into()];
        for quality in [&row.off, &row.on, &report.quantized, &report.float] {
            cells.extend([quality.accuracy, quality.cross_entropy, quality.output_sqnr_db].map(export::Cell::from));
        }
        cells
    };
    Table::new(headers, report.rows.iter().zip(ranks(report)).map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::{Images, TensorKind};

    fn quality(cross_entropy: f64) -> Quality {
        Quality { accuracy: Some(0.5), cross_entropy: Some(cross_entropy), output_sqnr_db: Some(20.0) }
    }

    fn report() -> SensitivityReport {
        let row = |tensor: &str, off: f64| SensitivityRow {
            tensor: tensor.into(),
            kind: TensorKind::Weight,
            layer: None,
            off: quality(off),
            on: quality(0.3),
        };
        SensitivityReport {
            images: Images { source: None, first: 0, count: 1 },
            count: 1,
            total: 3,
            quantized: quality(0.4),
            float: quality(0.25),
            rows: vec![row("a", 0.39), row("b", 0.30), row("c", 0.41)],
        }
    }

    #[test]
    fn progress_is_of_rows_and_images() {
        let mut report = report();
        report.images.count = 10;
        report.rows.pop();
        let progress = Progress::of(&report);
        assert_eq!((progress.done, progress.total), (2, 30));
        assert_eq!(progress.words(), "2 of 3 rows on image 1 of 10");
        report.rows.push(report.rows[0].clone());
        let progress = Progress::of(&report);
        assert_eq!((progress.done, progress.words().as_str()), (3, "3 rows on 1 of 10 images"));
        report.count = 10;
        assert_eq!(Progress::of(&report).done, 30);
    }

    #[test]
    fn the_row_whose_absence_helps_most_is_first() {
        assert_eq!(ranks(&report()), [2, 1, 3]);
    }

    #[test]
    fn without_cross_entropy_the_sqnr_ranks() {
        let mut report = report();
        report.quantized.cross_entropy = None;
        report.rows[2].off.output_sqnr_db = Some(30.0);
        assert_eq!(ranks(&report)[2], 1);
    }

    #[test]
    fn the_export_has_a_row_per_row() {
        let csv = export_table(&report()).unwrap().to_csv().unwrap();
        assert_eq!(csv.lines().count(), 4);
        assert!(csv.lines().nth(2).unwrap().starts_with("b,weight,1,0.5,0.3,20.0,0.5,0.3,20.0,0.5,0.4"));
    }
}
