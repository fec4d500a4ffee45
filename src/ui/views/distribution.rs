//! Weight distribution: every variant on one bin grid.

use super::Dot;
use crate::chart::{Axis, Chart, Histogram, Plot, Series};
use crate::ui::chart::{ChartView, kept_view};
use crate::ui::turns::{Later, in_turn};
use crate::ui::{format, roles, use_session};
use crate::worker::{
    Distribution, DistributionQuery, DistributionSeries, ModelId, Reply, Request, ValueView, Workspace,
};
use leptos::prelude::*;

/// Bins at first, and their bounds.
const BINS: (usize, usize, usize) = (10, 50, 200);

/// The histograms of the selected parameter.
#[component]
pub fn WeightDistribution() -> impl IntoView {
    let session = use_session();
    let bins = RwSignal::new(BINS.1);
    let shown = RwSignal::new(ValueView::Real);
    let window = RwSignal::new(None::<(f64, f64)>);
    let parameter = Memo::new(move |_| {
        session.workspace.with(|workspace| {
            session.selection.with(|selection| {
                let (id, row) = selection.layer_in(workspace)?;
                Some((id, selection.parameter_in(row)?))
            })
        })
    });
    // A typed or brushed window belongs to one parameter's values.
    Effect::new(move |_| {
        parameter.track();
        shown.track();
        window.set(None);
    });
    let distribution = session.query(
        move || {
            let (layer, parameter) = parameter.get()?;
            let query = DistributionQuery {
                layer,
                parameter,
                bins: bins.get(),
                range: None,
                view: shown.get(),
                window: window.get(),
            };
            Some(Request::Distribution(query))
        },
        |reply, _| if let Reply::Distribution(distribution) = reply { Some(distribution) } else { None },
    );
    let role = move || {
        session.workspace.with(|workspace| {
            let (id, parameter) = parameter.get()?;
            Some(workspace.layers.get(id.row)?.parameters.get(parameter)?.role.clone())
        })
    };
    // Other values have another axis, so a zoom on these would mean nothing there.
    let view = kept_view("weight distribution", move || {
        let layer = session.selection.with(|selection| selection.layer.clone())?;
        Some(format!("{layer} {} {:?}", role()?, shown.get()))
    });
    let facts = in_turn(distribution.answer);
    let chart = Signal::derive(move || {
        session.workspace.with(|workspace| {
            distribution
                .answer
                .with(|answer| answer.as_ref().map(|answer| chart(workspace, answer, &role().unwrap_or_default())))
        })
    });
    let drawn = Memo::new(move |_| chart.with(Option::is_some));
    view! {
        <section class="card charted" aria-label="Weight distribution">
            <header class="card-head">
                <h3>"Weight distribution"{move || role().map(|role| view! { <span class="muted">" "{role}</span> })}</h3>
                <small>{move || chart.with(|chart| chart.as_ref().map(|chart| format!("{} · Shift and drag chooses a value range", chart.note)))}</small>
            </header>
            <div class="tools">
                <Values shown />
                <Bins bins />
                <ValueRange distribution=distribution.answer window />
            </div>
            {move || drawn.get().then(|| {
                let chart = Signal::derive(move || chart.get().unwrap_or_else(Chart::empty));
                let brushed = Callback::new(move |range: (f64, f64)| window.set(Some(range)));
                view! { <Later><ChartView chart view height_px=Signal::stored(220.0) bare=true on_brush=brushed /></Later> }
            })}
            {move || facts.get().map(|answer| view! { <Facts answer /> })}
        </section>
    }
}

/// The chart of an answer.
fn chart(workspace: &Workspace, answer: &Distribution, role: &str) -> Chart {
    let colours = roles::of(workspace);
    let unit = match answer.query.view {
        ValueView::Real => "real value",
        ValueView::Stored => "stored integer",
    };
    let series = answer.series.iter().map(|series| {
        let (name, role) = roles::name_and_role(workspace, &colours, series.model);
        Series::new(name, role, series.histogram.counts.iter().map(|&count| count as f64).collect())
    });
    let count = answer.series.first().map_or(0, |series| series.stats.count);
    let layer = session_layer_name(workspace, answer.query.layer.row);
    Chart {
        title: format!("Weight distribution {layer} {role}"),
        note: format!("{} values · {} bins", format::grouped(count as u64), answer.query.bins),
        file_stem: format!("weight-distribution-{}-{role}", layer.replace(['/', ':'], "_")),
        plot: Plot::Histogram(Histogram {
            x: Axis::new(unit, ""),
            y: Axis::new("values", ""),
            edges: answer.series.first().map(|series| series.histogram.edges.clone()).unwrap_or_default(),
            series: series.collect(),
            shaded: Some(answer.window),
            ..Histogram::default()
        }),
    }
}

fn session_layer_name(workspace: &Workspace, row: usize) -> String {
    workspace.layers.get(row).map(|layer| layer.name.clone()).unwrap_or_default()
}

/// Real values or stored integers.
#[component]
fn Values(
    /// Which are shown.
    shown: RwSignal<ValueView>,
) -> impl IntoView {
    let option = move |view: ValueView, label: &'static str| {
        let on = move || shown.get() == view;
        view! { <button type="button" aria-pressed=move || on().to_string() on:click=move |_| shown.set(view)>{label}</button> }
    };
    view! {
        <div class="seg" role="group" aria-label="Values">
            {option(ValueView::Real, "dequantized")}
            {option(ValueView::Stored, "stored integers")}
        </div>
    }
}

/// Number of bins, by slider or typed.
#[component]
fn Bins(
    /// The number.
    bins: RwSignal<usize>,
) -> impl IntoView {
    let set = move |text: String| {
        if let Ok(count) = text.parse::<usize>() {
            bins.set(count.clamp(BINS.0, BINS.2));
        }
    };
    view! {
        <label class="inline">"bins"
            <input type="range" min=BINS.0.to_string() max=BINS.2.to_string() prop:value=move || bins.get().to_string()
                aria-label="Bins" on:input=move |event| set(event_target_value(&event)) />
        </label>
        <input type="number" class="mono short" min=BINS.0.to_string() max=BINS.2.to_string() prop:value=move || bins.get().to_string()
            aria-label="Number of bins" on:change=move |event| set(event_target_value(&event)) />
    }
}

/// The value range that is counted, typed; a drag on the chart sets it too.
#[component]
fn ValueRange(
    /// The newest answer, which knows the default range.
    distribution: ReadSignal<Option<Distribution>>,
    /// The range the user has set.
    window: RwSignal<Option<(f64, f64)>>,
) -> impl IntoView {
    let current = move || distribution.with(|answer| answer.as_ref().map(|answer| answer.window)).unwrap_or((0.0, 0.0));
    let set = move |low: Option<f64>, high: Option<f64>| {
        let (old_low, old_high) = current();
        let (low, high) = (low.unwrap_or(old_low), high.unwrap_or(old_high));
        if low.is_finite() && high.is_finite() && low <= high {
            window.set(Some((low, high)));
        }
    };
    view! {
        <label class="inline">"range from"
            <input type="text" inputmode="decimal" class="mono short" aria-label="Range from" prop:value=move || format::number(current().0)
                on:change=move |event| set(event_target_value(&event).trim().parse().ok(), None) />
        </label>
        <label class="inline">"to"
            <input type="text" inputmode="decimal" class="mono short" aria-label="Range to" prop:value=move || format::number(current().1)
                on:change=move |event| set(None, event_target_value(&event).trim().parse().ok()) />
        </label>
        <button type="button" class="ghost" disabled=move || window.with(Option::is_none) on:click=move |_| window.set(None)>"mean ± std"</button>
    }
}

/// Statistics and the count inside the range, a row per variant.
#[component]
fn Facts(
    /// The answer.
    answer: Distribution,
) -> impl IntoView {
    let session = use_session();
    let model_name = move |model: ModelId| {
        session.workspace.with_untracked(|workspace| {
            let model = workspace.models.iter().find(|open| open.id == model);
            model.map(|model| model.name.clone())
        })
    };
    let row = move |series: &DistributionSeries| {
        let name = model_name(series.model).unwrap_or_default();
        let DistributionSeries { stats, inside, dtype, shape, .. } = series;
        let figure = |value: Option<f64>| value.map_or_else(|| "none".to_owned(), format::number);
        view! {
            <tr>
                <th scope="row"><Dot model=series.model />" "{name}</th>
                <td>{dtype.to_string()}</td>
                <td>{format::shape(shape)}</td>
                <td class="mono">{format::grouped(stats.count as u64)}</td>
                <td class="mono">{figure(stats.min)}</td>
                <td class="mono">{figure(stats.max)}</td>
                <td class="mono">{figure(stats.mean)}</td>
                <td class="mono">{figure(stats.std)}</td>
                <td class="mono">{format!("{} ({})", format::grouped(inside.count as u64), format::percent(inside.percent / 100.0))}</td>
            </tr>
        }
    };
    let (low, high) = answer.window;
    view! {
        <div class="scroll-x figures-table" tabindex="0">
            <table class="data" aria-label="Weight statistics">
                <thead><tr>
                    <th scope="col">"variant"</th><th scope="col">"dtype"</th><th scope="col">"shape"</th><th scope="col">"count"</th>
                    <th scope="col">"min"</th><th scope="col">"max"</th><th scope="col">"mean"</th><th scope="col">"std"</th>
                    <th scope="col" title=format!("in {} … {}", format::number(low), format::number(high))>"in range"</th>
                </tr></thead>
                <tbody>{answer.series.iter().map(row).collect_view()}</tbody>
            </table>
        </div>
        {answer.absent.iter().map(|line| view! { <p class="hint">{line.clone()}</p> }).collect_view()}
    }
}
