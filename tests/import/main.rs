//! Opening real and broken files: the committed fixtures, and the reference data where they are present.
#![cfg(not(target_arch = "wasm32"))]
// A test that cannot go on fails; the lints against that are for what a user runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bad;
mod fixtures;
mod hostile;
mod reference;
mod support;
