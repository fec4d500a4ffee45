//! The tensor's numbers, the three versions beside each other.

use super::describe;
use super::outcomes::VersionName;
use crate::ui::session::playground::VALUES_PER_PAGE;
use crate::ui::views::activations::Pager;
use crate::ui::{format, use_session};
use crate::worker::{Version, VersionTensor};
use leptos::prelude::*;

/// A page of values with their differences.
#[component]
pub fn Values() -> impl IntoView {
    let session = use_session();
    let playground = session.playground;
    let picture = playground.picture;
    let count = Signal::derive(move || {
        picture.with(|picture| picture.as_ref().map_or(0, |picture| picture.shape.iter().product()))
    });
    let open = RwSignal::new(false);
    view! {
        <details class="card" on:toggle=move |event| open.set(crate::platform::is_open(&event))>
            <summary>"Values and differences"</summary>
            <Show when=move || open.get()>
                <Errors />
                <Table />
                <Pager label="Values" first=playground.first_value per_page=VALUES_PER_PAGE count />
            </Show>
        </details>
    }
}

/// The error of each version against the float one.
#[component]
fn Errors() -> impl IntoView {
    let picture = use_session().playground.picture;
    let line = |tensor: &VersionTensor| {
        let error = tensor.error?;
        let figure = |value: Option<f64>| value.map_or_else(|| "none".to_owned(), format::number);
        Some(view! {
            <tr><th scope="row"><VersionName version=tensor.version /></th><td class="num">{describe::sqnr(&error)}</td>
                <td class="num mono">{figure(error.mse)}</td><td class="num mono">{figure(error.cosine)}</td><td class="num mono">{figure(error.max_abs)}</td></tr>
        })
    };
    let lines = move || {
        picture.with(|picture| picture.iter().flat_map(|picture| &picture.tensors).filter_map(line).collect_view())
    };
    view! {
        <div class="scroll-x" tabindex="0">
            <table class="data" aria-label="Error against float">
                <thead><tr><th scope="col">"against float"</th><th scope="col" class="num">"SQNR"</th><th scope="col" class="num">"MSE"</th><th scope="col" class="num">"cosine"</th><th scope="col" class="num">"max error"</th></tr></thead>
                <tbody>{lines}</tbody>
            </table>
        </div>
    }
}

/// Index, versions, differences.
#[component]
fn Table() -> impl IntoView {
    let picture = use_session().playground.picture;
    let body = move || {
        picture.with(|picture| {
            let Some(picture) = picture else { return Vec::new() };
            let values = |version: Version| {
                let tensor = picture.tensors.iter().find(|tensor| tensor.version == version);
                tensor.map(|tensor| &tensor.values[..]).unwrap_or_default()
            };
            let (float, original, edited) = (values(Version::Float), values(Version::Original), values(Version::Edited));
            let number = |value: Option<f64>| view! { <td class="num mono">{value.map(format::number)}</td> };
            let less = |one: &[f64], other: &[f64], place: usize| Some(one.get(place)? - other.get(place)?);
            let count = float.len().max(original.len()).max(edited.len());
            let row = |place: usize| {
                view! {
                    <tr><th scope="row" class="mono">{picture.query.first_value + place}</th>
                        {number(float.get(place).copied())}{number(original.get(place).copied())}{number(edited.get(place).copied())}
                        {number(less(edited, float, place))}{number(less(edited, original, place))}</tr>
                }
            };
            (0..count).map(row).collect::<Vec<_>>()
        })
    };
    view! {
        <div class="scroll-x values" tabindex="0">
            <table class="data" aria-label="Values before and after">
                <thead><tr><th scope="col">"index"</th><th scope="col" class="num"><VersionName version=Version::Float /></th><th scope="col" class="num"><VersionName version=Version::Original /></th>
                    <th scope="col" class="num"><VersionName version=Version::Edited /></th><th scope="col" class="num">"edited − float"</th><th scope="col" class="num">"edited − original"</th></tr></thead>
                <tbody>{body}</tbody>
            </table>
        </div>
    }
}
