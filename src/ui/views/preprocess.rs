//! How an image becomes the models' input: read off the model, and editable.

use crate::ui::use_session;
use crate::worker::{Colour, Layout, PixelRange, Preprocess, Resize};
use leptos::prelude::*;

/// Choices of a field with their labels.
type Choices<T> = &'static [(T, &'static str)];

const LAYOUTS: Choices<Layout> = &[(Layout::Nhwc, "NHWC, channels last"), (Layout::Nchw, "NCHW, channels first")];
const COLOURS: Choices<Colour> = &[(Colour::Rgb, "RGB"), (Colour::Bgr, "BGR"), (Colour::Gray, "gray")];
const RANGES: Choices<PixelRange> =
    &[(PixelRange::Raw255, "0 … 255, raw"), (PixelRange::Unit, "0 … 1"), (PixelRange::SignedUnit, "−1 … 1")];
const RESIZES: Choices<Resize> =
    &[(Resize::None, "none"), (Resize::Stretch, "stretch"), (Resize::Crop { shorter_px: None }, "crop the middle")];

/// The fields, folded away until they are wanted: most models tell what they need.
#[component]
pub fn PreprocessEditor() -> impl IntoView {
    let session = use_session();
    let read_off =
        move || session.workspace.with(|workspace| workspace.models.iter().find_map(|model| model.preprocess.clone()));
    let current = move || session.preprocess.get().or_else(|| read_off().map(|(preprocess, _)| preprocess));
    let change = move |edit: &dyn Fn(&mut Preprocess)| {
        if let Some(mut preprocess) = current() {
            edit(&mut preprocess);
            session.preprocess.set(Some(preprocess));
        }
    };
    let numbers =
        |text: String| -> Vec<f32> { text.split([',', ' ']).filter_map(|part| part.trim().parse().ok()).collect() };
    let listed = |values: &[f32]| values.iter().map(f32::to_string).collect::<Vec<_>>().join(", ");
    view! {
        <details class="preprocess">
            <summary>"Preprocessing" <small class="quiet">" "{move || match (session.preprocess.get(), read_off()) {
                (Some(_), _) => "set by hand".to_owned(),
                (None, Some((_, reason))) => reason,
                (None, None) => "no open model takes images".to_owned(),
            }}</small></summary>
            {move || current().map(|preprocess| view! {
                <Choice label="layout" choices=LAYOUTS value=preprocess.layout
                    on_change=Callback::new(move |layout| change(&|preprocess| preprocess.layout = layout)) />
                <Choice label="channel order" choices=COLOURS value=preprocess.colour
                    on_change=Callback::new(move |colour| change(&|preprocess| preprocess.colour = colour)) />
                <Choice label="value range" choices=RANGES value=preprocess.range
                    on_change=Callback::new(move |range| change(&|preprocess| preprocess.range = range)) />
                <Choice label="resize" choices=RESIZES value=preprocess.resize
                    on_change=Callback::new(move |resize| change(&|preprocess| preprocess.resize = resize)) />
                <div class="field">
                    <label for="preprocess-mean">"mean"</label>
                    <input id="preprocess-mean" type="text" class="mono" placeholder="none" prop:value=listed(&preprocess.mean)
                        on:change=move |event| change(&|preprocess| preprocess.mean = numbers(event_target_value(&event))) />
                </div>
                <div class="field">
                    <label for="preprocess-std">"std"</label>
                    <input id="preprocess-std" type="text" class="mono" placeholder="none" prop:value=listed(&preprocess.std)
                        on:change=move |event| change(&|preprocess| preprocess.std = numbers(event_target_value(&event))) />
                </div>
            })}
            <button type="button" class="ghost" disabled=move || session.preprocess.with(Option::is_none)
                on:click=move |_| session.preprocess.set(None)>"As read off the model"</button>
        </details>
    }
}

/// A select over a few values.
#[component]
fn Choice<T: Copy + PartialEq + Send + Sync + 'static>(
    /// What is chosen.
    label: &'static str,
    /// The values with their labels.
    choices: Choices<T>,
    /// The value now; one that is not among the choices is shown as the first.
    value: T,
    /// Gets the chosen value.
    on_change: Callback<T>,
) -> impl IntoView {
    let id = format!("preprocess-{}", label.replace(' ', "-"));
    view! {
        <div class="field">
            <label for=id.clone()>{label}</label>
            <select id=id on:change=move |event| {
                let chosen = event_target_value(&event);
                if let Some((value, _)) = choices.iter().find(|(_, label)| *label == chosen) {
                    on_change.run(*value);
                }
            }>
                {choices.iter().map(|(choice, label)| view! { <option value=*label selected=*choice == value>{*label}</option> }).collect_view()}
            </select>
        </div>
    }
}
