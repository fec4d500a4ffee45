//! What the user takes home, read back by others: PyTorch, safetensors, a C compiler, our own readers.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod c_header;
mod imported;
mod keras_layers;
mod pytorch_code;
mod pytorch_run;
mod pytorch_weights;
#[path = "../engine/support.rs"]
#[allow(dead_code)]
mod support;
mod weights;
