//! `sqnr`: the error of every quantized tensor.

use super::files::DataChoice;
use super::images::ImageArguments;
use super::job::TerminalJob;
use super::{Ended, Outcome, files, print, print_json};
use crate::quant::TensorKind;
use crate::worker::service::Service;
use crate::worker::{
    Images, InputChoice, PlaygroundAsk, PlaygroundReply, PlaygroundRequest, Reply, Request, RunOrder, Semantics,
};
use serde::Serialize;
use std::path::PathBuf;

/// Arguments of `sqnr`.
#[derive(clap::Args)]
pub struct Sqnr {
    /// The float model.
    #[arg(long)]
    float: PathBuf,
    /// The quantized model.
    #[arg(long)]
    quantized: PathBuf,
    #[command(flatten)]
    data: DataChoice,
    #[command(flatten)]
    images: ImageArguments,
    /// Only the first N of them.
    #[arg(long)]
    limit: Option<usize>,
}

/// A tensor's row; null where there is no error, or no float counterpart.
#[derive(Serialize)]
struct Row {
    tensor: String,
    kind: &'static str,
    local_sqnr_db: Option<f64>,
    cumulative_sqnr_db: Option<f64>,
}

impl Sqnr {
    /// Measures and prints.
    pub fn run(self, json: bool) -> Outcome {
        let job = TerminalJob::new();
        let mut service = Service::default();
        let models = [self.float.clone(), self.quantized.clone()];
        let paths: Vec<PathBuf> = models.iter().chain(&self.data.data).cloned().collect();
        let workspace = files::open(&mut service, &paths, &job)?;
        let source = self.data.of(&workspace, false)?;
        let [_, model, ..] = files::models(&workspace, &models)? else {
            return Err(vec![files::internal("two models are needed, and are not there")]);
        };
        self.images.say(&workspace.models, source)?;
        if let Some(edits) = self.images.edits() {
            // Measurements prepare images as the last run did.
            let order = RunOrder {
                input: InputChoice::Item { source: source.id, index: 0 },
                preprocess: Some(edits),
                semantics: Semantics::Simulate,
            };
            files::ask(&mut service, Request::Run(order), &job)?;
        }
        let images = Images { source: Some(source.id), first: 0, count: self.limit.unwrap_or(usize::MAX) };
        let ask = PlaygroundRequest { model: model.id, ask: PlaygroundAsk::LayerErrors(images) };
        let (reply, _) = files::ask(&mut service, Request::Playground(ask), &job)?;
        job.finish();
        let errors = match reply {
            Reply::Playground(reply) => match *reply {
                PlaygroundReply::LayerErrors(errors) => errors,
                _ => return Err(vec![files::internal("layer errors were answered with something else")]),
            },
            _ => return Err(vec![files::internal("layer errors were answered with something else")]),
        };
        let rows = errors.rows.into_iter().map(|row| Row {
            tensor: row.tensor,
            kind: if row.kind == TensorKind::Activation { "activation" } else { "weight" },
            local_sqnr_db: row.local.sqnr_db,
            cumulative_sqnr_db: row.cumulative.and_then(|metrics| metrics.sqnr_db),
        });
        let rows: Vec<Row> = rows.collect();
        if json {
            print_json(&rows)?;
        } else {
            let figure = |value: Option<f64>| value.map_or_else(|| "none".to_owned(), |value| format!("{value:.3}"));
            for row in &rows {
                print(&format!(
                    "{:>9} {:>9}  {:<10} {}",
                    figure(row.local_sqnr_db),
                    figure(row.cumulative_sqnr_db),
                    row.kind,
                    row.tensor
                ));
            }
        }
        Ok(Ended::Well)
    }
}
