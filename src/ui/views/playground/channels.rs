//! The channels of a per-channel row: which one is edited, and what the others are.

use super::describe;
use super::fields::{FieldProblem, NumberInput, refused};
use super::table::Exports;
use crate::chart::{Axis, Channels, Chart, Plot, Role, Series};
use crate::export::{Table, TableError};
use crate::ui::chart::ChartView;
use crate::ui::session::playground::Field;
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
    // The field says the channel again, in its own form, where it is chosen again.
    let again = RwSignal::new(());
    let choose = move |chosen: Option<usize>| {
        session.accept(Field::Channel);
        channel.set(chosen.filter(|chosen| *chosen < count.get_untracked()));
        again.set(());
    };
    let step = move |steps: i64| choose(stepped(channel.get_untracked(), steps, count.get_untracked()));
    let typed = Callback::new(move |text: String| match typed(&text, count.get_untracked()) {
        Ok(chosen) => choose(chosen),
        Err(why) => session.refuse(Field::Channel, why),
    });
    let text = Signal::derive(move || {
        again.track();
        channel.get().map(|channel| channel.to_string()).unwrap_or_default()
    });
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
                <button type="button" class="icon" aria-label="Previous channel" on:click=move |_| step(-1)>"‹"</button>
                <NumberInput id="edit-channel" field=Field::Channel text placeholder=Signal::stored("all".to_owned()) disabled=Signal::stored(false)
                    described="edit-channel-problem".to_owned() commit=typed step=Callback::new(move |steps: f64| step(steps as i64)) />
                <button type="button" class="icon" aria-label="Next channel" on:click=move |_| step(1)>"›"</button>
                <span class="hint">{move || format!("of {}", count.get())}</span>
            </span>
        </div>
        <FieldProblem id="edit-channel-problem".to_owned() error=refused(Field::Channel) />
        <ChartView chart height_px=Signal::stored(120.0) bare=true on_select=Callback::new(move |index| choose(Some(index))) />
        <details class="channel-list"><summary>"All channels"</summary><ChannelTable row /></details>
    }
}

/// The channel that a text names; `None`: all of them. Anything else is refused, and the channel stays.
fn typed(text: &str, count: usize) -> Result<Option<usize>, String> {
    match text.trim() {
        "" | "all" => Ok(None),
        text => match text.parse::<usize>().ok().filter(|channel| *channel < count) {
            Some(channel) => Ok(Some(channel)),
            None => {
                Err(format!("a channel is a whole number from 0 to {}, or all, not '{text}'", count.saturating_sub(1)))
            }
        },
    }
}

/// So many channels on, around by way of all of them.
fn stepped(now: Option<usize>, steps: i64, count: usize) -> Option<usize> {
    let places = i64::try_from(count).unwrap_or(i64::MAX - 1) + 1;
    let place = now.and_then(|now| i64::try_from(now).ok()).map_or(0, |now| now + 1);
    usize::try_from((place + steps).rem_euclid(places) - 1).ok()
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
    let export = Callback::new(move |()| row.with_untracked(|row| row.as_ref().map(export_table)));
    view! {
        <div class="tools"><Exports title="Channels" stem="channels" export /></div>
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

/// Every channel, as edited and as in the file.
fn export_table(row: &RowState) -> Result<Table, TableError> {
    let headers = ["channel", "scale", "zero_point", "low", "high", "original_scale", "original_zero_point"];
    let (now, file) = (&row.grid.params, &row.original.params);
    // One scale of the file stands for all channels.
    let place_in_file = |place: usize| if file.scale.len() > 1 { place } else { 0 };
    let line = |place: usize| {
        let reach = row.reach.get(place);
        let number = |value: &f32| format::exact(*value).parse::<f64>().unwrap_or(f64::from(*value));
        let whole = |value: &i32| i64::from(*value);
        vec![
            place.into(),
            now.scale.get(place).map(number).into(),
            now.zero_point.get(place).map(whole).into(),
            reach.map(|(low, _)| number(low)).into(),
            reach.map(|(_, high)| number(high)).into(),
            file.scale.get(place_in_file(place)).map(number).into(),
            file.zero_point.get(place_in_file(place)).map(whole).into(),
        ]
    };
    Table::new(headers.map(str::to_owned).to_vec(), (0..now.scale.len()).map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_channel_is_refused() {
        assert_eq!(typed(" 3 ", 8), Ok(Some(3)));
        assert_eq!((typed("", 8), typed("all", 8)), (Ok(None), Ok(None)));
        for wrong in ["8", "-1", "1.5", "abc", "99999999999999999999"] {
            let refused = typed(wrong, 8).unwrap_err();
            assert!(refused.contains("0 to 7") && refused.contains(wrong), "{refused}");
        }
    }

    #[test]
    fn steps_go_around_by_way_of_all() {
        assert_eq!(stepped(None, 1, 3), Some(0));
        assert_eq!(stepped(Some(2), 1, 3), None);
        assert_eq!(stepped(Some(0), -1, 3), None);
        assert_eq!(stepped(None, -1, 3), Some(2));
        assert_eq!(stepped(Some(1), 10, 16), Some(11));
    }
}
