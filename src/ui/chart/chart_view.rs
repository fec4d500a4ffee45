//! The chart component: heading, legend, tools, and the picture or its table.

use super::appearance::use_appearance;
use super::state::ChartState;
use super::surface::Surface;
use super::table_view::TableView;
use super::tools::{Legend, Tools};
use crate::chart::{Chart, View};
use leptos::prelude::*;

/// A chart as a region named by its title.
///
/// Hover reads values out; a drag zooms to its box (or selects a range, where `on_brush` is given and chosen, or with
/// Shift); a double click, Escape and 0 reset; Ctrl and the wheel zoom; arrows, Home and End step; + and - zoom; Enter
/// selects. Zoom, hidden series, the log axis and the table survive new data, and with `view` given also the component itself.
#[component]
pub fn ChartView(
    /// The numbers.
    #[prop(into)]
    chart: Signal<Chart>,
    /// Where zoom and toggles are kept; give one to keep them when the component goes away.
    #[prop(optional, into)]
    view: Option<RwSignal<View>>,
    /// Height of the picture, in CSS pixels; a ranges chart scrolls within it.
    #[prop(default = Signal::stored(208.0), into)]
    height_px: Signal<f64>,
    /// Without card, heading and region: for a chart inside another region.
    #[prop(optional)]
    bare: bool,
    /// A click or Enter on a bin, channel, row or position, by its index.
    #[prop(optional, into)]
    on_select: Option<Callback<usize>>,
    /// A range of x was selected: lower and upper end, in data units.
    #[prop(optional, into)]
    on_brush: Option<Callback<(f64, f64)>>,
    /// A handle was moved: its id and its new x, in data units, within the data.
    #[prop(optional, into)]
    on_handle: Option<Callback<(String, f64)>>,
    /// A handle was let go, by the pointer or the keyboard.
    #[prop(optional, into)]
    on_handle_end: Option<Callback<()>>,
    /// Controls between heading and legend.
    #[prop(optional)]
    children: Option<Children>,
) -> impl IntoView {
    let view = view.unwrap_or_default();
    // A caller may compute its chart at every look; here a dozen places look.
    let chart: Signal<Chart> = Memo::new(move |_| chart.get()).into();
    let theme = use_appearance().theme;
    let state = ChartState::new(chart, view, theme.into(), height_px, on_select, on_brush);
    let title = move || chart.with(|chart| chart.title.clone());
    let note = move || chart.with(|chart| chart.note.clone());
    let controls = children.map(|children| view! { <div class="chart-controls">{children()}</div> });
    let body = view! {
        {controls}
        <div class="chart-bar">
            <Legend state/>
            <Tools state/>
        </div>
        <Show when=move || view.with(|view| view.as_table) fallback=move || view! { <Surface state on_handle on_handle_end/> }>
            <TableView state/>
        </Show>
    };
    if bare {
        view! { <div class="chart">{body}</div> }.into_any()
    } else {
        view! {
            <section class="card chart" aria-label=title>
                <header class="card-head"><h3>{title}</h3><small>{note}</small></header>
                {body}
            </section>
        }
        .into_any()
    }
}
