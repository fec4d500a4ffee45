//! What is found out about values from what reads them: a scripted file tells neither types nor shapes of its inputs.

use super::{Graph, Origin};
use crate::import::pytorch::python::ValueId;
use crate::onnx::Dim;
use crate::tensor::DType;
use std::collections::HashMap;

/// Axes of a batch of images.
const IMAGES: usize = 4;

/// An input as the code, and where that is silent a guess, has it.
#[derive(Clone, Debug)]
pub(in crate::import::pytorch) struct Settled {
    pub dtype: DType,
    pub shape: Vec<Dim>,
}

impl Graph {
    /// What is learned of a value's dims from what reads it; known dims stay.
    pub fn learn(&mut self, id: ValueId, dims: &[Dim]) {
        let mut next = Some((id, dims.to_vec()));
        while let Some((id, dims)) = next.take() {
            let Some(value) = self.values.get_mut(id.0) else { return };
            match &mut value.shape {
                Some(shape) if shape.len() == dims.len() => {
                    for (known, dim) in shape.iter_mut().zip(&dims) {
                        if *known == Dim::Unknown {
                            *known = dim.clone();
                        }
                    }
                }
                Some(_) => return,
                None => value.shape = Some(dims.clone()),
            }
            match value.origin.clone() {
                None => {}
                Some(Origin::Same(origin)) => next = Some((origin, dims)),
                Some(Origin::Permuted(origin, order)) => {
                    let mut back = vec![Dim::Unknown; dims.len()];
                    let fits = order.len() == dims.len();
                    order.iter().zip(&dims).for_each(|(&to, dim)| {
                        if let Some(slot) = back.get_mut(to) {
                            *slot = dim.clone();
                        }
                    });
                    next = fits.then_some((origin, back));
                }
                Some(Origin::Flattened(origin)) => {
                    if let [_, Dim::Known(row)] = dims.as_slice() {
                        self.learn_row(origin, *row);
                    }
                }
            }
        }
    }

    /// How many elements a value has behind its first axis.
    pub(super) fn learn_row(&mut self, id: ValueId, row: usize) {
        let mut next = Some(id);
        while let Some(value) = next.and_then(|id| self.values.get_mut(id.0)).filter(|value| value.shape.is_none()) {
            value.row = Some(row);
            next = match value.origin {
                Some(Origin::Same(origin)) => Some(origin),
                _ => None,
            };
        }
    }

    /// A value is read as indices: an input whose type the file does not tell holds integers.
    pub fn learn_integer(&mut self, id: ValueId) {
        let mut next = Some(id);
        while let Some(value) = next.and_then(|id| self.values.get_mut(id.0)) {
            if value.quant.is_some() || value.dtype != DType::Float32 {
                return;
            }
            value.dtype = DType::Int64;
            next = value.origin.as_ref().map(|origin| match origin {
                Origin::Same(id) | Origin::Permuted(id, _) | Origin::Flattened(id) => *id,
            });
        }
    }

    /// The number of the first input's axes, where it is known; else that of images.
    pub fn first_rank(&self) -> usize {
        let first = self.builder.graph().input.first();
        let value = first.and_then(|first| self.values.iter().find(|value| value.name == first.name()));
        value.and_then(|value| value.shape.as_ref()).map_or(IMAGES, Vec::len)
    }

    /// Writes down what was learned of the inputs since they were declared, and what is guessed of them: ONNX wants a
    /// rank. The guesses are notes, too.
    pub fn settle_inputs(&mut self) -> Vec<Settled> {
        let known: HashMap<&str, _> = self.values.iter().map(|value| (value.name.as_str(), value)).collect();
        let (mut settled, mut notes) = (Vec::new(), Vec::new());
        for input in &mut self.builder.graph_mut().input {
            let Some(value) = known.get(input.name()) else { continue };
            let shape = value.shape.clone().unwrap_or_else(|| {
                let (shape, what) = guess(value.dtype, value.row);
                let name = input.name();
                notes.push(format!("The input {name} is taken for {what}: the file does not tell its rank."));
                shape
            });
            *input = crate::onnx::value_info(input.name(), value.dtype, Some(&shape));
            settled.push(Settled { dtype: value.dtype, shape });
        }
        notes.into_iter().for_each(|note| self.note(note));
        settled
    }
}

/// The dims of an input that nothing tells of, and what that takes it for. Indices come as a batch of lists. What is
/// flattened before a linear layer was a square image of one or three channels where its size allows that, else rows.
fn guess(dtype: DType, row: Option<usize>) -> (Vec<Dim>, String) {
    if dtype.is_int() {
        return (vec![Dim::Unknown; 2], "a batch of lists".to_owned());
    }
    let Some(row) = row else { return (vec![Dim::Unknown; IMAGES], "a batch of images".to_owned()) };
    let square = |channels: usize| {
        let side = (row / channels).isqrt();
        (side > 1 && side * side * channels == row).then_some((channels, side))
    };
    match [1, 3].into_iter().find_map(square) {
        Some((channels, side)) => {
            let shape = vec![Dim::Unknown, Dim::Known(channels), Dim::Known(side), Dim::Known(side)];
            (shape, format!("images of {channels} x {side} x {side}"))
        }
        None => (vec![Dim::Unknown, Dim::Known(row)], format!("rows of {row}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_flattened_was_an_image_where_its_size_allows() {
        let dims = |row: usize| -> Vec<Option<usize>> {
            guess(DType::Float32, Some(row)).0.iter().skip(1).map(Dim::known).collect()
        };
        assert_eq!(dims(784), [Some(1), Some(28), Some(28)]);
        assert_eq!(dims(3072), [Some(3), Some(32), Some(32)]);
        assert_eq!(dims(10), [Some(10)]);
        assert_eq!(dims(1), [Some(1)]);
        assert_eq!(guess(DType::Int64, None).0.len(), 2);
        assert_eq!(guess(DType::Float32, None).0.len(), IMAGES);
    }
}
