//! Recurrent layers, step by step.

use crate::export::pytorch::code;
use crate::export::pytorch::emit::Emitter;
use crate::export::pytorch::error::Refusal;
use crate::onnx::NodeExt;
use crate::onnx::proto::NodeProto;

/// The helper's activations with the defaults of their alpha and beta, where they have them (ONNX's specification of RNN).
const KNOWN: [(&str, Option<f32>, Option<f32>); 11] = [
    ("Sigmoid", None, None),
    ("Tanh", None, None),
    ("Relu", None, None),
    ("Softsign", None, None),
    ("Softplus", None, None),
    ("HardSigmoid", Some(0.2), Some(0.5)),
    ("Affine", Some(1.0), Some(0.0)),
    ("LeakyRelu", Some(0.01), None),
    ("ThresholdedRelu", Some(1.0), None),
    ("ScaledTanh", Some(1.0), Some(1.0)),
    ("Elu", Some(1.0), None),
];

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
    let numbers = |name: &str| NodeExt::attribute(node, name).map(|list| list.floats.clone()).unwrap_or_default();
    let (mut alphas, mut betas) = (numbers("activation_alpha").into_iter(), numbers("activation_beta").into_iter());
    for bytes in &activations {
        let known = KNOWN.iter().find(|(known, ..)| known.as_bytes().eq_ignore_ascii_case(bytes));
        let (name, alpha, beta) = known.ok_or("an activation that is not known")?;
        // Each takes its numbers off the lists, where it has some.
        let alpha = alpha.map(|usual| alphas.next().unwrap_or(usual)).unwrap_or(0.0);
        let beta = beta.map(|usual| betas.next().unwrap_or(usual)).unwrap_or(0.0);
        names.push(format!("({}, {}, {})", code::text(name), code::float(alpha), code::float(beta)));
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
