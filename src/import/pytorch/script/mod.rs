//! The code of a model as text, parsed: TorchScript's serialized methods, fx's generated `forward`. Nothing here runs.

pub(super) mod ast;
mod lexer;
mod parser;

pub(super) use ast::{Expr, Function, Source, Statement};
pub(super) use parser::parse;
