//! Files that the user takes home.

use super::PlatformError;
use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Blob, BlobPropertyBag, HtmlAnchorElement, Url};

/// How long a download may take to start reading its blob.
const KEEP_URL_MS: i32 = 30_000;

/// Offers bytes as a file called `name` with the media type `media_type`.
pub fn download(name: &str, media_type: &str, bytes: &[u8]) -> Result<(), PlatformError> {
    let options = BlobPropertyBag::new();
    options.set_type(media_type);
    let parts = Array::of1(&Uint8Array::from(bytes));
    let blob = Blob::new_with_u8_array_sequence_and_options(&parts, &options)
        .map_err(|thrown| PlatformError::refused("making a file", &thrown))?;
    download_blob(name, &blob)
}

/// Offers a blob as a file called `name`.
pub(super) fn download_blob(name: &str, blob: &Blob) -> Result<(), PlatformError> {
    let refused = |thrown: JsValue| PlatformError::refused("offering a file", &thrown);
    let window = web_sys::window().ok_or(PlatformError::Missing("window"))?;
    let document = window.document().ok_or(PlatformError::Missing("document"))?;
    let url = Url::create_object_url_with_blob(blob).map_err(refused)?;
    let anchor: HtmlAnchorElement = document
        .create_element("a")
        .map_err(refused)?
        .dyn_into()
        .map_err(|_| PlatformError::Missing("anchor elements"))?;
    anchor.set_href(&url);
    anchor.set_download(name);
    anchor.click();
    // Revoked at once, some browsers save an empty file.
    let revoke = Closure::once_into_js(move || Url::revoke_object_url(&url));
    let revoke = revoke.unchecked_ref();
    window.set_timeout_with_callback_and_timeout_and_arguments_0(revoke, KEEP_URL_MS).map_err(refused)?;
    Ok(())
}

/// `stem` as a file name that every system takes: what is not a letter, digit, dot, dash or underscore becomes a dash.
pub fn file_name(stem: &str, extension: &str) -> String {
    let safe = |letter: char| if letter.is_alphanumeric() || matches!(letter, '.' | '_') { letter } else { '-' };
    let name: String = stem.chars().map(safe).take(120).collect();
    let parts: Vec<&str> = name.split('-').filter(|part| part.chars().any(|letter| letter != '.')).collect();
    let name = parts.join("-");
    format!("{}.{extension}", if name.is_empty() { "chart" } else { &name })
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn names_are_safe_and_deterministic() {
        assert_eq!(file_name("conv2d_4/BiasAdd weights", "png"), "conv2d_4-BiasAdd-weights.png");
        assert_eq!(file_name("../../etc", "csv"), "etc.csv");
        assert_eq!(file_name("", "svg"), "chart.svg");
        assert_eq!(file_name("über", "svg"), "über.svg");
    }
}
