//! The scale of every channel, where a tensor has more than one.

use crate::chart::{Axis, ChannelMarks, Channels, Chart, Plot, Series};
use crate::ui::chart::ChartView;
use crate::ui::{roles, use_session};
use crate::worker::{Reply, Request};
use leptos::prelude::*;

/// Charts of per-channel scales and zero points; nothing where every tensor has one scale.
#[component]
pub fn ChannelCharts() -> impl IntoView {
    let session = use_session();
    let inspection = session.query(
        move || {
            let layer = session.workspace.with(|workspace| {
                session.selection.with(|selection| selection.layer_in(workspace).map(|(id, _)| id))
            })?;
            Some(Request::Inspect(layer))
        },
        |reply, _| if let Reply::Inspection(inspection) = reply { Some(inspection) } else { None },
    );
    let charts = Memo::new(move |_| {
        session.workspace.with(|workspace| {
            let inspection = inspection.answer.get()?;
            let colours = roles::of(workspace);
            let mut charts = Vec::new();
            for member in &inspection.members {
                let (name, role) = roles::name_and_role(workspace, &colours, member.model);
                for (tensor, params) in member
                    .quantization
                    .iter()
                    .filter_map(|tensor| Some((tensor, tensor.fixed().filter(|params| params.scale.len() > 1)?)))
                {
                    let stem = format!("{name}-{}", tensor.value).replace(['/', ':'], "_");
                    let mut add = |what: &str, marks: ChannelMarks, values: Vec<f64>| {
                        charts.push(Chart {
                            title: format!("{what} per channel, {} of {name}", tensor.value),
                            note: format!("{} channels", values.len()),
                            file_stem: format!("{}-{stem}", what.replace(' ', "-")),
                            plot: Plot::Channels(Channels {
                                x: Axis::new("channel", ""),
                                y: Axis::new(what, ""),
                                highlighted: widest(&values),
                                series: vec![Series::new(name.clone(), role, values)],
                                marks,
                                ..Channels::default()
                            }),
                        });
                    };
                    add("scale", ChannelMarks::Bars, params.scale.iter().map(|&scale| f64::from(scale)).collect());
                    if params.zero_point.iter().any(|&zero_point| Some(&zero_point) != params.zero_point.first()) {
                        add(
                            "zero point",
                            ChannelMarks::Dots,
                            params.zero_point.iter().map(|&zero_point| f64::from(zero_point)).collect(),
                        );
                    }
                }
            }
            Some(charts)
        })
    });
    view! {
        <div class="two">
            <For each=move || charts.get().unwrap_or_default() key=|chart| chart.title.clone() let:chart>
                <ChartView chart=Signal::stored(chart) height_px=Signal::stored(140.0) />
            </For>
        </div>
    }
}

/// The channel with the largest value: it is the one that sets the range.
fn widest(values: &[f64]) -> Option<usize> {
    (0..values.len()).reduce(|best, next| if values[next] > values[best] { next } else { best })
}
