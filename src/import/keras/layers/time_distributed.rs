//! `TimeDistributed`: a layer applied to every step.

use super::shape::reshape_to;
use crate::import::keras::config::Config;
use crate::import::keras::context::Context;
use crate::import::keras::lowering::Place;
use crate::import::keras::stop::{Stop, unsupported};
use crate::import::keras::topology::Layer;
use crate::import::keras::value::Value;
use crate::import::keras::weights::{Part, Scope};

const INNER: Part = Part { folders: &["layer"], component: "", own_name: None };

/// A model on every step: its batch is all steps of all examples.
fn model(context: &mut Context, inputs: &[Value]) -> Result<Vec<Value>, Stop> {
    let value = context.single(inputs)?.clone();
    let value = context.low.as_is(&value);
    let Some(model) = &context.layer.nested else { return Err(context.config.wrong("layer", "a model")) };
    let steps = Steps::of(&value)?;
    let folded = steps.folded(context, &value)?;
    let scope = match &context.scope {
        Scope::ByClass { folder } => Scope::ByClass { folder: format!("{folder}/layer") },
        // Names of weights in an .h5 begin with the wrapper's name or the model's, which tell nothing.
        Scope::ByLayer { group, path } => Scope::ByLayer { group: group.clone(), path: path.clone() },
    };
    let prefix = format!("{}/", context.path);
    let place = Place { prefix: &prefix, scope: Some(&scope), once: context.once };
    if model.inputs.len() != 1 {
        return unsupported("a model of several inputs applied to every step");
    }
    let results = context.low.model(model, &[folded], place)?;
    results.iter().map(|result| steps.unfolded(context, result)).collect()
}

/// The axes that are folded into one while a layer works on steps.
struct Steps {
    batch: Option<usize>,
    steps: Option<usize>,
    rest: Vec<Option<usize>>,
}

impl Steps {
    fn of(value: &Value) -> Result<Self, Stop> {
        let Some(shape) = &value.shape else { return unsupported("steps of an unknown shape") };
        let Some((batch, [steps, rest @ ..])) = shape.split_first() else {
            return unsupported("an input without steps");
        };
        if rest.iter().any(Option::is_none) {
            return unsupported("steps of an open size");
        }
        Ok(Steps { batch: *batch, steps: *steps, rest: rest.to_vec() })
    }

    /// (batch, steps, ...) as (batch x steps, ...).
    fn folded(&self, context: &mut Context, value: &Value) -> Result<Value, Stop> {
        Ok(Value { dtype: value.dtype, ..reshape_to(context, &value.name, None, &self.rest)? })
    }

    /// (batch x steps, ...) as (batch, steps, ...).
    fn unfolded(&self, context: &mut Context, result: &Value) -> Result<Value, Stop> {
        let result = context.low.as_is(result);
        let Some((_, rest)) = result.shape.as_ref().and_then(|shape| shape.split_first()) else {
            return unsupported("steps of an unknown shape");
        };
        let Some(steps) = self.steps else { return unsupported("an open number of steps") };
        let dims: Vec<Option<usize>> = [Some(steps)].into_iter().chain(rest.iter().copied()).collect();
        Ok(Value { dtype: result.dtype, ..reshape_to(context, &result.name, self.batch, &dims)? })
    }
}

/// A dense layer or an activation takes the steps as they are; any other layer sees them as a larger batch.
pub(super) fn time_distributed(context: &mut Context, inputs: &[Value]) -> Result<Vec<Value>, Stop> {
    if context.layer.nested.is_some() {
        return model(context, inputs);
    }
    let inner = context
        .config
        .get("layer")
        .and_then(|layer| Some((layer.get("class_name")?.as_str()?, layer.get("config")?.as_object()?)));
    let Some((class, config)) = inner else { return Err(context.config.wrong("layer", "a layer")) };
    if class == "TimeDistributed" {
        return unsupported("steps of steps");
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
    let steps = if per_step { Some(Steps::of(&value)?) } else { None };
    let input = match &steps {
        Some(steps) => steps.folded(context, &value)?,
        None => value,
    };
    let mut inner = Context {
        config: Config::new(&layer.name, &layer.config),
        layer: &layer,
        call: context.call,
        values: context.values,
        scope: context.scope.clone(),
        parts,
        path: context.path.clone(),
        once: context.once,
        outputs: context.outputs,
        low: context.low,
    };
    let results = super::lower(&mut inner, &[input])?;
    match steps {
        Some(steps) => results.iter().map(|result| steps.unfolded(context, result)).collect(),
        None => Ok(results),
    }
}
