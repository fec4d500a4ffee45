//! The system's colour scheme, the user's choice, and the device's pixel ratio.

use super::PlatformError;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use web_sys::{Event, MediaQueryList, MediaQueryListEvent, Window};

/// Where `index.html` looks before the first paint, so that a stored choice never flashes the other theme.
const STORAGE_KEY: &str = "quantscope.theme";

/// Which theme the user wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ThemeChoice {
    /// What the system says.
    #[default]
    System,
    /// Always light.
    Light,
    /// Always dark.
    Dark,
}

fn window() -> Result<Window, PlatformError> {
    web_sys::window().ok_or(PlatformError::Missing("window"))
}

/// The choice of an earlier visit; [`ThemeChoice::System`] when there is none or storage is switched off.
pub fn stored_choice() -> ThemeChoice {
    let storage = web_sys::window().and_then(|window| window.local_storage().ok().flatten());
    match storage.and_then(|storage| storage.get_item(STORAGE_KEY).ok().flatten()).as_deref() {
        Some("light") => ThemeChoice::Light,
        Some("dark") => ThemeChoice::Dark,
        _ => ThemeChoice::System,
    }
}

/// Remembers a choice. Fails where storage is switched off: the choice then lasts as long as the page.
pub fn store_choice(choice: ThemeChoice) -> Result<(), PlatformError> {
    let refused = |thrown| PlatformError::refused("remembering the theme", &thrown);
    let storage = window()?.local_storage().map_err(refused)?.ok_or(PlatformError::Missing("local storage"))?;
    match choice {
        ThemeChoice::System => storage.remove_item(STORAGE_KEY),
        ThemeChoice::Light => storage.set_item(STORAGE_KEY, "light"),
        ThemeChoice::Dark => storage.set_item(STORAGE_KEY, "dark"),
    }
    .map_err(refused)
}

/// Dresses the page: sets `data-theme` on the root, which the style tokens read.
pub fn set_page_theme(dark: bool) -> Result<(), PlatformError> {
    let root = window()?.document().and_then(|document| document.document_element());
    let root = root.ok_or(PlatformError::Missing("document"))?;
    let theme = if dark { "dark" } else { "light" };
    root.set_attribute("data-theme", theme).map_err(|thrown| PlatformError::refused("setting the theme", &thrown))
}

/// Watches a media query until it is dropped.
pub struct MediaWatch {
    list: MediaQueryList,
    callback: Closure<dyn FnMut(MediaQueryListEvent)>,
}

impl Drop for MediaWatch {
    fn drop(&mut self) {
        // A listener that is already gone is no loss.
        let _ = self.list.remove_event_listener_with_callback("change", self.callback.as_ref().unchecked_ref());
    }
}

/// Calls `on_change(matches)` once now and at every change of a media query, such as `(prefers-color-scheme: dark)`.
pub fn watch_media(query: &str, mut on_change: impl FnMut(bool) + 'static) -> Result<MediaWatch, PlatformError> {
    let refused = |thrown| PlatformError::refused("asking a media query", &thrown);
    let list = window()?.match_media(query).map_err(refused)?.ok_or(PlatformError::Missing("media queries"))?;
    on_change(list.matches());
    let callback = Closure::<dyn FnMut(MediaQueryListEvent)>::new(move |event: MediaQueryListEvent| {
        on_change(event.matches());
    });
    list.add_event_listener_with_callback("change", callback.as_ref().unchecked_ref()).map_err(refused)?;
    Ok(MediaWatch { list, callback })
}

/// Watches the device pixel ratio until it is dropped.
pub struct PixelRatioWatch {
    window: Window,
    callback: Closure<dyn FnMut(Event)>,
    list: Option<MediaQueryList>,
}

impl Drop for PixelRatioWatch {
    fn drop(&mut self) {
        let callback = self.callback.as_ref().unchecked_ref();
        let _ = self.window.remove_event_listener_with_callback("resize", callback);
        if let Some(list) = &self.list {
            let _ = list.remove_event_listener_with_callback("change", callback);
        }
    }
}

/// Calls `on_ratio(device pixels per CSS pixel)` once now and whenever it may have changed: on zoom (a resize) and when
/// the window goes to or from a screen of the ratio at hand (the query for it changes).
pub fn watch_pixel_ratio(mut on_ratio: impl FnMut(f64) + 'static) -> Result<PixelRatioWatch, PlatformError> {
    let refused = |thrown| PlatformError::refused("watching the pixel ratio", &thrown);
    let window = window()?;
    let ratio = window.device_pixel_ratio();
    on_ratio(ratio);
    let window_then = window.clone();
    let callback = Closure::<dyn FnMut(Event)>::new(move |_: Event| on_ratio(window_then.device_pixel_ratio()));
    let listener = callback.as_ref().unchecked_ref();
    window.add_event_listener_with_callback("resize", listener).map_err(refused)?;
    let list = window.match_media(&format!("(resolution: {ratio}dppx)")).map_err(refused)?;
    if let Some(list) = &list {
        list.add_event_listener_with_callback("change", listener).map_err(refused)?;
    }
    Ok(PixelRatioWatch { window, callback, list })
}
