//! Running models: tract as the f32 engine, node by node, and our own kernels for everything with a scale or a zero
//! point. This is the only place that names tract.
//!
//! [`unsupported`] lists what cannot run, [`Plan::compile`] makes a document ready, [`Plan::run`] computes every
//! intermediate value in one pass, [`Plan::set_params`] edits a scale or a zero point and [`Plan::rerun`] computes only
//! what depends on it. See ARCHITECTURE.md.
//!
//! The feature `engine` brings tract in; without it, as in the page's binary, only the [`terms`] are there.

#[cfg(feature = "engine")]
mod broadcast;
#[cfg(feature = "engine")]
mod constants;
#[cfg(feature = "engine")]
mod error;
#[cfg(feature = "engine")]
mod fake;
#[cfg(feature = "engine")]
mod integer;
#[cfg(feature = "engine")]
mod kernel;
#[cfg(feature = "engine")]
mod limits;
#[cfg(feature = "engine")]
mod live;
#[cfg(feature = "engine")]
mod lower;
#[cfg(feature = "engine")]
mod params;
#[cfg(feature = "engine")]
mod plan;
#[cfg(feature = "engine")]
mod probe;
#[cfg(feature = "engine")]
mod seen;
#[cfg(feature = "engine")]
mod state;
#[cfg(feature = "engine")]
mod team;
pub mod terms;
#[cfg(feature = "engine")]
mod tract_node;
#[cfg(feature = "engine")]
mod value;
#[cfg(feature = "engine")]
mod wave;
#[cfg(feature = "engine")]
mod window;

pub use terms::{Semantics, UnsupportedNode};
#[cfg(feature = "engine")]
pub use {
    constants::constant_values,
    error::EngineError,
    live::{LivePlan, LiveSnapshot},
    params::ParamKey,
    plan::{InputFact, Observe, Plan, PlanOptions, input_facts, unsupported},
    probe::Probe,
    state::Dirty,
    team::Team,
    wave::Wave,
};
