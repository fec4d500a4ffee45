//! The command itself: what it prints, what it writes, and how it ends.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod convert;
mod ends;
mod evaluate;
mod inspect;
mod items;
mod quantize;
mod run;
mod sqnr;
mod support;
