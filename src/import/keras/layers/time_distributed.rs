//! `TimeDistributed`: a layer applied to every step.

use super::shape::reshape_to;
use crate::import::keras::config::Config;
use crate::import::keras::context::Context;
use crate::import::keras::stop::{Stop, unsupported};
use crate::import::keras::topology::Layer;
use crate::import::keras::value::Value;
use crate::import::keras::weights::Part;

const INNER: Part = Part { folders: &["layer"], component: "", own_name: None };

/// A dense layer or an activation takes the steps as they are; any other layer sees them as a larger batch.
pub(super) fn time_distributed(context: &mut Context, inputs: &[Value]) -> Result<Vec<Value>, Stop> {
    let inner = context
        .config
        .get("layer")
        .and_then(|layer| Some((layer.get("class_name")?.as_str()?, layer.get("config")?.as_object()?)));
    let Some((class, config)) = inner else { return Err(context.config.wrong("layer", "a layer")) };
    if config.get("layers").is_some_and(serde_json::Value::is_array) || class == "TimeDistributed" {
        return unsupported("a model applied to every step");
    }
    let layer = Layer {
        name: context.layer.name.clone(),
        class: class.to_owned(),
        config: config.clone(),
        calls: context.layer.calls.clone(),
        nested: None,
        is_function: false,
    };
    let value = context.single(inputs)?;
    let value = context.low.as_is(value);
    // Counted from the front, an axis of a step is another one with the steps in front.
    let along_last = || Ok::<_, Stop>(Config::new(&layer.name, &layer.config).axes("axis", &[-1])? == [-1]);
    let per_step = match class {
        "Dense" | "Activation" | "ReLU" | "LeakyReLU" | "ELU" | "Dropout" => false,
        "Softmax" => !along_last()?,
        _ => true,
    };
    let mut parts = context.parts.clone();
    parts.push(INNER);
    let (input, outer) = match (&value.shape, per_step) {
        (_, false) => (value.clone(), None),
        (Some(shape), true) => {
            let Some((batch, [steps, rest @ ..])) = shape.split_first() else {
                return unsupported("an input without steps");
            };
            if rest.iter().any(Option::is_none) {
                return unsupported("steps of an open size");
            }
            (reshape_to(context, &value.name, None, rest)?, Some((*batch, *steps)))
        }
        (None, true) => return unsupported("steps of an unknown shape"),
    };
    let mut inner = Context {
        config: Config::new(&layer.name, &layer.config),
        layer: &layer,
        call: context.call,
        values: context.values,
        scope: context.scope.clone(),
        parts,
        path: context.path.clone(),
        input_is_alone: false,
        low: context.low,
    };
    let results = super::lower(&mut inner, &[input])?;
    let Some((batch, steps)) = outer else { return Ok(results) };
    let mut back = Vec::new();
    for result in results {
        let result = context.low.as_is(&result);
        let Some((_, rest)) = result.shape.as_ref().and_then(|shape| shape.split_first()) else {
            return unsupported("steps of an unknown shape");
        };
        let Some(steps) = steps else { return unsupported("an open number of steps") };
        let dims: Vec<Option<usize>> = [Some(steps)].into_iter().chain(rest.iter().copied()).collect();
        back.push(reshape_to(context, &result.name, batch, &dims)?);
    }
    Ok(back)
}
