//! The page: mounts the Leptos application. No model bytes and no engine live here.

fn main() {
    #[cfg(target_arch = "wasm32")]
    quantscope::ui::mount();
}
