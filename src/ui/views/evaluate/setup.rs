//! What is evaluated, and on what.

use crate::export::Thresholds;
use crate::ui::use_session;
use crate::ui::views::Dot;
use crate::ui::views::controls::{Choice, Choices};
use crate::ui::views::preprocess::PreprocessSentence;
use crate::worker::{ModelId, ModelSummary, SourceKind, Variant};
use leptos::prelude::*;

/// Models, data set, number of images, thresholds, and the button.
#[component]
pub fn Setup(
    /// When a figure is flagged.
    thresholds: RwSignal<Thresholds>,
) -> impl IntoView {
    let session = use_session();
    let left_out = RwSignal::new(Vec::<(ModelId, bool)>::new());
    let baseline = RwSignal::new(None::<(ModelId, bool)>);
    let source = RwSignal::new(None::<u32>);
    let limit = session.evaluation_images;
    let models = move || session.workspace.with(|workspace| workspace.models.clone());
    let sources = move || {
        session.workspace.with(|workspace| {
            let sets = workspace.sources.iter().filter(|source| source.kind == SourceKind::Dataset && source.labelled);
            sets.cloned().collect::<Vec<_>>()
        })
    };
    // The one chosen, else one that is for testing, else the largest.
    let chosen_source = move || {
        let sources = sources();
        let named = sources.iter().find(|open| Some(open.id) == source.get());
        let test = sources.iter().find(|open| open.name.contains("test"));
        named.or(test).or_else(|| sources.iter().max_by_key(|open| open.count)).cloned()
    };
    let runs = |model: &ModelSummary| model.unsupported.is_empty() && model.issues.is_empty();
    // Each model as in its file and, where it is edited, with its edits.
    let versions = move || {
        session.playground.edits.with(|edits| {
            let both = |model: ModelSummary| {
                let edited = edits.contains_key(&model.id).then(|| (model.clone(), true));
                std::iter::once((model, false)).chain(edited)
            };
            models().into_iter().flat_map(both).collect::<Vec<_>>()
        })
    };
    let chosen = move || {
        let out = left_out.get();
        let able = versions().into_iter().filter(|(model, _)| runs(model)).map(|(model, edited)| (model.id, edited));
        able.filter(|version| !out.contains(version)).collect::<Vec<_>>()
    };
    // The one chosen, else the first float model, else the first.
    let compared_with = move || {
        let chosen = chosen();
        let models = models();
        let is_float = |id: ModelId| models.iter().any(|model| model.id == id && model.variant == Variant::Float);
        let wanted = chosen.iter().find(|version| Some(**version) == baseline.get());
        let float = || chosen.iter().find(|(id, edited)| !edited && is_float(*id));
        wanted.or_else(float).or(chosen.first()).copied()
    };
    let start = move |_| {
        let Some(source) = chosen_source() else { return };
        let first = compared_with();
        let others = chosen().into_iter().filter(|version| Some(*version) != first);
        session.evaluate(&first.into_iter().chain(others).collect::<Vec<_>>(), source.id, limit.get());
    };
    let key = |(id, edited): (ModelId, bool)| format!("{id} {edited}");
    let baselines: Signal<Choices> = Signal::derive(move || {
        let chosen = chosen();
        let versions = versions().into_iter().filter(|(model, edited)| chosen.contains(&(model.id, *edited)));
        let name =
            |model: &ModelSummary, edited| if edited { format!("{} (edited)", model.name) } else { model.name.clone() };
        versions.map(|(model, edited)| (key((model.id, edited)), name(&model, edited))).collect()
    });
    let choose_baseline =
        move |wanted: String| baseline.set(chosen().into_iter().find(|version| key(*version) == wanted));
    let toggle = move |id: (ModelId, bool)| {
        left_out.update(|out| match out.iter().position(|known| *known == id) {
            Some(position) => {
                out.remove(position);
            }
            None => out.push(id),
        });
    };
    let number = |text: String| text.trim().parse::<f64>().ok().filter(|value| value.is_finite());
    view! {
        <fieldset class="choices">
            <legend>"models"</legend>
            {move || versions().into_iter().map(|(model, edited)| {
                let id = (model.id, edited);
                let able = runs(&model);
                let name = if edited { format!("{} (edited)", model.name) } else { model.name };
                view! {
                    <label class="inline">
                        <input type="checkbox" disabled=!able prop:checked=move || able && !left_out.with(|out| out.contains(&id)) on:change=move |_| toggle(id) />
                        <Dot model=model.id />" "{name}
                    </label>
                }
            }).collect_view()}
        </fieldset>
        <div class="tools">
            <Choice label="Baseline" choices=baselines value=Signal::derive(move || compared_with().map(key).unwrap_or_default()) choose=choose_baseline />
            <label class="inline" for="evaluate-source">"data set"</label>
            <select id="evaluate-source" on:change=move |event| source.set(event_target_value(&event).parse().ok())>
                {move || {
                    let current = chosen_source().map(|open| open.id);
                    sources().into_iter().map(|open| view! {
                        <option value=open.id.to_string() selected=current == Some(open.id)>{format!("{} · {} items", open.name, open.count)}</option>
                    }).collect_view()
                }}
            </select>
            <label class="inline">"images "
                <input type="number" class="mono short" min="1" placeholder="all" aria-label="Number of images"
                    prop:value=move || limit.get().map(|count| count.to_string()).unwrap_or_default()
                    on:change=move |event| limit.set(event_target_value(&event).trim().parse().ok().filter(|count| *count > 0)) />
            </label>
            <label class="inline">"flag a drop over "
                <input type="number" class="mono short" min="0" step="0.5" aria-label="Most points of drop" prop:value=move || thresholds.get().drop_points.to_string()
                    on:change=move |event| if let Some(value) = number(event_target_value(&event)) { thresholds.update(|all| all.drop_points = value) } />
            </label>
            <label class="inline">"points, accuracy under "
                <input type="number" class="mono short" min="0" max="100" aria-label="Least accuracy in percent" prop:value=move || thresholds.get().accuracy_percent.to_string()
                    on:change=move |event| if let Some(value) = number(event_target_value(&event)) { thresholds.update(|all| all.accuracy_percent = value) } />
                " %"
            </label>
            <button type="button" class="primary" disabled=move || chosen_source().is_none() || chosen().is_empty() on:click=start>"Evaluate"</button>
        </div>
        <PreprocessSentence models=Signal::derive(move || chosen().into_iter().map(|(model, _)| model).collect()) />
        {move || chosen_source().is_none().then(|| view! {
            <p class="hint">"Open a labelled data set: CIFAR-10 batches (binary or Python), an .npz with x and y, or a folder with one folder per class."</p>
        })}
    }
}
