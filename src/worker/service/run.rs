//! Running all open models on one input.

use super::card::port_of;
use super::model::OpenModel;
use super::scores::classes;
use super::source::{Content, OpenSource};
use super::{Answered, Failure, Job, Service};
use crate::engine::{EngineError, Observe, Plan, PlanOptions, Semantics};
use crate::onnx::{Dim, Document};
use crate::problem::Problem;
use crate::tensor::Tensor;
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
                    Content::Image(_) => source.name.clone(),
                    _ => format!("{}, item {index}", source.name),
                };
                let names = source.class_names().or_else(|| self.sources.iter().find_map(OpenSource::class_names));
                Ok(Described { words, label: source.label(*index), class_names: names.map(<[String]>::to_vec) })
            }
            InputChoice::Whole { source } => {
                let names = self.sources.iter().find_map(OpenSource::class_names);
                let words = self.source(*source)?.name.clone();
                Ok(Described { words, label: None, class_names: names.map(<[String]>::to_vec) })
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
        let (inputs, random_inputs) = self.inputs_or_random(model, plan.inputs(), order)?;
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
            random_inputs,
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
}
