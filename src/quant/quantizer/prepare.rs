//! What is done to a float model before it is quantized: constants and batch normalization folded, shapes inferred.
//!
//! As ONNX Runtime's `quant_pre_process` does with its basic optimizations, in so far as it matters to quantization: each
//! fold takes a tensor away that would get a scale of its own.

use super::error::QuantizeError;
use super::fold_channels::{fold_channels, left_unfolded};
use super::fold_constants::{fold_computed, fold_known};
use super::graph::Graph;
use crate::onnx::{Document, Facts, value_info};
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::fmt;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PrepareOptions {
    /// Make initializers of everything that is the same in every run.
    pub fold_constants: bool,
    /// Multiply batch normalization, and constant factors and summands of channels, into the convolution or the matrix
    /// product before, or batch normalization into the one behind.
    pub fold_batch_norm: bool,
    /// Write the shapes that can be inferred into the model.
    pub infer_shapes: bool,
}

impl Default for PrepareOptions {
    fn default() -> Self {
        PrepareOptions { fold_constants: true, fold_batch_norm: true, infer_shapes: true }
    }
}

/// Something that was folded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folded {
    /// The node that is gone.
    pub node: String,
    /// Its operator.
    pub op: String,
    /// The node it went into; empty for a node that became a constant.
    pub into: String,
}

impl fmt::Display for Folded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.into.as_str() {
            "" => write!(f, "{} ({}) became a constant", self.node, self.op),
            into => write!(f, "{} ({}) was folded into {into}", self.node, self.op),
        }
    }
}

/// A batch normalization that stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfolded {
    /// The node.
    pub node: String,
    /// What stands in the way.
    pub why: String,
}

impl fmt::Display for Unfolded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (BatchNormalization) is not folded: {}", self.node, self.why)
    }
}

/// Computes the values of a document that are the same in every run, by name: the engine, or [`computes_nothing`].
pub type Evaluator<'a> = &'a dyn Fn(&Document) -> BTreeMap<String, Tensor>;

/// An [`Evaluator`] for where there is no engine: only what needs no arithmetic becomes constant.
pub fn computes_nothing(_: &Document) -> BTreeMap<String, Tensor> {
    BTreeMap::new()
}

/// A prepared model.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The model; tensors that are still there keep their names, and what a folded node made is made by the node it
    /// went into.
    pub document: Document,
    /// What was folded, in order.
    pub folded: Vec<Folded>,
    /// Batch normalizations that are still there, where they were to be folded.
    pub unfolded: Vec<Unfolded>,
    /// How many values have got a shape that the file does not declare.
    pub inferred: usize,
}

impl Prepared {
    /// What was done, line by line.
    pub fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self.folded.iter().map(ToString::to_string).collect();
        notes.extend(self.unfolded.iter().map(ToString::to_string));
        if self.inferred > 0 {
            notes.push(format!("the shapes of {} values were inferred", self.inferred));
        }
        notes
    }
}

/// Prepares a float model. The result computes the same up to the rounding of products.
pub fn prepare(
    document: &Document,
    options: &PrepareOptions,
    evaluate: Evaluator<'_>,
) -> Result<Prepared, QuantizeError> {
    let mut document = match document.is_self_contained() {
        true => document.clone(),
        false => document.inlined()?,
    };
    let (mut folded, mut unfolded) = (Vec::new(), Vec::new());
    if options.fold_constants {
        document = changed(&document, &mut folded, fold_known)?;
        let computed = evaluate(&document);
        document = changed(&document, &mut folded, |graph, folded| fold_computed(graph, &computed, folded))?;
    }
    if options.fold_batch_norm {
        document = changed(&document, &mut folded, |graph, folded| {
            fold_channels(graph, folded);
            unfolded = left_unfolded(graph);
        })?;
    }
    let mut inferred = 0;
    if options.infer_shapes {
        (document, inferred) = with_shapes(&document)?;
    }
    Ok(Prepared { document, folded, unfolded, inferred })
}

/// The model after a step, itself where the step folded nothing.
fn changed(
    document: &Document,
    folded: &mut Vec<Folded>,
    step: impl FnOnce(&mut Graph, &mut Vec<Folded>),
) -> Result<Document, QuantizeError> {
    let (mut graph, before) = (Graph::of(document), folded.len());
    step(&mut graph, folded);
    match folded.len() == before {
        true => Ok(document.clone()),
        false => Ok(graph.finish(document)?),
    }
}

/// The model with a declaration for every value whose type and shape are known.
fn with_shapes(document: &Document) -> Result<(Document, usize), QuantizeError> {
    let facts = Facts::of(document);
    let graph = document.graph();
    let declared: HashSet<&str> =
        graph.value_info.iter().chain(&graph.input).chain(&graph.output).map(|info| info.name()).collect();
    let outputs = graph.node.iter().flat_map(|node| &node.output).filter(|name| !name.is_empty());
    let new: Vec<_> = outputs
        .filter(|name| !declared.contains(name.as_str()))
        .filter_map(|name| Some(value_info(name, facts.dtype(name)?, Some(facts.shape(name)?))))
        .collect();
    let count = new.len();
    if count == 0 {
        return Ok((document.clone(), 0));
    }
    let document = document.edit(|model| {
        if let Some(graph) = &mut model.graph {
            graph.value_info.extend(new);
        }
    })?;
    Ok((document, count))
}
