//! What a browser can refuse.

use wasm_bindgen::JsValue;

/// The browser did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// A part of the web platform is not there (an old browser, or no window).
    #[error("this browser has no {0}")]
    Missing(&'static str),
    /// A call failed.
    #[error("{action} failed: {reason}")]
    Refused {
        /// What was tried.
        action: &'static str,
        /// What the browser said.
        reason: String,
    },
}

impl PlatformError {
    /// The error of a call that threw.
    pub fn refused(action: &'static str, thrown: &JsValue) -> Self {
        let message =
            js_sys::Reflect::get(thrown, &JsValue::from_str("message")).ok().and_then(|text| text.as_string());
        let reason = message.or_else(|| thrown.as_string()).unwrap_or_else(|| format!("{thrown:?}"));
        Self::Refused { action, reason }
    }
}
