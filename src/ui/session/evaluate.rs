//! Evaluating models on a data set, with a pool of workers.

use super::{JobStatus, Session, View};
use crate::analysis::{ItemScore, compare, evaluate};
use crate::export::{EvaluatedModel, ModelPreprocessing};
use crate::platform;
use crate::worker::{
    EvaluateOrder, InputChoice, Member, ModelId, ModelSummary, PlaygroundAsk, PlaygroundRequest, Reply, Request,
    Semantics, SourceId, SourceSummary,
};
use futures::future::join_all;
use leptos::prelude::*;
use leptos::task::spawn_local;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// The number that a pool's job has in the status line; requests of the first worker start at 1.
pub const POOL_JOB: u32 = 0;
/// Most workers of a pool: each holds an engine and the files.
const MOST_WORKERS: usize = 8;
/// Items of a piece at first, and at most; in between pieces are as long as fits into [`PIECE_MS`].
const PIECE: (usize, usize) = (4, 128);
/// A cancel is seen between pieces, so that none takes long.
const PIECE_MS: f64 = 100.0;
/// The page shows partial results this often.
const SHOW_EVERY_MS: f64 = 250.0;

/// The scores of one model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelScores {
    /// The model as it was when it was evaluated; an edited one says so in its name.
    pub model: ModelSummary,
    /// The edits of its table, where it is evaluated with them.
    pub edits: Option<String>,
    /// How images become its input.
    pub preprocessing: Option<ModelPreprocessing>,
    /// Its scores so far, by item.
    pub scores: Vec<ItemScore>,
}

/// An evaluation, running or ended.
#[derive(Clone, Debug, PartialEq)]
pub struct EvaluationState {
    /// The data set.
    pub source: SourceSummary,
    /// How quantized operators are computed.
    pub semantics: Semantics,
    /// Items that each model is to see.
    pub count: usize,
    /// The models, the baseline first.
    pub models: Vec<ModelScores>,
    /// Whether it still runs.
    pub running: bool,
    /// Items per second, all models together.
    pub rate: f64,
}

impl EvaluationState {
    /// The model's file name, or its unique name where another one has the same file name.
    fn name_of(&self, own: &ModelScores) -> String {
        let again = self.models.iter().filter(|model| model.model.file == own.model.file).count() > 1;
        if again { own.model.name.clone() } else { own.model.file.clone() }
    }

    /// The figures of every model, with its comparison against the first.
    pub fn evaluated(&self) -> Vec<EvaluatedModel> {
        let names = self.source.class_names.clone().unwrap_or_default();
        let evaluations: Vec<_> = self.models.iter().map(|model| evaluate(&model.scores, &names)).collect();
        let semantics = match self.semantics {
            Semantics::Simulate => "simulate",
            Semantics::Integer => "integer",
        };
        let models = self.models.iter().zip(&evaluations).enumerate();
        models
            .map(|(position, (own, evaluation))| EvaluatedModel {
                model: self.name_of(own),
                data: self.source.name.clone(),
                backend: format!("quantscope {semantics}"),
                size_bytes: own.model.size_bytes,
                preprocessing: own.preprocessing.clone(),
                evaluation: evaluation.clone(),
                comparison: (position > 0)
                    .then(|| compare(&self.models.first()?.scores, &own.scores, &names))
                    .flatten(),
            })
            .collect()
    }
}

/// What the pool's workers share.
struct Work {
    /// The next item of each model: they go on together, so that partial results are on the same items.
    next: RefCell<Vec<usize>>,
    state: RefCell<EvaluationState>,
    stopped: Cell<bool>,
    done: Cell<usize>,
    began_ms: f64,
    shown_ms: Cell<f64>,
    piece: Cell<usize>,
}

impl Session {
    /// Evaluates models on the first `limit` items of a data set; the first model is the others' baseline.
    /// `true` beside a model: as it is edited.
    pub fn evaluate(self, models: &[(ModelId, bool)], source: SourceId, limit: Option<usize>) {
        let preprocess = self.preprocess.get_untracked();
        let chosen = self.workspace.with_untracked(|workspace| {
            let source = workspace.sources.iter().find(|open| open.id == source)?.clone();
            let models = models.iter().filter_map(|(id, edited)| {
                let mut model = workspace.models.iter().find(|model| model.id == *id)?.clone();
                let edits = edited.then(|| self.edits_of(*id)).flatten();
                if edits.is_some() {
                    model.name += " (edited)";
                    model.file += " (edited)";
                }
                let preprocessing = model.preprocessing(preprocess.as_ref()).filter(|_| source.pictures);
                Some(ModelScores { model, edits, preprocessing, scores: Vec::new() })
            });
            let models = models.collect::<Vec<_>>();
            Some((source, models))
        });
        let Some((source, models)) = chosen.filter(|(_, models)| !models.is_empty()) else { return };
        let count = limit.unwrap_or(usize::MAX).min(source.count);
        let state = EvaluationState {
            source,
            semantics: self.semantics.get_untracked(),
            count,
            models,
            running: true,
            rate: 0.0,
        };
        let work = Rc::new(Work {
            next: RefCell::new(vec![0; state.models.len()]),
            stopped: Cell::new(false),
            done: Cell::new(0),
            began_ms: platform::now_ms(),
            shown_ms: Cell::new(0.0),
            piece: Cell::new(PIECE.0),
            state: RefCell::new(state),
        });
        self.stop_evaluation();
        self.evaluation_stop.set_value(Some(stopper(&work)));
        self.show_evaluation(&work);
        spawn_local(async move {
            let wanted = platform::core_count().clamp(1, MOST_WORKERS);
            let batches = self.opened.get_value();
            let conversions = self.conversion.list();
            let workers = (0..wanted).map(|_| {
                let (work, batches, preprocess) = (work.clone(), batches.clone(), preprocess.clone());
                let conversions = conversions.clone();
                async move {
                    match Member::start(&batches, &conversions, |_| {}).await {
                        Ok(member) => self.work(&work, &member, preprocess).await,
                        Err(error) => {
                            work.stopped.set(true);
                            self.say(
                                "the evaluation",
                                &error.to_string(),
                                "workers that start",
                                "Reload the page and try again.",
                            );
                        }
                    }
                }
            });
            join_all(workers).await;
            work.state.borrow_mut().running = false;
            self.show_evaluation(&work);
            self.job.update(|job| {
                if job.as_ref().is_some_and(|job| job.id == POOL_JOB) {
                    *job = None;
                }
            });
        });
    }

    /// Runs an image of the evaluated data set and opens the first layer where two of its models part.
    pub fn look_into(self, item: usize, pair: (usize, usize)) {
        let found = self.evaluation.with_untracked(|state| {
            let state = state.as_ref()?;
            let model = |at: usize| state.models.get(at).map(|own| own.model.id);
            Some((state.source.id, model(pair.0)?, model(pair.1)?))
        });
        let Some((source, first, second)) = found else { return };
        self.input.set(Some(InputChoice::Item { source, index: item }));
        self.run_here();
        // The worker answers in order: this is asked of the run above.
        self.ask(Request::Parting { first, second }, &[], move |reply, _| {
            let Reply::Parting(Some(parting)) = reply else { return self.show(View::Run) };
            let name = self
                .workspace
                .with_untracked(|workspace| workspace.layers.get(parting.layer).map(|layer| layer.name.clone()));
            if let Some(name) = name {
                self.select(&name, None);
                self.show(View::Layer);
            }
        });
    }

    /// Stops the running evaluation; what it has found stays.
    ///
    /// A pool works on one thing at a time: this stops a bit-width grid too.
    pub fn stop_evaluation(self) {
        if let Some(stop) = self.evaluation_stop.get_value() {
            stop();
        }
    }

    /// Takes pieces until there are none left.
    async fn work(self, work: &Rc<Work>, member: &Member, preprocess: Option<crate::worker::PreprocessEdits>) {
        if let Err(problem) = edit_tables(work, member).await {
            work.stopped.set(true);
            return self.say("the edited model", &problem, "its table with the edits", "Evaluate again.");
        }
        while let Some((model, first, count)) = work.take() {
            let order = {
                let state = work.state.borrow();
                let (Some(own), Some(source)) = (state.models.get(model), member.source(&state.source)) else { return };
                let Some(id) = member.model(&own.model) else {
                    work.stopped.set(true);
                    let advice = "Only models that were opened from files can be evaluated.";
                    return self.say(&own.model.name, "it is not open in the evaluation's workers", "a file", advice);
                };
                let semantics = state.semantics;
                let preprocess = preprocess.clone();
                let edited = own.edits.is_some();
                EvaluateOrder { model: id, edited, source, first, count, preprocess, semantics }
            };
            let (_, answer) = member.client.ask(Request::Evaluate(order), &[]);
            match answer.await.map(|answer| answer.reply) {
                Ok(Reply::Scores(found)) => {
                    work.add(model, found.scores, found.run_ms);
                    if platform::now_ms() - work.shown_ms.get() > SHOW_EVERY_MS {
                        self.show_evaluation(work);
                    }
                }
                Ok(Reply::Failed(problems)) => {
                    work.stopped.set(true);
                    self.problems.update(|all| all.extend(problems));
                }
                Ok(_) => {}
                Err(error) => {
                    work.stopped.set(true);
                    self.say("the evaluation", &error.to_string(), "the computation to end", "Evaluate again.");
                }
            }
        }
    }

    /// Puts what there is on the page.
    fn show_evaluation(self, work: &Work) {
        let now = platform::now_ms();
        work.shown_ms.set(now);
        let mut state = work.state.borrow_mut();
        let (done, seconds) = (work.done.get(), (now - work.began_ms) / 1000.0);
        state.rate = if seconds > 0.0 { done as f64 / seconds } else { 0.0 };
        let total = state.count * state.models.len();
        if state.running {
            self.job.set(Some(JobStatus {
                id: POOL_JOB,
                label: "Evaluating".to_owned(),
                steps: (done, total),
                remaining_ms: (done > 0).then(|| (total - done) as f64 / state.rate.max(1e-9) * 1000.0),
                cancelling: work.stopped.get(),
            }));
        }
        self.evaluation.set(Some(state.clone()));
    }
}

/// Brings the tables of a worker to where they are edited in the page.
async fn edit_tables(work: &Work, member: &Member) -> Result<(), String> {
    let edited: Vec<_> = {
        let state = work.state.borrow();
        let models = state.models.iter().filter_map(|own| Some((member.model(&own.model)?, own.edits.clone()?)));
        models.collect()
    };
    for (model, json) in edited {
        let request = PlaygroundRequest { model, ask: PlaygroundAsk::ApplyEdits { json } };
        let (_, answer) = member.client.ask(Request::Playground(request), &[]);
        match answer.await.map_err(|error| error.to_string())?.reply {
            Reply::Playground(_) => {}
            Reply::Failed(problems) => {
                return Err(problems.first().map(|problem| problem.found.clone()).unwrap_or_default());
            }
            _ => return Err("the edits were not applied".to_owned()),
        }
    }
    Ok(())
}

/// What ends a piece of work from outside.
pub type Stop = Rc<dyn Fn()>;

fn stopper(work: &Rc<Work>) -> Stop {
    let work = work.clone();
    Rc::new(move || work.stopped.set(true))
}

impl Work {
    /// The next items of one model: (model, first item, how many).
    fn take(&self) -> Option<(usize, usize, usize)> {
        if self.stopped.get() {
            return None;
        }
        let total = self.state.borrow().count;
        let mut next = self.next.borrow_mut();
        let (model, first) = next.iter_mut().enumerate().min_by_key(|(_, first)| **first)?;
        let count = self.piece.get().min(total.saturating_sub(*first));
        let taken = (model, *first, count);
        *first += count;
        (count > 0).then_some(taken)
    }

    fn add(&self, model: usize, scores: Vec<ItemScore>, run_ms: f64) {
        self.done.set(self.done.get() + scores.len());
        let each_ms = run_ms / scores.len().max(1) as f64;
        self.piece.set(((PIECE_MS / each_ms.max(0.01)) as usize).clamp(1, PIECE.1));
        if let Some(own) = self.state.borrow_mut().models.get_mut(model) {
            own.scores.extend(scores);
            own.scores.sort_by_key(|score| score.item);
        }
    }
}
