//! Analyses and array files against numpy's recorded answers.
#![cfg(not(target_arch = "wasm32"))]

mod numpy_files;
mod numpy_histograms;
mod reference_weights;
