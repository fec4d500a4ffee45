//! The page's end of a worker.

use super::error::PlatformError;
use super::frame::Frame;
use js_sys::Array;
use wasm_bindgen::prelude::*;
use web_sys::{Blob, BlobPropertyBag, ErrorEvent, Event, MessageEvent, Url, Worker, WorkerOptions, WorkerType};

/// What a worker says to the page.
#[derive(Debug)]
pub enum WorkerEvent {
    /// A frame arrived.
    Frame(Frame),
    /// The worker broke down and will not answer any more.
    Crashed(String),
}

/// A running worker. Dropping the handle terminates it.
pub struct WorkerHandle {
    worker: Worker,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_error: Closure<dyn FnMut(Event)>,
}

impl WorkerHandle {
    /// Starts the worker that the page's `<meta name="worker-url">` names and hands its events to `listen`.
    pub fn start(listen: impl Fn(WorkerEvent) + Clone + 'static) -> Result<Self, PlatformError> {
        let worker = start_worker(&worker_url()?).map_err(|e| PlatformError::refused("starting the worker", &e))?;
        let on_frame = listen.clone();
        let on_message =
            Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
                match Frame::from_message(&event.data()) {
                    Ok(frame) => on_frame(WorkerEvent::Frame(frame)),
                    Err(error) => on_frame(WorkerEvent::Crashed(error.to_string())),
                }
            });
        let on_error = Closure::<dyn FnMut(Event)>::new(move |event: Event| {
            event.prevent_default();
            let message = event.dyn_ref::<ErrorEvent>().map(ErrorEvent::message).filter(|message| !message.is_empty());
            listen(WorkerEvent::Crashed(message.unwrap_or_else(|| "the worker's script did not load".to_owned())));
        });
        worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        Ok(WorkerHandle { worker, _on_message: on_message, _on_error: on_error })
    }

    /// Sends a frame; its bytes are moved to the worker.
    pub fn post(&self, frame: &Frame) -> Result<(), PlatformError> {
        let (message, transfer) = frame.to_message();
        self.worker
            .post_message_with_transfer(&message, &transfer)
            .map_err(|e| PlatformError::refused("sending to the worker", &e))
    }
}

impl Drop for WorkerHandle {
    fn drop(&mut self) {
        self.worker.set_onmessage(None);
        self.worker.set_onerror(None);
        self.worker.terminate();
    }
}

/// A module worker that imports the script. It starts from a `blob:` address, because only such a worker stands under
/// the page's Content-Security-Policy; one that starts from a file has the policy of the file's own response.
fn start_worker(script: &str) -> Result<Worker, JsValue> {
    let base =
        web_sys::window().and_then(|window| window.document()).and_then(|document| document.base_uri().ok().flatten());
    let script = match base {
        Some(base) => Url::new_with_base(script, &base)?.href(),
        None => script.to_owned(),
    };
    let kind = BlobPropertyBag::new();
    kind.set_type("text/javascript");
    let source = Array::of1(&format!("import {};", js_sys::JSON::stringify(&script.into())?).into());
    let blob = Blob::new_with_str_sequence_and_options(&source, &kind)?;
    let address = Url::create_object_url_with_blob(&blob)?;
    let options = WorkerOptions::new();
    options.set_type(WorkerType::Module);
    // The address is not revoked: the worker fetches it later, and it is a line of text.
    Worker::new_with_options(&address, &options)
}

/// The build names the worker's script in a meta tag, versioned, so that a page never meets a worker of another build.
fn worker_url() -> Result<String, PlatformError> {
    let document = web_sys::window().and_then(|window| window.document());
    let meta = document.and_then(|document| document.query_selector("meta[name=worker-url]").ok().flatten());
    meta.and_then(|meta| meta.get_attribute("content")).ok_or(PlatformError::Missing("finding the worker's address"))
}
