//! The browser: every `js_sys`, `web_sys` and `Closure` of the page. A `JsValue` never leaves here, only a typed error.

pub mod canvas;
pub mod download;
pub mod error;
pub mod resize;
pub mod theme;

pub use error::PlatformError;
