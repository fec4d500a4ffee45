//! Which tensors get a scale, and whose.

use crate::tensor::DType;
use std::collections::BTreeMap;

/// What a tensor is to the quantizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MarkKind {
    /// Quantized with the type of activations; a constant too.
    Activation,
    /// A constant with the type of weights.
    Weight,
}

/// A tensor that is to be quantized.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mark {
    pub kind: MarkKind,
    /// The channel axis of a weight with many scales.
    pub axis: Option<usize>,
    /// The tensor whose scale and zero point it uses.
    pub shared_with: Option<String>,
    /// A type that the operator asks for.
    pub dtype: Option<DType>,
    /// A scale and zero point that the operator asks for.
    pub fixed: Option<(f32, i32)>,
}

impl Mark {
    /// A tensor with one scale of its own.
    pub fn of(kind: MarkKind) -> Self {
        Mark { kind, axis: None, shared_with: None, dtype: None, fixed: None }
    }
}

/// A bias that is to be int32.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BiasMark {
    pub bias: String,
    pub input: String,
    pub weight: String,
}

/// Everything that is to be quantized, in the order in which it was met; a second mark keeps the first's place.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    marks: BTreeMap<String, (usize, Mark)>,
    next: usize,
    pub biases: Vec<BiasMark>,
}

impl Marks {
    pub fn contains(&self, tensor: &str) -> bool {
        self.marks.contains_key(tensor) || self.biases.iter().any(|bias| bias.bias == tensor)
    }

    pub fn get(&self, tensor: &str) -> Option<&Mark> {
        self.marks.get(tensor).map(|(_, mark)| mark)
    }

    /// Marks a tensor unless it is marked already.
    pub fn add(&mut self, tensor: &str, mark: Mark) {
        if !self.marks.contains_key(tensor) {
            self.replace(tensor, mark);
        }
    }

    /// Marks a tensor, whatever it was marked as.
    pub fn replace(&mut self, tensor: &str, mark: Mark) {
        let place = self.marks.get(tensor).map_or(self.next, |(place, _)| *place);
        self.next += 1;
        self.marks.insert(tensor.to_owned(), (place, mark));
    }

    /// Gives a marked tensor another name, also where others use its scale.
    pub fn rename(&mut self, old: &str, new: &str) {
        if let Some(mark) = self.marks.remove(old) {
            self.marks.insert(new.to_owned(), mark);
        }
        for (_, mark) in self.marks.values_mut().filter(|(_, mark)| mark.shared_with.as_deref() == Some(old)) {
            mark.shared_with = Some(new.to_owned());
        }
        for bias in &mut self.biases {
            for name in [&mut bias.input, &mut bias.weight].into_iter().filter(|name| *name == old) {
                *name = new.to_owned();
            }
        }
    }

    pub fn remove(&mut self, tensor: &str) {
        self.marks.remove(tensor);
    }

    /// The marks in the order in which they were made.
    pub fn in_order(&self) -> Vec<(&str, &Mark)> {
        let mut all: Vec<_> = self.marks.iter().collect();
        all.sort_by_key(|(_, (place, _))| *place);
        all.into_iter().map(|(name, (_, mark))| (name.as_str(), mark)).collect()
    }
}
