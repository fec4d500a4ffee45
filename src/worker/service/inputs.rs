//! What each input of a model is given.

use super::Service;
use super::items::{Cut, Part};
use super::model::OpenModel;
use super::source::{Content, OpenSource};
use crate::engine::InputFact;
use crate::import::{Distribution, random_input};
use crate::onnx::usable_sizes;
use crate::problem::Problem;
use crate::tensor::{DType, Tensor};
use crate::worker::protocol::{InputChoice, RunOrder};

/// Inputs by name, and the names of those that the chosen data has nothing for: they have random values.
pub type Filled = (Vec<(String, Tensor)>, Vec<String>);

impl Service {
    /// The chosen input for each of a model's inputs. Data that lacks one of them is refused: what is measured with
    /// random values says nothing.
    pub(super) fn inputs(
        &self,
        model: &OpenModel,
        facts: &[InputFact],
        order: &RunOrder,
    ) -> Result<Vec<(String, Tensor)>, Problem> {
        let (inputs, random) = self.inputs_or_random(model, facts, order)?;
        let Some(chosen) = order.input.source().filter(|_| !random.is_empty()) else { return Ok(inputs) };
        let names: Vec<String> = facts.iter().map(|fact| format!("'{}'", fact.name)).collect();
        Err(Problem {
            file: self.opened(chosen)?.name.clone(),
            place: format!("the inputs of {}", model.summary.name),
            found: format!("no array named '{}'", random.join("', '")),
            expected: format!("an array for each of the inputs {}", names.join(", ")),
            advice: "Save them together: numpy.savez(file, **{input name: array}), items along the first axis."
                .to_owned(),
        })
    }

    /// The same for a run that is only looked at: an input that the data has nothing for gets reproducible values.
    pub(super) fn inputs_or_random(
        &self,
        model: &OpenModel,
        facts: &[InputFact],
        order: &RunOrder,
    ) -> Result<Filled, Problem> {
        let (mut inputs, mut filled) = (Vec::new(), Vec::new());
        for (position, fact) in facts.iter().enumerate() {
            let chosen = order.input.source().map(|source| self.opened(source)).transpose()?;
            let part = chosen.and_then(|source| self.part(facts, position, source));
            let tensor = match (&order.input, part) {
                (InputChoice::Random { seed }, _) => random(model, fact, seed.wrapping_add(position as u64))?,
                (InputChoice::Item { index, .. }, Some(Part::Items(open))) => {
                    self.item(model, fact, open, *index, order)?
                }
                (InputChoice::Item { index, .. }, Some(Part::Labels(open))) => number(model, fact, open, *index)?,
                (InputChoice::Whole { .. }, Some(Part::Items(open))) => match &open.content {
                    Content::Array { array, .. } => fitted(array.tensor.clone(), model, fact, open)?,
                    _ => self.item(model, fact, open, 0, order)?,
                },
                (InputChoice::Whole { .. }, Some(Part::Labels(open))) => number(model, fact, open, 0)?,
                (_, None) => {
                    filled.push(fact.name.clone());
                    random(model, fact, position as u64)?
                }
            };
            inputs.push((fact.name.clone(), tensor));
        }
        Ok((inputs, filled))
    }

    fn opened(&self, source: u32) -> Result<&OpenSource, Problem> {
        let closed = || super::internal_problem("the chosen input is closed");
        self.sources.iter().find(|open| open.id == source).ok_or_else(closed)
    }

    fn item(
        &self,
        model: &OpenModel,
        fact: &InputFact,
        source: &OpenSource,
        index: usize,
        order: &RunOrder,
    ) -> Result<Tensor, Problem> {
        let preprocess = model.summary.preprocessed(order.preprocess.as_ref());
        if let Some(image) = source.image(index) {
            let image = image.map_err(|error| error.into_problem(&source.name))?;
            let Some(preprocess) = &preprocess else {
                let advice = "This input does not take images: choose an array or random values.";
                return Err(mismatch(model, fact, source, "an image".to_owned(), advice));
            };
            let tensor = preprocess
                .apply(&image)
                .map_err(|error| mismatch(model, fact, source, error.to_string(), "Set the preprocessing by hand."))?;
            let advice = match fixed_batch(tensor.shape(), fact) {
                true => FIXED_BATCH,
                false => "Set the preprocessing by hand: layout and channels must give this shape.",
            };
            return fit(tensor, fact).map_err(|found| mismatch(model, fact, source, found, advice));
        }
        let tensor = match &source.content {
            Content::Dataset(set) => {
                let sample = set.tensor(index).map_err(|error| error.into_problem(&source.name))?;
                // Float samples may have their channels at the other end than the model.
                match &preprocess {
                    Some(preprocess) => preprocess.apply_array(&sample).unwrap_or(sample),
                    None => sample,
                }
            }
            Content::Array { array, .. } => {
                let cut = Cut::of(array.tensor.shape(), fact);
                // What does not fit at all is said to be so, and not to have no such item.
                match cut {
                    Cut::Whole if index == 0 => array.tensor.clone(),
                    _ => cut.item(&array.tensor, index).ok_or_else(|| {
                        let found = format!("no item {index}: {}", described(&array.tensor));
                        let advice = "Save as many items of each input, along the first axis.";
                        mismatch(model, fact, source, found, advice)
                    })?,
                }
            }
            Content::Image(_) => return Err(super::internal_problem("an image that is none")),
        };
        fitted(tensor, model, fact, source)
    }
}

/// The tensor as the input wants it.
fn fitted(tensor: Tensor, model: &OpenModel, fact: &InputFact, source: &OpenSource) -> Result<Tensor, Problem> {
    let advice = match fixed_batch(tensor.shape(), fact) {
        true => FIXED_BATCH,
        false => "Save the array with the model's own shape and type.",
    };
    fit(tensor, fact).map_err(|found| mismatch(model, fact, source, found, advice))
}

/// An integer per item, which was taken for its class when the file was opened.
fn number(model: &OpenModel, fact: &InputFact, source: &OpenSource, index: usize) -> Result<Tensor, Problem> {
    let shape = if fact.ranked { vec![1; fact.shape.len()] } else { vec![1] };
    let value = source.label(index).and_then(|label| Tensor::from_vec(shape, vec![i64::from(label)]).ok());
    let none = || mismatch(model, fact, source, format!("no item {index}"), "Save as many items of each input.");
    fitted(value.ok_or_else(none)?, model, fact, source)
}

fn mismatch(model: &OpenModel, fact: &InputFact, source: &OpenSource, found: String, advice: &str) -> Problem {
    let dims: Vec<String> = fact.shape.iter().map(|dim| dim.map_or("?".to_owned(), |dim| dim.to_string())).collect();
    Problem {
        file: source.name.clone(),
        place: format!("input '{}' of {}", fact.name, model.summary.name),
        found,
        expected: format!("{} [{}]", fact.dtype, dims.join(", ")),
        advice: advice.to_owned(),
    }
}

/// "float32 [500, 16]".
fn described(tensor: &Tensor) -> String {
    format!("{} {:?}", tensor.dtype(), tensor.shape())
}

/// What to do about a model that takes several items or none.
const FIXED_BATCH: &str = "Export the model with a batch of 1 or a free one: items are run one by one.";

/// Whether one item does not fit only because the input wants several at once.
fn fixed_batch(shape: &[usize], fact: &InputFact) -> bool {
    let Some((Some(wanted), rest)) = fact.shape.split_first() else { return false };
    let item = match shape.len() == fact.shape.len() {
        true => shape.get(1..).filter(|_| shape.first() == Some(&1)),
        false => Some(shape),
    };
    let fits = |item: &[usize]| {
        item.len() == rest.len()
            && item.iter().zip(rest).all(|(dim, wanted)| wanted.is_none_or(|wanted| wanted == *dim))
    };
    fact.ranked && *wanted > 1 && item.is_some_and(fits)
}

/// The tensor with the input's type and with a batch dim where the input has one; the error says what it is instead.
pub fn fit(tensor: Tensor, fact: &InputFact) -> Result<Tensor, String> {
    let described = described(&tensor);
    let fits = |shape: &[usize]| {
        !fact.ranked
            || shape.len() == fact.shape.len()
                && shape.iter().zip(&fact.shape).all(|(dim, wanted)| wanted.is_none_or(|wanted| wanted == *dim))
    };
    let mut batched = vec![1];
    batched.extend(tensor.shape());
    let shape = if fits(tensor.shape()) {
        tensor.shape().to_vec()
    } else if fits(&batched) {
        batched
    } else {
        return Err(described);
    };
    let tensor = tensor.reshaped(shape).map_err(|_| described.clone())?;
    cast(tensor, fact.dtype).ok_or(described)
}

/// The tensor in another type, where every type an input has can hold the values: images become floats, float64
/// becomes float32, integers another integer that holds them all.
fn cast(tensor: Tensor, dtype: DType) -> Option<Tensor> {
    if tensor.dtype() == dtype {
        return Some(tensor);
    }
    let shape = tensor.shape().to_vec();
    let whole = |low: f64, high: f64| {
        let values = tensor.to_f64().ok()?;
        values.iter().all(|value| value.fract() == 0.0 && (low..=high).contains(value)).then_some(values)
    };
    match dtype {
        DType::Float32 => Tensor::from_vec(shape, tensor.to_f32().ok()?).ok(),
        DType::Float64 => Tensor::from_vec(shape, tensor.to_f64().ok()?).ok(),
        DType::Float16 => {
            Tensor::from_vec(shape, tensor.to_f64().ok()?.into_iter().map(half::f16::from_f64).collect()).ok()
        }
        DType::Uint8 => Tensor::from_vec(shape, whole(0.0, 255.0)?.into_iter().map(|v| v as u8).collect()).ok(),
        DType::Int8 => Tensor::from_vec(shape, whole(-128.0, 127.0)?.into_iter().map(|v| v as i8).collect()).ok(),
        DType::Int32 => {
            Tensor::from_vec(shape, whole(-2147483648.0, 2147483647.0)?.into_iter().map(|v| v as i32).collect()).ok()
        }
        DType::Int64 => Tensor::from_vec(shape, whole(-9e15, 9e15)?.into_iter().map(|v| v as i64).collect()).ok(),
        _ => None,
    }
}

/// Seeded values for an input; for dims that the model leaves open, sizes that it takes.
fn random(model: &OpenModel, fact: &InputFact, seed: u64) -> Result<Tensor, Problem> {
    let failed = |found: String| Problem {
        file: model.summary.file.clone(),
        place: format!("input '{}'", fact.name),
        found,
        expected: "an input that random values can be made for".to_owned(),
        advice: "Open an array (.npy) with this input's shape and type.".to_owned(),
    };
    if !fact.ranked {
        return Err(failed("no declared shape".to_owned()));
    }
    let shape = usable_sizes(&model.document, &fact.name, &fact.shape);
    let is_image = model.summary.preprocess.is_some();
    random_input(fact.dtype, &shape, seed, Distribution::for_input(is_image, fact.dtype))
        .map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_batch_is_told_from_another_shape() {
        let fact = |shape: &[Option<usize>]| InputFact {
            name: "x".to_owned(),
            dtype: DType::Float32,
            ranked: true,
            shape: shape.to_vec(),
        };
        let four = fact(&[Some(4), Some(32), Some(32), Some(3)]);
        assert!(fixed_batch(&[1, 32, 32, 3], &four) && fixed_batch(&[32, 32, 3], &four));
        assert!(!fixed_batch(&[1, 3, 32, 32], &four) && !fixed_batch(&[4, 32, 32, 3], &four));
        assert!(!fixed_batch(&[1, 32, 32, 3], &fact(&[None, Some(32), Some(32), Some(1)])));
        assert!(fixed_batch(&[1, 32, 32, 3], &fact(&[Some(4), None, None, Some(3)])));
    }
}
