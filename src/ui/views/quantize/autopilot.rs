//! A target, and the search for the best model under it.

use crate::chart::{Axis, Chart, Direction, Plot, Role, Scatter, ScatterGroup, ScatterPoint};
use crate::ui::chart::{ChartView, kept_view};
use crate::ui::session::autopilot::{Flight, Wish};
use crate::ui::session::quantize::Form;
use crate::ui::use_session;
use crate::ui::views::controls::{Check, Choice, Choices, NumberField};
use crate::worker::{AutopilotPoint, AutopilotReport, Share, SourceSummary};
use leptos::prelude::*;

/// Candidates listed, the best known ones first.
const LISTED: usize = 24;

/// The region.
#[component]
pub fn Autopilot() -> impl IntoView {
    let session = use_session();
    let flight = session.autopilot;
    let report = Memo::new(move |_| flight.with(|flight| flight.as_ref().and_then(|flight| flight.report.clone())));
    let chart = Signal::derive(move || report.with(|report| report.as_ref().map_or_else(Chart::empty, chart)));
    let view =
        kept_view("autopilot", move || report.with(|report| report.as_ref().map(|report| report.measured_on.clone())));
    view! {
        <section class="card" aria-label="Autopilot">
            <header class="card-head"><h3>"Autopilot"</h3><small>"the best model under a target, searched in a worker of its own"</small></header>
            <Target />
            {move || flight.with(|flight| flight.as_ref().filter(|flight| flight.running).map(underway))}
            {move || report.with(Option::is_some).then(|| view! {
                <ChartView chart view bare=true height_px=280.0 />
            })}
            {move || flight.with(|flight| flight.as_ref().and_then(chosen)).map(|lines| view! {
                <div class="outcome" role="status" aria-label="Chosen model">
                    {lines.into_iter().map(|line| view! { <p>{line}</p> }).collect_view()}
                    <div class="actions">
                        <button type="button" class="primary" on:click=move |_| session.save_autopilot()>"Download chosen model"</button>
                        <button type="button" on:click=move |_| session.open_autopilot()>"Open chosen model"</button>
                    </div>
                </div>
            })}
            {move || report.with(|report| report.as_ref().map(candidates))}
        </section>
    }
}

/// The target and the buttons.
#[component]
fn Target() -> impl IntoView {
    let session = use_session();
    let wish = session.autopilot_wish;
    let flight = session.autopilot;
    let running = move || flight.with(|flight| flight.as_ref().is_some_and(|flight| flight.running));
    let named = |id: Option<u32>| id.map(|id| id.to_string()).unwrap_or_default();
    let models: Signal<Choices> = Signal::derive(move || {
        let models = session.workspace.with(Form::models);
        models.into_iter().map(|model| (model.id.to_string(), model.name)).collect()
    });
    let words = |source: SourceSummary| (source.id.to_string(), format!("{} · {} items", source.name, source.count));
    let sources: Signal<Choices> =
        Signal::derive(move || session.workspace.with(Form::sources).into_iter().map(words).collect());
    let model = move || session.workspace.with(|workspace| named(wish.with(|wish| wish.model_in(workspace))));
    let calibration =
        move || session.workspace.with(|workspace| named(wish.with(|wish| wish.calibration_in(workspace))));
    let measurement =
        move || session.workspace.with(|workspace| named(wish.with(|wish| wish.measurement_in(workspace))));
    let number = move |read: fn(&Wish) -> f64| Signal::derive(move || wish.with(read).to_string());
    let measured = move || wish.with(|wish| wish.measured.map_or(String::new(), |count| count.to_string()));
    let set = move |write: fn(&mut Wish, Option<f64>)| {
        Callback::new(move |value: Option<f64>| wish.update(|wish| write(wish, value)))
    };
    let able = move || !models.with(Vec::is_empty) && !sources.with(Vec::is_empty);
    view! {
        <div class="tools form">
            <Choice label="Model" choices=models value=Signal::derive(model) choose=move |id: String| wish.update(|wish| wish.model = id.parse().ok()) />
            <Choice label="Calibration data" choices=sources value=Signal::derive(calibration) choose=move |id: String| wish.update(|wish| wish.calibration = id.parse().ok()) />
            <Choice label="Measurement data" choices=sources value=Signal::derive(measurement) choose=move |id: String| wish.update(|wish| wish.measurement = id.parse().ok()) />
        </div>
        <div class="tools form">
            <NumberField label="Most points lost" value=number(|wish| wish.points) choose=set(|wish, value| wish.points = value.unwrap_or(0.5)) />
            <NumberField label="Most kilobytes" value=number(|wish| wish.kilobytes) choose=set(|wish, value| wish.kilobytes = value.unwrap_or(130.0)) />
            <NumberField label="Seed" value=number(|wish| wish.seed as f64) choose=set(|wish, value| wish.seed = value.unwrap_or(1.0).max(0.0) as u64) />
            <NumberField label="Calibration images" value=number(|wish| wish.images as f64) choose=set(|wish, value| wish.images = value.map_or(1000, |value| value.max(2.0) as usize)) />
            <NumberField label="Measurement images" placeholder="all" value=Signal::derive(measured) choose=set(|wish, value| wish.measured = value.map(|value| value.max(1.0) as usize)) />
            <Check label="Activations of 16 bits allowed" value=Signal::derive(move || wish.with(|wish| wish.wide)) choose=move |on: bool| wish.update(|wish| wish.wide = on) />
        </div>
        <div class="actions">
            <button type="button" class="primary" disabled=move || running() || !able() on:click=move |_| session.start_autopilot(&wish.get_untracked())>"Start autopilot"</button>
            <button type="button" disabled=move || !running() on:click=move |_| session.stop_autopilot()>"Stop and keep the best"</button>
        </div>
        {move || (!able()).then(|| view! { <p class="hint">"Open a float classifier and labelled images. Half of the calibration images calibrate, the other half choose; the measurement images only measure."</p> })}
    }
}

/// What a running search is at.
fn underway(flight: &Flight) -> impl IntoView + use<> {
    let (label, done, total) = match (&flight.progress, flight.stopping) {
        (_, true) => ("Stopping, and writing the best".to_owned(), 0, 0),
        (Some(progress), _) => (progress.job.clone(), progress.done, progress.total),
        (None, _) => ("Starting a worker".to_owned(), 0, 0),
    };
    let share = (total > 0).then(|| done as f64 / total as f64);
    view! {
        <p class="hint" role="status">{label}" " {share.map(|share| view! { <progress max="1" value=share aria-label="Progress of the stage"></progress> })}</p>
    }
}

/// Why the chosen model is it, line by line.
fn chosen(flight: &Flight) -> Option<Vec<String>> {
    let report = flight.report.as_ref()?;
    let chosen = report.chosen.as_ref()?;
    flight.file.as_ref()?;
    Some(std::iter::once(report.outcome()?).chain(chosen.why.iter().cloned()).collect())
}

/// The measured share where there is one, else that on the selection images.
fn best_known(point: &AutopilotPoint) -> &Share {
    point.measured.as_ref().unwrap_or(&point.selection)
}

/// Points of accuracy against the float model on the same images, so that images which are harder than others do not part
/// candidates.
fn points_gained(report: &AutopilotReport, point: &AutopilotPoint) -> f64 {
    let measured = point.measured.as_ref().and_then(|measured| measured.fraction.percent());
    match measured.zip(report.float_measured.fraction.percent()) {
        Some((own, float)) => own - float,
        None => -point.drop_points,
    }
}

fn chart(report: &AutopilotReport) -> Chart {
    let groups = ["tried", "front", "front, measured"].into_iter().zip([Role::Neutral, Role::Int8, Role::Edited]);
    let group = |point: &AutopilotPoint| match (&point.measured, point.on_front) {
        (Some(_), _) => 2,
        (None, true) => 1,
        (None, false) => 0,
    };
    let points = report.points.iter().filter(|point| best_known(point).fraction.total > 0).map(|point| {
        let share = best_known(point);
        let y = points_gained(report, point);
        let shifted = |bound: f64| y + 100.0 * (bound - share.fraction.accuracy.unwrap_or(bound));
        ScatterPoint {
            label: point.label.clone(),
            x: point.bytes as f64 / 1000.0,
            y,
            whisker: share.interval.map(|interval| (shifted(interval.low), shifted(interval.high))),
            group: group(point),
        }
    });
    Chart {
        title: "Size against accuracy".to_owned(),
        note: format!("{} candidates, 95 % intervals", report.points.len()),
        file_stem: "autopilot".to_owned(),
        plot: Plot::Scatter(Scatter {
            x: Axis::new("size", "KB").directed(Direction::LowerIsBetter),
            y: Axis::new("accuracy against the float model", "points").directed(Direction::HigherIsBetter),
            groups: groups
                .map(|(name, role)| ScatterGroup { name: name.to_owned(), role, joined: name.starts_with("front") })
                .collect(),
            points: points.collect(),
            x_limit: Some(report.target.max_bytes as f64 / 1000.0),
            y_limit: Some(-report.target.max_drop_points),
        }),
    }
}

/// "497 of 500".
fn count(share: &Share) -> String {
    format!("{} of {}", share.fraction.correct, share.fraction.total)
}

/// The candidates that matter: those on the front and measured first, then those that have seen most images.
fn candidates(report: &AutopilotReport) -> impl IntoView + use<> {
    let mut points: Vec<(usize, &AutopilotPoint)> = report.points.iter().enumerate().collect();
    points.sort_by_key(|(at, point)| {
        let rank = (point.measured.is_some(), point.on_front, point.selection.fraction.total);
        (std::cmp::Reverse(rank), *at)
    });
    let chosen = report.chosen.as_ref().map(|chosen| chosen.point);
    let row = |(at, point): (usize, &AutopilotPoint)| {
        let interval = |share: &Share| {
            share
                .interval
                .map_or(String::new(), |found| format!("{:.1} to {:.1} %", 100.0 * found.low, 100.0 * found.high))
        };
        let cells = [
            format!("{:.1} KB", point.bytes as f64 / 1000.0),
            count(&point.selection),
            interval(&point.selection),
            point.output_sqnr_db.map_or("exact".to_owned(), |sqnr_db| format!("{sqnr_db:.1} dB")),
            point.measured.as_ref().map_or(String::new(), count),
            point.measured.as_ref().map_or(String::new(), interval),
            if chosen == Some(at) {
                "chosen"
            } else if point.on_front {
                "front"
            } else {
                ""
            }
            .to_owned(),
        ];
        view! { <tr><td>{point.label.clone()}</td>{cells.into_iter().map(|cell| view! { <td class="mono">{cell}</td> }).collect_view()}</tr> }
    };
    let rows = points.into_iter().take(LISTED).map(row).collect_view();
    let heads = [
        "candidate",
        "size",
        "selection images",
        "95 % of selection",
        "output SQNR",
        "measured",
        "95 % of measured",
        "",
    ];
    let float = format!(
        "Float: {:.1} KB, {} of {} on {}; {} on {}.",
        report.float_bytes as f64 / 1000.0,
        report.float_selection.correct,
        report.float_selection.total,
        report.selected_on,
        match report.float_measured.fraction.total {
            0 => "not measured".to_owned(),
            _ => count(&report.float_measured),
        },
        report.measured_on
    );
    view! {
        <p class="hint">{float}</p>
        <div class="listed" tabindex="0" role="group" aria-label="Candidates, scrolled sideways"><table class="data" aria-label="Candidates">
            <thead><tr>{heads.into_iter().map(|head| view! { <th scope="col">{head}</th> }).collect_view()}</tr></thead>
            <tbody>{rows}</tbody>
        </table></div>
    }
}
