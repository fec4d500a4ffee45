//! The quantization table: files lifted into it and lowered again, rows edited.
// The lints allow these in tests only, not in the helpers beside them.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../engine/support.rs"]
#[allow(dead_code)]
mod support;

mod documents;
mod edits;
mod lists;
mod random;
mod round_trip;
mod rows;
