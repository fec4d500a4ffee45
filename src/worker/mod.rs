//! See ARCHITECTURE.md.
pub fn serve() {}
