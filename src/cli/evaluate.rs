//! `evaluate`: accuracy of models on a data set, with all cores.

use super::files::DataChoice;
use super::images::ImageArguments;
use super::job::TerminalJob;
use super::run::SemanticsArgument;
use super::{Ended, Outcome, files, print};
use crate::analysis::{ItemScore, compare, evaluate};
use crate::engine::Semantics;
use crate::export::{
    EvaluatedModel, Thresholds, evaluation_csv, evaluation_html, evaluation_json, evaluation_markdown,
};
use crate::problem::Problem;
use crate::worker::service::Service;
use crate::worker::{EvaluateOrder, ModelSummary, Reply, Request, Workspace};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Items that a thread takes at a time.
const CHUNK: usize = 16;

/// Arguments of `evaluate`.
#[derive(clap::Args)]
pub struct Evaluate {
    /// Models; the first is the baseline of the others.
    #[arg(required = true)]
    models: Vec<PathBuf>,
    #[command(flatten)]
    data: DataChoice,
    #[command(flatten)]
    images: ImageArguments,
    /// Only the first N items.
    #[arg(long)]
    limit: Option<usize>,
    /// How quantized operators are computed.
    #[arg(long, value_enum, default_value = "simulate")]
    semantics: SemanticsArgument,
    /// Threads; as many as there are cores unless told.
    #[arg(long)]
    threads: Option<usize>,
    /// Exit with 3 where a model is more than this many points below the first.
    #[arg(long, allow_negative_numbers = true)]
    max_drop: Option<f64>,
    /// Exit with 3 where a model is under this accuracy in percent.
    #[arg(long)]
    min_accuracy: Option<f64>,
    /// Also write the report to a file: .json, .csv, .md or .html by its extension.
    #[arg(long)]
    report: Vec<PathBuf>,
}

impl Evaluate {
    /// Evaluates and reports.
    pub fn run(self, json: bool) -> Outcome {
        let models = self.evaluated()?;
        let thresholds = Thresholds::default();
        for path in &self.report {
            let text = report(&models, &thresholds, path)?;
            files::write(path, text.as_bytes()).map_err(|problem| vec![problem])?;
        }
        if json {
            print(&evaluation_json(&models).map_err(|error| vec![files::internal(&error.to_string())])?);
        } else {
            print(&evaluation_markdown(&models, &thresholds));
        }
        let missed = models.iter().any(|model| {
            let drop = model.comparison.as_ref().map_or(0.0, |comparison| -comparison.points);
            self.max_drop.is_some_and(|most| drop > most)
                || self
                    .min_accuracy
                    .zip(model.evaluation.overall.percent())
                    .is_some_and(|(least, percent)| percent < least)
        });
        Ok(if missed { Ended::Missed } else { Ended::Well })
    }

    fn evaluated(&self) -> Result<Vec<EvaluatedModel>, Vec<Problem>> {
        let (mut service, workspace) = self.service()?;
        let source = self.data.of(&workspace, true)?;
        files::models(&workspace, &self.models)?;
        let count = self.limit.unwrap_or(usize::MAX).min(source.count);
        if count == 0 {
            return Err(vec![Problem {
                file: source.name.clone(),
                place: "the items to evaluate on".to_owned(),
                found: format!("none of {}", source.count),
                expected: "at least one".to_owned(),
                advice: "Leave --limit out, or give a larger one.".to_owned(),
            }]);
        }
        if !source.labelled {
            return Err(vec![Problem {
                file: source.name.clone(),
                place: "the labels of the items".to_owned(),
                found: "none".to_owned(),
                expected: "the true class of each item".to_owned(),
                advice: "Give CIFAR-10 batches, an .npz with x and y, or a folder with one folder per class."
                    .to_owned(),
            }]);
        }
        self.images.say(&workspace.models, source)?;
        let edits = self.images.edits();
        let names = source.class_names.clone().unwrap_or_default();
        // Every (model, first item) pair is a piece of work.
        let chunks = count.div_ceil(CHUNK);
        let pieces = chunks * workspace.models.len();
        let next = AtomicUsize::new(0);
        let scores: Mutex<Vec<Vec<ItemScore>>> = Mutex::new(vec![Vec::new(); workspace.models.len()]);
        let failed: Mutex<Vec<Problem>> = Mutex::new(Vec::new());
        let bar = ProgressBar::new((count * workspace.models.len()) as u64);
        if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} images {per_sec} {eta}") {
            bar.set_style(style);
        }
        let work = |service: &mut Service, workspace: &Workspace| {
            loop {
                let piece = next.fetch_add(1, Ordering::Relaxed);
                let (Some(model), Ok(source)) =
                    (workspace.models.get(piece / chunks.max(1)), self.data.of(workspace, true))
                else {
                    return;
                };
                if piece >= pieces {
                    return;
                }
                let first = piece % chunks * CHUNK;
                let order = EvaluateOrder {
                    model: model.id,
                    edited: false,
                    source: source.id,
                    first,
                    count: CHUNK.min(count - first),
                    preprocess: edits.clone(),
                    semantics: Semantics::from(self.semantics),
                };
                match files::ask(service, Request::Evaluate(order), &TerminalJob::silent()) {
                    Ok((Reply::Scores(found), _)) => {
                        bar.inc(found.scores.len() as u64);
                        if let Some(all) = lock(&scores).get_mut(piece / chunks.max(1)) {
                            all.extend(found.scores);
                        }
                    }
                    Ok(_) => lock(&failed).push(files::internal("an evaluation was answered with something else")),
                    Err(problems) => lock(&failed).extend(problems),
                }
                if !lock(&failed).is_empty() {
                    return;
                }
            }
        };
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = self.threads.unwrap_or(cores).clamp(1, pieces.max(1));
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(|| match self.service() {
                    Ok((mut service, workspace)) => work(&mut service, &workspace),
                    Err(problems) => lock(&failed).extend(problems),
                });
            }
            work(&mut service, &workspace);
        });
        bar.finish_and_clear();
        let failed = std::mem::take(&mut *lock(&failed));
        if !failed.is_empty() {
            return Err(failed);
        }
        let mut scores = std::mem::take(&mut *lock(&scores));
        scores.iter_mut().for_each(|scores| scores.sort_by_key(|score| score.item));
        let evaluations: Vec<_> = scores.iter().map(|scores| evaluate(scores, &names)).collect();
        let semantics = match self.semantics {
            SemanticsArgument::Simulate => "simulate",
            SemanticsArgument::Integer => "integer",
        };
        let models = workspace.models.iter().zip(&scores).zip(&evaluations).enumerate();
        Ok(models
            .map(|(position, ((model, own), evaluation))| EvaluatedModel {
                model: self.name_of(position, &workspace),
                data: source.name.clone(),
                backend: format!("quantscope {semantics}"),
                size_bytes: model.size_bytes,
                preprocessing: model.preprocessing(edits.as_ref()).filter(|_| source.pictures),
                evaluation: evaluation.clone(),
                comparison: (position > 0).then(|| compare(scores.first()?, own, &names)).flatten(),
            })
            .collect())
    }

    /// The model's file name, or its path as it was given where another model has the same name.
    fn name_of(&self, position: usize, workspace: &Workspace) -> String {
        let file = |model: &ModelSummary| model.file.clone();
        let own = workspace.models.get(position).map(file).unwrap_or_default();
        let again = workspace.models.iter().filter(|model| model.file == own).count() > 1;
        // Each path has given one model, in their order.
        let path = self.models.get(position).filter(|_| again && self.models.len() == workspace.models.len());
        path.map_or(own, |path| path.display().to_string())
    }

    /// A service with the models and the data open: each thread has its own.
    fn service(&self) -> Result<(Service, Workspace), Vec<Problem>> {
        let mut service = Service::default();
        let paths: Vec<PathBuf> = self.models.iter().chain(&self.data.data).cloned().collect();
        let workspace = files::open(&mut service, &paths, &TerminalJob::silent())?;
        Ok((service, workspace))
    }
}

/// A panic of another thread ends the process anyway: what it left is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn report(models: &[EvaluatedModel], thresholds: &Thresholds, path: &Path) -> Result<String, Vec<Problem>> {
    let internal = |error: String| vec![files::internal(&error)];
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => evaluation_json(models).map_err(|error| internal(error.to_string())),
        Some("csv") => {
            evaluation_csv(models).and_then(|table| table.to_csv()).map_err(|error| internal(error.to_string()))
        }
        Some("md") => Ok(evaluation_markdown(models, thresholds)),
        Some("html") => Ok(evaluation_html(models, thresholds)),
        other => Err(vec![Problem {
            file: path.display().to_string(),
            place: "the extension".to_owned(),
            found: other.unwrap_or("none").to_owned(),
            expected: ".json, .csv, .md or .html".to_owned(),
            advice: "Name the report so that its form can be told.".to_owned(),
        }]),
    }
}
