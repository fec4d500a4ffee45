//! The workbench: Leptos components that show signals and call verbs. They compute nothing.
//!
//! [`Session`] holds the signals and the verbs; views receive it through the context.

mod app;
mod format;
mod keyboard;
mod session;
mod views;

use session::{Query, Session, View, use_session};

/// Mounts the application in place of the page's static shell.
pub fn mount() {
    console_error_panic_hook::set_once();
    crate::platform::clear_shell();
    leptos::mount::mount_to_body(app::App);
}
