//! Running models: tract as the f32 engine, node by node, and our own kernels for everything with a scale or a zero
//! point. This is the only place that names tract.
//!
//! [`unsupported`] lists what cannot run, [`Plan::compile`] makes a document ready, [`Plan::run`] computes every
//! intermediate value in one pass, [`Plan::set_params`] edits a scale or a zero point and [`Plan::rerun`] computes only
//! what depends on it. See ARCHITECTURE.md.

mod broadcast;
mod error;
mod fake;
mod integer;
mod kernel;
mod limits;
mod lower;
mod params;
mod plan;
mod state;
mod tract_node;
mod value;
mod window;

pub use error::{EngineError, UnsupportedNode};
pub use params::ParamKey;
pub use plan::{InputFact, Observe, Plan, PlanOptions, Semantics, unsupported};
pub use state::Dirty;
