//! The tensor's histogram with the handles that clip it.

use super::describe;
use crate::chart::{Axis, Chart, Handle, Histogram, Plot, Role, Series};
use crate::ui::chart::{ChartView, kept_view};
use crate::ui::{format, roles, use_session};
use crate::worker::{BeforeAfter, Change, ErrorShare, RowMode, RowState, TensorKind, Version, Workspace};
use leptos::prelude::*;

const LOWER: &str = "lower";
const UPPER: &str = "upper";

/// The card with the picture.
#[component]
pub fn TensorHistogram() -> impl IntoView {
    let session = use_session();
    let playground = session.playground;
    let kept = kept_view("playground histogram", move || {
        Some(format!("{} {:?}", playground.tensor.get()?, playground.channel.get()))
    });
    let row = Memo::new(move |_| playground.row());
    let chart = Signal::derive(move || {
        session.workspace.with(|workspace| {
            let role = playground.model.get().map_or(Role::Neutral, |model| roles::role_of(workspace, model));
            playground.picture.with(|picture| match (picture, row.get()) {
                (Some(picture), Some(row)) => chart(workspace, picture, &row, role),
                _ => Chart::empty(),
            })
        })
    });
    let drawn = Memo::new(move |_| playground.picture_is_current() && chart.with(|chart| !chart.is_empty()));
    let no_values = move || playground.picture_is_current() && !drawn.get();
    let moved = Callback::new(move |(id, value): (String, f64)| {
        if let Some(change) = row.with_untracked(|row| {
            drag(row.as_ref()?, playground.channel.get_untracked(), untrack(|| playground.reach())?, &id, value)
        }) {
            session.drag(change);
        }
    });
    let shares = Memo::new(move |_| {
        playground.picture.with(|picture| picture.as_ref().map(|picture| (picture.clipped, picture.rounded)))
    });
    view! {
        <section class="card" aria-label="Tensor histogram">
            <header class="card-head">
                <h3>{move || row.with(|row| row.as_ref().map(|row| format!("{} distribution", title(row))))}</h3>
                <small>{move || chart.with(|chart| chart.note.clone())}</small>
            </header>
            <Show when=move || shares.with(Option::is_some)><Shares shares /></Show>
            <Show when=move || drawn.get()>
                <ChartView chart view=kept height_px=Signal::stored(240.0) bare=true on_handle=moved on_handle_end=Callback::new(move |()| session.end_gesture()) />
            </Show>
            <Show when=no_values>
                <p class="hint">"No values to draw yet: run an input (R), and this tensor's values stand here with the handles that clip them."</p>
            </Show>
        </section>
    }
}

fn title(row: &RowState) -> String {
    let kind = describe::kind(row.kind);
    let mut letters = kind.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// The change that a handle's new place means; `None` where it says nothing.
fn drag(row: &RowState, channel: Option<usize>, reach: (f64, f64), id: &str, value: f64) -> Option<Change> {
    // 0 stays inside of every range: padding and silence are exact zeros.
    let bound = if id == LOWER { value.min(0.0) } else { value.max(0.0) };
    // A symmetric range without a width, or an asymmetric one with none left, is no range.
    let other = if id == LOWER { reach.1 } else { reach.0 };
    let empty = bound == 0.0 && (describe::symmetric(&row.grid) || other == 0.0);
    if empty { None } else { describe::move_bound(row, channel, reach, id == UPPER, bound).ok() }
}

fn chart(workspace: &Workspace, picture: &BeforeAfter, row: &RowState, original: Role) -> Chart {
    let counts = |histogram: &crate::worker::Histogram| histogram.counts.iter().map(|&count| count as f64).collect();
    let before = picture.before_rounding.as_ref();
    let of = |version: Version| {
        let tensor = picture.tensors.iter().find(|tensor| tensor.version == version)?;
        tensor.histogram.as_ref()
    };
    let mut series = Vec::new();
    // What the handles cut: a constant's float values, an activation's values as they come in.
    let constant = matches!(row.kind, TensorKind::Weight | TensorKind::Bias | TensorKind::Constant);
    match before {
        Some(before) if constant => series.push(Series::new("float", Role::Float, counts(before))),
        Some(before) => series.push(Series::new("before rounding", Role::Neutral, counts(before))),
        None => {}
    }
    if !constant || before.is_none() {
        series.extend(of(Version::Float).map(|float| Series::new("float", Role::Float, counts(float))));
    }
    series.extend(of(Version::Original).map(|version| Series::new("original", original, counts(version))));
    let edited = picture.tensors.iter().find(|tensor| tensor.version == Version::Edited);
    let same = edited.is_some_and(|edited| of(Version::Original) == edited.histogram.as_ref());
    if !same {
        series.extend(of(Version::Edited).map(|version| Series::new("edited", Role::Edited, counts(version))));
    }
    let edges = before.or_else(|| of(Version::Float)).or_else(|| of(Version::Edited)).map(|all| all.edges.clone());
    let (low, high) = picture.reach;
    let handle =
        |id: &str, label: &str, x: f64| Handle { id: id.to_owned(), x, label: label.to_owned(), role: Role::Clip };
    let movable = row.enabled && !row.derived && row.mode == RowMode::Fixed;
    let handles =
        if movable { vec![handle(LOWER, "Lower clip", low), handle(UPPER, "Upper clip", high)] } else { Vec::new() };
    let reach = row.enabled.then_some(picture.reach);
    let values: usize = picture.shape.iter().product();
    let channel = picture.query.channel.map(|channel| format!(" · channel {channel}")).unwrap_or_default();
    let layer = row.layer.and_then(|layer| workspace.layers.get(layer)).map_or(&row.tensor, |layer| &layer.name);
    Chart {
        title: format!("{} of {layer}", describe::kind(row.kind)),
        note: format!("{} values{channel} · drag the handles to clip", format::grouped(values as u64)),
        file_stem: describe::stem("before-after", &row.tensor),
        plot: Plot::Histogram(Histogram {
            x: Axis::new("real value", ""),
            y: Axis::new("values", ""),
            edges: edges.unwrap_or_default(),
            series,
            clip: reach,
            rounded: reach,
            handles,
            ..Histogram::default()
        }),
    }
}

/// Clipped and rounded values with their share of the tensor's own error.
#[component]
fn Shares(
    /// Clipped and rounded.
    shares: Memo<Option<(ErrorShare, ErrorShare)>>,
) -> impl IntoView {
    let clipped = Signal::derive(move || shares.get().map_or_else(ErrorShare::default, |(clipped, _)| clipped));
    let rounded = Signal::derive(move || shares.get().map_or_else(ErrorShare::default, |(_, rounded)| rounded));
    let part = |class: &'static str, what: &'static str, share: Signal<ErrorShare>| {
        view! {
            <span><b class=format!("swatch is-{class}") aria-hidden="true"></b>" "{what}" "
                <b>{move || format::grouped(share.get().count as u64)}</b>
                {move || format!(" ({:.2} %)", share.get().share_of_values * 100.0)}
                {move || format!(" · {} of its error", format::percent(share.get().share_of_error))}</span>
        }
    };
    let bar = Memo::new(move |_| clipped.get().share_of_error + rounded.get().share_of_error > 0.0);
    view! {
        <div class="shares">
            {part("clip", "clipped", clipped)}
            {part("round", "rounded", rounded)}
            <Show when=move || bar.get()>
                <div class="ledger thin" aria-hidden="true">
                    <u class="is-clip" style:flex=move || clipped.get().share_of_error.to_string()></u>
                    <u class="is-round" style:flex=move || rounded.get().share_of_error.to_string()></u>
                </div>
            </Show>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::{Granularity, QuantParams};
    use crate::tensor::DType;
    use crate::worker::Grid;

    fn row(dtype: DType, zero_point: i32) -> RowState {
        let params =
            QuantParams { scale: vec![0.1], zero_point: vec![zero_point], dtype, granularity: Granularity::PerTensor };
        let grid = Grid { params, bits: 8, narrow_range: false };
        RowState {
            tensor: "w".into(),
            kind: TensorKind::Weight,
            layer: None,
            shape: None,
            original: grid.clone(),
            grid,
            enabled: true,
            mode: RowMode::Fixed,
            absorbed: None,
            channels: None,
            derived: false,
            float_is_original: None,
            dirty: false,
            reach: vec![(-12.8, 12.7)],
        }
    }

    #[test]
    fn a_symmetric_range_moves_on_both_sides() {
        let row = row(DType::Int8, 0);
        let range = |side: f32| Some(Change::Range { channel: None, low: -side, high: side });
        assert_eq!(drag(&row, None, (-12.8, 12.7), UPPER, 5.0), range(5.0));
        // 128 codes are below 0, 127 above: the lowest stands for -5.
        assert_eq!(drag(&row, None, (-12.8, 12.7), LOWER, -5.0), range(5.0 * 127.0 / 128.0));
        assert_eq!(drag(&row, None, (-12.8, 12.7), UPPER, 0.0), None);
        assert_eq!(drag(&row, None, (-12.8, 12.7), LOWER, 3.0), None, "beyond 0");
    }

    #[test]
    fn a_bound_of_the_wrong_sign_is_refused() {
        let row = row(DType::Int8, 0);
        let refused = describe::move_bound(&row, None, (-12.8, 12.7), false, 5.0).unwrap_err();
        assert!(refused.contains("0 or less, not 5"), "{refused}");
        assert!(describe::move_bound(&row, None, (-12.8, 12.7), true, -5.0).is_err());
        assert!(describe::move_bound(&row, None, (-12.8, 12.7), true, f64::NAN).is_err());
    }

    #[test]
    fn an_asymmetric_range_keeps_its_other_side_and_zero() {
        let row = row(DType::Uint8, 3);
        let change = drag(&row, Some(2), (-0.3, 25.2), UPPER, 9.0);
        assert_eq!(change, Some(Change::Range { channel: Some(2), low: -0.3, high: 9.0 }));
        let change = drag(&row, None, (-0.3, 25.2), LOWER, 4.0);
        assert_eq!(change, Some(Change::Range { channel: None, low: 0.0, high: 25.2 }));
    }
}
