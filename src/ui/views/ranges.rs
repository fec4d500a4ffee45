//! Weight ranges: the whole model on one screen.

use crate::chart::{Axis, Chart, Plot, RangeColor, RangeRow, Ranges};
use crate::ui::chart::{ChartView, kept_view};
use crate::ui::{roles, use_session};
use crate::worker::{Reply, Request, Workspace};
use leptos::prelude::*;

/// Room for a row of bars.
const ROW_PX: f64 = 22.0;

/// A row per parameter, a bar per variant; a click selects.
#[component]
pub fn WeightRanges() -> impl IntoView {
    let session = use_session();
    let by_width = RwSignal::new(false);
    let ranges = session.query(
        move || session.workspace.with(|workspace| (!workspace.layers.is_empty()).then_some(Request::Ranges)),
        |reply, _| if let Reply::Ranges(rows) = reply { Some(rows) } else { None },
    );
    let chart = Signal::derive(move || {
        session.workspace.with(|workspace| {
            ranges.answer.with(|rows| {
                chart(
                    workspace,
                    rows.as_deref().unwrap_or_default(),
                    selected(session, workspace, rows.as_deref().unwrap_or_default()),
                    by_width.get(),
                )
            })
        })
    });
    // A row per parameter, as tall as it needs; a very deep network scrolls.
    let height = Signal::derive(move || {
        ranges.answer.with(|rows| (rows.as_ref().map_or(0, Vec::len) as f64 * ROW_PX + 44.0).clamp(120.0, 620.0))
    });
    let select = move |position: usize| {
        let target = session.workspace.with_untracked(|workspace| {
            let row =
                ranges.answer.with_untracked(|rows| rows.as_ref().and_then(|rows| rows.get(position).cloned()))?;
            let layer = workspace.layers.get(row.layer)?;
            Some((layer.name.clone(), layer.parameters.get(row.parameter)?.role.clone()))
        });
        if let Some((layer, parameter)) = target {
            session.select(&layer, Some(&parameter));
        }
    };
    let view = kept_view("weight ranges", || Some(String::new()));
    let option = move |width: bool, label: &'static str| {
        let on = move || by_width.get() == width;
        view! { <button type="button" aria-pressed=move || on().to_string() on:click=move |_| by_width.set(width)>{label}</button> }
    };
    view! {
        <section class="card" aria-label="Weight ranges">
            <header class="card-head"><h3>"Weight ranges"</h3><small>"min … max of real values · click a row to open its layer"</small></header>
            <div class="tools">
                <div class="seg" role="group" aria-label="Colour by">{option(false, "colour by variant")}{option(true, "by width")}</div>
            </div>
            <ChartView chart view height_px=height bare=true on_select=Callback::new(select) />
        </section>
    }
}

/// The row of the selected parameter, or of the selected layer's first.
fn selected(session: crate::ui::Session, workspace: &Workspace, rows: &[crate::worker::RangeRow]) -> Option<usize> {
    session.selection.with(|selection| {
        let (layer, row) = selection.layer_in(workspace)?;
        let parameter = selection.parameter_in(row)?;
        rows.iter().position(|range| range.layer == layer.row && range.parameter == parameter)
    })
}

fn chart(workspace: &Workspace, rows: &[crate::worker::RangeRow], selected: Option<usize>, by_width: bool) -> Chart {
    let colours = roles::of(workspace);
    let label = |row: &crate::worker::RangeRow| {
        let layer = workspace.layers.get(row.layer)?;
        let role = &layer.parameters.get(row.parameter)?.role;
        Some(if role == "weight" { layer.name.clone() } else { format!("{} {role}", layer.name) })
    };
    Chart {
        title: "Weight ranges".to_owned(),
        note: String::new(),
        file_stem: "weight-ranges".to_owned(),
        plot: Plot::Ranges(Ranges {
            x: Axis::new("real value", ""),
            series: workspace.models.iter().zip(&colours).map(|(model, role)| (model.name.clone(), *role)).collect(),
            rows: rows
                .iter()
                .map(|row| RangeRow { label: label(row).unwrap_or_default(), spans: row.ranges.clone() })
                .collect(),
            color: if by_width { RangeColor::ByWidth } else { RangeColor::BySeries },
            selected,
        }),
    }
}
