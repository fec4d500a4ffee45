//! The parts of the workbench.

mod activations;
mod channels;
mod controls;
mod distribution;
mod dot;
mod drop_target;
mod evaluate;
mod header;
mod inspector;
mod layer;
mod layers;
mod overview;
mod playground;
mod predictions;
mod preprocess;
mod problems;
mod quantize;
mod ranges;
mod run;
mod shortcuts;
mod status;

pub use dot::Dot;
pub use drop_target::DropTarget;
pub use evaluate::EvaluateView;
pub use header::{Drawer, Header};
pub use inspector::Inspector;
pub use layer::LayerView;
pub use layers::Layers;
pub use overview::Overview;
pub use playground::PlaygroundView;
pub use problems::Problems;
pub use quantize::QuantizeView;
pub use run::RunView;
pub use shortcuts::Shortcuts;
pub use status::StatusLine;
