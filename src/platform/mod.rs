//! Everything that touches the browser: js_sys, web_sys and `Closure` live here and nowhere else.
//!
//! A `JsValue` never leaves this module: failures become a [`PlatformError`].

pub mod canvas;
mod clipboard;
pub mod download;
mod error;
mod fetch;
mod files;
mod frame;
pub mod install;
mod page;
pub mod resize;
mod route;
mod scope;
mod spawn;
pub mod storage;
pub mod theme;
mod time;

/// Types of events and elements, for the page's handlers.
pub use web_sys::{ClipboardEvent, DragEvent, Element, Event, File, HtmlInputElement, KeyboardEvent};

pub use clipboard::copy_text;
pub use error::PlatformError;
pub use fetch::fetch_file;
pub use files::{
    PickedFile, file_of_bytes, file_size, files_of_drop, files_of_input, files_of_paste, read_part, read_text,
};
pub use frame::Frame;
pub use page::{
    click_element, core_count, focus_element, is_inside, is_open, is_typing, on_document_event, on_leaving,
};
pub use route::{on_route_change, replace_route, route};
pub use scope::{install_panic_report, post_from_worker, serve_frames};
pub use spawn::{WorkerEvent, WorkerHandle};
pub use time::{now_ms, painted, sleep_ms, yield_to_events};
