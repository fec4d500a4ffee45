//! See ARCHITECTURE.md.
pub fn mount() {}
