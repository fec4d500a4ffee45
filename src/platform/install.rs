//! Installing the page as an application, where the browser offers it.
//!
//! The browser says once, by a `beforeinstallprompt` event, that it would; web/boot.js keeps an event that comes before
//! the application is there.

use super::PlatformError;
use js_sys::{Function, Promise, Reflect};
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::Event;

/// Where web/boot.js keeps the event of an early offer.
const EARLY_OFFER: &str = "quantscopeInstallOffer";

/// The browser's offer. It can be taken once.
#[derive(Clone)]
pub struct InstallOffer(Event);

impl InstallOffer {
    /// Shows the browser's question and waits for the answer: `true` where the user installs.
    pub async fn ask(self) -> Result<bool, PlatformError> {
        let refused = |thrown: JsValue| PlatformError::refused("asking to install", &thrown);
        let prompt = Reflect::get(&self.0, &"prompt".into()).map_err(refused)?;
        let prompt: Function = prompt.dyn_into().map_err(|_| PlatformError::Missing("an install prompt"))?;
        let answer = prompt.call0(&self.0).map_err(refused)?;
        let answer = JsFuture::from(Promise::resolve(&answer)).await.map_err(refused)?;
        let outcome = Reflect::get(&answer, &"outcome".into()).ok().and_then(|outcome| outcome.as_string());
        Ok(outcome.as_deref() == Some("accepted"))
    }
}

/// Calls `changed` with every offer, and with `None` when the page has been installed, for the life of the page.
pub fn watch_install_offer(changed: impl Fn(Option<InstallOffer>) + 'static) {
    let Some(window) = web_sys::window() else { return };
    let changed = Rc::new(changed);
    let early = Reflect::get(&window, &EARLY_OFFER.into()).ok().and_then(|early| early.dyn_into::<Event>().ok());
    if let Some(early) = early {
        changed(Some(InstallOffer(early)));
    }
    let offered = {
        let changed = Rc::clone(&changed);
        Closure::<dyn FnMut(Event)>::new(move |event: Event| {
            // Without this the browser would show a bar of its own at a time of its own.
            event.prevent_default();
            changed(Some(InstallOffer(event)));
        })
    };
    let installed = Closure::<dyn FnMut(Event)>::new(move |_: Event| changed(None));
    for (kind, listener) in [("beforeinstallprompt", offered), ("appinstalled", installed)] {
        let _ = window.add_event_listener_with_callback(kind, listener.as_ref().unchecked_ref());
        listener.forget();
    }
}
