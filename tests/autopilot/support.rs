//! A service with files open.

use futures::executor::block_on;
use quantscope::worker::service::{Attachment, Job, Service};
use quantscope::worker::{Reply, Request, Workspace};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A job that is cancelled after so many looks.
pub struct Patience {
    began: Instant,
    left: Cell<usize>,
}

impl Patience {
    pub fn endless() -> Self {
        Patience::of(usize::MAX)
    }

    pub fn of(looks: usize) -> Self {
        Patience { began: Instant::now(), left: Cell::new(looks) }
    }
}

impl Job for Patience {
    fn now_ms(&self) -> f64 {
        self.began.elapsed().as_secs_f64() * 1e3
    }
    async fn checkpoint(&self, _job: &str, _done: usize, _total: usize) -> bool {
        self.left.set(self.left.get().saturating_sub(1));
        self.left.get() > 0
    }
}

pub fn ask(service: &mut Service, request: Request) -> (Reply, Option<Vec<u8>>) {
    ask_with(service, request, &Patience::endless())
}

pub fn ask_with(service: &mut Service, request: Request, job: &Patience) -> (Reply, Option<Vec<u8>>) {
    block_on(service.answer(request, Vec::new(), job))
}

pub fn open(service: &mut Service, files: Vec<(String, Vec<u8>)>) -> Workspace {
    let (paths, contents): (Vec<String>, Vec<Vec<u8>>) = files.into_iter().unzip();
    let attachments = contents.into_iter().map(|bytes| Attachment::new(move || Ok(bytes))).collect();
    match block_on(service.answer(Request::Open { paths }, attachments, &Patience::endless())).0 {
        Reply::Workspace(workspace) => {
            assert!(workspace.problems.is_empty(), "{:?}", workspace.problems);
            workspace
        }
        other => panic!("{other:?}"),
    }
}

pub fn file(path: &Path) -> (String, Vec<u8>) {
    (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(path).unwrap())
}

/// The sample: its float model, then its calibration and its test images.
pub fn sample() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("public/sample");
    ["street-digits.onnx", "street-digits.tar.gz"].map(|name| file(&folder.join(name))).to_vec()
}

pub fn reference() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/reference");
    let folder = std::env::var_os("QUANTSCOPE_REFERENCE").map_or(beside, PathBuf::from);
    if folder.join("models").is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: no reference data at {}", folder.display());
    None
}
