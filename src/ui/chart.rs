//! TEMPORARY stub.
use crate::chart::Chart;
use leptos::prelude::*;
/// stub
#[component]
pub fn ChartView(chart: Signal<Chart>, #[prop(optional)] height_px: f64, #[prop(optional)] on_brush: Option<Callback<(f64, f64)>>, #[prop(optional)] on_select: Option<Callback<usize>>) -> impl IntoView {
    let _ = (height_px, on_brush, on_select);
    view! { <p>{move || chart.get().summary()}</p> }
}
