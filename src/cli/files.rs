//! Reading and writing files, and opening them in a service.

use super::job::TerminalJob;
use crate::import::FileParts;
use crate::problem::Problem;
use crate::worker::service::{Attachment, Service};
use crate::worker::{Reply, Request, Workspace};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// A fault of the program.
pub fn internal(found: &str) -> Problem {
    crate::worker::service::internal_problem(found)
}

/// The file's bytes.
pub fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    std::fs::read(path).map_err(|error| Problem {
        file: path.display().to_string(),
        place: "the file".to_owned(),
        found: error.to_string(),
        expected: "a file that can be read".to_owned(),
        advice: "Check the path.".to_owned(),
    })
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

/// Files as they are, folders as all files below them in the order of their names.
fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Vec<Problem>> {
    let mut files = Vec::new();
    let mut waiting: Vec<PathBuf> = paths.iter().rev().cloned().collect();
    while let Some(path) = waiting.pop() {
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
