//! Sizes as they change.

use super::PlatformError;
use js_sys::Array;
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Element, ResizeObserver, ResizeObserverEntry};

/// Watches until it is dropped.
pub struct ResizeWatch {
    observer: ResizeObserver,
    _callback: Closure<dyn FnMut(Array)>,
}

impl Drop for ResizeWatch {
    fn drop(&mut self) {
        self.observer.disconnect();
    }
}

/// Calls `on_size(width_px, height_px)` with the element's content box, once now and at every change.
pub fn watch_size(
    element: &Element,
    mut on_size: impl FnMut(f64, f64) + 'static,
) -> Result<ResizeWatch, PlatformError> {
    let callback = Closure::<dyn FnMut(Array)>::new(move |entries: Array| {
        // Several changes may come at once; only the last is still true.
        let last: JsValue = entries.get(entries.length().saturating_sub(1));
        if let Ok(entry) = last.dyn_into::<ResizeObserverEntry>() {
            let content = entry.content_rect();
            on_size(content.width(), content.height());
        }
    });
    let observer = ResizeObserver::new(callback.as_ref().unchecked_ref())
        .map_err(|thrown| PlatformError::refused("watching an element's size", &thrown))?;
    observer.observe(element);
    Ok(ResizeWatch { observer, _callback: callback })
}
