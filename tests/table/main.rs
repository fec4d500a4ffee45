//! The quantization table: files lifted into it and lowered again, rows edited.

#[path = "../engine/support.rs"]
#[allow(dead_code)]
mod support;

mod documents;
mod edits;
mod lists;
mod random;
mod round_trip;
mod rows;
