//! The part of the address after `#`, as key=value pairs.

use wasm_bindgen::prelude::*;
use web_sys::UrlSearchParams;

/// The pairs in the address now; an unknown or malformed fragment gives none.
pub fn route() -> Vec<(String, String)> {
    let hash = web_sys::window().and_then(|window| window.location().hash().ok()).unwrap_or_default();
    let Ok(pairs) = UrlSearchParams::new_with_str(hash.trim_start_matches(['#', '/'])) else { return Vec::new() };
    let pair = |entry: JsValue| {
        let entry = entry.dyn_into::<js_sys::Array>().ok()?;
        Some((entry.get(0).as_string()?, entry.get(1).as_string()?))
    };
    js_sys::Array::from(&pairs.entries()).iter().filter_map(pair).collect()
}

/// Writes the pairs without adding a step to the history: a selection is not a page.
pub fn replace_route(pairs: &[(&str, &str)]) {
    let (Ok(encoded), Some(window)) = (UrlSearchParams::new(), web_sys::window()) else { return };
    for (key, value) in pairs {
        encoded.append(key, value);
    }
    if let Ok(history) = window.history() {
        // Refused only where the document is sandboxed; then the address simply does not follow.
        let _ = history.replace_state_with_url(
            &JsValue::NULL,
            "",
            Some(&format!("#{}", String::from(encoded.to_string()))),
        );
    }
}

/// Calls `changed` whenever the user or a link changes the fragment, for the life of the page.
pub fn on_route_change(changed: impl Fn(Vec<(String, String)>) + 'static) {
    let Some(window) = web_sys::window() else { return };
    let listener = Closure::<dyn FnMut()>::new(move || changed(route()));
    let _ = window.add_event_listener_with_callback("hashchange", listener.as_ref().unchecked_ref());
    listener.forget();
}
