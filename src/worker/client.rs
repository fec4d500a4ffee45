//! The page's side: asks, waits, and notices when the worker is gone.

use super::protocol::{Notice, Reply, Request, ToPage, ToWorker};
use crate::platform::{Frame, PickedFile, PlatformError, WorkerEvent, WorkerHandle};
use futures::channel::oneshot;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use thiserror::Error;

/// Why there is no answer.
#[derive(Debug, Clone, Error)]
pub enum ClientError {
    /// The worker broke down while the request was with it.
    #[error("the worker stopped: {0}")]
    Crashed(String),
    /// The browser refused.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// Page and worker do not speak the same protocol.
    #[error("the message could not be encoded: {0}")]
    Encoding(String),
}

/// A reply with the bytes beside it.
#[derive(Debug)]
pub struct Answer {
    /// Number of the request.
    pub id: u32,
    /// The reply.
    pub reply: Reply,
    /// Its large bytes, where it has any.
    pub blob: Option<Vec<u8>>,
}

type Waiting = oneshot::Sender<Result<Answer, ClientError>>;

/// Asks a worker and hands out its answers. Dropping it ends the worker.
pub struct Client {
    worker: RefCell<Option<WorkerHandle>>,
    waiting: RefCell<HashMap<u32, Waiting>>,
    next: RefCell<u32>,
}

impl Client {
    /// Starts a worker. `notice` hears what it says unasked, with the number of the request it speaks of; `crashed`
    /// hears once when it has broken down.
    pub fn start(
        notice: impl Fn(u32, Notice) + Clone + 'static,
        crashed: impl Fn(String) + Clone + 'static,
    ) -> Result<Rc<Self>, ClientError> {
        let client = Rc::new(Client { worker: RefCell::new(None), waiting: RefCell::default(), next: RefCell::new(1) });
        let listener = Rc::downgrade(&client);
        let worker = WorkerHandle::start(move |event| {
            let Some(client) = listener.upgrade() else { return };
            match event {
                WorkerEvent::Frame(frame) => match postcard::from_bytes(&frame.body) {
                    Ok(ToPage::Reply(reply)) => client.resolve(frame, reply),
                    Ok(ToPage::Notice(Notice::Panicked(message))) => client.fail(message, &crashed),
                    Ok(ToPage::Notice(other)) => notice(frame.id, other),
                    Err(error) => client.fail(format!("an answer could not be read: {error}"), &crashed),
                },
                WorkerEvent::Crashed(message) => client.fail(message, &crashed),
            }
        })?;
        *client.worker.borrow_mut() = Some(worker);
        Ok(client)
    }

    /// Sends a request; the second part resolves when the worker has answered or broken down.
    pub fn ask(
        &self,
        request: Request,
        files: &[PickedFile],
    ) -> (u32, impl Future<Output = Result<Answer, ClientError>> + use<>) {
        let id = *self.next.borrow();
        *self.next.borrow_mut() += 1;
        let (sender, receiver) = oneshot::channel();
        self.waiting.borrow_mut().insert(id, sender);
        let sent = self.send(id, &ToWorker::Ask(request), files);
        if let Err(error) = sent
            && let Some(sender) = self.waiting.borrow_mut().remove(&id)
        {
            // The receiver is a few lines below.
            let _ = sender.send(Err(error));
        }
        (id, async move { receiver.await.unwrap_or_else(|_| Err(ClientError::Crashed("it was ended".to_owned()))) })
    }

    /// Asks the worker to stop the request with this number.
    pub fn cancel(&self, id: u32) -> Result<(), ClientError> {
        self.send(id, &ToWorker::Cancel(id), &[])
    }

    fn send(&self, id: u32, message: &ToWorker, files: &[PickedFile]) -> Result<(), ClientError> {
        let body = postcard::to_stdvec(message).map_err(|error| ClientError::Encoding(error.to_string()))?;
        let files = files.iter().map(|picked| picked.file.clone()).collect();
        let worker = self.worker.borrow();
        let worker = worker.as_ref().ok_or_else(|| ClientError::Crashed("it is not there".to_owned()))?;
        // The worker's first script keeps what comes before the worker listens.
        Ok(worker.post(&Frame { id, body, files, blobs: Vec::new() })?)
    }

    fn resolve(&self, frame: Frame, reply: Reply) {
        let sender = self.waiting.borrow_mut().remove(&frame.id);
        if let Some(sender) = sender {
            // Whoever asked may have stopped waiting; then the answer is of no use.
            let _ = sender.send(Ok(Answer { id: frame.id, reply, blob: frame.blobs.into_iter().next() }));
        }
    }

    /// Everything that waits is told, once.
    fn fail(&self, message: String, crashed: &impl Fn(String)) {
        let Some(worker) = self.worker.borrow_mut().take() else { return };
        for (_, sender) in self.waiting.borrow_mut().drain() {
            let _ = sender.send(Err(ClientError::Crashed(message.clone())));
        }
        crashed(message);
        // The handle's closures may be running right now: it is dropped in a turn of its own.
        wasm_bindgen_futures::spawn_local(async move {
            crate::platform::yield_to_events().await;
            drop(worker);
        });
    }
}
