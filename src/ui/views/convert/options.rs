//! The model, its source, and the forms it can be had in.

use crate::ui::views::controls::{Check, Choice, TextField};
use crate::ui::{format, use_session};
use crate::worker::{ConversionCard, ConvertOptions, ExportForm, InputShape, InputShapeError, ModelId};
use leptos::prelude::*;

/// Layout and padding, the two things that differ between frameworks without being told in a file.
const LAYOUT: &str = "Keras and TensorFlow keep images as NHWC (channels last), ONNX and PyTorch as NCHW. A converted model takes \
    and gives what its source does; inside, convolutions are NCHW, and a Transpose stands only where one order meets the \
    other. Kernels are turned from (height, width, in, out) to (out, in, height, width) without a change of a bit.";
const PADDING: &str = "TensorFlow's \"same\" padding depends on the size: with a stride of 2 on an even size it pads one row more \
    below and one column more to the right than above and left. ONNX writes each side by itself (pads), so that this is kept \
    exactly; PyTorch pads both sides alike, so that exported code has a pad of its own before such a layer.";

/// The shape that is written there, `None` for none; the error is what to say at the field.
fn given_shape(text: &str) -> Result<Option<InputShape>, String> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error: InputShapeError| format!("Input shape: {error}."))
}

/// The region.
#[component]
pub fn Options(
    /// What is known of the model.
    card: ReadSignal<Option<ConversionCard>>,
) -> impl IntoView {
    let session = use_session();
    let opset = RwSignal::new(None::<i64>);
    let fold = RwSignal::new(false);
    let shape = RwSignal::new(String::new());
    // Another model, or the same one made anew, shows its own options.
    Effect::new(move |_| {
        card.with(|card| {
            opset.set(card.as_ref().and_then(|card| card.opset));
            fold.set(card.as_ref().is_some_and(|card| card.options.fold_batch_norm));
            let given = card.as_ref().and_then(|card| card.options.input_shape.as_ref());
            shape.set(given.map(ToString::to_string).unwrap_or_default());
        });
    });
    let models = move || {
        session.workspace.with(|workspace| {
            workspace.models.iter().map(|model| (model.id.to_string(), model.name.clone())).collect::<Vec<_>>()
        })
    };
    let current = move || session.conversion_model().map(|model| model.id.to_string()).unwrap_or_default();
    let opsets = move || {
        let all = card.with(|card| card.as_ref().map(|card| card.opsets.clone()).unwrap_or_default());
        all.into_iter().map(|opset| (opset.to_string(), opset.to_string())).collect::<Vec<_>>()
    };
    let facts = move || {
        let model = session.conversion_model()?;
        card.with(|card| {
            let card = card.as_ref()?;
            let opset = card.opset.map_or("?".to_owned(), |opset| opset.to_string());
            let from = if card.foreign { "converted from" } else { "read from" };
            Some(format!(
                "{} was {from} {} of {}: {} nodes, opset {opset}, {} parameters.",
                model.name,
                card.source,
                format::bytes(card.source_bytes),
                format::grouped(model.nodes as u64),
                format::grouped(model.parameters)
            ))
        })
    };
    let convert = move |_| {
        let order = card.with_untracked(|card| {
            let card = card.as_ref()?;
            let opset = opset.get_untracked().filter(|_| card.foreign);
            let fold_batch_norm = fold.get_untracked();
            let input_shape = given_shape(&shape.read_untracked()).ok()?.filter(|_| card.takes_input_shape);
            Some((card.model, ConvertOptions { opset, fold_batch_norm, input_shape }))
        });
        if let Some((model, options)) = order {
            session.convert_again(model, options);
        }
    };
    let takes_shape = Memo::new(move |_| card.with(|card| card.as_ref().is_some_and(|card| card.takes_input_shape)));
    let shape_problem = Memo::new(move |_| shape.with(|text| given_shape(text).err()));
    let export = move |form: ExportForm, label: &'static str| {
        let model = move || session.conversion_model().map(|model| model.id);
        view! { <button type="button" on:click=move |_| if let Some(model) = untrack(model) { session.export_form(model, form) }>{label}</button> }
    };
    let lines = move |pick: fn(&ConversionCard) -> &Vec<String>| {
        card.with(|card| card.as_ref().map(|card| pick(card).clone()).unwrap_or_default())
    };
    let list = |lines: Vec<String>| lines.into_iter().map(|line| view! { <li>{line}</li> }).collect_view();
    view! {
        <section class="card" aria-label="Conversion">
            <header class="card-head"><h3>"Conversion"</h3><small>"Keras, PyTorch, TensorFlow Lite and safetensors in; ONNX, PyTorch, C and numpy out"</small></header>
            <div class="tools form">
                <Choice label="Model" choices=Signal::derive(models) value=Signal::derive(current)
                    choose=move |id: String| session.conversion.chosen.set(id.parse::<ModelId>().ok()) />
                <Choice label="Opset" choices=Signal::derive(opsets) value=Signal::derive(move || opset.get().map(|opset| opset.to_string()).unwrap_or_default())
                    choose=move |value: String| opset.set(value.parse().ok()) />
                <Check label="Fold batch norm" value=fold choose=move |on: bool| fold.set(on) />
                <Show when=move || takes_shape.get()>
                    <TextField label="Input shape" placeholder="as in the file" value=shape choose=move |text: String| shape.set(text) />
                </Show>
                <button type="button" class="primary" disabled=move || card.with(Option::is_none) || shape_problem.with(Option::is_some) on:click=convert>"Convert"</button>
            </div>
            <Show when=move || takes_shape.get()>
                <p class="field-problem" role="alert" hidden=move || shape_problem.with(Option::is_none)>{move || shape_problem.get()}</p>
                <p class="hint">"A scripted PyTorch file does not tell the shape of its input. Where sizes follow from it (adaptive pooling), give it: N,3,224,224, with N for a dim that stays open."</p>
            </Show>
            <p role="status" aria-label="Converted from">{facts}</p>
            <ul class="plain" aria-label="Conversion notes">{move || list(lines(|card| &card.notes))}</ul>
            {move || Some(lines(|card| &card.unsupported)).filter(|lines| !lines.is_empty()).map(|lines| view! {
                <div class="problem"><div class="message"><b>"Layers without an ONNX form"</b><ul class="plain" aria-label="Not converted">{list(lines)}</ul></div></div>
            })}
            <details><summary>"Layout and padding"</summary><p>{LAYOUT}</p><p>{PADDING}</p></details>
            <div class="actions" role="group" aria-label="Take the model home">
                {export(ExportForm::Onnx, "Download ONNX")}
                {export(ExportForm::Pytorch, "Export PyTorch")}
                {export(ExportForm::CHeader, "Export C header")}
                {export(ExportForm::Weights, "Export weights")}
            </div>
            <p class="hint">"PyTorch: a zip of model.py, model.safetensors and model.pt, a state dict for torch.load(weights_only=True); quantized models come in the form of PT2E too."</p>
            {move || Some(lines(|card| &card.pytorch_notes)).filter(|lines| !lines.is_empty()).map(|lines| view! {
                <div class="advice"><b>"In the PyTorch export"</b><ul class="plain" aria-label="PyTorch notes">{list(lines)}</ul></div>
            })}
        </section>
    }
}
