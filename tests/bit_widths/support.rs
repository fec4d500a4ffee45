//! The service, as the page drives it.

use futures::executor::block_on;
use quantscope::problem::Problem;
use quantscope::worker::service::{Attachment, Job, Service};
use quantscope::worker::{
    ActivationRanges, BitWidthsCell, BitWidthsOrder, BitWidthsSetting, Reply, Request, Workspace,
};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A job that is cancelled after some checkpoints, and knows the longest time between two.
pub struct Watched {
    began: Instant,
    left: Cell<usize>,
    last_ms: Cell<f64>,
    pub longest_ms: Cell<f64>,
}

impl Watched {
    pub fn new(checkpoints: usize) -> Self {
        let zero = || Cell::new(0.0);
        Watched { began: Instant::now(), left: Cell::new(checkpoints), last_ms: zero(), longest_ms: zero() }
    }
}

impl Job for Watched {
    fn now_ms(&self) -> f64 {
        self.began.elapsed().as_secs_f64() * 1e3
    }
    async fn checkpoint(&self, _job: &str, done: usize, total: usize) -> bool {
        assert!(done <= total, "{done} of {total}");
        let now = self.now_ms();
        self.longest_ms.set(self.longest_ms.get().max(now - self.last_ms.replace(now)));
        self.left.set(self.left.get().saturating_sub(1));
        self.left.get() > 0
    }
}

/// The reference data, or `None` with a line that says so.
pub fn reference() -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/reference");
    let folder = std::env::var_os("QUANTSCOPE_REFERENCE").map_or(default, PathBuf::from);
    if !folder.join("models").is_dir() {
        eprintln!("skipped: the reference data is not at {}", folder.display());
        return None;
    }
    Some(folder)
}

pub fn inside(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A service with files open.
pub struct Page {
    service: Service,
    pub workspace: Workspace,
}

impl Page {
    pub fn open(paths: &[PathBuf]) -> Page {
        let mut service = Service::default();
        let names = paths.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
        let files = paths.iter().map(|path| {
            let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            Attachment::new(move || Ok(bytes))
        });
        let job = Watched::new(usize::MAX);
        let answer = block_on(service.answer(Request::Open { paths: names }, files.collect(), &job)).0;
        let Reply::Workspace(workspace) = answer else { panic!("{answer:?}") };
        assert!(workspace.problems.is_empty(), "{:?}", workspace.problems);
        Page { service, workspace }
    }

    pub fn source(&self, part: &str) -> u32 {
        self.workspace.sources.iter().find(|source| source.name.contains(part)).unwrap().id
    }

    pub fn model(&self, part: &str) -> u32 {
        self.workspace.models.iter().find(|model| model.name.contains(part)).unwrap().id
    }

    /// Dynamic, symmetric, per tensor, convolutions only, on the source of this name.
    pub fn setting(&self, model: &str, source: &str) -> BitWidthsSetting {
        BitWidthsSetting {
            model: self.model(model),
            source: self.source(source),
            preprocess: None,
            per_channel: false,
            symmetric: true,
            mat_mul: false,
            ranges: ActivationRanges::Dynamic,
            correction: None,
        }
    }

    pub fn ask(&mut self, order: BitWidthsOrder, job: &Watched) -> Reply {
        block_on(self.service.answer(Request::BitWidths(Box::new(order)), Vec::new(), job)).0
    }

    /// Right answers on the first `count` images.
    pub fn cell(&mut self, setting: &BitWidthsSetting, bits: (Option<u8>, Option<u8>), count: usize) -> BitWidthsCell {
        let order = BitWidthsOrder { setting: setting.clone(), weights: bits.0, activations: bits.1, first: 0, count };
        match self.ask(order, &Watched::new(usize::MAX)) {
            Reply::BitWidths(cell) => cell,
            other => panic!("{other:?}"),
        }
    }

    pub fn refused(&mut self, order: BitWidthsOrder) -> Vec<Problem> {
        match self.ask(order, &Watched::new(usize::MAX)) {
            Reply::Failed(problems) => problems,
            other => panic!("{other:?}"),
        }
    }
}
