//! Small reaches into the document.

use wasm_bindgen::prelude::*;
use web_sys::{Event, HtmlElement, KeyboardEvent, SvgElement};

/// Calls `handle` for every event of this type anywhere in the document, before the page's own handlers, for the
/// life of the page.
pub fn on_document_event<E: JsCast + 'static>(kind: &str, handle: impl Fn(E) + 'static) {
    let Some(document) = web_sys::window().and_then(|window| window.document()) else { return };
    let listener = Closure::<dyn FnMut(Event)>::new(move |event: Event| {
        if let Ok(event) = event.dyn_into::<E>() {
            handle(event);
        }
    });
    let _ = document.add_event_listener_with_callback(kind, listener.as_ref().unchecked_ref());
    listener.forget();
}

/// Calls `handle` when the page is left or hidden, the last moment at which it can keep anything.
pub fn on_leaving(handle: impl Fn() + 'static) {
    let Some(window) = web_sys::window() else { return };
    let listener = Closure::<dyn FnMut(Event)>::new(move |_: Event| handle());
    let _ = window.add_event_listener_with_callback("pagehide", listener.as_ref().unchecked_ref());
    listener.forget();
}

fn element<E: JsCast>(selector: &str) -> Option<E> {
    let document = web_sys::window()?.document()?;
    document.query_selector(selector).ok().flatten()?.dyn_into().ok()
}

/// Moves the keyboard focus to the first element that matches, which may be part of a drawing; `false` where there is
/// none.
pub fn focus_element(selector: &str) -> bool {
    match element::<HtmlElement>(selector) {
        Some(element) => element.focus().is_ok(),
        None => element::<SvgElement>(selector).is_some_and(|element| element.focus().is_ok()),
    }
}

/// Clicks the first element that matches, as the user would; `false` where there is none.
pub fn click_element(selector: &str) -> bool {
    let found = element::<HtmlElement>(selector);
    if let Some(element) = &found {
        element.click();
    }
    found.is_some()
}

/// Whether a key goes into a field, where a letter is text and no command.
pub fn is_typing(event: &KeyboardEvent) -> bool {
    let target = event.target().and_then(|target| target.dyn_into::<HtmlElement>().ok());
    target.is_some_and(|element| matches!(element.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT"))
}

/// Cores that the browser says the machine has; 1 where it does not say.
pub fn core_count() -> usize {
    let cores = web_sys::window().map_or(1.0, |window| window.navigator().hardware_concurrency());
    if cores >= 1.0 { cores as usize } else { 1 }
}

/// Whether an event comes from inside an element that matches.
pub fn is_inside(event: &Event, selector: &str) -> bool {
    let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
    target.is_some_and(|element| element.closest(selector).ok().flatten().is_some())
}

/// Whether the `details` element that an event comes from is open.
pub fn is_open(event: &Event) -> bool {
    let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
    target.is_some_and(|element| element.has_attribute("open"))
}
