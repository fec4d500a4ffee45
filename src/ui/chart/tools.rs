//! Legend, toggles and exports of a chart.

use super::state::{ChartState, DragTool};
use crate::chart::scene::{content_height_px, figure};
use crate::chart::table::{csv, table};
use crate::chart::{Chart, HistogramLayout, Plot, View, Viewport, svg};
use crate::platform::canvas::download_png;
use crate::platform::download::{download, file_name};
use leptos::ev;
use leptos::prelude::*;

/// Pixels per CSS pixel of an exported PNG: sharp in print at the size it has on the page.
const PNG_RATIO: f64 = 3.0;

/// Buttons that show and hide the series.
#[component]
pub fn Legend(
    /// The chart.
    state: ChartState,
) -> impl IntoView {
    let entries = Memo::new(move |_| {
        state
            .chart
            .with(|chart| chart.legend().into_iter().map(|(name, role)| (name.to_owned(), role)).collect::<Vec<_>>())
    });
    let buttons = move || {
        let entries = entries.get();
        let alone = entries.len() < 2;
        let button = move |(name, role): (String, crate::chart::Role)| {
            let (pressed, toggled) = (name.clone(), name.clone());
            view! {
                <button
                    type="button"
                    class="legend"
                    disabled=alone
                    aria-pressed=move || if state.view.with(|view| view.shows(&pressed)) { "true" } else { "false" }
                    on:click=move |_| state.view.update(|view| view.toggle(&toggled))
                >
                    <b class="swatch" style:background=role.css_variable()></b>
                    {name}
                </button>
            }
        };
        entries.into_iter().map(button).collect_view()
    };
    view! { <div class="leg" role="group" aria-label="Series">{buttons}</div> }
}

/// Toggles and the export menu.
#[component]
pub fn Tools(
    /// The chart.
    state: ChartState,
) -> impl IntoView {
    let pressed = |on: bool| if on { "true" } else { "false" };
    let allows_log = Memo::new(move |_| state.chart.with(Chart::allows_log_y));
    let many = Memo::new(move |_| {
        state.chart.with(|chart| matches!(&chart.plot, Plot::Histogram(histogram) if histogram.series.len() > 1))
    });
    let layouts = [
        (HistogramLayout::Overlaid, "Overlaid"),
        (HistogramLayout::Grouped, "Grouped"),
        (HistogramLayout::Strips, "Strips"),
    ];
    let layout_buttons = move || {
        layouts
            .map(|(layout, name)| {
                view! {
                    <button
                        type="button"
                        aria-pressed=move || pressed(state.view.with(|view| view.layout == layout))
                        on:click=move |_| state.view.update(|view| view.layout = layout)
                    >{name}</button>
                }
            })
            .collect_view()
    };
    let drag_button = move |tool: DragTool, name: &'static str| {
        view! {
            <button
                type="button"
                aria-pressed=move || pressed(state.tool.get() == tool)
                on:click=move |_| state.tool.set(tool)
            >{name}</button>
        }
    };
    view! {
        <div class="chart-tools" role="group" aria-label="Chart tools">
            <Show when=move || state.view.with(View::is_zoomed)>
                <button type="button" class="small" on:click=move |_| state.reset_zoom()>"Reset zoom"</button>
            </Show>
            <Show when=move || state.has_brush()>
                <span class="seg" role="group" aria-label="A drag">
                    {drag_button(DragTool::Zoom, "Zoom")}
                    {drag_button(DragTool::Brush, "Select range")}
                </span>
            </Show>
            <Show when=move || many.get()>
                <span class="seg" role="group" aria-label="Layout">{layout_buttons}</span>
            </Show>
            <Show when=move || allows_log.get()>
                <button
                    type="button"
                    class="small toggle"
                    aria-pressed=move || pressed(state.view.with(|view| view.log_y))
                    on:click=move |_| state.view.update(|view| { view.log_y = !view.log_y; view.y_range = None; })
                >"Log"</button>
            </Show>
            <button
                type="button"
                class="small toggle"
                aria-pressed=move || pressed(state.view.with(|view| view.as_table))
                on:click=move |_| state.view.update(|view| view.as_table = !view.as_table)
            >"Table"</button>
            <ExportMenu state/>
        </div>
    }
}

#[derive(Clone, Copy)]
enum Format {
    Png,
    Svg,
    Csv,
}

#[component]
fn ExportMenu(state: ChartState) -> impl IntoView {
    let open = RwSignal::new(false);
    let problem = RwSignal::new(None::<String>);
    let item = move |format: Format, name: &'static str| {
        view! {
            <button
                type="button"
                on:click=move |_| {
                    open.set(false);
                    export(state, format, problem);
                }
            >{name}</button>
        }
    };
    let close = move |event: ev::KeyboardEvent| {
        if event.key() == "Escape" && open.get_untracked() {
            event.stop_propagation();
            open.set(false);
        }
    };
    view! {
        <span class="menu" on:keydown=close>
            <button
                type="button"
                class="small"
                aria-expanded=move || if open.get() { "true" } else { "false" }
                on:click=move |_| open.update(|open| *open = !*open)
            >"Export chart"</button>
            <Show when=move || open.get()>
                <span class="menu-items" role="group" aria-label="Format">
                    {item(Format::Png, "PNG picture")}
                    {item(Format::Svg, "SVG drawing")}
                    {item(Format::Csv, "CSV data")}
                </span>
            </Show>
        </span>
        // What Ctrl+Shift+E and Ctrl+Alt+E press on the chart that has the focus, or on the first one.
        <button type="button" hidden data-export="png" on:click=move |_| export(state, Format::Png, problem)></button>
        <button type="button" hidden data-export="svg" on:click=move |_| export(state, Format::Svg, problem)></button>
        {move || problem.get().map(|problem| view! { <span class="chart-problem" role="alert">{problem}</span> })}
    }
}

/// Makes the file and offers it; what fails is said beside the button.
fn export(state: ChartState, format: Format, problem: RwSignal<Option<String>>) {
    problem.set(None);
    let chart = state.chart.get_untracked();
    let viewport = state.viewport_untracked();
    // The figure has every row, whatever part is scrolled into sight.
    let height_px = content_height_px(&chart, &viewport.view, viewport.height_px);
    let viewport = Viewport { height_px, scroll_px: 0.0, ..viewport };
    let scene = figure(&chart, &viewport, &state.theme.get_untracked());
    let name = |extension: &str| file_name(&chart.file_stem, extension);
    let report = move |error: String| problem.set(Some(error));
    match format {
        Format::Png => {
            let name = name("png");
            leptos::task::spawn_local(async move {
                if let Err(error) = download_png(&scene, PNG_RATIO, &name).await {
                    report(error.to_string());
                }
            });
        }
        Format::Svg => {
            let document = svg::svg(&scene, &chart.summary());
            if let Err(error) = download(&name("svg"), "image/svg+xml", document.as_bytes()) {
                report(error.to_string());
            }
        }
        Format::Csv => match csv(&table(&chart)) {
            Ok(bytes) => {
                if let Err(error) = download(&name("csv"), "text/csv;charset=utf-8", &bytes) {
                    report(error.to_string());
                }
            }
            Err(error) => report(error.to_string()),
        },
    }
}
