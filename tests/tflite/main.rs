//! TensorFlow Lite files: the repository's own, with the interpreter's recorded answers; the reference models; damaged
//! files.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod damaged;
mod fixtures;
mod reference;
#[path = "../engine/support.rs"]
#[allow(dead_code)]
mod support;
