//! What the document promises about files: nothing is lost, damage is named, links and names are read right.
#![cfg(not(target_arch = "wasm32"))]
// A test that cannot go on fails; the lints against that are for what a user runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod alignment;
mod damaged;
mod external;
mod facts;
mod lossless;
mod quantized;
mod support;
mod validation;
