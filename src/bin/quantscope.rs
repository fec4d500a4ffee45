//! The same core from a terminal.

fn main() {}
