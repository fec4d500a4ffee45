//! The workbench: Leptos components that show signals and call verbs. They compute nothing.
//!
//! [`Session`] holds the signals and the verbs; views receive it through the context.

mod app;
mod chart;
mod find;
mod format;
mod keyboard;
mod roles;
mod session;
mod turns;
mod views;

use session::{Session, View, use_session};

/// Mounts the application; the page's loading screen goes away by itself.
pub fn mount() {
    console_error_panic_hook::set_once();
    leptos::mount::mount_to_body(app::App);
}
