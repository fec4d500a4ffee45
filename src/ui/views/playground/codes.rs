//! The codes of a row: the type they are stored in, how many bits of it are used, narrow range.

use super::fields::{FieldProblem, NumberField, Slider, Switch, refused};
use crate::ui::session::playground::Field;
use crate::ui::use_session;
use crate::worker::{Change, DType, RowState};
use leptos::prelude::*;

/// Types that codes of 2 to 16 bits are stored in.
const TYPES: [DType; 6] = [DType::Int8, DType::Uint8, DType::Int16, DType::Uint16, DType::Int4, DType::Uint4];

/// The stored type.
#[component]
pub fn TypeField(
    /// The row.
    row: Memo<Option<RowState>>,
    /// Whether it cannot be edited.
    fixed: Memo<bool>,
) -> impl IntoView {
    let session = use_session();
    let dtype = Memo::new(move |_| row.with(|row| row.as_ref().map(|row| row.grid.params.dtype)));
    // A bias's int32 is shown, and cannot be chosen.
    let types = Memo::new(move |_| {
        let own = dtype.get().filter(|own| !TYPES.contains(own));
        own.into_iter().chain(TYPES).collect::<Vec<_>>()
    });
    let choose = move |name: String| {
        if let Some(dtype) = TYPES.into_iter().find(|dtype| dtype.name() == name) {
            session.edit(Change::Type(dtype));
        }
    };
    let error = refused(Field::Type);
    // A refused type leaves the row's as it was, and the field would stay as it was chosen.
    let select = NodeRef::<leptos::html::Select>::new();
    Effect::new(move |_| {
        session.playground.refusal.track();
        if let (Some(select), Some(dtype)) = (select.get(), dtype.get()) {
            types.track();
            select.set_value(dtype.name());
        }
    });
    let option = move |own: DType| {
        view! { <option value=own.name() selected=move || dtype.get() == Some(own)>{own.name()}</option> }
    };
    view! {
        <div class="field">
            <label for="edit-type">"Type"</label>
            <select id="edit-type" node_ref=select disabled=fixed title="What the codes are stored in; fewer bits than it has may be used"
                aria-describedby=move || error.with(Option::is_some).then_some("edit-type-problem")
                on:change=move |event| choose(event_target_value(&event))>
                {move || types.get().into_iter().map(option).collect_view()}
            </select>
        </div>
        <FieldProblem id="edit-type-problem".to_owned() error />
    }
}

/// Bits, from 2 to 16.
#[component]
pub fn BitsField(
    /// The row.
    row: Memo<Option<RowState>>,
    /// Whether they cannot be edited.
    fixed: Memo<bool>,
) -> impl IntoView {
    let session = use_session();
    let bits = Memo::new(move |_| row.with(|row| row.as_ref().map(|row| row.grid.bits)));
    let change = move |bits: u8| row.with_untracked(|row| row.as_ref().map(|row| codes(row, |codes| codes.0 = bits)));
    let commit = Callback::new(move |text: String| match text.parse::<u8>().ok().and_then(change) {
        Some(change) => session.edit(change),
        None => session.refuse(Field::Codes, format!("bits are a whole number from 2 to 16, not '{text}'")),
    });
    let step = Callback::new(move |steps: f64| {
        let next = bits.get_untracked().map(|bits| (f64::from(bits) + steps.signum()).clamp(0.0, 255.0) as u8);
        if let Some(change) = next.and_then(change) {
            session.edit(change);
        }
    });
    let moved = Callback::new(move |value: f64| {
        if let Some(change) = change(value as u8) {
            session.drag(change);
        }
    });
    view! {
        <NumberField label="Bits" id="edit-bits" field=Field::Codes disabled=fixed commit step
            text=Signal::derive(move || bits.get().map(|bits| bits.to_string()).unwrap_or_default())>
            <Slider label="Code width" bounds=Signal::stored((2.0, 16.0, 1.0)) value=Signal::derive(move || bits.get().map(f64::from)) disabled=fixed moved />
        </NumberField>
    }
}

/// Sign and narrow range; what is wrong with them stands under the bits, which they belong to.
#[component]
pub fn CodeSwitches(
    /// The row.
    row: Memo<Option<RowState>>,
    /// Whether they cannot be edited.
    fixed: Memo<bool>,
) -> impl IntoView {
    let session = use_session();
    let signed = Memo::new(move |_| row.with(|row| row.as_ref().is_some_and(|row| row.grid.signed())));
    let narrow = Memo::new(move |_| row.with(|row| row.as_ref().is_some_and(|row| row.grid.narrow_range)));
    let edit = move |set: &dyn Fn(&mut (u8, bool, bool))| {
        if let Some(change) = row.with_untracked(|row| row.as_ref().map(|row| codes(row, set))) {
            session.edit(change);
        }
    };
    view! {
        <Switch label="Signed" id="edit-signed" on=signed disabled=fixed changed=Callback::new(move |on| edit(&|codes| codes.1 = on)) />
        <Switch label="Narrow range" id="edit-narrow-range" on=narrow disabled=fixed changed=Callback::new(move |on| edit(&|codes| codes.2 = on)) />
    }
}

/// A change of bits, sign and narrow range that starts from the row's own.
fn codes(row: &RowState, set: impl Fn(&mut (u8, bool, bool))) -> Change {
    let mut codes = (row.grid.bits, row.grid.signed(), row.grid.narrow_range);
    set(&mut codes);
    let (bits, signed, narrow_range) = codes;
    Change::Codes { bits, signed, narrow_range }
}
