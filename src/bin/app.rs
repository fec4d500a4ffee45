//! The page: mounts the Leptos application. No model bytes and no engine live here.
fn main() {
    quantscope::ui::mount();
}
