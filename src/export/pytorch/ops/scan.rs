//! `Scan`: a loop over the slices of its inputs.

use crate::export::pytorch::emit::Emitter;
use crate::export::pytorch::error::Refusal;
use crate::onnx::proto::{GraphProto, NodeProto};
use crate::onnx::{NodeExt, tensor_from_proto};

/// Attributes of one entry per scanned tensor: `entry` of the list, 0 where it is left out.
fn entry(node: &NodeProto, attribute: &str, at: usize) -> i64 {
    node.ints(attribute).get(at).copied().unwrap_or(0)
}

pub(super) fn node(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<bool, Refusal> {
    if node.op_type() != "Scan" {
        return Ok(false);
    }
    let body = NodeExt::attribute(node, "body").and_then(|attribute| attribute.g.clone());
    let body: GraphProto = body.ok_or("a scan without a body")?;
    let scanned = node.int("num_scan_inputs").and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
    let (inputs, outputs) = (body.input.len(), body.output.len());
    let states = inputs.checked_sub(scanned).ok_or("more scanned inputs than the body has")?;
    let collected = outputs.checked_sub(states).ok_or("fewer results than states")?;
    if scanned == 0 || node.input.len() != inputs {
        return Err("a scan over nothing".into());
    }
    let backwards = entry(node, "scan_input_directions", 0);
    if (1..scanned).any(|at| entry(node, "scan_input_directions", at) != backwards) {
        return Err("a scan in two directions".into());
    }
    for tensor in &body.initializer {
        emitter.add_constant(tensor.name(), tensor_from_proto(tensor)?);
    }
    let name = emitter.name_of(node);
    let mut carried = Vec::new();
    for (at, input) in body.input.iter().take(states).enumerate() {
        let (start, state) = (emitter.input(node, at)?, emitter.give(&format!("{name}_state")));
        emitter.line(format!("{state} = {start}"));
        emitter.set_value(input.name(), &state);
        carried.push(state);
    }
    let mut slices = Vec::new();
    for (at, input) in body.input.iter().skip(states).enumerate() {
        let (axis, whole) = (entry(node, "scan_input_axes", at), emitter.input(node, states + at)?);
        let slice = emitter.give(&format!("{name}_slice"));
        emitter.set_value(input.name(), &slice);
        slices.push((slice, whole, axis));
    }
    let lists: Vec<String> = (0..collected).map(|_| emitter.give(&format!("{name}_steps"))).collect();
    for list in &lists {
        emitter.line(format!("{list} = []"));
    }
    let Some((_, first, axis)) = slices.first() else { return Err("a scan over nothing".into()) };
    let steps = format!("range({first}.shape[{axis}])");
    let step = emitter.give("step");
    let steps = if backwards == 1 { format!("reversed({steps})") } else { steps };
    emitter.line(format!("for {step} in {steps}:"));
    emitter.indent(true);
    for (slice, whole, axis) in &slices {
        emitter.line(format!("{slice} = {whole}.select({axis}, {step})"));
    }
    let done = inside(emitter, &body);
    let mut results = Vec::new();
    for output in &body.output {
        results.push(emitter.value(output.name()));
    }
    emitter.indent(false);
    done?;
    let results = results.into_iter().collect::<Result<Vec<String>, Refusal>>()?;
    emitter.indent(true);
    for (list, result) in lists.iter().zip(results.iter().skip(states)) {
        emitter.line(format!("{list}.append({result})"));
    }
    if !carried.is_empty() {
        // All at once: a new state may read an old one.
        emitter.line(format!("{} = {}", carried.join(", "), results.get(..states).unwrap_or_default().join(", ")));
    }
    emitter.indent(false);
    for (at, state) in carried.iter().enumerate() {
        emitter.name_value(node, at, state);
    }
    for (at, list) in lists.iter().enumerate() {
        let axis = entry(node, "scan_output_axes", at);
        let order = if entry(node, "scan_output_directions", at) == 1 { "[::-1]" } else { "" };
        let whole = emitter.give(&name);
        emitter.assign(node, states + at, &whole, &format!("torch.stack({list}{order}, dim={axis})"));
    }
    Ok(true)
}

/// The body's nodes, in the order that the file has them in, which the specification wants sorted.
fn inside(emitter: &mut Emitter<'_>, body: &GraphProto) -> Result<(), Refusal> {
    body.node.iter().try_for_each(|node| super::node(emitter, 0, node))
}
