//! The panel on the right: what is selected, in every variant.

use super::Dot;
use crate::quant::{Granularity, Parameters, QuantParams, QuantizedTensor};
use crate::ui::{format, use_session};
use crate::worker::{InspectedMember, Inspection, ModelId, ModelSummary, ParameterSummary, PortSummary, Workspace};
use leptos::prelude::*;

/// The inspector.
#[component]
pub fn Inspector() -> impl IntoView {
    let session = use_session();
    let inspection = session.inspection();
    // The answer may be older than the workspace for a moment; then nothing of it is shown.
    let shown = move || {
        let inspection = inspection.answer.get()?;
        session.workspace.with(|workspace| (workspace.revision == inspection.layer.revision).then_some(inspection))
    };
    view! {
        <aside class="inspector" aria-label="Inspector">
            {move || match shown() {
                Some(inspection) => view! { <Selected inspection /> }.into_any(),
                None => view! {
                    <h2>"Inspector"</h2>
                    <p class="empty">"Choose a layer or a parameter: its scales, zero points, types and shapes stand here, side by side for every open variant."</p>
                }.into_any(),
            }}
        </aside>
    }
}

/// Everything about the selection.
#[component]
fn Selected(
    /// What the worker told of the layer.
    inspection: Inspection,
) -> impl IntoView {
    let session = use_session();
    let row = inspection.layer.row;
    let members = StoredValue::new(inspection.members);
    let parameter_values = Memo::new(move |_| {
        session.workspace.with(|workspace| {
            let role = session.selection.with(|selection| selection.parameter.clone())?;
            let parameter = workspace.layers.get(row)?.parameters.iter().find(|parameter| parameter.role == role)?;
            Some(parameter.values.clone())
        })
    });
    let groups = move || {
        session.workspace.with(|workspace| {
            members.with_value(|members| groups(workspace, members, parameter_values.get().as_deref()))
        })
    };
    let nodes = move || {
        session.workspace.with(|workspace| {
            members.with_value(|members| {
                members
                    .iter()
                    .filter_map(|member| Some((model(workspace, member)?.clone(), member.clone())))
                    .collect::<Vec<_>>()
            })
        })
    };
    view! {
        <h2>"Quantization parameters"</h2>
        <table class="pairs params" aria-label="Quantization parameters">
            <thead class="visually-hidden"><tr><th scope="col">"Property"</th><th scope="col">"Value"</th></tr></thead>
            {move || groups().into_iter().map(|group| view! { <Parameters group /> }).collect_view()}
        </table>
        <Show when=move || groups().is_empty()>
            <p class="empty">"Nothing here is quantized: no open model has a scale for this selection."</p>
        </Show>
        {move || nodes().into_iter().map(|(model, member)| view! { <NodeFacts model member /> }).collect_view()}
    }
}

fn model<'a>(workspace: &'a Workspace, member: &InspectedMember) -> Option<&'a ModelSummary> {
    workspace.models.iter().find(|model| model.id == member.model)
}

/// A quantized tensor of one variant, ready to be shown.
struct Group {
    id: ModelId,
    model: String,
    tensor: QuantizedTensor,
    /// The scales summed up, where there are several.
    scale: Option<ParameterSummary>,
}

/// The quantized tensors of the selection: those of the selected parameter, or all of the layer.
fn groups(workspace: &Workspace, members: &[InspectedMember], values: Option<&[Option<String>]>) -> Vec<Group> {
    let mut groups = Vec::new();
    for member in members {
        let Some(position) = workspace.models.iter().position(|model| model.id == member.model) else { continue };
        let summary = &workspace.models[position];
        let wanted = values.map(|values| values.get(position).cloned().flatten());
        for (tensor, scale) in member.quantization.iter().zip(&member.channels) {
            let matches = |name: &String| *name == tensor.value || *name == tensor.stored;
            if wanted.as_ref().is_none_or(|wanted| wanted.as_ref().is_some_and(matches)) {
                groups.push(Group {
                    id: member.model,
                    model: summary.name.clone(),
                    tensor: tensor.clone(),
                    scale: *scale,
                });
            }
        }
    }
    groups
}

/// Scale, zero point, type, axis, range and formula of one tensor.
#[component]
fn Parameters(
    /// The tensor.
    group: Group,
) -> impl IntoView {
    let Group { id, model, tensor, scale } = group;
    let row =
        |name: &'static str, value: String| view! { <tr><th scope="row">{name}</th><td class="mono">{value}</td></tr> };
    let shape = tensor.shape.as_ref().map_or_else(|| "unknown".to_owned(), |shape| format::shape(shape));
    let rows = match &tensor.params {
        Parameters::Fixed(params) => {
            let symmetry = if tensor.symmetric() { "symmetric" } else { "asymmetric" };
            let (granularity, axis) = granularity(params);
            let range = tensor.range().map_or_else(
                || "as the type".to_owned(),
                |(low, high)| format!("{} … {}", format::exact(low), format::exact(high)),
            );
            view! {
                {row("scale", spread(&params.scale, |value| format::exact(*value), scale.as_ref()))}
                {row("zero point", spread(&params.zero_point, i32::to_string, None))}
                {row("dtype", format!("{} · {symmetry}", params.dtype))}
                {row("shape", shape)}
                {row("axis", axis)}
                {row("granularity", granularity)}
                {row("range", range)}
                <tr><td colspan="2" class="mono formula">{formula(params)}</td></tr>
            }
            .into_any()
        }
        Parameters::AtRunTime { dtype } => view! {
            {row("scale", "computed in every run".to_owned())}
            {row("zero point", "computed in every run".to_owned())}
            {row("dtype", dtype.to_string())}
            {row("shape", shape)}
        }
        .into_any(),
        Parameters::NoScale { dtype } => view! {
            {row("scale", "none in the file".to_owned())}
            {row("dtype", dtype.to_string())}
            {row("shape", shape)}
        }
        .into_any(),
        Parameters::Unusable(reason) => view! { {row("parameters", reason.clone())} {row("shape", shape)} }.into_any(),
    };
    view! {
        <tbody aria-label=format!("{model}, {}", tensor.value)>
            <tr class="group"><th colspan="2" scope="rowgroup">
                <Dot model=id />" "<b>{model.clone()}</b>" "
                <span class="kind">{format!("{:?}", tensor.kind).to_lowercase()}</span>
                <span class="value">{tensor.value.clone()}</span>
            </th></tr>
            {rows}
        </tbody>
    }
}

/// Granularity and axis in words.
fn granularity(params: &QuantParams) -> (String, String) {
    let scales = params.scale.len();
    match params.granularity {
        Granularity::PerTensor => ("per tensor".to_owned(), "none".to_owned()),
        Granularity::PerChannel { axis } => (format!("per channel, {scales} scales"), axis.to_string()),
        Granularity::Blocked { axis, block_size } => {
            (format!("blocks of {block_size}, {scales} scales"), axis.to_string())
        }
    }
}

/// The formula with the tensor's own numbers, where there is one of each.
fn formula(params: &QuantParams) -> String {
    match (params.scale.as_slice(), params.zero_point.as_slice()) {
        ([scale], [zero_point]) => format!("real = {} × (q − {zero_point})", format::exact(*scale)),
        _ => "real = scale[c] × (q − zero_point[c])".to_owned(),
    }
}

/// One value as it is; several as their smallest, their largest and, where it is known, their mean.
fn spread<T: PartialOrd>(values: &[T], show: impl Fn(&T) -> String, summary: Option<&ParameterSummary>) -> String {
    let by = |best: Option<&T>| best.map(&show).unwrap_or_default();
    match values {
        [] => "none".to_owned(),
        [one] => show(one),
        [first, rest @ ..] if rest.iter().all(|value| value == first) => format!("{}, all channels", show(first)),
        many => {
            let least = many.iter().reduce(|a, b| if b < a { b } else { a });
            let most = many.iter().reduce(|a, b| if b > a { b } else { a });
            let mean = summary.map(|summary| format!(", mean {}", format::number(summary.mean))).unwrap_or_default();
            format!("{} … {}{mean}", by(least), by(most))
        }
    }
}

/// The node of one variant: operator, attributes, inputs and outputs.
#[component]
fn NodeFacts(
    /// The variant.
    model: ModelSummary,
    /// The layer in it.
    member: InspectedMember,
) -> impl IntoView {
    let port = |direction: &'static str, port: PortSummary| {
        view! {
            <tr><th scope="row">{direction}</th><td><span class="value">{port.name}</span>" "<span class="mono">{port.dtype}"[" {port.shape.join(", ")} "]"</span></td></tr>
        }
    };
    let attributes = member
        .attributes
        .into_iter()
        .map(|(name, value)| {
            view! {
                <tr><th scope="row">{name}</th><td class="mono">{value}</td></tr>
            }
        })
        .collect_view();
    view! {
        <details class="node">
            <summary><Dot model=model.id />" "{model.name}" · "<b>{member.op}</b></summary>
            <table class="pairs">
                <tbody>
                    <tr><th scope="row">"node"</th><td class="value">{member.node}</td></tr>
                    {member.inputs.into_iter().map(|input| port("in", input)).collect_view()}
                    {member.outputs.into_iter().map(|output| port("out", output)).collect_view()}
                    {attributes}
                </tbody>
            </table>
        </details>
    }
}
