//! The engine against recorded answers: node tests and tiny models of the repository, and the reference data where it
//! is present.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cut;
mod edits;
mod hostile;
mod models;
mod nodes;
mod reference;
mod support;
