//! The values of the last run and what has to be computed again.

use super::error::EngineError;
use super::kernel::Input;
use super::plan::{InputFact, Observe, Plan, Step};
use super::seen::Seen;
use super::value::{KernelError, Value};
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// What a re-run did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dirty {
    /// Nodes that were computed again.
    pub nodes: usize,
    /// Observed values whose bits changed, as they are made or as their readers see them, in graph order.
    pub values: Vec<String>,
}

/// Every value of the last run by its number.
pub(super) struct State {
    pub values: Vec<Option<Value>>,
    pub constant: Vec<bool>,
    /// Values that changed, as they were made or as their readers see them, since their readers were computed.
    pub changed: Vec<bool>,
    /// Those of them that their readers see unchanged, because they are rounded to what they were.
    unseen: Vec<bool>,
    /// Values that their readers see rounded, clamped or replaced.
    pub fake: HashMap<usize, Arc<Seen>>,
    pub rounded: HashMap<usize, Value>,
    pub has_run: bool,
}

impl State {
    pub fn new(values: Vec<Option<Value>>, constant: Vec<bool>) -> Self {
        let (changed, unseen) = (vec![false; values.len()], vec![false; values.len()]);
        State { values, constant, changed, unseen, fake: HashMap::new(), rounded: HashMap::new(), has_run: false }
    }

    /// A value as its readers see it.
    pub fn seen(&self, id: usize) -> Option<&Value> {
        self.rounded.get(&id).or_else(|| self.values.get(id)?.as_ref())
    }

    /// Replaces a value and marks it as changed.
    pub fn put(&mut self, id: usize, value: Option<Value>) -> Result<(), KernelError> {
        let rounds = self.fake.contains_key(&id);
        let before = if rounds { self.rounded.get(&id).cloned() } else { None };
        if let Some(slot) = self.values.get_mut(id) {
            *slot = value;
        }
        self.see(id, before)
    }

    /// Rounds a value anew for its readers, who have to be computed again where they see another value then.
    pub fn refresh(&mut self, id: usize) -> Result<(), KernelError> {
        let before = self.seen(id).cloned();
        self.see(id, before)
    }

    fn see(&mut self, id: usize, before: Option<Value>) -> Result<(), KernelError> {
        self.rounded.remove(&id);
        if let (Some(seen), Some(Some(value))) = (self.fake.get(&id), self.values.get(id)) {
            let rounded = seen.of(value)?;
            self.rounded.insert(id, rounded);
        }
        // A change that is still waiting for its readers must not be taken back by one that they do not see.
        let waiting = self.has_changed(id);
        let same = match (before, self.seen(id)) {
            (Some(before), Some(now)) => before.same_bits(now),
            _ => false,
        };
        if let (Some(changed), Some(unseen)) = (self.changed.get_mut(id), self.unseen.get_mut(id)) {
            *changed = true;
            *unseen = same && !waiting;
        }
        Ok(())
    }

    /// Everything that a run or an edit changes. Cheap: tensors are shared.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { values: self.values.clone(), fake: self.fake.clone(), rounded: self.rounded.clone() }
    }

    /// Goes back to a snapshot of the same plan, taken when nothing was waiting to be computed.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        self.values.clone_from(&snapshot.values);
        self.fake.clone_from(&snapshot.fake);
        self.rounded.clone_from(&snapshot.rounded);
        self.settle();
    }

    /// Nothing is waiting to be computed any more.
    pub fn settle(&mut self) {
        self.changed.fill(false);
        self.unseen.fill(false);
    }

    /// Forgets a value nobody needs any more.
    pub fn drop_value(&mut self, id: usize) {
        if let Some(slot) = self.values.get_mut(id) {
            *slot = None;
        }
        self.rounded.remove(&id);
    }

    fn has_changed(&self, id: usize) -> bool {
        self.changed.get(id) == Some(&true) && self.unseen.get(id) != Some(&true)
    }
}

/// The values of a plan at one time.
#[derive(Clone)]
pub(super) struct Snapshot {
    values: Vec<Option<Value>>,
    fake: HashMap<usize, Arc<Seen>>,
    rounded: HashMap<usize, Value>,
}

impl Step {
    /// Computes the node's outputs, one value per output position. `read` gives a value and whether it is constant.
    pub(super) fn compute(&mut self, read: impl Fn(usize) -> Option<(Value, bool)>) -> Result<Vec<Value>, EngineError> {
        let input = |id: &Option<usize>| (*id).and_then(&read).map(|(value, constant)| Input { value, constant });
        let inputs: Vec<Option<Input>> = self.inputs.iter().map(input).collect();
        let last = inputs.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        let results = self.kernel.run(inputs.get(..last).unwrap_or(&inputs));
        results.map_err(|message| self.failure(message))
    }

    fn failure(&self, message: String) -> EngineError {
        EngineError::Node { node: self.label.clone(), op_type: self.op_type.clone(), message }
    }
}

/// Checks a tensor against the declaration of its input.
fn fits(fact: &InputFact, tensor: &Tensor) -> bool {
    let dims = tensor.shape();
    tensor.dtype() == fact.dtype
        && (!fact.ranked
            || (dims.len() == fact.shape.len()
                && dims.iter().zip(&fact.shape).all(|(&dim, declared)| declared.is_none_or(|d| d == dim))))
}

fn describe(fact: &InputFact) -> String {
    let dim = |d: &Option<usize>| d.map_or_else(|| "any".to_owned(), |d| d.to_string());
    let dims: Vec<String> = fact.shape.iter().map(dim).collect();
    if fact.ranked { format!("{}[{}]", fact.dtype, dims.join(", ")) } else { format!("{} of any shape", fact.dtype) }
}

impl Plan {
    /// Runs the model on named inputs and keeps every observed value. All inputs must be given.
    pub fn run(&mut self, inputs: &[(String, Tensor)]) -> Result<(), EngineError> {
        self.give(inputs)?;
        self.compute(true)?;
        self.state.has_run = true;
        Ok(())
    }

    /// Takes the inputs; nothing is computed yet.
    pub(super) fn give(&mut self, inputs: &[(String, Tensor)]) -> Result<(), EngineError> {
        let mut given = Vec::with_capacity(self.inputs.len());
        for fact in &self.inputs {
            let wrong = |found: String| EngineError::Input { name: fact.name.clone(), found, expected: describe(fact) };
            let found = inputs.iter().find(|(name, _)| *name == fact.name);
            let (_, tensor) = found.ok_or_else(|| wrong("nothing".to_owned()))?;
            if !fits(fact, tensor) {
                return Err(wrong(format!("{}{:?}", tensor.dtype(), tensor.shape())));
            }
            given.push(Value::from_plain(tensor).map_err(wrong)?);
        }
        if let Some((name, _)) = inputs.iter().find(|(name, _)| self.inputs.iter().all(|f| f.name != *name)) {
            return Err(EngineError::Input {
                name: name.clone(),
                found: "a tensor".to_owned(),
                expected: "one of the model's inputs".to_owned(),
            });
        }
        for ((&id, fact), value) in self.input_ids.iter().zip(&self.inputs).zip(given) {
            let put = self.state.put(id, Some(value));
            put.map_err(|message| EngineError::Params { scale: fact.name.clone(), message })?;
        }
        self.state.has_run = false;
        Ok(())
    }

    /// Computes one node, unless it is constant or nobody needs it; every reader is to be computed after it.
    pub(super) fn compute_step(&mut self, position: usize) -> Result<(), EngineError> {
        let state = &mut self.state;
        let Some(step) = self.steps.get_mut(position).filter(|step| step.needed && !step.constant) else {
            return Ok(());
        };
        let results = step.compute(|id| Some((state.seen(id)?.clone(), state.constant.get(id) == Some(&true))))?;
        for (id, value) in step.outputs.iter().zip(results) {
            if let Some(id) = *id {
                state.put(id, Some(value)).map_err(|message| step.failure(message))?;
            }
        }
        Ok(())
    }

    /// Computes again only what depends on edited parameters, bit for bit what a full run gives. With
    /// [`Observe::OutputsOnly`] the intermediate values are gone, so everything that needs the input runs again.
    pub fn rerun(&mut self) -> Result<Dirty, EngineError> {
        if !self.state.has_run {
            return Err(EngineError::NotRun);
        }
        self.state.has_run = false;
        let dirty = self.compute(self.options.observe == Observe::OutputsOnly)?;
        self.state.has_run = true;
        Ok(dirty)
    }

    /// A value of the last run by its ONNX name, in the type ONNX gives it: node outputs, graph inputs, initializers.
    /// `None` before the first run, for unknown names, and for values that are not observed.
    pub fn value(&self, name: &str) -> Option<Tensor> {
        let &id = self.names.get(name)?;
        self.state.values.get(id)?.as_ref()?.to_plain().ok()
    }

    /// Runs every step with a changed input, or all that are not constant.
    fn compute(&mut self, everything: bool) -> Result<Dirty, EngineError> {
        let mut dirty = Dirty::default();
        let last_use = (self.options.observe == Observe::OutputsOnly).then(|| self.last_use());
        let (steps, state) = (&mut self.steps, &mut self.state);
        for (position, step) in steps.iter_mut().enumerate() {
            let touched = step.inputs.iter().flatten().any(|&id| state.has_changed(id));
            if !(step.needed && (touched || (everything && !step.constant))) {
                continue;
            }
            let read = |id| Some((state.seen(id)?.clone(), state.constant.get(id) == Some(&true)));
            let results = step.compute(read)?;
            dirty.nodes += 1;
            for (id, value) in step.outputs.iter().zip(results) {
                let Some(id) = *id else { continue };
                // A full run computes every reader anyway; a partial one stops where nothing changes.
                let old = state.values.get(id).and_then(Option::as_ref).filter(|_| !everything);
                if !old.is_some_and(|old| old.same_bits(&value)) {
                    state.put(id, Some(value)).map_err(|message| step.failure(message))?;
                }
            }
            for &id in last_use.iter().filter_map(|l| l.get(position)).flatten() {
                state.drop_value(id);
            }
        }
        let changed = |name: &&String| self.names.get(*name).is_some_and(|&id| state.changed.get(id) == Some(&true));
        dirty.values = self.observed.iter().filter(changed).cloned().collect();
        state.settle();
        Ok(dirty)
    }

    /// For each step the values nobody needs after it.
    fn last_use(&self) -> Vec<Vec<usize>> {
        let mut last: Vec<Option<usize>> = vec![None; self.state.values.len()];
        for (position, step) in self.steps.iter().enumerate() {
            for &id in step.inputs.iter().chain(&step.outputs).flatten() {
                if let Some(entry) = last.get_mut(id) {
                    *entry = Some(position);
                }
            }
        }
        let kept: Vec<usize> = self.outputs.iter().filter_map(|n| self.names.get(n)).copied().collect();
        let mut by_step = vec![Vec::new(); self.steps.len()];
        for (id, position) in last.into_iter().enumerate() {
            let dynamic = !self.state.constant.get(id).copied().unwrap_or(true) && !self.input_ids.contains(&id);
            if let Some(list) = position.filter(|_| dynamic && !kept.contains(&id)).and_then(|p| by_step.get_mut(p)) {
                list.push(id);
            }
        }
        by_step
    }
}
