//! What the last run left at the selected layer.

use crate::chart::{Axis, Chart, Histogram, Plot, Series};
use crate::platform;
use crate::ui::chart::ChartView;
use crate::ui::{format, roles, use_session};
use crate::worker::{ActivationQuery, ActivationView, FeatureMap, FeatureMaps, LayerActivations, Reply, Request, VariantActivation, Workspace};
use leptos::prelude::*;

/// Values listed on a page.
const VALUES_PER_PAGE: usize = 64;
/// Feature maps on a page.
const MAPS_PER_PAGE: usize = 16;

/// Histogram, statistics, feature maps and values, side by side for every variant.
#[component]
pub fn Activations() -> impl IntoView {
    let session = use_session();
    let first_value = RwSignal::new(0);
    let first_map = RwSignal::new(0);
    let layer = Memo::new(move |_| session.workspace.with(|workspace| session.selection.with(|selection| selection.layer_in(workspace).map(|(id, _)| id))));
    Effect::new(move |_| {
        layer.track();
        first_value.set(0);
        first_map.set(0);
    });
    let activation = session.query(
        move || {
            session.run_revision.track();
            let layer = layer.get()?;
            session.result.with(Option::is_some).then_some(())?;
            Some(Request::Activation(ActivationQuery { layer, bins: 50, first_value: first_value.get(), first_map: first_map.get(), maps: MAPS_PER_PAGE, values: VALUES_PER_PAGE }))
        },
        |reply, _| if let Reply::Activation(activations) = reply { Some(activations) } else { None },
    );
    let answer = activation.answer;
    let chart = Signal::derive(move || {
        session.workspace.with(|workspace| answer.with(|answer| answer.as_ref().map_or_else(Chart::empty, |answer| chart(workspace, answer))))
    });
    let channels = move || answer.with(|answer| answer.iter().flat_map(|answer| &answer.variants).map(channel_count).max().unwrap_or(0));
    let length = move || answer.with(|answer| answer.iter().flat_map(|answer| &answer.variants).map(|variant| variant.stats.count).max().unwrap_or(0));
    view! {
        <section class="card" aria-label="Activations">
            <h3>"Activations" <small>{move || session.result.with(|result| result.as_ref().map(|result| result.input.clone()))}</small></h3>
            <Show when=move || answer.with(|answer| answer.as_ref().is_none_or(|answer| answer.variants.is_empty()))>
                <p class="empty">"Run an input: this layer's output in every variant stands here."
                    " "<button type="button" class="ghost" on:click=move |_| session.run()>"Run now"</button>
                </p>
            </Show>
            <Show when=move || answer.with(|answer| answer.as_ref().is_some_and(|answer| !answer.variants.is_empty()))>
                <ChartView chart height_px=180.0 />
                {move || answer.get().map(|answer| view! { <Statistics answer /> })}
                <Pager label="Feature maps" first=first_map per_page=MAPS_PER_PAGE count=Signal::derive(channels) />
                {move || answer.get().map(|answer| view! { <Maps answer /> })}
                <Pager label="Values" first=first_value per_page=VALUES_PER_PAGE count=Signal::derive(length) />
                {move || answer.get().map(|answer| view! { <Values answer /> })}
            </Show>
        </section>
    }
}

fn channel_count(variant: &VariantActivation) -> usize {
    match &variant.picture {
        Some(ActivationView::Maps(maps)) => maps.channel_count,
        _ => 0,
    }
}

fn chart(workspace: &Workspace, answer: &LayerActivations) -> Chart {
    let colours = roles::of(workspace);
    let layer = workspace.layers.get(answer.query.layer.row).map(|layer| layer.name.clone()).unwrap_or_default();
    let edges = answer.variants.iter().find_map(|variant| Some(variant.histogram.as_ref()?.edges.clone()));
    let series = answer.variants.iter().filter_map(|variant| {
        let (name, role) = roles::name_and_role(workspace, &colours, variant.model);
        Some(Series::new(name, role, variant.histogram.as_ref()?.counts.iter().map(|&count| count as f64).collect()))
    });
    Chart {
        title: format!("Activations {layer}"),
        note: String::new(),
        file_stem: format!("activations-{}", layer.replace(['/', ':'], "_")),
        plot: Plot::Histogram(Histogram {
            x: Axis::new("real value", ""),
            y: Axis::new("values", ""),
            edges: edges.unwrap_or_default(),
            series: series.collect(),
            ..Histogram::default()
        }),
    }
}

/// The name and the colour class of a variant.
fn named(workspace: &Workspace, variant: &VariantActivation) -> (String, &'static str) {
    let model = workspace.models.iter().find(|model| model.id == variant.model);
    model.map_or((String::new(), "other"), |model| (model.name.clone(), format::variant_class(model.variant)))
}

/// A row of figures per variant.
#[component]
fn Statistics(
    /// The answer.
    answer: LayerActivations,
) -> impl IntoView {
    let session = use_session();
    let row = move |variant: &VariantActivation| {
        let (name, class) = session.workspace.with_untracked(|workspace| named(workspace, variant));
        let stats = variant.stats;
        let figure = |value: Option<f64>| value.map_or_else(|| "none".to_owned(), format::number);
        view! {
            <tr>
                <th scope="row"><span class=format!("dot {class}")></span>" "{name}</th>
                <td class="value">{variant.value.clone()}</td>
                <td>{variant.dtype.to_string()}</td>
                <td>{format::shape(&variant.shape)}</td>
                <td class="mono">{figure(stats.min)}</td>
                <td class="mono">{figure(stats.max)}</td>
                <td class="mono">{figure(stats.mean)}</td>
                <td class="mono">{figure(stats.std)}</td>
                <td class="mono">{format::percent(stats.zero_share().unwrap_or(0.0))}</td>
            </tr>
        }
    };
    view! {
        <div class="scroll" tabindex="0">
            <table aria-label="Activation statistics">
                <thead><tr>
                    <th scope="col">"variant"</th><th scope="col">"value"</th><th scope="col">"dtype"</th><th scope="col">"shape"</th><th scope="col">"min"</th>
                    <th scope="col">"max"</th><th scope="col">"mean"</th><th scope="col">"std"</th><th scope="col">"zeros"</th>
                </tr></thead>
                <tbody>{answer.variants.iter().map(row).collect_view()}</tbody>
            </table>
        </div>
    }
}

/// Steps through pages; nothing where everything fits on one.
#[component]
fn Pager(
    /// What is paged.
    label: &'static str,
    /// The first item shown.
    first: RwSignal<usize>,
    /// Items on a page.
    per_page: usize,
    /// Items in all.
    count: Signal<usize>,
) -> impl IntoView {
    let last = move || (first.get() + per_page).min(count.get());
    view! {
        <div class="pager" role="group" aria-label=label class:hidden=move || count.get() == 0>
            <b>{label}</b>
            <button type="button" class="ghost" aria-label=format!("{label}: previous page") disabled=move || first.get() == 0
                on:click=move |_| first.update(|first| *first = first.saturating_sub(per_page))>"‹"</button>
            <span class="quiet">{move || format!("{} to {} of {}", format::grouped(first.get() as u64), format::grouped(last().saturating_sub(1) as u64), format::grouped(count.get() as u64))}</span>
            <button type="button" class="ghost" aria-label=format!("{label}: next page") disabled=move || last() >= count.get()
                on:click=move |_| first.update(|first| *first += per_page)>"›"</button>
        </div>
    }
}

/// A line of small pictures per variant.
#[component]
fn Maps(
    /// The answer.
    answer: LayerActivations,
) -> impl IntoView {
    let session = use_session();
    let line = move |variant: &VariantActivation| {
        let Some(ActivationView::Maps(maps)) = variant.picture.clone() else { return ().into_any() };
        let (name, class) = session.workspace.with_untracked(|workspace| named(workspace, variant));
        let FeatureMaps { rows, columns, maps, .. } = maps;
        let scale = maps.first().map(|map| format!("{} … {}", format::number(f64::from(map.low)), format::number(f64::from(map.high))));
        let map = |map: FeatureMap| view! { <Map map rows columns /> };
        view! {
            <div class="mapline" role="group" aria-label=format!("Feature maps of {}", name)>
                <span class="mapname"><span class=format!("dot {class}")></span>" "{name.clone()}" "<small class="quiet">{scale}</small></span>
                <div class="maps">{maps.into_iter().map(map).collect_view()}</div>
            </div>
        }.into_any()
    };
    view! { <div class="maplines">{answer.variants.iter().map(line).collect_view()}</div> }
}

/// One channel: blue below zero, vermilion above, as dark as it is large.
#[component]
fn Map(
    /// The channel.
    map: FeatureMap,
    /// Its rows.
    rows: usize,
    /// Its columns.
    columns: usize,
) -> impl IntoView {
    let canvas = NodeRef::<leptos::html::Canvas>::new();
    let range = |value: Option<f32>| value.map_or_else(|| "none".to_owned(), |value| format::number(f64::from(value)));
    let title = format!("channel {}: {} … {}", map.channel, range(map.min), range(map.max));
    Effect::new(move |_| {
        if let Some(canvas) = canvas.get() {
            let pixels: Vec<u8> = map.pixels.iter().flat_map(|&intensity| diverging_rgba(intensity)).collect();
            // A map that cannot be painted stays empty; its numbers stand in its title and in the values below.
            let _ = platform::paint_rgba(&canvas, columns as u32, rows as u32, &pixels);
        }
    });
    view! { <canvas class="map" node_ref=canvas role="img" aria-label=title.clone() title=title></canvas> }
}

/// The numbers themselves, an index and a column per variant.
#[component]
fn Values(
    /// The answer.
    answer: LayerActivations,
) -> impl IntoView {
    let session = use_session();
    let first = answer.query.first_value;
    let count = answer.variants.iter().map(|variant| variant.values.len()).max().unwrap_or(0);
    let header = answer.variants.iter().map(|variant| {
        let (name, class) = session.workspace.with_untracked(|workspace| named(workspace, variant));
        view! { <th scope="col"><span class=format!("dot {class}")></span>" "{name}</th> }
    }).collect_view();
    let rows = (0..count).map(|position| {
        let cells = answer.variants.iter().map(|variant| {
            view! { <td class="mono">{variant.values.get(position).map(|value| format::number(*value))}</td> }
        }).collect_view();
        view! { <tr><th scope="row" class="mono">{first + position}</th>{cells}</tr> }
    }).collect_view();
    view! {
        <div class="scroll values" tabindex="0">
            <table aria-label="Values">
                <thead><tr><th scope="col">"index"</th>{header}</tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
}
