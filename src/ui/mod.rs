//! See ARCHITECTURE.md.
pub mod chart;

/// Mounts the application.
pub fn mount() {}
