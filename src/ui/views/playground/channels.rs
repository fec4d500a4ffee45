//! The channels of a per-channel row: which one is edited, and what the others are.

use super::describe;
use crate::chart::{Axis, Channels, Chart, Plot, Role, Series};
use crate::platform::HtmlInputElement;
use crate::ui::chart::ChartView;
use crate::ui::views::activations::Pager;
use crate::ui::{format, roles, use_session};
use crate::worker::RowState;
use leptos::prelude::*;

/// Channels listed on a page.
const PER_PAGE: usize = 16;

/// Which channel is edited: by number, on the chart, or in the table.
#[component]
pub fn ChannelChoice(
    /// The row.
    row: Memo<Option<RowState>>,
) -> impl IntoView {
    let session = use_session();
    let channel = session.playground.channel;
    let count = Memo::new(move |_| row.with(|row| row.as_ref().map_or(0, |row| row.grid.params.scale.len())));
    let choose = move |chosen: Option<usize>| channel.set(chosen.filter(|chosen| *chosen < count.get_untracked()));
    let step = move |back: bool| {
        choose(match (channel.get_untracked(), back) {
            (None, true) => count.get_untracked().checked_sub(1),
            (None, false) => Some(0),
            (Some(now), true) => now.checked_sub(1),
            (Some(now), false) => Some(now + 1),
        });
    };
    let typed = move |text: String| choose(text.trim().parse().ok());
    let chart = Signal::derive(move || {
        let role = session.workspace.with(|workspace| {
            session.playground.model.get().map_or(Role::Neutral, |model| roles::role_of(workspace, model))
        });
        row.with(|row| row.as_ref().map_or_else(Chart::empty, |row| chart(row, channel.get(), role)))
    });
    view! {
        <div class="field">
            <label for="edit-channel">"Channel"</label>
            <span class="stepper">
                <button type="button" class="icon" aria-label="Previous channel" on:click=move |_| step(true)>"‹"</button>
                <input id="edit-channel" type="text" inputmode="numeric" class="mono" placeholder="all" prop:value=move || channel.get().map(|channel| channel.to_string()).unwrap_or_default()
                    on:change=move |event| {
                        typed(event_target_value(&event));
                        // What is no channel means all of them, and the field says so.
                        let input: HtmlInputElement = event_target(&event);
                        input.set_value(&channel.get_untracked().map(|channel| channel.to_string()).unwrap_or_default());
                    } />
                <button type="button" class="icon" aria-label="Next channel" on:click=move |_| step(false)>"›"</button>
                <span class="hint">{move || format!("of {}", count.get())}</span>
            </span>
        </div>
        <ChartView chart height_px=Signal::stored(120.0) bare=true on_select=Callback::new(move |index| choose(Some(index))) />
        <details class="channel-list"><summary>"All channels"</summary><ChannelTable row /></details>
    }
}

/// Scales as bars, the file's beside the edited.
fn chart(row: &RowState, channel: Option<usize>, role: Role) -> Chart {
    let values = |scales: &[f32]| scales.iter().map(|scale| f64::from(*scale)).collect::<Vec<_>>();
    let mut series = Vec::new();
    if row.original.params.scale.len() == row.grid.params.scale.len() {
        series.push(Series::new("original", role, values(&row.original.params.scale)));
    }
    if row.dirty || series.is_empty() {
        series.push(Series::new("edited", Role::Edited, values(&row.grid.params.scale)));
    }
    Chart {
        title: format!("Scales of {}", row.tensor),
        note: String::new(),
        file_stem: describe::stem("scales", &row.tensor),
        plot: Plot::Channels(Channels {
            x: Axis::new("channel", ""),
            y: Axis::new("scale", ""),
            series,
            highlighted: channel,
            ..Channels::default()
        }),
    }
}

/// A page of channels; a click chooses one.
#[component]
fn ChannelTable(row: Memo<Option<RowState>>) -> impl IntoView {
    let session = use_session();
    let channel = session.playground.channel;
    let first = RwSignal::new(0);
    let count = Signal::derive(move || row.with(|row| row.as_ref().map_or(0, |row| row.grid.params.scale.len())));
    Effect::new(move |_| {
        count.track();
        first.set(0);
    });
    let lines = move || {
        let first = first.get();
        row.with(|row| {
            let Some(row) = row else { return Vec::new() };
            let params = &row.grid.params;
            let line = |place: usize| {
                let scale = params.scale.get(place).copied().map(format::exact).unwrap_or_default();
                let zero_point = params.zero_point.get(place).map(i32::to_string).unwrap_or_default();
                let reach = row.reach.get(place).map(|(low, high)| {
                    format!("{} … {}", format::number(f64::from(*low)), format::number(f64::from(*high)))
                });
                let was = row.original.params.scale.get(place);
                (place, scale, zero_point, reach.unwrap_or_default(), was.is_some() && was != params.scale.get(place))
            };
            (first..(first + PER_PAGE).min(params.scale.len())).map(line).collect::<Vec<_>>()
        })
    };
    view! {
        <table class="data" aria-label="Channels">
            <thead><tr><th scope="col">"channel"</th><th scope="col" class="num">"scale"</th><th scope="col" class="num">"zero"</th><th scope="col" class="num">"range"</th></tr></thead>
            <tbody>{move || lines().into_iter().map(|(place, scale, zero_point, reach, edited)| view! {
                <tr class="link" aria-selected=move || (channel.get() == Some(place)).to_string() on:click=move |_| channel.set(Some(place))>
                    <th scope="row"><button type="button" class="ghost small" on:click=move |_| channel.set(Some(place))>{place}</button>{edited.then(|| view! { <b class="edit">"●"</b> })}</th>
                    <td class="num mono">{scale}</td><td class="num mono">{zero_point}</td><td class="num">{reach}</td>
                </tr>
            }).collect_view()}</tbody>
        </table>
        <Pager label="Channels" first per_page=PER_PAGE count />
    }
}
