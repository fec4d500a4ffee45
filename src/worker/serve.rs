//! The worker's loop: requests wait in line, a cancel overtakes them.

use super::protocol::{Notice, Progress, Reply, Request, ToPage, ToWorker};
use super::service::{Attachment, Job, Service};
use crate::import::FileParts;
use crate::platform::{self, Frame};
use futures::StreamExt;
use futures::channel::mpsc;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;

/// A progress notice at most this often.
const PROGRESS_EVERY_MS: f64 = 80.0;
/// A running job lets events in at least this often, so that a cancel is seen in time.
const YIELD_EVERY_MS: f64 = 40.0;

/// Serves the page for the life of the worker.
pub fn serve() {
    platform::install_panic_report(|message| tell(0, &ToPage::Notice(Notice::Panicked(message)), Vec::new()));
    let (line, mut waiting) = mpsc::unbounded::<(Frame, Request)>();
    let cancelled = Rc::new(RefCell::new(HashSet::new()));
    let marks = cancelled.clone();
    let served = platform::serve_frames(move |frame| {
        let decoded = frame.map_err(|e| e.to_string()).and_then(|frame| {
            let message = postcard::from_bytes(&frame.body).map_err(|e| e.to_string())?;
            Ok((frame, message))
        });
        match decoded {
            Ok((frame, ToWorker::Ask(request))) => {
                // The receiver lives as long as the loop below, which never ends.
                let _ = line.unbounded_send((frame, request));
            }
            Ok((_, ToWorker::Cancel(id))) => {
                marks.borrow_mut().insert(id);
            }
            Err(reason) => {
                tell(0, &ToPage::Notice(Notice::Panicked(format!("a request could not be read: {reason}"))), Vec::new())
            }
        }
    });
    if served.is_err() {
        return;
    }
    tell(0, &ToPage::Notice(Notice::Ready), Vec::new());
    wasm_bindgen_futures::spawn_local(async move {
        let mut service = Service::default();
        while let Some((frame, request)) = waiting.next().await {
            let job = WorkerJob::new(frame.id, cancelled.clone());
            let attachments = frame.files.into_iter().map(|file| Attachment::in_parts(parts_of(file)));
            let (reply, blob) = service.answer(request, attachments.collect(), &job).await;
            cancelled.borrow_mut().remove(&frame.id);
            tell(frame.id, &ToPage::Reply(reply), blob.into_iter().collect());
        }
    });
}

fn parts_of(file: platform::File) -> FileParts {
    FileParts::new(platform::file_size(&file), move |start, count| {
        platform::read_part(&file, start, count).map_err(|error| error.to_string())
    })
}

/// Sends a message; where even that fails, the console is all that is left, and the panic hook writes there.
fn tell(id: u32, message: &ToPage, blobs: Vec<Vec<u8>>) {
    let body = match postcard::to_stdvec(message) {
        Ok(body) => body,
        Err(error) => {
            let reply = Reply::Failed(vec![super::service::internal_problem(&error.to_string())]);
            postcard::to_stdvec(&ToPage::Reply(reply)).unwrap_or_default()
        }
    };
    let _ = platform::post_from_worker(&Frame { id, body, blobs, files: Vec::new() });
}

/// A request at work, as the service sees it.
struct WorkerJob {
    id: u32,
    cancelled: Rc<RefCell<HashSet<u32>>>,
    began_ms: f64,
    told_ms: Cell<f64>,
    yielded_ms: Cell<f64>,
}

impl WorkerJob {
    fn new(id: u32, cancelled: Rc<RefCell<HashSet<u32>>>) -> Self {
        let now = platform::now_ms();
        WorkerJob { id, cancelled, began_ms: now, told_ms: Cell::new(now), yielded_ms: Cell::new(now) }
    }
}

impl Job for WorkerJob {
    fn now_ms(&self) -> f64 {
        platform::now_ms()
    }

    async fn checkpoint(&self, job: &str, done: usize, total: usize) -> bool {
        let now = platform::now_ms();
        if now - self.told_ms.get() >= PROGRESS_EVERY_MS {
            self.told_ms.set(now);
            let progress = Progress { job: job.to_owned(), done, total, elapsed_ms: now - self.began_ms };
            tell(self.id, &ToPage::Notice(Notice::Progress(progress)), Vec::new());
        }
        if now - self.yielded_ms.get() >= YIELD_EVERY_MS {
            platform::yield_to_events().await;
            self.yielded_ms.set(platform::now_ms());
        }
        !self.cancelled.borrow().contains(&self.id)
    }
    fn partial(&self, reply: Reply) {
        tell(self.id, &ToPage::Notice(Notice::Partial(reply)), Vec::new());
    }
}
