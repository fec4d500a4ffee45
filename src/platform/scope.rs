//! The worker's end.

use super::error::PlatformError;
use super::frame::Frame;
use wasm_bindgen::prelude::*;
use web_sys::{DedicatedWorkerGlobalScope, MessageEvent};

fn scope() -> Result<DedicatedWorkerGlobalScope, PlatformError> {
    js_sys::global().dyn_into().map_err(|_| PlatformError::Missing("the worker's scope"))
}

/// Hands every frame that the page sends to `receive`, for the life of the worker.
pub fn serve_frames(receive: impl Fn(Result<Frame, PlatformError>) + 'static) -> Result<(), PlatformError> {
    let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
        receive(Frame::from_message(&event.data()));
    });
    scope()?.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    // The handler lives as long as the worker itself.
    on_message.forget();
    Ok(())
}

/// Sends a frame to the page; its bytes are moved.
pub fn post_from_worker(frame: &Frame) -> Result<(), PlatformError> {
    let (message, transfer) = frame.to_message();
    scope()?
        .post_message_with_transfer(&message, &transfer)
        .map_err(|e| PlatformError::refused("sending to the page", &e))
}

/// Before a panic ends the instance, `report` gets its message. The panic also goes to the console.
pub fn install_panic_report(report: impl Fn(String) + Send + Sync + 'static) {
    std::panic::set_hook(Box::new(move |info| {
        report(info.to_string());
        console_error_panic_hook::hook(info);
    }));
}
