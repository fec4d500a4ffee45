//! How an image becomes the models' input: read off the model, and editable.

use crate::ui::use_session;
use crate::worker::{Colour, Layout, ModelId, PixelRange, PreprocessEdits, Resize};
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
    // What is not set stays each model's own; the fields show it for the first model that takes images.
    let current = move || {
        let edits = session.preprocess.get().unwrap_or_default();
        read_off().map(|(preprocess, _)| edits.over(&preprocess))
    };
    let change = move |edit: &dyn Fn(&mut PreprocessEdits)| {
        session.preprocess.update(|edits| edit(edits.get_or_insert_default()))
    };
    // The models whose shape leaves open where the channels stand; the others keep theirs.
    let layout = move || {
        let edits = session.preprocess.get().unwrap_or_default();
        session.workspace.with(|workspace| {
            let mut read_off = workspace.models.iter().filter_map(|model| model.preprocess.as_ref());
            read_off.find(|(own, _)| own.either_layout).map(|(own, _)| edits.over(own).layout)
        })
    };
    let numbers =
        |text: String| -> Vec<f32> { text.split([',', ' ']).filter_map(|part| part.trim().parse().ok()).collect() };
    let listed = |values: &[f32]| values.iter().map(f32::to_string).collect::<Vec<_>>().join(", ");
    view! {
        <details class="preprocess">
            <summary>"Preprocessing" <small class="quiet">" "{move || match (session.preprocess.get(), read_off()) {
                (Some(edits), Some((own, reason))) => edits.sentence(&own, &reason),
                (None, Some((_, reason))) => reason,
                (_, None) => "no open model takes images".to_owned(),
            }}</small></summary>
            {move || current().map(|preprocess| view! {
                {layout().map(|layout| view! {
                    <Choice label="layout" choices=LAYOUTS value=layout
                        on_change=Callback::new(move |layout| change(&|edits| edits.layout = Some(layout))) />
                })}
                <Choice label="channel order" choices=COLOURS value=preprocess.colour
                    on_change=Callback::new(move |colour| change(&|edits| edits.colour = Some(colour))) />
                <Choice label="value range" choices=RANGES value=preprocess.range
                    on_change=Callback::new(move |range| change(&|edits| edits.range = Some(range))) />
                <Choice label="resize" choices=RESIZES value=preprocess.resize
                    on_change=Callback::new(move |resize| change(&|edits| edits.resize = Some(resize))) />
                <div class="field">
                    <label for="preprocess-mean">"mean"</label>
                    <input id="preprocess-mean" type="text" class="mono" placeholder="none" prop:value=listed(&preprocess.mean)
                        on:change=move |event| change(&|edits| edits.mean = Some(numbers(event_target_value(&event)))) />
                </div>
                <div class="field">
                    <label for="preprocess-std">"std"</label>
                    <input id="preprocess-std" type="text" class="mono" placeholder="none" prop:value=listed(&preprocess.std)
                        on:change=move |event| change(&|edits| edits.std = Some(numbers(event_target_value(&event)))) />
                </div>
            })}
            <button type="button" class="ghost" disabled=move || session.preprocess.with(Option::is_none)
                on:click=move |_| session.preprocess.set(None)>"As read off the model"</button>
        </details>
    }
}

/// How images become the input of some models, in words: one line where it is the same for all of them.
#[component]
pub fn PreprocessSentence(
    /// The models.
    #[prop(into)]
    models: Signal<Vec<ModelId>>,
) -> impl IntoView {
    let session = use_session();
    let lines = move || {
        let edits = session.preprocess.get();
        let mut lines: Vec<(Vec<String>, String)> = Vec::new();
        session.workspace.with(|workspace| {
            let wanted = models.get();
            for model in workspace.models.iter().filter(|model| wanted.contains(&model.id)) {
                let Some(found) = model.preprocessing(edits.as_ref()) else { continue };
                match lines.iter_mut().find(|(_, sentence)| *sentence == found.sentence) {
                    Some((names, _)) => names.push(model.name.clone()),
                    None => lines.push((vec![model.name.clone()], found.sentence)),
                }
            }
        });
        let alone = lines.len() == 1;
        let line = |(names, sentence): (Vec<String>, String)| match alone {
            true => format!("Images: {sentence}"),
            false => format!("Images for {}: {sentence}", names.join(", ")),
        };
        lines.into_iter().map(line).map(|line| view! { <p class="hint preprocessing">{line}</p> }).collect_view()
    };
    view! { {lines} }
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
