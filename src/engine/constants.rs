//! What of a model is the same in every run.

use super::plan::{Plan, PlanOptions};
use super::terms::Semantics;
use crate::onnx::Document;
use crate::tensor::Tensor;
use std::collections::BTreeMap;

/// The values that nodes make of constants alone, by name. A model that cannot run has none.
pub fn constant_values(document: &Document) -> BTreeMap<String, Tensor> {
    // Compiling computes what is constant, and nothing else.
    let Ok(plan) = Plan::compile(document, Semantics::Simulate, &PlanOptions::default()) else {
        return BTreeMap::new();
    };
    let made = document.graph().node.iter().flat_map(|node| &node.output).filter(|name| !name.is_empty());
    made.filter_map(|name| Some((name.clone(), plan.value(name)?))).collect()
}
