//! Many batches going through a live plan stage by stage, so that a row can be made from what all of them reach before
//! the nodes behind it are computed.
//!
//! A batch on its way keeps only what nodes behind it still read: memory is that of the widest cut through the graph,
//! times the batches.

use super::error::EngineError;
use super::live::LivePlan;
use super::plan::Plan;
use super::state::State;
use super::value::{KernelError, Value};
use crate::tensor::{Channels, Tensor};

/// A value that nodes still read.
#[derive(Clone)]
struct Kept {
    id: usize,
    value: Value,
    /// Whether it is what its readers see, and not the value as it was made.
    seen: bool,
}

/// A batch on its way through a [`LivePlan`].
#[derive(Clone, Default)]
pub struct Wave {
    /// The first node that has not been computed.
    position: usize,
    /// What is still needed.
    kept: Vec<Kept>,
}

impl Wave {
    /// Bytes of the values that it keeps.
    pub fn bytes(&self) -> usize {
        self.kept.iter().map(|kept| kept.value.len() * kept.value.tensor().datum_type().size_of()).sum()
    }
}

impl State {
    /// Makes a batch's values the present ones, and rounds those that have not been.
    fn load(&mut self, wave: &Wave) -> Result<(), KernelError> {
        for id in 0..self.values.len() {
            if self.constant.get(id) != Some(&true) {
                self.drop_value(id);
            }
        }
        for Kept { id, value, seen } in &wave.kept {
            if let Some(slot) = self.values.get_mut(*id) {
                *slot = Some(value.clone());
            }
            match (seen, self.fake.contains_key(id)) {
                (true, true) => {
                    self.rounded.insert(*id, value.clone());
                }
                (true, false) => {}
                (false, _) => self.refresh(*id)?,
            }
        }
        Ok(())
    }
}

impl Plan {
    /// The number of the node after which a value is there; 0 for inputs and constants.
    fn stage(&self, value: &str) -> Option<usize> {
        let id = self.names.get(value)?;
        let makes = self.steps.iter().position(|step| step.outputs.contains(&Some(*id)));
        Some(makes.map_or(0, |position| position + 1))
    }

    /// The last node that reads each value.
    fn last_readers(&self) -> Vec<Option<usize>> {
        let mut last = vec![None; self.state.values.len()];
        for (position, step) in self.steps.iter().enumerate() {
            for &id in step.inputs.iter().flatten() {
                if let Some(entry) = last.get_mut(id) {
                    *entry = Some(position);
                }
            }
        }
        last
    }
}

impl LivePlan {
    /// Puts a batch in front of the first node.
    pub fn depart(&mut self, inputs: &[(String, Tensor)]) -> Result<Wave, EngineError> {
        self.plan.give(inputs)?;
        let given = |&id: &usize| Some(Kept { id, value: self.plan.state.values.get(id)?.clone()?, seen: false });
        Ok(Wave { position: 0, kept: self.plan.input_ids.iter().filter_map(given).collect() })
    }

    /// Computes until the value is there, or to the end. The batch keeps the value as it was made; what its readers see
    /// is decided by the row that it has when the batch goes on. A value that is there already costs nothing.
    pub fn advance(&mut self, wave: &mut Wave, until: Option<&str>) -> Result<(), EngineError> {
        let unknown = |name: &str| EngineError::Graph {
            place: format!("value '{name}'"),
            message: "the model has no such value".to_owned(),
        };
        let end = match until {
            Some(name) => self.plan.stage(name).ok_or_else(|| unknown(name))?,
            None => self.plan.steps.len(),
        };
        if end <= wave.position {
            return Ok(());
        }
        let last = self.plan.last_readers();
        let kept_names = until.into_iter().chain(self.plan.outputs.iter().map(String::as_str));
        let named: Vec<usize> = kept_names.filter_map(|name| self.plan.names.get(name)).copied().collect();
        let plan = &mut self.plan;
        plan.state.has_run = false;
        let loaded = plan.state.load(wave);
        loaded.map_err(|message| EngineError::Params { scale: "a value on its way".to_owned(), message })?;
        let needed = |id: usize, at: usize| last.get(id).copied().flatten().is_some_and(|reader| reader >= at);
        for position in wave.position..end {
            plan.compute_step(position)?;
            let Some(step) = plan.steps.get(position) else { continue };
            for &id in step.inputs.iter().flatten() {
                let is_constant = plan.state.constant.get(id) == Some(&true);
                if !is_constant && !needed(id, position + 1) && !named.contains(&id) {
                    plan.state.drop_value(id);
                }
            }
        }
        let made = until.and_then(|name| plan.names.get(name)).copied();
        wave.position = end;
        wave.kept.clear();
        for id in 0..plan.state.values.len() {
            if plan.state.constant.get(id) == Some(&true) || !(needed(id, end) || named.contains(&id)) {
                continue;
            }
            // The last one made is kept as it was: its row may be made from it.
            let seen = made != Some(id);
            let value = if seen { plan.state.seen(id) } else { plan.state.values.get(id).and_then(Option::as_ref) };
            wave.kept.extend(value.map(|value| Kept { id, value: value.clone(), seen }));
        }
        plan.state.settle();
        Ok(())
    }

    /// When a value is there, as a number that grows along the way; `None` where the model has no such value.
    pub fn stage_of(&self, value: &str) -> Option<usize> {
        self.plan.stage(value)
    }

    /// Adds a number to each channel of a float32 value that a batch keeps; channels lie along `axis` (negative: from
    /// the end). Whatever does not fit stays as it is.
    pub fn shift(&self, wave: &mut Wave, name: &str, additions: &[f64], axis: i64) {
        let id = self.plan.names.get(name);
        let Some(kept) = wave.kept.iter_mut().find(|kept| Some(&kept.id) == id) else { return };
        let channels = Channels::along(kept.value.shape(), axis).filter(|channels| channels.count == additions.len());
        let (Some(channels), Ok(numbers)) = (channels, kept.value.f32s()) else { return };
        let moved = |(at, number): (usize, &f32)| {
            number + additions.get(channels.of(at)).map_or(0.0, |addition| *addition as f32)
        };
        let moved = numbers.iter().enumerate().map(moved).collect();
        if let Ok(value) = Value::from_vec(kept.value.dtype(), kept.value.shape(), moved) {
            kept.value = value;
        }
    }

    /// A value that a batch keeps.
    pub fn value_of(&self, wave: &Wave, name: &str) -> Option<Tensor> {
        let id = self.plan.names.get(name)?;
        wave.kept.iter().find(|kept| kept.id == *id)?.value.to_plain().ok()
    }

    /// The smallest and the largest finite number of a float value that a batch keeps; `None` where there is none.
    pub fn reach_of(&self, wave: &Wave, name: &str) -> Option<(f32, f32)> {
        let id = self.plan.names.get(name)?;
        reach(wave.kept.iter().find(|kept| kept.id == *id)?.value.f32s().ok()?)
    }
}

/// The smallest and the largest finite number.
fn reach(numbers: &[f32]) -> Option<(f32, f32)> {
    let (low, high) = numbers.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &number| {
        // Comparisons with NaN are false, and infinities are left out by their own ones.
        let low = if number < low && number > f32::NEG_INFINITY { number } else { low };
        let high = if number > high && number < f32::INFINITY { number } else { high };
        (low, high)
    });
    (low <= high).then_some((low, high))
}

#[cfg(test)]
mod tests {
    use super::reach;

    #[test]
    fn what_is_not_finite_has_no_reach() {
        assert_eq!(reach(&[1.0, f32::NAN, -2.0, f32::INFINITY, f32::NEG_INFINITY]), Some((-2.0, 1.0)));
        assert_eq!(reach(&[f32::NAN, f32::INFINITY]), None);
        assert_eq!(reach(&[]), None);
        assert_eq!(reach(&[-0.5]), Some((-0.5, -0.5)));
    }
}
