//! The bit-width study against the original project's simulation in PyTorch, and against ONNX Runtime on the sample.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod reference;
mod sample;
mod support;
mod waves;
