//! The playground: live plans against files, edits, and what is measured, through the worker's service.
#![cfg(not(target_arch = "wasm32"))]
// The lints allow these in tests only, not in the helpers beside them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod edits;
mod export;
mod folder;
mod live;
mod measured;
mod repeat;
mod support;
