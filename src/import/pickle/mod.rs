//! Python pickles as data (protocols 0 to 5): parsed, never executed.
//!
//! A [`Pickle`] is an arena of [`Value`]s. A call (`REDUCE`, `NEWOBJ`, `OBJ`, `INST`) is kept as an opaque
//! [`Value::Object`] with the name of what would be called; nothing is imported, nothing runs. Shared and cyclic
//! references are ids, so depth costs no stack. Memory grows with the file's length only, up to a limit of values.
//! Written by hand because the crates deserialize into serde types: they refuse unknown globals or lose the calls.

mod numpy;
mod opcode;
mod text;
mod value;
mod vm;

pub use numpy::{array, integer};
pub use value::{Id, Object, Pickle, Value};

use super::ImportError;
use bytes::Bytes;

/// Parses one pickle; returns it and the number of bytes it took (legacy PyTorch files hold several in a row).
/// `max_values` bounds the memory: a value takes about 64 bytes.
pub fn parse(bytes: &Bytes, max_values: usize) -> Result<(Pickle, usize), ImportError> {
    vm::Machine::new(bytes, max_values).run()
}
