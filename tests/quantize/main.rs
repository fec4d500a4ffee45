//! Calibration and quantization against onnxruntime's own: recorded histograms and ranges, quantized files of the
//! reference, and small models that `tools/fixtures/ort_quantize.py` had it quantize.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cases;
mod choices;
mod collectors;
mod files;
mod improve;
mod integers;
mod lowered;
mod prepared;
mod raised;
mod recorded;
mod support;
