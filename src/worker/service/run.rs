//! Running all open models on one input.

use super::card::port_of;
use super::model::OpenModel;
use super::scores::classes;
use super::source::{Content, OpenSource};
use super::{Answered, Failure, Job, Service};
use crate::engine::{EngineError, InputFact, Observe, Plan, PlanOptions, Semantics};
use crate::import::{Distribution, random_input};
use crate::onnx::{Dim, Document, usable_sizes};

use crate::problem::Problem;
use crate::tensor::{DType, Tensor};
use crate::worker::protocol::{InputChoice, ModelId, ModelRun, Outcome, Reply, RunOrder, RunResult};
use std::collections::HashMap;

/// What the last run left.
pub struct LastRun {
    /// What the page was told.
    pub result: RunResult,
    models: Vec<(ModelId, Captured)>,
}

/// The plans compiled so far. They outlive a run that is cancelled.
#[derive(Default)]
pub struct Plans {
    files: Vec<(ModelId, Semantics, Observe, Plan)>,
    /// Of an edited table that was written and read again, with its list of edits.
    edited: Option<(ModelId, Semantics, String, Plan)>,
}

impl Plans {
    /// The model's plan, compiled where it is not there yet.
    pub fn of(&mut self, model: &OpenModel, semantics: Semantics, observe: Observe) -> Result<&mut Plan, EngineError> {
        let there = self
            .files
            .iter()
            .position(|(id, known, kept, _)| *id == model.id && *known == semantics && *kept == observe);
        let position = match there {
            Some(position) => position,
            None => {
                let plan = Plan::compile(&model.document, semantics, &PlanOptions { observe })?;
                self.files.push((model.id, semantics, observe, plan));
                self.files.len() - 1
            }
        };
        // The position was found or made above.
        Ok(&mut self.files[position].3)
    }

    /// The plan of an edited model, compiled where these edits are not the last ones that were asked for.
    pub fn of_edited(
        &mut self,
        (model, edits, document): (ModelId, String, &Document),
        semantics: Semantics,
    ) -> Result<&mut Plan, EngineError> {
        let kept = self.edited.take().filter(|kept| (kept.0, kept.1, &kept.2) == (model, semantics, &edits));
        let plan = match kept {
            Some((.., plan)) => plan,
            None => Plan::compile(document, semantics, &PlanOptions { observe: Observe::OutputsOnly })?,
        };
        Ok(&mut self.edited.insert((model, semantics, edits, plan)).3)
    }

    /// Forgets models that are closed.
    pub fn keep(&mut self, open: &[OpenModel]) {
        self.edited = self.edited.take().filter(|edited| open.iter().any(|model| model.id == edited.0));
        self.files.retain(|(id, ..)| open.iter().any(|model| model.id == *id));
    }
}

/// What is known of a run's input.
struct Described {
    /// The input in words.
    words: String,
    /// Its class, where the source has labels.
    label: Option<u32>,
    /// Names of the classes.
    class_names: Option<Vec<String>>,
}

/// All tensors of one model.
pub struct Captured {
    /// By ONNX value name, inputs included.
    pub values: HashMap<String, Tensor>,
    /// Names in graph order, inputs first.
    pub order: Vec<String>,
}

impl LastRun {
    /// The tensors of a model.
    pub fn model(&self, id: ModelId) -> Option<&Captured> {
        self.models.iter().find(|(model, _)| *model == id).map(|(_, captured)| captured)
    }

    /// Forgets models that are closed.
    pub fn keep(&mut self, open: &[OpenModel]) {
        let there = |id: &ModelId| open.iter().any(|model| model.id == *id);
        self.models.retain(|(id, _)| there(id));
        self.result.outcomes.retain(|outcome| there(&outcome.model));
    }
}

impl Service {
    /// Runs every model that can run; why another cannot stands in its outcome. A cancelled run leaves what the last one
    /// gave.
    pub(super) async fn run(&mut self, order: RunOrder, job: &impl Job) -> Answered {
        let mut plans = std::mem::take(&mut self.plans);
        let run = self.run_models(order, &mut plans, job).await;
        self.plans = plans;
        let run = run?;
        let result = run.result.clone();
        self.last_run = Some(run);
        Ok((Reply::Run(result), None))
    }

    async fn run_models(&self, order: RunOrder, plans: &mut Plans, job: &impl Job) -> Result<LastRun, Failure> {
        let Described { words: input, label, class_names } = self.describe(&order.input)?;
        let mut captured = Vec::new();
        let mut outcomes = Vec::new();
        for (done, model) in self.models.iter().enumerate() {
            if !job.checkpoint(&format!("Running {}", model.summary.name), done, self.models.len()).await {
                return Err(Failure::Cancelled);
            }
            let result = self.run_model(model, &order, plans, class_names.as_deref(), job);
            let result = result.map(|(run, tensors)| {
                captured.push((model.id, tensors));
                run
            });
            outcomes.push(Outcome { model: model.id, result });
        }
        Ok(LastRun { result: RunResult { order, input, label, class_names, outcomes }, models: captured })
    }

    fn describe(&self, input: &InputChoice) -> Result<Described, Failure> {
        match input {
            InputChoice::Random { seed } => {
                // Names of the classes are worth having for random values too, where only one data set is open.
                let names = self.sources.iter().find_map(OpenSource::class_names);
                let words = format!("random values, seed {seed}");
                Ok(Described { words, label: None, class_names: names.map(<[String]>::to_vec) })
            }
            InputChoice::Item { source, index } => {
                let source = self.source(*source)?;
                let words = match &source.content {
                    Content::Dataset(_) => format!("{}, item {index}", source.name),
                    _ => source.name.clone(),
                };
                let names = source.class_names().or_else(|| self.sources.iter().find_map(OpenSource::class_names));
                Ok(Described { words, label: source.label(*index), class_names: names.map(<[String]>::to_vec) })
            }
        }
    }

    fn run_model(
        &self,
        model: &OpenModel,
        order: &RunOrder,
        plans: &mut Plans,
        class_names: Option<&[String]>,
        job: &impl Job,
    ) -> Result<(ModelRun, Captured), Problem> {
        let file = &model.summary.file;
        Self::can_run(model)?;
        let failed = |error: EngineError| error.problem(file);
        let began_ms = job.now_ms();
        let plan = plans.of(model, order.semantics, Observe::All).map_err(failed)?;
        let compiled_ms = job.now_ms();
        let inputs = self.inputs(model, plan.inputs(), order)?;
        let running_ms = job.now_ms();
        plan.run(&inputs).map_err(failed)?;
        let done_ms = job.now_ms();
        let mut captured = Captured { values: HashMap::new(), order: Vec::new() };
        for (name, tensor) in inputs {
            captured.order.push(name.clone());
            captured.values.insert(name, tensor);
        }
        for name in plan.observed() {
            if let Some(tensor) = plan.value(name) {
                captured.order.push(name.clone());
                captured.values.insert(name.clone(), tensor);
            }
        }
        let output = plan.outputs().first().and_then(|name| Some((name, plan.value(name)?)));
        let run = ModelRun {
            predictions: output.and_then(|(name, tensor)| classes(model, name, &tensor, class_names)),
            outputs: plan
                .outputs()
                .iter()
                .filter_map(|name| {
                    let tensor = plan.value(name)?;
                    let dims: Vec<Dim> = tensor.shape().iter().map(|&dim| Dim::Known(dim)).collect();
                    Some(port_of(name, Some(tensor.dtype()), Some(&dims)))
                })
                .collect(),
            run_ms: done_ms - running_ms,
            compile_ms: compiled_ms - began_ms,
            captured: captured.values.len(),
        };
        Ok((run, captured))
    }

    /// Whether a model can run; the error says why not.
    pub(super) fn can_run(model: &OpenModel) -> Result<(), Problem> {
        let file = &model.summary.file;
        if let Some(issue) = model.document.issues().first() {
            return Err(issue.problem(file));
        }
        if model.layers.is_empty() && model.summary.inputs.is_empty() {
            return Err(Problem {
                file: file.clone(),
                place: "the graph".to_owned(),
                found: "weights without operations".to_owned(),
                expected: "a network".to_owned(),
                advice: "Its tensors are in the tree; open the whole model to run it.".to_owned(),
            });
        }
        if let Some(node) = model.summary.unsupported.first() {
            return Err(Problem {
                file: file.clone(),
                place: format!("node '{}' ({})", node.node, node.op_type),
                found: node.reason.clone(),
                expected: "operators that the engine has".to_owned(),
                advice: "This model can be inspected but not run; the model card lists every such node.".to_owned(),
            });
        }
        Ok(())
    }

    /// The chosen input for each of a model's inputs.
    pub(super) fn inputs(
        &self,
        model: &OpenModel,
        facts: &[InputFact],
        order: &RunOrder,
    ) -> Result<Vec<(String, Tensor)>, Problem> {
        let mut inputs = Vec::new();
        for (position, fact) in facts.iter().enumerate() {
            let tensor = match (&order.input, position) {
                (InputChoice::Item { source, index }, 0) => self.item(model, fact, *source, *index, order)?,
                (InputChoice::Random { seed }, _) => random(model, fact, seed.wrapping_add(position as u64))?,
                // An image or array feeds the first input; the others get reproducible values.
                (InputChoice::Item { .. }, _) => random(model, fact, position as u64)?,
            };
            inputs.push((fact.name.clone(), tensor));
        }
        Ok(inputs)
    }

    fn item(
        &self,
        model: &OpenModel,
        fact: &InputFact,
        source: u32,
        index: usize,
        order: &RunOrder,
    ) -> Result<Tensor, Problem> {
        let closed = || super::internal_problem("the chosen input is closed");
        let source = self.sources.iter().find(|open| open.id == source).ok_or_else(closed)?;
        let mismatch = |found: String, advice: &str| Problem {
            file: source.name.clone(),
            place: format!("input '{}' of {}", fact.name, model.summary.name),
            found,
            expected: format!(
                "{} [{}]",
                fact.dtype,
                fact.shape
                    .iter()
                    .map(|dim| dim.map_or("?".to_owned(), |dim| dim.to_string()))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            advice: advice.to_owned(),
        };
        let preprocess = model.summary.preprocessed(order.preprocess.as_ref());
        if let Some(image) = source.image(index) {
            let image = image.map_err(|error| error.into_problem(&source.name))?;
            let Some(preprocess) = &preprocess else {
                return Err(mismatch(
                    "an image".to_owned(),
                    "This input does not take images: choose an array or random values.",
                ));
            };
            let tensor = preprocess
                .apply(&image)
                .map_err(|error| mismatch(error.to_string(), "Set the preprocessing by hand."))?;
            let advice = match fixed_batch(tensor.shape(), fact) {
                true => FIXED_BATCH,
                false => "Set the preprocessing by hand: layout and channels must give this shape.",
            };
            return fit(tensor, fact).map_err(|found| mismatch(found, advice));
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
            Content::Array(array) => array.tensor.clone(),
            Content::Image(_) => return Err(closed()),
        };
        let advice = match fixed_batch(tensor.shape(), fact) {
            true => FIXED_BATCH,
            false => "Save the array with the model's own shape and type.",
        };
        fit(tensor, fact).map_err(|found| mismatch(found, advice))
    }
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
    let described = format!("{} {:?}", tensor.dtype(), tensor.shape());
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
