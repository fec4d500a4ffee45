//! The quantization editor: one row of the table as sliders, exact fields and switches.

use super::channels::ChannelChoice;
use super::codes::{BitsField, CodeSwitches, TypeField};
use super::describe;
use super::fields::{FieldProblem, NumberField, NumberInput, Slider, Switch, refused};
use super::history::{HistoryButtons, HistoryList};
use super::rows::Rows;
use crate::ui::session::playground::Field;
use crate::ui::{format, use_session};
use crate::worker::{Change, RowMode, RowState, TensorKind};
use leptos::prelude::*;

/// The scale's slider goes this many halvings and doublings away from the file's scale.
const OCTAVES: f64 = 4.0;

/// Where it stands why a tensor has one scale.
const WHY_ONE_SCALE: &str = "edit-per-channel-why";

/// The region with everything that can be changed.
#[component]
pub fn Editor() -> impl IntoView {
    let session = use_session();
    let playground = session.playground;
    let row = Memo::new(move |_| playground.row());
    view! {
        <section class="card editor" aria-label="Quantization editor">
            <header class="card-head">
                <h3>"Quantization editor"</h3>
                <HistoryButtons />
            </header>
            <Rows />
            <Show when=move || row.with(Option::is_some)
                fallback=|| view! { <p class="hint">"Nothing of this layer is quantized. Choose another layer on the left."</p> }>
                <RowEditor row />
            </Show>
            <HistoryList />
            <Timing />
        </section>
    }
}

/// The fields of a row.
#[component]
fn RowEditor(
    /// The row.
    row: Memo<Option<RowState>>,
) -> impl IntoView {
    let session = use_session();
    let playground = session.playground;
    let channel = playground.channel;
    // What does not follow from the row's numbers changes seldom.
    let fixed = Memo::new(move |_| {
        row.with(|row| row.as_ref().is_none_or(|row| row.derived || row.mode == RowMode::Dynamic || !row.enabled))
    });
    let derived = Memo::new(move |_| row.with(|row| row.as_ref().is_some_and(|row| row.derived)));
    let dynamic = Memo::new(move |_| row.with(|row| row.as_ref().is_some_and(|row| row.mode == RowMode::Dynamic)));
    let dequantized =
        Memo::new(move |_| row.with(|row| row.as_ref().is_some_and(|row| row.float_is_original == Some(false))));
    let dirty = Memo::new(move |_| row.with(|row| row.as_ref().is_some_and(|row| row.dirty)));
    let enabled = Memo::new(move |_| row.with(|row| row.as_ref().is_some_and(|row| row.enabled)));
    let per_channel = Memo::new(move |_| {
        row.with(|row| {
            row.as_ref().is_some_and(|row| row.grid.params.granularity != crate::quant::Granularity::PerTensor)
        })
    });
    let may_per_channel = Memo::new(move |_| row.with(|row| row.as_ref().is_some_and(|row| row.channels.is_some())));
    let one_scale = Memo::new(move |_| !fixed.get() && !may_per_channel.get() && !per_channel.get());
    let why_one_scale = move || match row.with(|row| row.as_ref().map(|row| row.kind)) {
        Some(TensorKind::Activation) => {
            "One scale for all channels: ONNX Runtime's integer operators take one per activation, and a bias follows the one scale of its input. Weights can have one per channel."
        }
        _ => "One scale for the tensor: no operator that reads it has a channel axis for it.",
    };
    let symmetric = Memo::new(move |_| row.with(|row| row.as_ref().is_some_and(|row| describe::symmetric(&row.grid))));
    let facts = move || {
        row.with(|row| {
            row.as_ref().map(|row| {
                let shape = row.shape.as_deref().map(format::shape).unwrap_or_else(|| "shape unknown".to_owned());
                let (low, high) = row.grid.codes();
                (
                    describe::formula(row, channel.get()),
                    format!("{} · codes {low} … {high} · {shape}", row.grid.params.dtype),
                )
            })
        })
    };
    view! {
        <div class="switches">
            <Switch label="Quantized" id="edit-quantized" field=Field::Enabled on=enabled disabled=Signal::stored(false)
                changed=Callback::new(move |on| session.edit(Change::Enabled(on))) />
            <Show when=move || dirty.get()>
                <button type="button" class="small" on:click=move |_| session.edit(Change::Reset)>"Restore this tensor"</button>
            </Show>
        </div>
        <p class="formula">{move || facts().map(|(formula, _)| formula)}</p>
        <p class="hint">{move || facts().map(|(_, facts)| facts)}</p>
        <Show when=move || derived.get()>
            <p class="hint">"A bias takes its scale from its input's and its weight's: edit those, and it follows."</p>
        </Show>
        <Show when=move || dequantized.get()>
            <p class="hint">"Its float values are the integers dequantized: those behind them are not known."</p>
        </Show>
        <Show when=move || dynamic.get()>
            <p class="hint">"Scale and zero point are computed from the values in every run."</p>
        </Show>
        <Show when=move || per_channel.get()><ChannelChoice row /></Show>
        <ScaleField row fixed />
        <ZeroPointField row fixed />
        <TypeField row fixed />
        <BitsField row fixed />
        <RangeFields row fixed />
        <div class="switches">
            <CodeSwitches row fixed />
            <Switch label="Symmetric" id="edit-symmetric" field=Field::Symmetric on=symmetric disabled=fixed
                changed=Callback::new(move |on| session.edit(Change::Symmetric(on))) />
            <Switch label="Per channel" id="edit-per-channel" field=Field::PerChannel on=per_channel why=WHY_ONE_SCALE
                disabled=Signal::derive(move || fixed.get() || !may_per_channel.get())
                changed=Callback::new(move |on| {
                    channel.set(None);
                    session.edit(Change::PerChannel(on));
                }) />
        </div>
        <Show when=move || one_scale.get()><p class="hint" id=WHY_ONE_SCALE>{why_one_scale}</p></Show>
        <FieldProblem id="edit-row-problem".to_owned() error=refused(Field::Row) />
    }
}

/// The scale: a slider in octaves around the file's scale, and the exact number.
#[component]
fn ScaleField(row: Memo<Option<RowState>>, fixed: Memo<bool>) -> impl IntoView {
    let session = use_session();
    let channel = session.playground.channel;
    let scale = Memo::new(move |_| row.with(|row| describe::chosen(&row.as_ref()?.grid.params.scale, channel.get())));
    // Rounded per tensor in the file, per channel now, or the other way round: then the first scale stands for all.
    let original = Memo::new(move |_| {
        row.with(|row| {
            let scales = &row.as_ref()?.original.params.scale;
            describe::chosen(scales, channel.get()).or_else(|| scales.first().copied()).filter(|scale| *scale > 0.0)
        })
    });
    let placeholder = Signal::derive(move || {
        row.with(|row| row.as_ref().map(|row| describe::spread(&row.grid.params.scale)).unwrap_or_default())
    });
    let octaves = Signal::derive(move || {
        let octaves = (f64::from(scale.get()?) / f64::from(original.get()?)).log2();
        octaves.is_finite().then(|| octaves.clamp(-OCTAVES, OCTAVES))
    });
    let change = move |scale: f32| Change::Scale { channel: channel.get_untracked(), scale };
    let commit = Callback::new(move |text: String| match text.replace('−', "-").parse::<f32>() {
        Ok(scale) => session.edit(change(scale)),
        Err(_) => session.refuse(Field::Scale, format!("a scale is a number, not '{text}'")),
    });
    let step = Callback::new(move |steps: f64| {
        if let Some(scale) = scale.get_untracked() {
            session.edit(change(scale * 1.01f32.powf(steps as f32)));
        }
    });
    let moved = Callback::new(move |octaves: f64| {
        if let Some(original) = original.get_untracked() {
            session.drag(change((f64::from(original) * octaves.exp2()) as f32));
        }
    });
    view! {
        <NumberField label="Scale" id="edit-scale" field=Field::Scale placeholder disabled=fixed commit step
            text=Signal::derive(move || scale.get().map(format::exact).unwrap_or_default())>
            <Slider label="Step size" bounds=Signal::stored((-OCTAVES, OCTAVES, 0.01)) value=octaves disabled=fixed moved />
        </NumberField>
    }
}

/// The zero point.
#[component]
fn ZeroPointField(row: Memo<Option<RowState>>, fixed: Memo<bool>) -> impl IntoView {
    let session = use_session();
    let channel = session.playground.channel;
    let zero_point =
        Memo::new(move |_| row.with(|row| describe::chosen(&row.as_ref()?.grid.params.zero_point, channel.get())));
    let codes = Memo::new(move |_| row.with(|row| row.as_ref().map_or((0, 0), |row| row.grid.codes())));
    let change = move |zero_point: i32| Change::ZeroPoint { channel: channel.get_untracked(), zero_point };
    let commit = Callback::new(move |text: String| match text.replace('−', "-").parse::<i32>() {
        Ok(zero_point) => session.edit(change(zero_point)),
        Err(_) => session.refuse(Field::ZeroPoint, format!("a zero point is a whole number, not '{text}'")),
    });
    let step = Callback::new(move |steps: f64| {
        if let Some(zero_point) = zero_point.get_untracked() {
            session.edit(change(zero_point.saturating_add(steps as i32)));
        }
    });
    view! {
        <NumberField label="Zero point" id="edit-zero-point" field=Field::ZeroPoint placeholder=Signal::stored("several".to_owned()) disabled=fixed commit step
            text=Signal::derive(move || zero_point.get().map(|zero_point| zero_point.to_string()).unwrap_or_default())>
            <Slider label="Offset" disabled=fixed value=Signal::derive(move || zero_point.get().map(f64::from))
                bounds=Signal::derive(move || (f64::from(codes.get().0), f64::from(codes.get().1), 1.0))
                moved=Callback::new(move |value: f64| session.drag(change(value as i32))) />
        </NumberField>
    }
}

/// The bounds that the codes reach: the exact numbers of the handles on the histogram.
#[component]
fn RangeFields(row: Memo<Option<RowState>>, fixed: Memo<bool>) -> impl IntoView {
    let session = use_session();
    let playground = session.playground;
    let reach = Memo::new(move |_| playground.reach());
    let set = move |upper: bool, bound: f64| {
        let channel = playground.channel.get_untracked();
        let range = reach.get_untracked();
        let change = row.with_untracked(|row| Some(describe::move_bound(row.as_ref()?, channel, range?, upper, bound)));
        match change {
            Some(Ok(change)) => session.edit(change),
            Some(Err(why)) => session.refuse(Field::Range, why),
            None => {}
        }
    };
    let bound = move |upper: bool, id: &'static str, name: &'static str| {
        let now = move || reach.get().map(|(low, high)| if upper { high } else { low });
        let text = Signal::derive(move || now().map(format::number).unwrap_or_default());
        let commit = Callback::new(move |text: String| match text.replace('−', "-").parse::<f64>() {
            Ok(bound) => set(upper, bound),
            Err(_) => session.refuse(Field::Range, format!("a bound is a number, not '{text}'")),
        });
        let step = Callback::new(move |steps: f64| {
            if let (Some(bound), Some((low, high))) = (untrack(now), reach.get_untracked()) {
                set(upper, bound + steps * (high - low) / 100.0);
            }
        });
        let described = "edit-range-problem".to_owned();
        view! { <NumberInput id name field=Field::Range text disabled=fixed.into() described commit step /> }
    };
    view! {
        <div class="field range" role="group" aria-label="Range">
            <span class="muted">"Range"</span>
            {bound(false, "edit-range-low", "Least value")}
            {bound(true, "edit-range-high", "Largest value")}
        </div>
        <FieldProblem id="edit-range-problem".to_owned() error=refused(Field::Range) />
    }
}

/// What the last edit cost.
#[component]
fn Timing() -> impl IntoView {
    let pace = use_session().playground.pace;
    let words = move || {
        pace.get().map(|pace| {
            let nodes = describe::count(pace.nodes, "node");
            let (worker, pixels) = (format::duration(pace.worker_ms), format::duration(pace.pixels_ms));
            format!("{worker} in the worker, {nodes} computed again · {pixels} to pixels")
        })
    };
    // Figures for whoever measures the page: the words are rounded.
    view! {
        <p class="hint timing" data-edit=move || pace.get().map(|pace| pace.number.to_string())
            data-worker-ms=move || pace.get().map(|pace| pace.worker_ms.to_string())
            data-pixels-ms=move || pace.get().map(|pace| pace.pixels_ms.to_string())>{words}</p>
    }
}
