//! Quantscope: the quantization playground that runs in a browser tab.
//!
//! The page (`ui`, `chart`) shows and asks; the worker (`worker::service`) owns documents, plans and activations and
//! answers in plain data. See ARCHITECTURE.md for the map and the arrows that must never be drawn.

pub mod analysis;
pub mod chart;
#[cfg(feature = "cli")]
pub mod cli;
pub mod engine;
pub mod export;
pub mod import;
pub mod onnx;
pub mod platform;
pub mod problem;
pub mod quant;
pub mod tensor;
// Views are compiled for the page, and for their own tests; natively nothing else needs them.
#[cfg(any(target_arch = "wasm32", test))]
pub mod ui;
pub mod worker;
