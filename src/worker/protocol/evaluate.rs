//! Evaluation: what a model says of many items.

use super::{ModelId, SourceId};
use crate::analysis::ItemScore;
use crate::engine::Semantics;
use crate::import::PreprocessEdits;
use serde::{Deserialize, Serialize};

/// Runs a classifier on some items of a data set. A whole evaluation is many of these, spread over workers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluateOrder {
    /// Which model.
    pub model: ModelId,
    /// The model as edited in the playground instead of as in the file.
    pub edited: bool,
    /// Which data set.
    pub source: SourceId,
    /// The first item.
    pub first: usize,
    /// How many items, at most what is there.
    pub count: usize,
    /// What is set by hand of how an image becomes a tensor; the rest is as read off the model.
    pub preprocess: Option<PreprocessEdits>,
    /// How quantized operators are computed.
    pub semantics: Semantics,
}

/// Where two models part on the input of the last run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parting {
    /// Position of the layer in the workspace's list: the first whose outputs are further apart than
    /// [`PARTING_SQNR_DB`], or else the one where they are furthest apart.
    pub layer: usize,
    /// SQNR of the second model's output there against the first's.
    pub sqnr_db: f64,
}

/// Outputs count as parted below this ratio: a tenth of the signal is noise.
pub const PARTING_SQNR_DB: f64 = 20.0;

/// Scores of items.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// The order carried out.
    pub order: EvaluateOrder,
    /// A score per item, in order.
    pub scores: Vec<ItemScore>,
    /// Time of preprocessing and runs, without compiling the plan.
    pub run_ms: f64,
}
