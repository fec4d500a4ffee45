//! Labelled fields of forms.

use leptos::prelude::*;

/// A value and what the user reads for it.
pub type Choices = Vec<(String, String)>;

/// A list to choose one of.
#[component]
pub fn Choice(
    /// Its accessible name, which stands beside it.
    label: &'static str,
    /// What there is to choose.
    #[prop(into)]
    choices: Signal<Choices>,
    /// The value that is chosen.
    #[prop(into)]
    value: Signal<String>,
    /// Hears what the user chooses.
    #[prop(into)]
    choose: Callback<String>,
) -> impl IntoView {
    // The list is made anew only when it changes: a form changes with every key.
    let value = Memo::new(move |_| value.get());
    let choices = Memo::new(move |_| choices.get());
    view! {
        <label class="labelled"><span>{label}</span>
            <select aria-label=label on:change=move |event| choose.run(event_target_value(&event))>
                {move || {
                    let current = value.get();
                    choices.get().into_iter().map(|(value, text)| {
                        let selected = value == current;
                        view! { <option value=value selected=selected>{text}</option> }
                    }).collect_view()
                }}
            </select>
        </label>
    }
}

/// A number, or nothing.
#[component]
pub fn NumberField(
    /// Its accessible name, which stands beside it.
    label: &'static str,
    /// What stands in it; empty for nothing.
    #[prop(into)]
    value: Signal<String>,
    /// What an empty field means.
    #[prop(default = "")]
    placeholder: &'static str,
    /// Hears what the user types; `None` where it is no number.
    #[prop(into)]
    choose: Callback<Option<f64>>,
) -> impl IntoView {
    // What is being typed stays while other fields change.
    let value = Memo::new(move |_| value.get());
    let number = |text: &str| text.trim().parse().ok().filter(|value: &f64| value.is_finite());
    let typed = move |event| {
        let text = event_target_value(&event);
        // A number that is still being written ("0.", "1e") is not one yet.
        if let Some(number) = number(&text).filter(|number| number.to_string() == text) {
            choose.run(Some(number));
        }
    };
    view! {
        <label class="labelled"><span>{label}</span>
            <input type="number" class="mono short" step="any" min="0" aria-label=label placeholder=placeholder prop:value=move || value.get()
                on:input=typed on:change=move |event| choose.run(number(&event_target_value(&event))) />
        </label>
    }
}

/// A text.
#[component]
pub fn TextField(
    /// Its accessible name, which stands beside it.
    label: &'static str,
    /// What stands in it.
    #[prop(into)]
    value: Signal<String>,
    /// What an empty field means.
    #[prop(default = "")]
    placeholder: &'static str,
    /// Hears what the user types.
    #[prop(into)]
    choose: Callback<String>,
) -> impl IntoView {
    view! {
        <label class="labelled"><span>{label}</span>
            <input type="text" class="mono words" aria-label=label placeholder=placeholder prop:value=move || value.get()
                on:input=move |event| choose.run(event_target_value(&event)) />
        </label>
    }
}

/// On or off.
#[component]
pub fn Check(
    /// Its accessible name, which stands beside it.
    label: &'static str,
    /// Whether it is on.
    #[prop(into)]
    value: Signal<bool>,
    /// Hears what the user chooses.
    #[prop(into)]
    choose: Callback<bool>,
) -> impl IntoView {
    view! {
        <label class="inline"><input type="checkbox" prop:checked=move || value.get() on:change=move |event| choose.run(event_target_checked(&event)) />{label}</label>
    }
}
