//! Text for other programs.

use super::PlatformError;
use wasm_bindgen_futures::JsFuture;

/// Puts a text on the clipboard. The browser refuses where the page has no focus or is not served securely.
pub async fn copy_text(text: &str) -> Result<(), PlatformError> {
    let window = web_sys::window().ok_or(PlatformError::Missing("window"))?;
    let copied = JsFuture::from(window.navigator().clipboard().write_text(text)).await;
    copied.map(|_| ()).map_err(|thrown| PlatformError::refused("copying", &thrown))
}
