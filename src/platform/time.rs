//! Time and turns of the event loop, the same in the page and in a worker.

use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// Milliseconds since the page or the worker started (`performance.now()`); 0 where there is no clock.
pub fn now_ms() -> f64 {
    let performance = Reflect::get(&js_sys::global(), &"performance".into()).ok();
    performance.and_then(|p| p.dyn_into::<web_sys::Performance>().ok()).map_or(0.0, |p| p.now())
}

/// Resolves after at least this many milliseconds.
pub async fn sleep_ms(duration_ms: i32) {
    let promise = Promise::new(&mut |resolve, _reject| {
        let timer = Reflect::get(&js_sys::global(), &"setTimeout".into()).ok();
        if let Some(timer) = timer.and_then(|timer| timer.dyn_into::<Function>().ok()) {
            let _ = timer.call2(&JsValue::UNDEFINED, &resolve, &duration_ms.into());
        }
    });
    let _ = JsFuture::from(promise).await;
}

/// Lets waiting events (a cancel, above all) be handled before going on.
///
/// A message to oneself is a task of its own, and unlike `setTimeout` it is not delayed by 4 ms when repeated.
pub async fn yield_to_events() {
    let Ok(channel) = web_sys::MessageChannel::new() else { return sleep_ms(0).await };
    let promise = Promise::new(&mut |resolve, _reject| {
        channel.port1().set_onmessage(Some(&resolve));
        let _ = channel.port2().post_message(&JsValue::NULL);
    });
    let _ = JsFuture::from(promise).await;
    channel.port1().close();
}

/// Resolves when what has changed so far is on the screen. In a hidden tab that is when it is looked at again.
pub async fn painted() {
    let promise = Promise::new(&mut |resolve, _reject| {
        if let Some(window) = web_sys::window() {
            let _ = window.request_animation_frame(&resolve);
        }
    });
    let _ = JsFuture::from(promise).await;
    // The callback comes before the frame is painted, the next task after it.
    yield_to_events().await;
}
