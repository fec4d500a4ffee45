//! What is quantized, how, and on which images.

use crate::ui::session::quantize::{Form, ImagesBy, TYPES, dtype_named, listed, names};
use crate::ui::use_session;
use crate::ui::views::controls::{Check, Choice, Choices, NumberField, TextField};
use crate::ui::views::preprocess::PreprocessSentence;
use crate::worker::{BiasCorrection, CalibrationMethod, DType, TableFormat, presets};
use leptos::prelude::*;

fn pair(value: impl ToString, text: impl ToString) -> (String, String) {
    (value.to_string(), text.to_string())
}

/// The form and its button.
#[component]
pub fn Setup() -> impl IntoView {
    let session = use_session();
    let form = session.quantize_form;
    let change = move |edit: &dyn Fn(&mut Form)| form.update(|form| edit(form));
    let models: Signal<Choices> = Signal::derive(move || {
        let models = session.workspace.with(Form::models);
        models.into_iter().map(|model| pair(model.id, model.name)).collect()
    });
    let sources: Signal<Choices> = Signal::derive(move || {
        let sources = session.workspace.with(Form::sources);
        sources.into_iter().map(|source| pair(source.id, format!("{} · {} items", source.name, source.count))).collect()
    });
    let named = |id: Option<u32>| id.map(|id| id.to_string()).unwrap_or_default();
    let model = move || session.workspace.with(|workspace| named(form.with(|form| form.model_in(workspace))));
    let source = move || session.workspace.with(|workspace| named(form.with(|form| form.source_in(workspace))));
    let order = move || {
        let preprocess = session.preprocess.get();
        session.workspace.with(|workspace| form.with(|form| form.order(workspace, preprocess)))
    };
    let start = move |_| {
        if let Some(order) = untrack(order) {
            session.quantize(order);
        }
    };
    let all_presets: Choices = presets().iter().map(|preset| pair(preset.id, preset.name)).collect();
    let no_model = move || models.with(Vec::is_empty);
    let no_source = move || sources.with(Vec::is_empty);
    view! {
        <div class="tools form">
            <Choice label="Model" choices=models value=Signal::derive(model) choose=move |id: String| change(&|form| form.model = id.parse().ok()) />
            <Choice label="Calibration data" choices=sources value=Signal::derive(source) choose=move |id: String| change(&|form| form.source = id.parse().ok()) />
            <Images form />
        </div>
        <div class="tools form">
            <Choice label="Preset" choices=all_presets
                value=Signal::derive(move || form.with(|form| form.preset.clone())) choose=move |id: String| change(&|form| form.take_preset(id.clone())) />
            <Types form />
        </div>
        <Calibration form />
        <Corrected form />
        <Details form />
        {move || form.with(|form| form.preset().map(|preset| {
            let limits = preset.limits.join(" ");
            view! { <p class="hint">{format!("{}: {} {limits}", preset.name, preset.about)}</p> }
        }))}
        <PreprocessSentence models=Signal::derive(move || model().parse().into_iter().collect()) />
        <ul class="flags" aria-label="What does not go together">{move || form.with(Form::problems).into_iter().map(|text| view! { <li>{text}</li> }).collect_view()}</ul>
        <div class="actions">
            <button type="button" class="primary" on:click=start
                disabled=move || { no_model() || no_source() || !form.with(Form::is_possible) || session.job.with(Option::is_some) }>"Quantize"</button>
        </div>
        {move || no_model().then(|| view! { <p class="hint">"Open a float model: ONNX, Keras or PyTorch. It is quantized here, and the result opens beside it."</p> })}
        {move || no_source().then(|| view! { <p class="hint">"Open calibration images: CIFAR-10 batches, an .npz or .npy array, or a folder of pictures."</p> })}
    }
}

/// Which images calibrate.
#[component]
fn Images(form: RwSignal<Form>) -> impl IntoView {
    let by = Memo::new(move |_| form.with(|form| form.images_by));
    let value = move || match by.get() {
        ImagesBy::Class => "class",
        ImagesBy::First => "first",
        ImagesBy::List => "list",
    };
    let choices: Choices = vec![pair("first", "the first"), pair("class", "of each class"), pair("list", "a list")];
    let choose = move |chosen: String| {
        form.update(|form| {
            (form.images_by, form.count) = match chosen.as_str() {
                "class" => (ImagesBy::Class, form.count.min(100)),
                "list" => (ImagesBy::List, form.count),
                _ => (ImagesBy::First, form.count),
            };
        });
    };
    let count = move || form.with(|form| form.count.to_string());
    let set_count =
        move |count: Option<f64>| form.update(|form| form.count = count.map_or(1, |count| count.max(1.0) as usize));
    let seed = move || form.with(|form| form.seed.to_string());
    let set_seed = move |seed: Option<f64>| form.update(|form| form.seed = seed.unwrap_or(0.0).max(0.0) as u64);
    let list = move || form.with(|form| form.list.clone());
    let set_list = move |list: String| form.update(|form| form.list = list);
    view! {
        <Choice label="Images" choices=choices value=Signal::derive(move || value().to_owned()) choose=choose />
        {move || match by.get() {
            ImagesBy::List => view! { <TextField label="Positions" placeholder="0-99, 120" value=Signal::derive(list) choose=set_list /> }.into_any(),
            ImagesBy::First => view! { <NumberField label="Count" value=Signal::derive(count) choose=set_count /> }.into_any(),
            ImagesBy::Class => view! {
                <NumberField label="Count" value=Signal::derive(count) choose=set_count />
                <NumberField label="Seed" value=Signal::derive(seed) choose=set_seed />
            }.into_any(),
        }}
    }
}

/// Types, granularity and the form of the file.
#[component]
fn Types(form: RwSignal<Form>) -> impl IntoView {
    let types: Choices = TYPES.iter().map(|dtype| pair(dtype.name(), dtype.name())).collect();
    let activations: Choices = types[..4].to_vec();
    let dtype = move |read: fn(&Form) -> DType| Signal::derive(move || form.with(read).name().to_owned());
    let formats: Choices = vec![pair("qdq", "QDQ"), pair("qoperator", "QOperator")];
    let is_operator = move || form.with(|form| form.options.format == TableFormat::QOperator);
    view! {
        <Choice label="Activations" choices=activations value=dtype(|form| form.options.activation_type)
            choose=move |name: String| if let Some(dtype) = dtype_named(&name) { form.update(|form| form.options.activation_type = dtype) } />
        <Choice label="Weights" choices=types value=dtype(|form| form.options.weight_type)
            choose=move |name: String| if let Some(dtype) = dtype_named(&name) { form.update(|form| form.options.weight_type = dtype) } />
        <Choice label="Format" choices=formats value=Signal::derive(move || if is_operator() { "qoperator" } else { "qdq" }.to_owned())
            choose=move |name: String| form.update(|form| form.options.format = if name == "qdq" { TableFormat::Qdq } else { TableFormat::QOperator }) />
        <Check label="Per channel" value=Signal::derive(move || form.with(|form| form.options.per_channel))
            choose=move |on: bool| form.update(|form| form.options.per_channel = on) />
        <Check label="Symmetric activations" value=Signal::derive(move || form.with(|form| form.options.activations_symmetric))
            choose=move |on: bool| form.update(|form| form.options.activations_symmetric = on) />
        <Check label="Symmetric weights" value=Signal::derive(move || form.with(|form| form.options.symmetric_weights(form.options.weight_type)))
            choose=move |on: bool| form.update(|form| form.options.weights_symmetric = Some(on)) />
        <Check label="Reduce range" value=Signal::derive(move || form.with(|form| form.options.reduce_range))
            choose=move |on: bool| form.update(|form| form.options.reduce_range = on) />
    }
}

/// How ranges are found.
#[component]
fn Calibration(form: RwSignal<Form>) -> impl IntoView {
    let methods: Choices =
        CalibrationMethod::usual(DType::Int8, false).iter().map(|method| pair(method.name(), method.name())).collect();
    // A field stays while its value changes.
    let settings =
        Memo::new(move |_| form.with(|form| form.settings().into_iter().map(|(name, _)| name).collect::<Vec<_>>()));
    let value = move |name: &'static str| {
        Signal::derive(move || {
            let value = form.with(|form| form.settings().into_iter().find(|(known, _)| *known == name));
            value.map(|(_, value)| value.to_string()).unwrap_or_default()
        })
    };
    view! {
        <div class="tools form">
            <Choice label="Calibration" choices=methods value=Signal::derive(move || form.with(|form| form.calibration.name().to_owned()))
                choose=move |name: String| form.update(|form| form.take_method(&name)) />
            {move || settings.get().into_iter().map(|name| view! {
                <NumberField label=name value=value(name) choose={move |to: Option<f64>| if let Some(to) = to { form.update(|form| form.set(name, to)) }} />
            }).collect_view()}
            <Check label="Compare methods" value=Signal::derive(move || form.with(|form| form.compare)) choose=move |on: bool| form.update(|form| form.compare = on) />
            <Check label="Fold batch norm and constants" value=Signal::derive(move || form.with(|form| form.fold)) choose=move |on: bool| form.update(|form| form.fold = on) />
        </div>
        {move || form.with(Form::about_settings).map(|text| view! { <p class="hint">{text}</p> })}
    }
}

/// What is done beside rounding to nearest.
#[component]
fn Corrected(form: RwSignal<Form>) -> impl IntoView {
    let kinds: Choices =
        vec![pair("none", "none"), pair("empirical", "from images"), pair("analytic", "from batch norm")];
    let bias = move || match form.with(|form| form.corrections.bias) {
        BiasCorrection::None => "none",
        BiasCorrection::Empirical => "empirical",
        BiasCorrection::Analytic => "analytic",
    };
    let set_bias = move |name: String| {
        let bias = match name.as_str() {
            "empirical" => BiasCorrection::Empirical,
            "analytic" => BiasCorrection::Analytic,
            _ => BiasCorrection::None,
        };
        form.update(|form| form.corrections.bias = bias);
    };
    view! {
        <div class="tools form">
            <Choice label="Bias correction" choices=kinds value=Signal::derive(move || bias().to_owned()) choose=set_bias />
            <Check label="Cross-layer equalization" value=Signal::derive(move || form.with(|form| form.corrections.equalize))
                choose=move |on: bool| form.update(|form| form.corrections.equalize = on) />
            <Check label="Adaptive rounding" value=Signal::derive(move || form.with(|form| form.corrections.adaptive_rounding))
                choose=move |on: bool| form.update(|form| form.corrections.adaptive_rounding = on) />
        </div>
    }
}

/// What is rarely changed.
#[component]
fn Details(form: RwSignal<Form>) -> impl IntoView {
    let types = move || form.with(|form| form.options.op_types.as_ref().map(listed).unwrap_or_default());
    let set_types = move |text: String| {
        form.update(|form| form.options.op_types = Some(names(&text)).filter(|all| !all.is_empty()))
    };
    let types_out = move || form.with(|form| listed(&form.options.op_types_excluded));
    let nodes = move || form.with(|form| listed(&form.options.nodes));
    let nodes_out = move || form.with(|form| listed(&form.options.nodes_excluded));
    view! {
        <details class="more"><summary>"Operators, nodes, input and output"</summary>
            <div class="tools form">
                <TextField label="Operator types" placeholder="all" value=Signal::derive(types) choose=set_types />
                <TextField label="Without operator types" placeholder="none" value=Signal::derive(types_out)
                    choose=move |text: String| form.update(|form| form.options.op_types_excluded = names(&text)) />
                <TextField label="Only nodes" placeholder="all" value=Signal::derive(nodes)
                    choose=move |text: String| form.update(|form| form.options.nodes = names(&text)) />
                <TextField label="Nodes left in float" placeholder="none" value=Signal::derive(nodes_out)
                    choose=move |text: String| form.update(|form| form.options.nodes_excluded = names(&text)) />
                <Check label="Keep float input and output" value=Signal::derive(move || form.with(|form| form.options.float_io))
                    choose=move |on: bool| form.update(|form| form.options.float_io = on) />
                <Check label="Quantize biases" value=Signal::derive(move || form.with(|form| form.options.quantize_bias))
                    choose=move |on: bool| form.update(|form| form.options.quantize_bias = on) />
            </div>
        </details>
    }
}
