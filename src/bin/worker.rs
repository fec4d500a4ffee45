//! The worker: serves the page's requests. Documents, the engine and the analysis live here.
fn main() {
    quantscope::worker::serve();
}
