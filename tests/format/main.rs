//! What the document promises about files: nothing is lost, damage is named, links and names are read right.
#![cfg(not(target_arch = "wasm32"))]

mod external;
mod lossless;
mod support;
mod validation;
