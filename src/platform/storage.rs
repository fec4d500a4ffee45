//! What the browser remembers for this page, as short texts under names.

use super::PlatformError;
use wasm_bindgen::JsValue;
use web_sys::Storage;

fn refused(thrown: JsValue) -> PlatformError {
    PlatformError::refused("remembering", &thrown)
}

fn storage() -> Result<Storage, PlatformError> {
    let window = web_sys::window().ok_or(PlatformError::Missing("window"))?;
    window.local_storage().map_err(refused)?.ok_or(PlatformError::Missing("local storage"))
}

/// The text of an earlier visit; `None` where there is none or storage is switched off.
pub fn recall(name: &str) -> Option<String> {
    storage().ok()?.get_item(name).ok().flatten()
}

/// Remembers a text. Fails where storage is switched off or full.
pub fn remember(name: &str, text: &str) -> Result<(), PlatformError> {
    storage()?.set_item(name, text).map_err(refused)
}

/// Forgets a text. What cannot be forgotten was never remembered.
pub fn forget(name: &str) {
    if let Ok(storage) = storage() {
        let _ = storage.remove_item(name);
    }
}
