//! PyTorch files: the reference models and the project's own fixtures, against PyTorch's own answers.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bad_files;
mod fixtures;
mod matching;
mod reference;
mod service;
mod support;
