//! A browser call that failed.

use thiserror::Error;
use wasm_bindgen::{JsCast, JsValue};

/// What the browser refused, in its own words.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("{call} failed: {reason}")]
pub struct PlatformError {
    /// The call that failed.
    pub call: &'static str,
    /// The browser's message.
    pub reason: String,
}

impl PlatformError {
    /// The error behind a thrown or rejected value.
    pub fn new(call: &'static str, thrown: &JsValue) -> Self {
        let reason = thrown
            .dyn_ref::<js_sys::Error>()
            .map(|error| String::from(error.message()))
            .or_else(|| thrown.as_string())
            .unwrap_or_else(|| format!("{thrown:?}"));
        PlatformError { call, reason }
    }

    /// A part of the page or the browser that is not there.
    pub fn missing(call: &'static str) -> Self {
        PlatformError { call, reason: "not available here".to_owned() }
    }
}
