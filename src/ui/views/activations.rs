//! What the last run left at the selected layer.

use super::Dot;
use super::playground::table::Name;
use crate::chart::tiles::{Ramp, Tile};
use crate::chart::{Axis, Chart, Histogram, Plot, Series};
use crate::ui::chart::{ChartView, TilesView, kept_view};
use crate::ui::turns::{Later, in_turn};
use crate::ui::{format, roles, use_session};
use crate::worker::{
    ActivationQuery, ActivationView, FeatureMap, FeatureMaps, LayerActivations, Reply, Request, VariantActivation,
    Workspace,
};
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
    let layer = Memo::new(move |_| {
        session
            .workspace
            .with(|workspace| session.selection.with(|selection| selection.layer_in(workspace).map(|(id, _)| id)))
    });
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
            Some(Request::Activation(ActivationQuery {
                layer,
                bins: 50,
                first_value: first_value.get(),
                first_map: first_map.get(),
                maps: MAPS_PER_PAGE,
                values: VALUES_PER_PAGE,
            }))
        },
        |reply, _| if let Reply::Activation(activations) = reply { Some(activations) } else { None },
    );
    let answer = activation.answer;
    // The statistics, the maps and the values of an answer are drawn one after another.
    let (statistics, maps, values) = (in_turn(answer), in_turn(answer), in_turn(answer));
    let shown = kept_view("activations", move || session.selection.with(|selection| selection.layer.clone()));
    let chart = Signal::derive(move || {
        session.workspace.with(|workspace| {
            answer.with(|answer| answer.as_ref().map_or_else(Chart::empty, |answer| chart(workspace, answer)))
        })
    });
    let channels = move || {
        answer.with(|answer| answer.iter().flat_map(|answer| &answer.variants).map(channel_count).max().unwrap_or(0))
    };
    let length = move || {
        answer.with(|answer| {
            answer.iter().flat_map(|answer| &answer.variants).map(|variant| variant.stats.count).max().unwrap_or(0)
        })
    };
    view! {
        <section class="card" aria-label="Activations">
            <header class="card-head"><h3>"Activations"</h3><small>{move || session.result.with(|result| result.as_ref().map(|result| result.input.clone()))}</small></header>
            <Show when=move || answer.with(|answer| answer.as_ref().is_none_or(|answer| answer.variants.is_empty()))>
                <p class="hint">"Run an input (R): this layer's output in every variant stands here."</p>
            </Show>
            <Show when=move || answer.with(|answer| answer.as_ref().is_some_and(|answer| !answer.variants.is_empty()))>
                <Later><ChartView chart view=shown height_px=Signal::stored(180.0) bare=true /></Later>
                {move || statistics.get().map(|answer| view! { <Statistics answer /> })}
                <Pager label="Feature maps" first=first_map per_page=MAPS_PER_PAGE count=Signal::derive(channels) />
                {move || maps.get().map(|answer| view! { <Maps answer /> })}
                <Pager label="Values" first=first_value per_page=VALUES_PER_PAGE count=Signal::derive(length) />
                {move || values.get().map(|answer| view! { <Values answer /> })}
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

/// The name of a variant's model.
fn named(workspace: &Workspace, variant: &VariantActivation) -> String {
    let model = workspace.models.iter().find(|model| model.id == variant.model);
    model.map_or_else(String::new, |model| model.name.clone())
}

/// A row of figures per variant.
#[component]
fn Statistics(
    /// The answer.
    answer: LayerActivations,
) -> impl IntoView {
    let session = use_session();
    let row = move |variant: &VariantActivation| {
        let name = session.workspace.with_untracked(|workspace| named(workspace, variant));
        let stats = variant.stats;
        let figure = |value: Option<f64>| value.map_or_else(|| "none".to_owned(), format::number);
        view! {
            <tr>
                <th scope="row"><Dot model=variant.model />" "{name}</th>
                <td class="value"><Name name=variant.value.clone() /></td>
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
        <div class="scroll-x figures-table" tabindex="0">
            <table class="data" aria-label="Activation statistics">
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
pub fn Pager(
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
            <button type="button" class="ghost" aria-label=format!("{label}: previous page") disabled=move || { first.get() == 0 }
                on:click=move |_| first.update(|first| *first = first.saturating_sub(per_page))>"‹"</button>
            <span class="hint">{move || format!("{} to {} of {}", format::grouped(first.get() as u64), format::grouped(last().saturating_sub(1) as u64), format::grouped(count.get() as u64))}</span>
            <button type="button" class="ghost" aria-label=format!("{label}: next page") disabled=move || { last() >= count.get() }
                on:click=move |_| first.update(|first| *first += per_page)>"›"</button>
        </div>
    }
}

/// A line of small pictures per variant, all on one colour range.
#[component]
fn Maps(
    /// The answer.
    answer: LayerActivations,
) -> impl IntoView {
    let session = use_session();
    let pages = answer.variants.iter().filter_map(|variant| match &variant.picture {
        Some(ActivationView::Maps(maps)) => Some((variant, maps)),
        _ => None,
    });
    let line = |(variant, maps): (&VariantActivation, &FeatureMaps)| {
        let name = session.workspace.with_untracked(|workspace| named(workspace, variant));
        let most = maps.maps.iter().map(|map| map.high).fold(0.0, f32::max);
        let tiles: Vec<Tile> = maps.maps.iter().map(|map| tile(map, maps)).collect();
        view! {
            <div class="mapline">
                <span><Dot model=variant.model />" "{name.clone()}" "<small class="hint">{format!("± {}", format::number(f64::from(most)))}</small></span>
                <TilesView tiles=Signal::stored(tiles) ramp=Signal::stored(Ramp::Diverging { most }) label=Signal::stored(format!("Feature maps of {name}")) />
            </div>
        }
    };
    view! { <div class="stack">{pages.map(line).collect_view()}</div> }
}

/// A channel as a tile. Intensity 128 stands for zero and 255 for `high`, see `analysis::Intensity::Diverging`.
fn tile(map: &FeatureMap, maps: &FeatureMaps) -> Tile {
    let range = |value: Option<f32>| value.map_or_else(|| "none".to_owned(), |value| format::number(f64::from(value)));
    Tile {
        label: format!("channel {}: {} … {}", map.channel, range(map.min), range(map.max)),
        width: maps.columns,
        height: maps.rows,
        values: map.pixels.iter().map(|&intensity| (f32::from(intensity) - 128.0) / 127.0 * map.high).collect(),
    }
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
    let header = answer
        .variants
        .iter()
        .map(|variant| {
            let name = session.workspace.with_untracked(|workspace| named(workspace, variant));
            view! { <th scope="col"><Dot model=variant.model />" "{name}</th> }
        })
        .collect_view();
    let rows =
        (0..count)
            .map(|position| {
                let cells = answer.variants.iter().map(|variant| {
            view! { <td class="mono">{variant.values.get(position).map(|value| format::number(*value))}</td> }
        }).collect_view();
                view! { <tr><th scope="row" class="mono">{first + position}</th>{cells}</tr> }
            })
            .collect_view();
    view! {
        <div class="scroll-x values" tabindex="0">
            <table class="data" aria-label="Values">
                <thead><tr><th scope="col">"index"</th>{header}</tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
}
