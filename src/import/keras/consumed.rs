//! Masks that attention takes away.
//!
//! Keras 3's `MultiHeadAttention` takes the masks off the tensors it is given, so that whatever reads the same tensor
//! later finds none. What comes later is decided by Keras's order of running: the calls farthest from the outputs
//! first, and among equally far ones the last of the file.

use super::topology::{Call, Model, TensorRef};
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

/// A call: position of its layer, and which of the layer's calls.
type CallId = (usize, usize);

/// For every call, the tensors that have lost their masks when it runs. Empty where nothing takes masks away.
pub(super) fn lost_masks(model: &Model, major: u32) -> HashMap<CallId, HashSet<TensorRef>> {
    let takes = |(layer, _): &CallId| model.layers.get(*layer).is_some_and(|layer| layer.class == "MultiHeadAttention");
    let calls: Vec<(CallId, &Call)> = model
        .layers
        .iter()
        .enumerate()
        .flat_map(|(at, layer)| layer.calls.iter().enumerate().map(move |(number, call)| ((at, number), call)))
        .collect();
    if major < 3 || !calls.iter().any(|(id, _)| takes(id)) {
        return HashMap::new();
    }
    let depths = depths(&calls);
    let turn = |id: &CallId| (Reverse(depths.get(id).copied().unwrap_or(0)), Reverse(*id));
    // The turn at which each tensor loses its mask.
    let mut taken = HashMap::new();
    for (id, call) in calls.iter().filter(|(id, _)| takes(id)) {
        for (tensor, _) in call.tensors() {
            let first = taken.entry(tensor).or_insert_with(|| turn(id));
            *first = turn(id).min(*first);
        }
    }
    let mut lost: HashMap<CallId, HashSet<TensorRef>> = HashMap::new();
    for (id, call) in &calls {
        let gone = call.tensors().into_iter().map(|(tensor, _)| tensor);
        let gone: HashSet<TensorRef> =
            gone.filter(|tensor| taken.get(tensor).is_some_and(|at| *at < turn(id))).cloned().collect();
        if !gone.is_empty() {
            lost.insert(*id, gone);
        }
    }
    lost
}

/// How many calls lie between each call and the outputs, by the longest way. Calls in a cycle have none.
fn depths(calls: &[(CallId, &Call)]) -> HashMap<CallId, usize> {
    let mut readers: HashMap<CallId, usize> = calls.iter().map(|(id, _)| (*id, 0)).collect();
    let by_id: HashMap<CallId, &Call> = calls.iter().copied().collect();
    let makers = |call: &Call| -> Vec<CallId> {
        call.tensors().into_iter().map(|(tensor, _)| (tensor.layer, tensor.call)).collect()
    };
    for maker in calls.iter().flat_map(|(_, call)| makers(call)) {
        if let Some(count) = readers.get_mut(&maker) {
            *count += 1;
        }
    }
    let mut depths: HashMap<CallId, usize> = HashMap::new();
    let mut ready: Vec<CallId> = readers.iter().filter(|(_, count)| **count == 0).map(|(id, _)| *id).collect();
    while let Some(id) = ready.pop() {
        let depth = *depths.entry(id).or_default();
        for maker in by_id.get(&id).map(|call| makers(call)).unwrap_or_default() {
            let Some(left) = readers.get_mut(&maker) else { continue };
            let known = depths.entry(maker).or_default();
            *known = (*known).max(depth + 1);
            *left -= 1;
            if *left == 0 {
                ready.push(maker);
            }
        }
    }
    depths
}
