//! Reading and writing files, and opening them in a service.

use super::job::TerminalJob;
use crate::import::FileParts;
use crate::problem::Problem;
use crate::worker::service::{Attachment, Service};
use crate::worker::{ModelSummary, Reply, Request, SourceKind, SourceSummary, Workspace};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// A fault of the program.
pub fn internal(found: &str) -> Problem {
    crate::worker::service::internal_problem(found)
}

/// A line on standard error, which is no result.
pub fn note(text: &str) {
    eprintln!("{text}");
}

/// The file's bytes.
pub fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    std::fs::read(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    Problem {
        file: path.display().to_string(),
        place: "the file".to_owned(),
        found: error.to_string(),
        expected: "a file that can be read".to_owned(),
        advice: "Check the path.".to_owned(),
    }
}

/// Some bytes of a file.
fn part(path: &Path, start: u64, count: usize) -> std::io::Result<Vec<u8>> {
    let mut file = std::fs::File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(count as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes a file.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    std::fs::write(path, bytes).map_err(|error| Problem {
        file: path.display().to_string(),
        place: "the file".to_owned(),
        found: error.to_string(),
        expected: "a folder that can be written to".to_owned(),
        advice: "Choose another path.".to_owned(),
    })
}

/// The answer to a request, or the problems it failed with.
pub fn ask(
    service: &mut Service,
    request: Request,
    job: &TerminalJob,
) -> Result<(Reply, Option<Vec<u8>>), Vec<Problem>> {
    match futures::executor::block_on(service.answer(request, Vec::new(), job)) {
        (Reply::Failed(problems), _) => Err(problems),
        answer => Ok(answer),
    }
}

/// Opens files (and all files of folders) in a service. Anything that could not be opened is a failure.
pub fn open(service: &mut Service, paths: &[PathBuf], job: &TerminalJob) -> Result<Workspace, Vec<Problem>> {
    let mut names = Vec::new();
    let mut attachments = Vec::new();
    for path in expand(paths)? {
        names.push(path.display().to_string());
        attachments.push(match std::fs::metadata(&path) {
            Ok(facts) => Attachment::in_parts(FileParts::new(facts.len(), move |start, count| {
                part(&path, start, count).map_err(|error| error.to_string())
            })),
            Err(error) => Attachment::new(move || Err(error.to_string())),
        });
    }
    let answer = futures::executor::block_on(service.answer(Request::Open { paths: names }, attachments, job));
    match answer.0 {
        Reply::Workspace(workspace) if workspace.problems.is_empty() => Ok(workspace),
        Reply::Workspace(workspace) => Err(workspace.problems),
        Reply::Failed(problems) => Err(problems),
        _ => Err(vec![internal("an opening was answered with something else")]),
    }
}

/// The models that were opened from these paths; at least as many as there are paths, each of which is to hold one.
pub fn models<'a>(workspace: &'a Workspace, paths: &[PathBuf]) -> Result<&'a [ModelSummary], Vec<Problem>> {
    if !workspace.models.is_empty() && workspace.models.len() >= paths.len() {
        return Ok(&workspace.models);
    }
    let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    Err(vec![Problem {
        file: names.join(", "),
        place: "the models".to_owned(),
        found: match workspace.models.len() {
            0 => "no model".to_owned(),
            count => format!("{count} of them"),
        },
        expected: "a model in each file".to_owned(),
        advice: "Give .onnx, .h5, .keras, .pt, .safetensors or .tflite files.".to_owned(),
    }])
}

/// Which of the opened data is used.
#[derive(clap::Args)]
pub struct DataChoice {
    /// Data set, picture or array: CIFAR-10 binary or Python batches, .npz, an archive or a folder of images. Once for
    /// each file.
    #[arg(long, required = true)]
    pub data: Vec<PathBuf>,
    /// Which data set, by a part of its name, where the files hold several; the first one unless told.
    #[arg(long)]
    pub set: Option<String>,
}

impl DataChoice {
    /// The chosen data. `labelled` asks for a data set, and takes one with labels before others.
    pub fn of<'a>(&self, workspace: &'a Workspace, labelled: bool) -> Result<&'a SourceSummary, Vec<Problem>> {
        let fits = |source: &&SourceSummary| {
            (!labelled || source.kind == SourceKind::Dataset)
                && self.set.as_ref().is_none_or(|part| source.name.contains(part.as_str()))
        };
        let fitting = || workspace.sources.iter().filter(fits);
        let found = fitting().find(|source| !labelled || source.labelled).or_else(|| fitting().next());
        found.ok_or_else(|| {
            let names: Vec<&str> = workspace.sources.iter().map(|source| source.name.as_str()).collect();
            let files: Vec<String> = self.data.iter().map(|path| path.display().to_string()).collect();
            vec![Problem {
                file: files.join(", "),
                place: "the data".to_owned(),
                found: if names.is_empty() { "no data set".to_owned() } else { names.join(", ") },
                expected: match &self.set {
                    Some(part) => format!("a data set with '{part}' in its name"),
                    None => "labelled images or samples".to_owned(),
                },
                advice: "Give CIFAR-10 batches, an .npz with x and y, or a folder with one folder per class."
                    .to_owned(),
            }]
        })
    }
}

/// Files as they are, folders as all files below them in the order of their names.
fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Vec<Problem>> {
    let mut files = Vec::new();
    let mut waiting: Vec<PathBuf> = paths.iter().rev().cloned().collect();
    while let Some(path) = waiting.pop() {
        // Said here, where a path is at hand: what the service says of files that cannot be read is meant for dropped ones.
        std::fs::metadata(&path).map_err(|error| vec![unreadable(&path, &error)])?;
        if !path.is_dir() {
            files.push(path);
            continue;
        }
        let entries = std::fs::read_dir(&path).map_err(|error| {
            vec![Problem {
                file: path.display().to_string(),
                place: "the folder".to_owned(),
                found: error.to_string(),
                expected: "a folder that can be read".to_owned(),
                advice: "Check the path.".to_owned(),
            }]
        })?;
        let mut inside: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        inside.sort();
        waiting.extend(inside.into_iter().rev());
    }
    Ok(files)
}
