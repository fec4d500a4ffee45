//! The source's own numbers against the converted model's.

use super::{Code, open_layer};
use crate::platform::{self, HtmlInputElement};
use crate::ui::views::controls::NumberField;
use crate::ui::views::playground::table::{Cell, Column, DataTable, Line, figures, words};
use crate::ui::{Session, format, use_session};
use crate::worker::{ConversionCard, OutputCheck, OutputRow, WeightCheck};
use leptos::prelude::*;

const LAYERS: &[Column] = &[
    words("layer"),
    words("verdict"),
    figures("max error", "largest absolute difference"),
    figures("relative", "the same over the largest magnitude of the recorded output"),
    figures("SQNR (dB)", "higher is better"),
    figures("cosine", "1 is the same direction"),
    words("farthest apart"),
    words("recorded shape"),
    words("shape here"),
    words("order of axes"),
];

const WEIGHTS: &[Column] = &[
    words("in the source"),
    words("here"),
    words("equal"),
    figures("max error", "largest absolute difference"),
    words("shape"),
    words("shape here"),
    words("order of axes"),
    words("SHA-256"),
];

/// The region.
#[component]
pub fn Check(
    /// What is known of the model.
    card: ReadSignal<Option<ConversionCard>>,
) -> impl IntoView {
    let session = use_session();
    let conversion = session.conversion;
    let tolerance = move || {
        let usual = || card.with(|card| card.as_ref().map_or(0.0, |card| card.tolerance));
        conversion.tolerance.get().unwrap_or_else(usual)
    };
    // Of the model that is shown; what was compared with another stays away.
    let outputs = Memo::new(move |_| {
        let model = session.conversion_model().map(|model| model.id);
        conversion.outputs.get().filter(|check| Some(check.model) == model)
    });
    let weights = Memo::new(move |_| {
        let model = session.conversion_model().map(|model| model.id);
        conversion.weights.get().filter(|check| Some(check.model) == model)
    });
    let input = NodeRef::<leptos::html::Input>::new();
    let snippet = move || card.with(|card| card.as_ref().map(|card| card.recorder.clone()).unwrap_or_default());
    let foreign = move || card.with(|card| card.as_ref().is_some_and(|card| card.foreign));
    let lines = move || {
        let most = tolerance();
        outputs.with(|check| check.iter().flat_map(|check| &check.rows).map(|row| line(row, most)).collect::<Vec<_>>())
    };
    let weight_lines = move || weights.with(|check| check.as_ref().map(weight_lines).unwrap_or_default());
    view! {
        <section class="card" aria-label="Conversion check">
            <header class="card-head"><h3>"Conversion check"</h3><small>"the source's own numbers against the converted model's, layer by layer"</small></header>
            {move || if snippet().is_empty() && card.with(Option::is_some) {
                view! { <p>"The file holds weights without a network: there are no outputs to compare."</p> }.into_any()
            } else {
                view! {
                    <p>"The source's framework does not run in a browser. These lines run it once and write recorded.npz: the input, and the output of every layer. Choose that file, or drop it here."</p>
                    <Code label="recording code" text=Signal::derive(snippet) />
                }.into_any()
            }}
            <div class="tools form">
                <button type="button" class="primary" on:click=move |_| if let Some(input) = input.get() { input.click() }>"Choose recorded outputs"</button>
                <input type="file" hidden accept=".npz" node_ref=input aria-label="Recorded outputs" tabindex="-1" on:change=move |event| {
                    let input: HtmlInputElement = event_target(&event);
                    session.check_outputs(platform::files_of_input(&input));
                } />
                <NumberField label="Tolerance" value=Signal::derive(move || format!("{:e}", tolerance())) choose={move |value: Option<f64>| conversion.tolerance.set(value)} />
                <button type="button" disabled=move || !foreign() on:click=move |_| session.check_weights()>"Check weights"</button>
            </div>
            <p class="hint">"Relative to the largest magnitude of a layer's recorded output. Two float32 implementations sum in another order, which makes some 1e-6; a wrong axis, padding or epsilon makes 1e-3 and more."</p>
            {move || outputs.get().map(|check| verdict(session, &check, tolerance()))}
            {move || outputs.with(Option::is_some).then(|| view! {
                <DataTable label="Conversion check" columns=LAYERS lines=Signal::derive(lines) empty="No layer was compared."
                    choose=Callback::new(move |row: String| open_layer(session, &row)) />
            })}
            {move || weights.get().map(|check| {
                let (found, equal, all) = check.counts();
                view! { <p role="status" aria-label="Weights checked"><b>{format!("{found} of {all} source tensors are constants here, {equal} with equal bits.")}</b>
                    {(found < all).then_some(" The others went into other constants (batch normalization, gates of recurrent layers), or nothing uses them.")}</p> }
            })}
            {move || weights.with(Option::is_some).then(|| view! {
                <DataTable label="Source weights" columns=WEIGHTS lines=Signal::derive(weight_lines) empty="The source holds no tensor."
                    choose=Callback::new(|_: String| ()) />
            })}
        </section>
    }
}

/// What came of it, in words.
fn verdict(session: Session, check: &OutputCheck, tolerance: f64) -> AnyView {
    let equal = check.rows.iter().filter(|row| row.is_equal(tolerance)).count();
    let first = check.first_differing(tolerance).and_then(|at| check.rows.get(at));
    let name = first.map(|row| row.layer.clone());
    let target = first.and_then(|row| row.row.clone()).unwrap_or_default();
    let inputs: Vec<String> =
        check.inputs.iter().map(|port| format!("{} {}[{}]", port.name, port.dtype, port.shape.join(", "))).collect();
    let all = check.rows.len();
    let steps =
        if check.rows.iter().any(|row| row.step.is_some()) { ", quantized ones to a step of their scale" } else { "" };
    let lines = check.notes.iter().chain(&check.missing).cloned();
    view! {
        <p role="status" aria-label="Conversion check result">
            <b>{format!("{equal} of {all} layers are equal within {tolerance:e}{steps}.")}</b>" "
            {match name {
                Some(name) => view! { "The first that differs: "<button type="button" class="ghost" on:click=move |_| open_layer(session, &target)>{name}</button>"." }.into_any(),
                None => view! { "No layer differs." }.into_any(),
            }}
        </p>
        <p class="hint">{format!("{}, run on {}.", check.recording, inputs.join("; "))}</p>
        <ul class="plain" aria-label="Conversion check notes">{lines.map(|line| view! { <li>{line}</li> }).collect_view()}</ul>
    }
    .into_any()
}

fn line(row: &OutputRow, tolerance: f64) -> Line {
    let figure = |value: Option<f64>| Cell::number(value, format::number);
    let shapes = [&row.source_shape, &row.shape].map(|shape| Cell::Text(format::shape(shape)));
    let mut cells = vec![Cell::Text(row.layer.clone())];
    match &row.difference {
        Ok(found) => {
            let metrics = &found.metrics;
            let verdict = match (row.is_equal(tolerance), metrics.different_count + metrics.not_finite_count) {
                (true, 0) => "equal bits",
                (true, _) if found.relative > tolerance => match row.steps {
                    1 => "equal to one step",
                    _ => "equal to a few steps",
                },
                (true, _) => "equal",
                (false, _) => "differs",
            };
            cells.push(Cell::Text(verdict.to_owned()));
            cells.push(figure(metrics.max_abs));
            cells.push(figure(Some(found.relative)));
            cells.push(match metrics.sqnr_db {
                None if metrics.different_count == 0 => Cell::Number(Some(f64::INFINITY), "∞".to_owned()),
                value => Cell::number(value, |value| format!("{value:.1}")),
            });
            cells.push(Cell::number(metrics.cosine, |value| format!("{value:.8}")));
            cells.push(Cell::Text(found.worst.as_ref().map_or_else(String::new, |(index, recorded, here)| {
                format!("{index:?}: {} and {}", format::number(*recorded), format::number(*here))
            })));
            cells.extend(shapes);
            cells.push(Cell::Text(order(found.order.as_deref())));
        }
        Err(reason) => {
            cells.push(Cell::Text(format!("differs: {reason}")));
            cells.extend([(); 4].map(|()| figure(None)));
            cells.push(Cell::Text(String::new()));
            cells.extend(shapes);
            cells.push(Cell::Text(String::new()));
        }
    }
    Line { tensor: row.row.clone().unwrap_or_default(), cells, dirty: false }
}

/// The order of axes in words.
pub(super) fn order(order: Option<&[usize]>) -> String {
    match order {
        None => "as it is".to_owned(),
        Some([0, rest @ .., 1]) if rest.iter().zip(2..).all(|(axis, at)| *axis == at) => {
            "NCHW here, NHWC there".to_owned()
        }
        Some([0, last, rest @ ..]) if rest.iter().zip(1..).all(|(axis, at)| *axis == at) && *last == rest.len() + 1 => {
            "NHWC here, NCHW there".to_owned()
        }
        Some(order) => format!("{order:?}"),
    }
}

fn weight_lines(check: &WeightCheck) -> Vec<Line> {
    let row = |row: &crate::worker::WeightRow| {
        let target = row.target.as_ref();
        let text = |text: Option<String>| Cell::Text(text.unwrap_or_default());
        let cells = vec![
            Cell::Text(row.path.clone()),
            text(Some(target.map_or_else(|| "computed into others".to_owned(), |target| target.name.clone()))),
            text(target.map(|target| if target.equal_bits { "equal bits" } else { "nearly" }.to_owned())),
            Cell::number(target.map(|target| target.max_abs_difference), format::number),
            text(Some(format!("{} {}", row.dtype, format::shape(&row.shape)))),
            text(target.map(|target| format::shape(&target.shape))),
            text(target.map(|target| match &target.transposition {
                None => "as it is".to_owned(),
                Some(order) => format!("{order:?}"),
            })),
            text(row.sha256.get(..12).map(str::to_owned)),
        ];
        Line { tensor: String::new(), cells, dirty: false }
    };
    check.rows.iter().map(row).collect()
}
