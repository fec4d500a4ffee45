//! Corrections of a quantization and the autopilot, through the worker's service.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod corrections;
mod network;
mod search;
mod support;
