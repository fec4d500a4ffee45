//! The tensor's numbers, the three versions beside each other.

use super::describe;
use super::outcomes::VersionName;
use super::table::{ExportButtons, Exports};
use crate::export;
use crate::ui::session::playground::VALUES_PER_PAGE;
use crate::ui::views::activations::Pager;
use crate::ui::{format, use_session};
use crate::worker::{BeforeAfter, Version, VersionTensor};
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
    let export = Callback::new(move |()| picture.with_untracked(|picture| picture.as_ref().map(errors_table)));
    view! {
        <div class="tools"><Exports title="Error against float" stem="error-against-float" export /></div>
        <div class="scroll-x" tabindex="0">
            <table class="data" aria-label="Error against float">
                <thead><tr><th scope="col">"against float"</th><th scope="col" class="num">"SQNR"</th><th scope="col" class="num">"MSE"</th><th scope="col" class="num">"cosine"</th><th scope="col" class="num">"max error"</th></tr></thead>
                <tbody>{lines}</tbody>
            </table>
        </div>
    }
}

/// The errors of the tensor's versions.
fn errors_table(picture: &BeforeAfter) -> Result<export::Table, export::TableError> {
    let headers = ["tensor", "channel", "version", "values", "sqnr_db", "mse", "cosine", "max_error"];
    let line = |tensor: &VersionTensor| {
        let error = tensor.error?;
        let version = if tensor.version == Version::Original { "original" } else { "edited" };
        Some(vec![
            picture.query.tensor.as_str().into(),
            picture.query.channel.into(),
            version.into(),
            error.count.into(),
            describe::sqnr_db(&error).into(),
            error.mse.into(),
            error.cosine.into(),
            error.max_abs.into(),
        ])
    };
    export::Table::new(headers.map(str::to_owned).to_vec(), picture.tensors.iter().filter_map(line).collect())
}

/// Index, versions, differences.
#[component]
fn Table() -> impl IntoView {
    let session = use_session();
    let picture = session.playground.picture;
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
    // The page has some of the values only; the worker writes all of them.
    let save = Callback::new(move |format| session.export_values(format));
    view! {
        <div class="tools"><ExportButtons title="Values before and after" save /></div>
        <div class="scroll-x values" tabindex="0">
            <table class="data" aria-label="Values before and after">
                <thead><tr><th scope="col">"index"</th><th scope="col" class="num"><VersionName version=Version::Float /></th><th scope="col" class="num"><VersionName version=Version::Original /></th>
                    <th scope="col" class="num"><VersionName version=Version::Edited /></th><th scope="col" class="num">"edited − float"</th><th scope="col" class="num">"edited − original"</th></tr></thead>
                <tbody>{body}</tbody>
            </table>
        </div>
    }
}
