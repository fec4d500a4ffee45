//! The editor's fields: exact numbers, sliders and switches. What is refused stays in its field, with the reason below;
//! the model keeps its last valid state.

use crate::platform::KeyboardEvent;
use crate::ui::session::playground::Field;
use crate::ui::use_session;
use leptos::prelude::*;

/// Why the last edit of a field was refused.
pub fn refused(field: Field) -> Signal<Option<String>> {
    let playground = use_session().playground;
    Signal::derive(move || {
        playground.tensor.with(|tensor| {
            playground.refusal.with(|refusal| {
                let refusal = refusal.as_ref().filter(|refusal| refusal.field == field)?;
                (Some(&refusal.tensor) == tensor.as_ref()).then(|| refusal.text.clone())
            })
        })
    })
}

/// A number with its label, its slider and its message.
#[component]
pub fn NumberField(
    /// The label.
    label: &'static str,
    /// The field's id in the page.
    id: &'static str,
    /// Where its refusals are explained.
    field: Field,
    /// What stands in it: the shortest text that reads back as the number.
    #[prop(into)]
    text: Signal<String>,
    /// What stands there in grey where there is no single number.
    #[prop(optional, into)]
    placeholder: Signal<String>,
    /// Whether it cannot be edited.
    #[prop(into)]
    disabled: Signal<bool>,
    /// Something was typed.
    commit: Callback<String>,
    /// An arrow key: 1 up, -1 down, 10 with Shift.
    step: Callback<f64>,
    /// A slider between label and field.
    #[prop(optional)]
    children: Option<Children>,
) -> impl IntoView {
    let error = refused(field);
    let problem = format!("{id}-problem");
    let described = problem.clone();
    view! {
        <div class="field">
            <label for=id>{label}</label>
            {children.map(|children| children())}
            <NumberInput id field text placeholder disabled described commit step />
        </div>
        <FieldProblem id=problem error />
    }
}

/// The field itself.
#[component]
pub fn NumberInput(
    /// Its id in the page.
    id: &'static str,
    /// Its name, where no label names it.
    #[prop(optional)]
    name: Option<&'static str>,
    /// Where its refusals are explained.
    field: Field,
    /// What stands in it.
    text: Signal<String>,
    /// What stands there in grey where there is no single number.
    #[prop(optional, into)]
    placeholder: Signal<String>,
    /// Whether it cannot be edited.
    disabled: Signal<bool>,
    /// The id of its message.
    described: String,
    /// Something else was typed.
    commit: Callback<String>,
    /// An arrow key: 1 up, -1 down, 10 with Shift.
    step: Callback<f64>,
) -> impl IntoView {
    let error = refused(field);
    let typed = RwSignal::new(String::new());
    Effect::new(move |_| typed.set(text.get()));
    // An edit that was taken back leaves the number as it was: what was typed gives way to it.
    let playground = use_session().playground;
    Effect::new(move |before: Option<u32>| {
        let now = playground.revision.get();
        if before.is_some_and(|before| before != now) {
            typed.set(text.get_untracked());
        }
        now
    });
    let on_key = move |event: KeyboardEvent| {
        let towards = match event.key().as_str() {
            "ArrowUp" => 1.0,
            "ArrowDown" => -1.0,
            "Escape" => {
                typed.set(text.get_untracked());
                playground.refusal.set(None);
                return event.stop_propagation();
            }
            _ => return,
        };
        event.prevent_default();
        step.run(towards * if event.shift_key() { 10.0 } else { 1.0 });
    };
    let on_change = move |event| {
        let text_now = event_target_value(&event).trim().to_owned();
        typed.set(text_now.clone());
        // What is there already is no edit; it takes a refusal back.
        if text.with_untracked(|text| *text == text_now) { playground.refusal.set(None) } else { commit.run(text_now) }
    };
    view! {
        <input id=id aria-label=name type="text" role="spinbutton" inputmode="decimal" autocomplete="off" spellcheck="false" class="mono" disabled=disabled placeholder=placeholder
            aria-valuenow=move || text.with(|text| text.parse::<f64>().ok()).unwrap_or(0.0)
            aria-valuetext=move || text.with(|text| if text.is_empty() { placeholder.get() } else { text.clone() })
            aria-invalid=move || error.with(|error| error.is_some().to_string())
            aria-describedby=move || error.with(Option::is_some).then(|| described.clone())
            prop:value=typed
            on:input=move |event| typed.set(event_target_value(&event))
            on:change=on_change
            on:keydown=on_key />
    }
}

/// The reason under a field.
#[component]
pub fn FieldProblem(
    /// Its id, for `aria-describedby`.
    id: String,
    /// The reason.
    error: Signal<Option<String>>,
) -> impl IntoView {
    view! { <p class="field-problem" id=id role="alert" hidden=move || error.with(Option::is_none)>{error}</p> }
}

/// A slider; all its steps until it is let go are one edit.
#[component]
pub fn Slider(
    /// Its name.
    label: &'static str,
    /// Least, most and step.
    #[prop(into)]
    bounds: Signal<(f64, f64, f64)>,
    /// Where it stands; `None` where there is no single number.
    #[prop(into)]
    value: Signal<Option<f64>>,
    /// Whether it cannot be moved.
    #[prop(into)]
    disabled: Signal<bool>,
    /// It was moved.
    moved: Callback<f64>,
) -> impl IntoView {
    let session = use_session();
    view! {
        <input type="range" aria-label=label min=move || bounds.get().0.to_string() max=move || bounds.get().1.to_string() step=move || bounds.get().2.to_string()
            prop:value=move || value.get().unwrap_or_else(|| bounds.get().0).to_string() disabled=move || disabled.get() || value.get().is_none()
            on:input=move |event| if let Ok(value) = event_target_value(&event).parse() { moved.run(value) }
            on:change=move |_| session.end_gesture() />
    }
}

/// A switch with its message.
#[component]
pub fn Switch(
    /// The label.
    label: &'static str,
    /// The field's id in the page.
    id: &'static str,
    /// Where its refusals are explained; `None`: another switch of the same field says it.
    #[prop(optional)]
    field: Option<Field>,
    /// Whether it is on.
    #[prop(into)]
    on: Signal<bool>,
    /// Whether it cannot be changed.
    #[prop(into)]
    disabled: Signal<bool>,
    /// The id of what says why it cannot be.
    #[prop(optional)]
    why: Option<&'static str>,
    /// It was changed.
    changed: Callback<bool>,
) -> impl IntoView {
    let playground = use_session().playground;
    let error = field.map(refused);
    let problem = format!("{id}-problem");
    let described = problem.clone();
    // A refused change leaves the signal as it was, and the box would stay as it was clicked.
    let input = NodeRef::<leptos::html::Input>::new();
    Effect::new(move |_| {
        playground.refusal.track();
        if let Some(input) = input.get() {
            input.set_checked(on.get());
        }
    });
    view! {
        <label class="check" for=id>
            <input id=id type="checkbox" node_ref=input prop:checked=on disabled=disabled
                aria-describedby=move || match error.is_some_and(|error| error.with(Option::is_some)) {
                    true => Some(described.clone()),
                    false => why.filter(|_| disabled.get()).map(str::to_owned),
                }
                on:change=move |event| changed.run(event_target_checked(&event)) />
            {label}
        </label>
        {error.map(|error| view! { <FieldProblem id=problem error /> })}
    }
}
