//! Layers without an ONNX form: they stay in the model as nodes that can be seen, with weights and configuration.

use crate::import::ImportError;
use crate::import::keras::context::Context;
use crate::import::keras::value::{Layout, Value};
use crate::onnx::Attr;
use serde_json::Value as Json;

/// The domain of their nodes. No runtime knows it, so that such a model is seen and not run.
pub(in crate::import::keras) const DOMAIN: &str = "keras";

/// Longest text that is kept as an attribute.
const LONGEST_TEXT: usize = 10_000;

/// More results are a damaged file.
const MOST_OUTPUTS: usize = 1 << 12;

/// A node of the layer's class that reads what the layer reads, then its weights.
pub(in crate::import::keras) fn lower(
    context: &mut Context,
    inputs: &[Value],
    reason: &str,
) -> Result<Vec<Value>, ImportError> {
    context.parts.clear();
    let place = format!("{} '{}': {reason}", context.layer.class, context.path);
    if !context.low.unsupported.contains(&place) {
        context.low.unsupported.push(place);
    }
    let mut names: Vec<String> = inputs.iter().map(|value| context.low.as_is(value).name).collect();
    let scope = context.scope.clone();
    for weight in context.low.weights.all(&scope) {
        let key = format!("{} as stored", weight.path);
        let name = match context.low.constants.get(&key) {
            Some(name) => name.clone(),
            None => {
                let leaf = weight.path.rsplit('/').next().unwrap_or_default();
                let name = context.low.builder.initializer(&format!("{}/{leaf}", context.path), &weight.tensor);
                context.low.constants.insert(key, name.clone());
                name
            }
        };
        names.push(name);
    }
    let attributes: Vec<(&str, Attr)> =
        context.config.map().iter().filter_map(|(key, value)| Some((key.as_str(), attribute(value)?))).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let wish = |number: usize| match number {
        0 => format!("{}/{}", context.path, context.layer.class),
        _ => format!("{}/{}:{number}", context.path, context.layer.class),
    };
    // As many results as are read: how many more there are, the file does not say.
    let wishes: Vec<String> = (0..context.outputs.clamp(1, MOST_OUTPUTS)).map(wish).collect();
    let wishes: Vec<&str> = wishes.iter().map(String::as_str).collect();
    let outputs = context.low.builder.node_of(DOMAIN, &context.layer.class, &names, &wishes, &attributes);
    // Nothing is known of the result; later files say the shape where it is read.
    Ok(outputs.into_iter().map(|name| Value::new(name, None, Layout::AsIs)).collect())
}

/// An entry of the configuration as an attribute.
fn attribute(value: &Json) -> Option<Attr> {
    Some(match value {
        Json::Bool(value) => Attr::from(*value),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Attr::Int(whole),
            None => Attr::Float(number.as_f64()? as f32),
        },
        Json::String(text) if text.len() <= LONGEST_TEXT => Attr::from(text.as_str()),
        Json::Array(list) if !list.is_empty() => match list.iter().map(Json::as_i64).collect::<Option<Vec<i64>>>() {
            Some(whole) => Attr::Ints(whole),
            None => Attr::Floats(list.iter().map(|value| Some(value.as_f64()? as f32)).collect::<Option<_>>()?),
        },
        _ => return None,
    })
}
