//! Files that come with the page itself.

use super::error::PlatformError;
use super::files::PickedFile;
use js_sys::Array;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, File, Response};

/// Fetches a file of the page's own folder. Nothing else can be fetched: the page's policy allows no other origin.
pub async fn fetch_file(path: &str) -> Result<PickedFile, PlatformError> {
    let refused = |thrown: JsValue| PlatformError::refused("loading a file of the page", &thrown);
    let window = web_sys::window().ok_or(PlatformError::Missing("window"))?;
    let response: Response =
        JsFuture::from(window.fetch_with_str(path)).await.map_err(refused)?.dyn_into().map_err(refused)?;
    if !response.ok() {
        let reason = format!("{path}: the server answered {}", response.status());
        return Err(PlatformError::Refused { action: "loading a file of the page", reason });
    }
    let blob: Blob =
        JsFuture::from(response.blob().map_err(refused)?).await.map_err(refused)?.dyn_into().map_err(refused)?;
    let name = path.rsplit('/').next().unwrap_or(path);
    let file = File::new_with_blob_sequence(&Array::of1(&blob), name).map_err(refused)?;
    Ok(PickedFile { path: name.to_owned(), file })
}
