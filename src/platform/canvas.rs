//! Pointers over canvases, pixels into them, pictures out of them.

use super::PlatformError;
use super::download::download_blob;
use crate::chart::paint::paint;
use crate::chart::scene::Scene;
use js_sys::{Function, Promise};
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{Clamped, JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, CanvasRenderingContext2d, Element, HtmlCanvasElement, ImageData, MouseEvent, PointerEvent};

/// Where a pointer is, in CSS pixels from the element's top left.
pub fn position_in(element: &Element, event: &MouseEvent) -> (f64, f64) {
    let frame = element.get_bounding_client_rect();
    (f64::from(event.client_x()) - frame.left(), f64::from(event.client_y()) - frame.top())
}

/// Sends all further events of this pointer to the element, so that a drag may leave it.
pub fn capture_pointer(element: &Element, event: &PointerEvent) -> Result<(), PlatformError> {
    let refused = |thrown| PlatformError::refused("following a pointer", &thrown);
    element.set_pointer_capture(event.pointer_id()).map_err(refused)
}

/// Puts RGBA pixels (`width * height * 4` bytes) on a canvas of that size.
pub fn put_pixels(canvas: &HtmlCanvasElement, width: u32, height: u32, rgba: &[u8]) -> Result<(), PlatformError> {
    let refused = |thrown| PlatformError::refused("showing a picture", &thrown);
    canvas.set_width(width);
    canvas.set_height(height);
    let context = canvas.get_context("2d").map_err(refused)?.ok_or(PlatformError::Missing("2d canvas"))?;
    let context: CanvasRenderingContext2d = context.dyn_into().map_err(|_| PlatformError::Missing("2d canvas"))?;
    let data = ImageData::new_with_u8_clamped_array_and_sh(Clamped(rgba), width, height).map_err(refused)?;
    context.put_image_data(&data, 0.0, 0.0).map_err(refused)
}

/// Paints a scene at `pixel_ratio` and offers it as the PNG file `name`.
pub async fn download_png(scene: &Scene, pixel_ratio: f64, name: &str) -> Result<(), PlatformError> {
    let refused = |thrown| PlatformError::refused("making a PNG", &thrown);
    let document = web_sys::window().and_then(|window| window.document()).ok_or(PlatformError::Missing("document"))?;
    let canvas = document.create_element("canvas").map_err(refused)?;
    let canvas: HtmlCanvasElement = canvas.dyn_into().map_err(|_| PlatformError::Missing("canvas"))?;
    paint(&canvas, scene, pixel_ratio)
        .map_err(|error| PlatformError::Refused { action: "making a PNG", reason: error.to_string() })?;
    let promise = Promise::new(&mut |resolve: Function, reject: Function| {
        let done = Closure::once_into_js(move |blob: JsValue| {
            // A listener that throws has nobody to tell.
            let _ = resolve.call1(&JsValue::UNDEFINED, &blob);
        });
        if let Err(thrown) = canvas.to_blob(done.unchecked_ref()) {
            let _ = reject.call1(&JsValue::UNDEFINED, &thrown);
        }
    });
    let blob = JsFuture::from(promise).await.map_err(refused)?;
    // `toBlob` gives null where the picture is too large to encode.
    let blob: Blob = blob.dyn_into().map_err(|_| PlatformError::Missing("memory for this picture"))?;
    download_blob(name, &blob)
}
