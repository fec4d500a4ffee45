//! Analyses and array files against numpy's recorded answers.
#![cfg(not(target_arch = "wasm32"))]
// The lints allow these in tests only, not in the helpers beside them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod numpy_files;
mod numpy_histograms;
mod reference_weights;
