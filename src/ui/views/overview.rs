//! The whole of what is open: model cards, data sets, weight ranges.

use super::Dot;
use super::problems::Message;
use super::ranges::WeightRanges;
use crate::ui::turns::Later;
use crate::ui::{format, use_session};
use crate::worker::{ModelSummary, PortSummary, SourceSummary};
use leptos::prelude::*;

/// The first tab.
#[component]
pub fn Overview() -> impl IntoView {
    let session = use_session();
    let models = move || session.workspace.with(|workspace| workspace.models.clone());
    let sources = move || session.workspace.with(|workspace| workspace.sources.clone());
    let unmatched = move || session.workspace.with(|workspace| workspace.unmatched.clone());
    view! {
        <Show when=move || !models().is_empty()><Later><WeightRanges /></Later></Show>
        <div class="two">
            <For each=models key=|model| (model.id, model.issues.len(), model.name.clone()) let:model>
                <Later><ModelCard model=model.clone() /></Later>
            </For>
        </div>
        <Show when=move || !unmatched().is_empty()>
            <section class="card" aria-label="Unmatched layers">
                <header class="card-head"><h3>"Unmatched layers"</h3><small>"layers of one model that another does not have"</small></header>
                <ul class="plain">{move || unmatched().into_iter().map(|line| view! { <li>{line}</li> }).collect_view()}</ul>
            </section>
        </Show>
        <Show when=move || !sources().is_empty()>
            <section class="card" aria-label="Inputs">
                <header class="card-head"><h3>"Inputs"</h3></header>
                <div class="scroll-x" tabindex="0">
                <table class="data" aria-label="Open inputs">
                    <thead><tr><th scope="col">"name"</th><th scope="col">"items"</th><th scope="col">"shape"</th><th scope="col">"labels"</th><th></th></tr></thead>
                    <tbody>{move || sources().into_iter().map(|source| view! { <SourceLine source /> }).collect_view()}</tbody>
                </table>
                </div>
            </section>
        </Show>
    }
}

/// A model's card.
#[component]
fn ModelCard(
    /// The model.
    model: ModelSummary,
) -> impl IntoView {
    let session = use_session();
    let id = model.id;
    let ports = |ports: &[PortSummary]| {
        ports
            .iter()
            .map(|port| format!("{} {}[{}]", port.name, port.dtype, port.shape.join(", ")))
            .collect::<Vec<_>>()
            .join("; ")
    };
    let opsets =
        model.opsets.iter().map(|(domain, version)| format!("{domain} {version}")).collect::<Vec<_>>().join(", ");
    let ops = model.op_counts.iter().map(|(op, count)| format!("{op} {count}")).collect::<Vec<_>>().join(", ");
    let fact = |name: &'static str, value: String| view! { <tr><th scope="row">{name}</th><td>{value}</td></tr> };
    let functions =
        model.functions.iter().map(|(name, nodes)| format!("{name} ({nodes} nodes)")).collect::<Vec<_>>().join(", ");
    // Code has a place of its own, under Convert.
    let metadata = model.metadata.iter().filter(|(key, _)| !key.ends_with(".py"));
    let metadata = metadata.map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>().join("; ");
    view! {
        <section class="card model" aria-label=format!("Model {}", model.name)>
            <header class="card-head"><h3><Dot model=id />" "{model.name.clone()}</h3><small>{model.format.clone()}</small></header>
            <table class="pairs" aria-label=format!("Model card {}", model.name)>
                <tbody>
                    {fact("file", format!("{}, {} ({} bytes)", model.file, format::bytes(model.size_bytes), format::grouped(model.size_bytes)))}
                    {fact("producer", model.producer.clone())}
                    {fact("graph", model.graph_name.clone())}
                    {(!model.doc_string.is_empty()).then(|| fact("description", model.doc_string.clone()))}
                    {fact("IR version", model.ir_version.to_string())}
                    {fact("opsets", opsets)}
                    {fact("inputs", ports(&model.inputs))}
                    {fact("outputs", ports(&model.outputs))}
                    {fact("parameters", format::grouped(model.parameters))}
                    {fact("MACs", model.macs.map_or_else(|| "unknown: a shape is not known".to_owned(), |macs| format!("{} ({})", format::grouped(macs), format::short(macs))))}
                    {fact("nodes", format::grouped(model.nodes as u64))}
                    {fact("quantize / dequantize", format!(
                        "{} QuantizeLinear + {} DequantizeLinear = {} of {} nodes ({})",
                        model.quantize_linear,
                        model.dequantize_linear,
                        model.quantize_linear + model.dequantize_linear,
                        model.nodes,
                        format::percent(model.quantize_share),
                    ))}
                    {fact("operators", ops)}
                    {(!functions.is_empty()).then(|| fact("local functions", functions))}
                    {(!metadata.is_empty()).then(|| fact("metadata", metadata))}
                    {fact("re-encode", if model.lossless { "byte-identical".to_owned() } else { "kept as the source bytes: the file is not in canonical form".to_owned() })}
                </tbody>
            </table>
            {(!model.unsupported.is_empty()).then(|| view! {
                <div class="problem"><div class="message"><b>"This model cannot run here"</b>
                    <ul class="plain">{model.unsupported.iter().map(|node| view! {
                        <li><span class="value">{node.node.clone()}</span>" "<b>{node.op_type.clone()}</b>": "{node.reason.clone()}</li>
                    }).collect_view()}</ul>
                    <p>"Everything else can be inspected."</p>
                </div></div>
            })}
            {model.issues.clone().into_iter().map(|problem| view! { <div class="problem"><Message problem /></div> }).collect_view()}
            <div class="actions">
                <button type="button" aria-label=format!("Close model {}", model.name) on:click=move |_| session.close_model(id)>"Close"</button>
            </div>
        </section>
    }
}

/// An open input.
#[component]
fn SourceLine(
    /// The input.
    source: SourceSummary,
) -> impl IntoView {
    let session = use_session();
    let id = source.id;
    let classes = source.class_names.as_ref().map(|names| format!(", {} classes", names.len())).unwrap_or_default();
    view! {
        <tr>
            <th scope="row">{source.name.clone()}</th>
            <td>{format::grouped(source.count as u64)}</td>
            <td>{source.shape}</td>
            <td>{if source.labelled { "yes" } else { "no" }}{classes}</td>
            <td><button type="button" class="ghost" aria-label=format!("Close {}", source.name) on:click=move |_| session.close_source(id)>"×"</button></td>
        </tr>
    }
}
