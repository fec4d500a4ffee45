//! Answers requests: owns documents, inputs, plans and activations.
//!
//! Nothing here knows of the browser: files come as [`Attachment`]s, time and cancelling through a [`Job`], so the
//! whole service runs natively in tests.

mod activation;
mod align;
mod autopilot;
mod bit_widths;
mod card;
mod convert;
mod corrections;
mod distribution;
mod evaluate;
mod exports;
mod feed;
mod graph;
mod inputs;
mod inspect;
mod items;
mod model;
mod open;
mod playground;
mod quantize;
mod run;
mod scores;
mod source;
mod weights;

use super::protocol::{ModelId, Reply, Request, Workspace};
use crate::import::{self, FileParts, ImportError, Streamed};
use crate::onnx::Document;
use crate::problem::Problem;
use align::Layout;
use model::OpenModel;
use run::{LastRun, Plans};
use source::OpenSource;

pub use inputs::fit;

/// A data set of this size or more is not read into memory but from its file, sample by sample.
pub const STREAMED_FROM_BYTES: u64 = 256 << 20;
/// A file that has to be read as a whole is smaller: a 32-bit worker has no room for more.
const MOST_WHOLE_BYTES: usize = 2 << 30;

/// A file that came with a request; its bytes are read when they are needed.
pub struct Attachment {
    read: Box<dyn FnOnce() -> Result<Vec<u8>, String>>,
    /// How its parts are read, where it can be.
    parts: Option<FileParts>,
}

impl Attachment {
    /// A file that `read` reads; the error is the system's reason.
    pub fn new(read: impl FnOnce() -> Result<Vec<u8>, String> + 'static) -> Self {
        Attachment { read: Box::new(read), parts: None }
    }

    /// A file that is also read in parts: a data set from [`STREAMED_FROM_BYTES`] on stays in it.
    pub fn in_parts(parts: FileParts) -> Self {
        let whole = parts.clone();
        let read = move || {
            let bytes = usize::try_from(whole.len()).ok().filter(|&len| len < MOST_WHOLE_BYTES);
            let bytes = bytes.ok_or_else(|| format!("{} bytes, more than memory holds", whole.len()))?;
            whole.read(0, bytes)
        };
        Attachment { read: Box::new(read), parts: Some(parts) }
    }

    /// The data in a large file that is no model, and that need not be read as a whole.
    fn streamed(&self, path: &str) -> Option<Result<Streamed, ImportError>> {
        let large = self.parts.as_ref().filter(|parts| parts.len() >= STREAMED_FROM_BYTES);
        import::open_streamed(path, large?)
    }

    fn read(self) -> Result<Vec<u8>, String> {
        (self.read)()
    }
}

/// A request at work: its clock, and where it tells how far it is.
pub trait Job {
    /// Milliseconds on a clock that only goes forward.
    fn now_ms(&self) -> f64;

    /// Tells progress and lets other events in; `false` when the request has been cancelled. Called at least every
    /// few dozen milliseconds by everything that takes long.
    fn checkpoint(&self, job: &str, done: usize, total: usize) -> impl Future<Output = bool>;

    /// Tells what has been found so far; nobody needs to listen.
    fn partial(&self, _reply: Reply) {}
}

/// Why a request has no answer.
enum Failure {
    /// With what went wrong.
    Problems(Vec<Problem>),
    /// The user cancelled it.
    Cancelled,
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Failure::Problems(vec![problem])
    }
}

/// A reply and the bytes beside it.
type Answered = Result<(Reply, Option<Vec<u8>>), Failure>;

/// A message about something that cannot happen as long as the program is right.
pub fn internal_problem(found: &str) -> Problem {
    Problem {
        file: "Quantscope".to_owned(),
        place: "the worker".to_owned(),
        found: found.to_owned(),
        expected: "this never to happen".to_owned(),
        advice: "This is a fault of Quantscope: please report it with the file that shows it.".to_owned(),
    }
}

/// Everything open.
#[derive(Default)]
pub struct Service {
    revision: u32,
    next_id: u32,
    models: Vec<OpenModel>,
    sources: Vec<OpenSource>,
    /// Files that were opened beside models and that a model may refer to.
    side_files: Vec<crate::import::SourceFile>,
    layout: Layout,
    plans: Plans,
    last_run: Option<LastRun>,
    tables: playground::Tables,
    study: Option<bit_widths::Study>,
}

impl Service {
    /// Answers one request.
    pub async fn answer(
        &mut self,
        request: Request,
        attachments: Vec<Attachment>,
        job: &impl Job,
    ) -> (Reply, Option<Vec<u8>>) {
        let answered = match request {
            Request::Open { paths } => self.open(paths, attachments, job).await,
            Request::CloseModel(id) => {
                self.models.retain(|model| model.id != id);
                // They went with their model: the next opening has nothing to say of them.
                self.take_unused_side_files();
                Ok(self.changed(Vec::new()))
            }
            Request::CloseSource(id) => {
                self.sources.retain(|source| source.id != id);
                Ok(self.changed(Vec::new()))
            }
            Request::Inspect(layer) => self.inspect(layer),
            Request::Distribution(query) => self.distribution(query),
            Request::Ranges => self.ranges(),
            Request::Run(order) => self.run(order, job).await,
            Request::Activation(query) => self.activation(query),
            Request::Thumbnail { source, index } => self.thumbnail(source, index),
            Request::ExportActivations(model) => self.export_activations(model, job).await,
            Request::ExportReport => self.export_report(),
            Request::Parting { first, second } => self.parting(first, second),
            Request::Quantize(order) => self.quantize(*order, job).await,
            Request::Evaluate(order) => self.evaluate(order, job).await,
            Request::BitWidths(order) => self.bit_widths(*order, job).await,
            Request::Autopilot(order) => self.autopilot(&order, job).await,
            Request::Playground(request) => self.playground(request, job).await,
            Request::Convert(request) => self.convert(request, attachments, job).await,
            Request::Graph(query) => self.graph(query),
        };
        match answered {
            Ok(answer) => answer,
            Err(Failure::Problems(problems)) => (Reply::Failed(problems), None),
            Err(Failure::Cancelled) => (Reply::Cancelled, None),
        }
    }

    /// After something was opened or closed: layers are aligned anew and the whole state is told.
    fn changed(&mut self, problems: Vec<Problem>) -> (Reply, Option<Vec<u8>>) {
        self.revision += 1;
        self.layout = Layout::of(&self.models);
        self.plans.keep(&self.models);
        self.tables.keep(&self.models);
        self.study = None;
        if let Some(run) = &mut self.last_run {
            run.keep(&self.models);
        }
        let workspace = Workspace {
            revision: self.revision,
            models: self.models.iter().map(|model| model.summary.clone()).collect(),
            sources: self.sources.iter().map(|source| source.summary(self.shown_items(source))).collect(),
            layers: self.layout.rows.clone(),
            unmatched: self.layout.unmatched_lines(),
            problems,
        };
        (Reply::Workspace(workspace), None)
    }

    /// The document of an open model.
    pub fn document(&self, id: ModelId) -> Option<&Document> {
        self.models.iter().find(|model| model.id == id).map(|model| &model.document)
    }

    fn fresh_id(&mut self) -> u32 {
        self.next_id += 1;
        self.next_id
    }
}
