//! Accuracy over bits of weights and activations.

use crate::analysis::wilson_95;
use crate::chart::{Axis, Chart, Direction, Heatmap, Plot, Role, Series};
use crate::export::{BitWidthsCellReport, BitWidthsReport};
use crate::ui::chart::{ChartView, kept_view};
use crate::ui::session::bit_widths::{BitWidthsForm, Grid};
use crate::ui::session::quantize::Form;
use crate::ui::use_session;
use crate::ui::views::controls::{Check, Choice, Choices, NumberField};
use crate::ui::views::preprocess::PreprocessSentence;
use leptos::prelude::*;

/// Loss against float, in points, within which the smallest cell is named.
const POINTS: f64 = 1.0;
const HEIGHT_PX: f64 = 320.0;

fn pair(value: impl ToString, text: impl ToString) -> (String, String) {
    (value.to_string(), text.to_string())
}

/// The card.
#[component]
pub fn BitWidths() -> impl IntoView {
    let session = use_session();
    let grid = session.bit_widths;
    let cannot = move || {
        let chosen = session.workspace.with(|workspace| {
            session.bit_widths_form.with(|form| {
                let calibrated = !form.calibrates() || form.calibration_in(workspace).is_some();
                form.model_in(workspace).is_some() && form.source_in(workspace).is_some() && calibrated
            })
        });
        !chosen || session.job.with(Option::is_some)
    };
    let shown = Signal::derive(move || grid.with(|grid| grid.as_ref().map_or_else(Chart::empty, chart)));
    let view = kept_view("bit widths", move || {
        grid.with(|grid| grid.as_ref().map(|grid| format!("{} {}", grid.model.name, grid.source.name)))
    });
    let save = move |_| {
        if let Some(grid) = grid.get_untracked() {
            session.save_text("bit-widths.json", "application/json", &report(&grid).json());
        }
    };
    view! {
        <section class="card" aria-label="Bit widths">
            <header class="card-head"><h3>"Bit widths"</h3><small>"how many bits weights and activations need: accuracy of every pair"</small></header>
            <Controls />
            <PreprocessSentence models=Signal::derive(move || session.workspace.with(|workspace| session.bit_widths_form.with(|form| form.model_in(workspace).map(|model| model.id).into_iter().collect()))) />
            <div class="actions">
                <button type="button" class="primary" disabled=cannot on:click=move |_| session.measure_bit_widths()>"Measure bit widths"</button>
                {move || grid.with(Option::is_some).then(|| view! { <button type="button" on:click=save>"Save JSON"</button> })}
            </div>
            {move || grid.with(Option::is_some).then(|| view! {
                <p role="status" aria-label="Bit widths so far">{move || grid.with(|grid| grid.as_ref().map(words))}</p>
                <ChartView chart=shown view height_px=HEIGHT_PX bare=true />
                <p class="hint">{move || grid.with(|grid| grid.as_ref().map(about))}</p>
            })}
        </section>
    }
}

/// What is measured, and how.
#[component]
fn Controls() -> impl IntoView {
    let session = use_session();
    let form = session.bit_widths_form;
    let models: Signal<Choices> = Signal::derive(move || {
        session.workspace.with(Form::models).into_iter().map(|model| pair(model.id, model.name)).collect()
    });
    let named = |sources: Vec<crate::worker::SourceSummary>| -> Choices {
        sources.into_iter().map(|source| pair(source.id, format!("{} · {} items", source.name, source.count))).collect()
    };
    let sources: Signal<Choices> = Signal::derive(move || named(session.workspace.with(BitWidthsForm::sources)));
    let calibrations: Signal<Choices> = Signal::derive(move || named(session.workspace.with(Form::sources)));
    let text = |id: Option<u32>| id.map(|id| id.to_string()).unwrap_or_default();
    let look = move |read: fn(&BitWidthsForm, &crate::worker::Workspace) -> Option<u32>| {
        Signal::derive(move || text(session.workspace.with(|workspace| form.with(|form| read(form, workspace)))))
    };
    // Two values of a flag, the second one chosen where it is on.
    let flag = move |label: &'static str,
                     names: [&'static str; 2],
                     read: fn(&BitWidthsForm) -> bool,
                     write: fn(&mut BitWidthsForm, bool)| {
        let choices: Choices = names.map(|name| pair(name, name)).into();
        let value = Signal::derive(move || names[usize::from(form.with(read))].to_owned());
        let choose = move |name: String| form.update(|form| write(form, name == names[1]));
        view! { <Choice label=label choices=choices value=value choose=choose /> }
    };
    let mat_mul = move || {
        session.workspace.with(|workspace| {
            form.with(|form| form.model_in(workspace).is_some_and(|model| form.rounds_mat_mul(&model)))
        })
    };
    // A memo: another change of the form must not make these fields anew while somebody types in them.
    let calibrates = Memo::new(move |_| form.with(BitWidthsForm::calibrates));
    let count = |value: Option<f64>| value.filter(|value| *value >= 1.0).map(|value| value as usize);
    let set_images = move |value: Option<f64>| form.update(|form| form.images = count(value));
    let set_calibration_images =
        move |value: Option<f64>| form.update(|form| form.calibration_images = count(value).unwrap_or(1));
    view! {
        <div class="tools form">
            <Choice label="Model" choices=models value=look(|form, workspace| form.model_in(workspace).map(|model| model.id))
                choose=move |id: String| form.update(|form| form.model = id.parse().ok()) />
            <Choice label="Data set" choices=sources value=look(|form, workspace| form.source_in(workspace).map(|source| source.id))
                choose=move |id: String| form.update(|form| form.source = id.parse().ok()) />
            <NumberField label="Images" placeholder="all" value=Signal::derive(move || form.with(|form| form.images.map(|images| images.to_string()).unwrap_or_default()))
                choose=set_images />
        </div>
        <div class="tools form">
            {flag("Weights", ["per tensor", "per channel"], |form| form.per_channel, |form, on| form.per_channel = on)}
            {flag("Activations", ["asymmetric", "symmetric"], |form| form.symmetric, |form, on| form.symmetric = on)}
            {flag("Ranges", ["dynamic", "calibrated"], |form| form.calibrated, |form, on| form.calibrated = on)}
            <Check label="Bias correction" value=Signal::derive(move || form.with(|form| form.correction)) choose=move |on: bool| form.update(|form| form.correction = on) />
            <Check label="MatMul weights" value=Signal::derive(mat_mul) choose=move |on: bool| form.update(|form| form.mat_mul = Some(on)) />
        </div>
        {move || calibrates.get().then(|| view! {
            <div class="tools form">
                <Choice label="Calibration data" choices=calibrations value=look(|form, workspace| form.calibration_in(workspace).map(|source| source.id))
                    choose=move |id: String| form.update(|form| form.calibration = id.parse().ok()) />
                <NumberField label="Calibration images" value=Signal::derive(move || form.with(|form| form.calibration_images.to_string()))
                    choose=set_calibration_images />
            </div>
        })}
        <p class="hint">"Dynamic takes each range from all evaluated images together, with everything before it rounded already; calibrated takes it from calibration images, run with rounded weights. Weights are symmetric. A dense layer that was written as MatMul stays float unless MatMul weights are chosen, as they are where a model has no others; biases, batch norm and sums stay float."</p>
    }
}

fn bits_text(bits: Option<u8>) -> String {
    bits.map_or_else(|| "float".to_owned(), |bits| bits.to_string())
}

/// The grid as a heat map, most bits at the top and on the right.
fn chart(grid: &Grid) -> Chart {
    let side = grid.bits.len();
    let cells = || (0..side).rev().flat_map(|row| (0..side).map(move |column| row * side + column));
    let own = |cell: usize| grid.cells.get(cell).copied().filter(|counted| counted.total > 0);
    let number = |read: &dyn Fn(u64, u64) -> f64| {
        let value = |cell| own(cell).map_or(f64::NAN, |own| read(own.correct as u64, own.total as u64));
        cells().map(value).collect::<Vec<f64>>()
    };
    let percent = |correct: u64, total: u64| 100.0 * correct as f64 / total as f64;
    let interval = |correct: u64, total: u64| wilson_95(correct, total);
    let detail = |name: &str, values: Vec<f64>| Series::new(name, Role::Neutral, values);
    let float = grid.float();
    let most = if float.total > 0 { percent(float.correct as u64, float.total as u64) } else { 100.0 };
    let selected = grid.smallest_within(POINTS).and_then(|found| cells().position(|cell| cell == found));
    Chart {
        title: "Accuracy by bit width".to_owned(),
        note: format!("{}, {} images of {}", grid.model.name, grid.images, grid.source.name),
        file_stem: format!("bit-widths-{}", grid.model.name),
        plot: Plot::Heatmap(Heatmap {
            x: Axis::new("activations", "bits"),
            y: Axis::new("weights", "bits"),
            z: Axis::new("accuracy", "%").directed(Direction::HigherIsBetter),
            columns: grid.bits.iter().map(|bits| bits_text(*bits)).collect(),
            rows: grid.bits.iter().rev().map(|bits| bits_text(*bits)).collect(),
            values: number(&percent),
            details: vec![
                detail("correct", number(&|correct, _| correct as f64)),
                detail("images", number(&|_, total| total as f64)),
                detail("95 % from", number(&|c, t| interval(c, t).map_or(f64::NAN, |found| 100.0 * found.low))),
                detail("95 % to", number(&|c, t| interval(c, t).map_or(f64::NAN, |found| 100.0 * found.high))),
            ],
            range: (0.0, most),
            decimals: 1,
            selected,
        }),
    }
}

/// How far it is, and what it says.
fn words(grid: &Grid) -> String {
    let ready = grid.cells.iter().filter(|cell| cell.total == grid.images).count();
    let all = grid.cells.len();
    let state = match (grid.running, ready == all) {
        (true, _) => format!("{ready} of {all} cells"),
        (false, true) => format!("All {all} cells"),
        (false, false) => format!("Stopped at {ready} of {all} cells"),
    };
    let float = grid.float();
    let found = grid.smallest_within(POINTS).and_then(|at| Some((at, grid.cells.get(at)?)));
    match found {
        Some((at, cell)) => {
            let (weights, activations) = grid.bits_of(at);
            format!(
                "{state}. Fewest bits within {POINTS} point of float ({} of {}): {} for weights and {} for activations, {} of {}.",
                float.correct,
                float.total,
                bits_text(weights),
                bits_text(activations),
                cell.correct,
                cell.total
            )
        }
        None => format!("{state}."),
    }
}

/// What was rounded.
fn about(grid: &Grid) -> String {
    let Some((weights, activations, together)) = grid.rounded else { return String::new() };
    let mut text = format!("{weights} weights and {activations} activations are rounded.");
    if together > 0 && together < grid.images {
        text += &format!(" Memory holds {together} images: ranges are taken over so many at a time.");
    }
    text
}

fn report(grid: &Grid) -> BitWidthsReport {
    let word = |on: bool, names: [&str; 2]| names[usize::from(on)].to_owned();
    let cells = grid.cells.iter().enumerate().filter(|(_, cell)| cell.total > 0);
    BitWidthsReport {
        model: grid.model.file.clone(),
        data: grid.source.name.clone(),
        preprocessing: grid.preprocessing.clone(),
        weights: word(grid.form.per_channel, ["per tensor", "per channel"]),
        activations: word(grid.form.symmetric, ["asymmetric", "symmetric"]),
        ranges: word(grid.form.calibrated, ["dynamic", "calibrated"]),
        calibration: grid.calibration.as_ref().map(|source| source.name.clone()),
        calibration_images: grid.calibration.as_ref().map(|source| grid.form.calibration_images.min(source.count)),
        bias_correction: grid.form.correction,
        mat_mul_weights: grid.form.rounds_mat_mul(&grid.model),
        cells: cells
            .map(|(at, cell)| {
                let (weight_bits, activation_bits) = grid.bits_of(at);
                BitWidthsCellReport { weight_bits, activation_bits, correct: cell.correct, total: cell.total }
            })
            .collect(),
    }
}
