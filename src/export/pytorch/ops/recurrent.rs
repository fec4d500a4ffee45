//! Recurrent layers, step by step.

use crate::export::pytorch::code;
use crate::export::pytorch::emit::Emitter;
use crate::export::pytorch::error::Refusal;
use crate::onnx::NodeExt;
use crate::onnx::proto::NodeProto;

/// Activations whose numbers are those that the helper has.
const KNOWN: [&str; 7] = ["Sigmoid", "Tanh", "Relu", "Softsign", "Softplus", "HardSigmoid", "Affine"];

pub(super) fn node(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<bool, Refusal> {
    let kind = match node.op_type() {
        kind @ ("RNN" | "GRU" | "LSTM") => kind,
        _ => return Ok(false),
    };
    let direction = node.string("direction").unwrap_or("forward");
    if !matches!(direction, "forward" | "reverse" | "bidirectional") {
        return Err(format!("direction {direction:?}").into());
    }
    let activations =
        NodeExt::attribute(node, "activations").map(|attribute| attribute.strings.clone()).unwrap_or_default();
    let mut names = Vec::new();
    for bytes in &activations {
        let name = KNOWN.iter().find(|known| known.as_bytes() == &bytes[..]);
        names.push(code::text(name.ok_or("an activation that is not known")?));
    }
    let numbers = ["activation_alpha", "activation_beta"]
        .map(|name| NodeExt::attribute(node, name).is_some_and(|attribute| !attribute.floats.is_empty()));
    // Keras's converter writes HardSigmoid's own defaults; anything else would need them gate by gate.
    if numbers.contains(&true) {
        return Err("activations with numbers of their own".into());
    }
    let name = emitter.name_of(node);
    let mut parts = vec![code::text(kind), emitter.input(node, 0)?, emitter.input(node, 1)?, emitter.input(node, 2)?];
    for (word, at) in [("b", 3), ("lengths", 4), ("h", 5), ("c", 6), ("p", 7)] {
        if node.input_name(at).is_some() {
            parts.push(format!("{word}={}", emitter.input(node, at)?));
        }
    }
    if direction != "forward" {
        parts.push(format!("direction={}", code::text(direction)));
    }
    if !names.is_empty() {
        parts.push(format!("activations=[{}]", names.join(", ")));
    }
    for (attribute, word) in
        [("linear_before_reset", "linear_before_reset"), ("layout", "batch_first"), ("input_forget", "input_forget")]
    {
        if node.int(attribute).unwrap_or(0) != 0 {
            parts.push(format!("{word}=True"));
        }
    }
    if let Some(clip) = node.float("clip") {
        parts.push(format!("clip={}", code::float(clip)));
    }
    let (hidden, cell) = (emitter.give(&format!("{name}_h")), emitter.give(&format!("{name}_c")));
    let helper = emitter.helper("_recurrent");
    emitter.line(format!("{name}, {hidden}, {cell} = {helper}({})", parts.join(", ")));
    for (at, value) in [&name, &hidden, &cell].into_iter().enumerate() {
        emitter.name_value(node, at, value);
    }
    Ok(true)
}
