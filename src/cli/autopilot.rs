//! `autopilot`: the best quantized model under a target.

use super::images::ImageArguments;
use super::job::TerminalJob;
use super::{Ended, Outcome, files, print, print_json};
use crate::problem::Problem;
use crate::worker::service::Service;
use crate::worker::{AutopilotOrder, AutopilotReport, Reply, Request, Share, SourceKind, SourceSummary, Target};
use std::path::PathBuf;

/// Arguments of `autopilot`.
#[derive(clap::Args)]
pub struct Autopilot {
    /// The float model, a classifier.
    model: PathBuf,
    /// Calibration images: a random half of them calibrates, the other half chooses.
    #[arg(long)]
    data: PathBuf,
    /// Images that the reported accuracy is measured on; they choose nothing.
    #[arg(long)]
    eval: PathBuf,
    #[command(flatten)]
    images: ImageArguments,
    /// Most points of accuracy that may be lost against the float model.
    #[arg(long, default_value_t = 0.5)]
    max_drop: f64,
    /// Most kilobytes (of 1000 bytes) of the file.
    #[arg(long)]
    max_kb: f64,
    /// Of the split of the calibration images: the same seed on the same data gives the same file.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Calibration images to use, at most.
    #[arg(long, default_value_t = 1000)]
    limit: usize,
    /// Images to measure on, at most.
    #[arg(long)]
    eval_limit: Option<usize>,
    /// Activations have 8 bits, all of them.
    #[arg(long)]
    no_16_bit: bool,
    /// The file to write.
    #[arg(long)]
    out: PathBuf,
}

impl Autopilot {
    /// Searches and writes the file; ends with 3 where the target is not met.
    pub fn run(self, json: bool) -> Outcome {
        let job = TerminalJob::new();
        let mut service = Service::default();
        let paths = [&self.model, &self.data, &self.eval];
        let mut workspaces = Vec::new();
        // One by one, so that it is plain which data set is which.
        for path in paths {
            workspaces.push(files::open(&mut service, std::slice::from_ref(path), &job)?);
        }
        let model = workspaces.first().and_then(|workspace| workspace.models.first());
        let model = model.ok_or_else(|| vec![missing(Some(&self.model), "a float model")])?;
        let newest = |position: usize| -> Result<SourceSummary, Vec<Problem>> {
            let before = workspaces.get(position - 1).map_or(0, |workspace| workspace.sources.len());
            let sources = workspaces.get(position).map(|workspace| workspace.sources.as_slice()).unwrap_or_default();
            let found = sources.iter().skip(before).find(|source| source.kind != SourceKind::Image);
            found.cloned().ok_or_else(|| vec![missing(paths.get(position).copied(), "a data set")])
        };
        let (calibration, measurement) = (newest(1)?, newest(2)?);
        for source in [&calibration, &measurement] {
            self.images.say(std::slice::from_ref(model), source)?;
        }
        let preprocessing = model.preprocessing(self.images.edits().as_ref()).filter(|_| calibration.pictures);
        let order = AutopilotOrder {
            model: model.id,
            calibration: calibration.id,
            measurement: measurement.id,
            target: Target { max_drop_points: self.max_drop, max_bytes: (self.max_kb.max(0.0) * 1000.0) as usize },
            seed: self.seed,
            images: self.limit,
            measured_images: self.eval_limit.unwrap_or(usize::MAX),
            wide_activations: !self.no_16_bit,
            preprocess: self.images.edits(),
        };
        let (reply, file) = files::ask(&mut service, Request::Autopilot(Box::new(order)), &job)?;
        job.finish();
        let (Reply::Autopilot(report), Some(bytes)) = (reply, file) else {
            return Err(vec![files::internal("a search was answered with something else")]);
        };
        files::write(&self.out, &bytes).map_err(|problem| vec![problem])?;
        let met = report.chosen.as_ref().is_some_and(|chosen| chosen.target_met);
        if json {
            print_json(&serde_json::json!({
                "out": self.out.display().to_string(),
                "preprocessing": preprocessing,
                "report": report,
            }))?;
        } else {
            table(&report);
            print(&format!("{} bytes in {}", bytes.len(), self.out.display()));
        }
        Ok(if met { Ended::Well } else { Ended::Missed })
    }
}

fn missing(path: Option<&PathBuf>, expected: &str) -> Problem {
    Problem {
        file: path.map(|path| path.display().to_string()).unwrap_or_default(),
        place: "the file".to_owned(),
        found: "something else".to_owned(),
        expected: expected.to_owned(),
        advice: "Give the float model first, calibration images with --data, others with --eval.".to_owned(),
    }
}

/// "497 of 500".
fn words(share: &Share) -> String {
    format!("{} of {}", share.fraction.correct, share.fraction.total)
}

fn table(report: &AutopilotReport) {
    print(&format!("selection: {}", report.selected_on));
    print(&format!("measurement: {}", report.measured_on));
    let float = words(&Share { fraction: report.float_selection, interval: None });
    print(&format!("{:>8} bytes  {float}  measured {}  float", report.float_bytes, words(&report.float_measured)));
    for point in &report.points {
        print(&format!(
            "{:>8} bytes  {}  {:>6} dB  {}{}  {}",
            point.bytes,
            words(&point.selection),
            point.output_sqnr_db.map_or("-".to_owned(), |sqnr_db| format!("{sqnr_db:.2}")),
            if point.on_front { "front" } else { "" },
            point.measured.as_ref().map_or(String::new(), |measured| format!("  measured {}", words(measured))),
            point.label
        ));
    }
    report.outcome().iter().for_each(|outcome| print(outcome));
    for line in report.chosen.iter().flat_map(|chosen| &chosen.why) {
        print(line);
    }
}
