//! Models of other frameworks as ONNX, against the answers of those frameworks.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod checker;
mod keras;
mod keras_damaged;
mod keras_reference;
mod page;
mod recorded_keras;
mod support;
