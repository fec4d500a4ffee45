//! Several models as variants of one network: which operation of one is which of another.
//!
//! Operations are matched by what they compute and where they stand, not by name: exporters number and quantizers
//! rename. See [`super::align_pair`] for the method. What has no counterpart is said.

use super::align_pair::{Weights, match_pair};
use super::align_view::is_optional;
use super::core_graph::CoreOp;
use super::document::Document;
use serde::{Deserialize, Serialize};

/// An operation of one model, as a member of an aligned layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerRef {
    /// Position of the node. For an activation function that a quantizer absorbed, the quantizing node.
    pub node: usize,
    /// The value that carries the result as the node writes it.
    pub output: String,
    /// The value that stands for the layer's result in a comparison: behind its quantizer, where there is one. `None`
    /// where the file has no such value, because the quantizer behind the node has absorbed the next layer too.
    pub comparable: Option<String>,
    /// The constants, each with its role: `weight`, `bias`, `scale`, ...
    pub weights: Vec<(String, String)>,
    /// Whether the layer has no node of its own here: the quantizer behind the layer before does its work, because its
    /// range ends where the activation function would clip.
    pub absorbed: bool,
}

/// One layer of the network with its operation in each model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlignedLayer {
    /// The layer's name in the spine model: its node's name, or its output's.
    pub label: String,
    /// The float operator.
    pub op: String,
    /// The operation in each model, in the order of the models; `None` where there is no counterpart.
    pub members: Vec<Option<LayerRef>>,
}

/// An operation without a counterpart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmatched {
    /// Index of the model that has it.
    pub model: usize,
    /// Position of its node.
    pub node: usize,
    /// Index of the model that does not.
    pub missing_in: usize,
    /// What to tell the user.
    pub reason: String,
}

/// The layers of several models side by side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alignment {
    /// Index of the model whose layers are the list: the first one that is not quantized, else the first.
    pub spine: usize,
    /// Every layer of the spine, in the order of running.
    pub layers: Vec<AlignedLayer>,
    /// What has no counterpart, on either side.
    pub unmatched: Vec<Unmatched>,
}

impl Alignment {
    /// The layer in which a model has this node.
    pub fn layer_of(&self, model: usize, node: usize) -> Option<&AlignedLayer> {
        let member = |layer: &&AlignedLayer| {
            layer
                .members
                .get(model)
                .and_then(Option::as_ref)
                .is_some_and(|member| member.node == node && !member.absorbed)
        };
        self.layers.iter().find(member)
    }
}

/// Aligns models. `weight` gives the real numbers of a constant, dequantized where it is quantized; it is asked where
/// structure leaves several possibilities.
pub fn align(documents: &[&Document], weight: &dyn Fn(&Document, &str) -> Option<Vec<f32>>) -> Alignment {
    let ops: Vec<Vec<CoreOp>> = documents.iter().map(|document| document.core_ops()).collect();
    let float = |ops: &Vec<CoreOp>| !ops.is_empty() && ops.iter().all(|op| !op.quantized);
    let spine = ops.iter().position(float).unwrap_or(0);
    let (Some(spine_document), Some(spine_ops)) = (documents.get(spine), ops.get(spine)) else {
        return Alignment::default();
    };
    let mut layers: Vec<AlignedLayer> = spine_ops
        .iter()
        .map(|op| AlignedLayer {
            label: name_of(spine_document, op),
            op: op.op.clone(),
            members: vec![None; documents.len()],
        })
        .collect();
    let mut unmatched = Vec::new();
    for (model, (document, other_ops)) in documents.iter().zip(&ops).enumerate() {
        let matched = match model == spine {
            true => (0..spine_ops.len()).map(Some).collect(),
            false => {
                let mut weights = Weights::new([spine_document, document], weight);
                match_pair([spine_document, document], [spine_ops, other_ops], &mut weights)
            }
        };
        place(&mut layers, model, spine_ops, other_ops, &matched);
        if model == spine {
            continue;
        }
        for (op, layer) in spine_ops.iter().zip(&layers) {
            if layer.members.get(model).is_none_or(Option::is_none) {
                let reason = format!("{} '{}' has no counterpart in the other model", op.op, layer.label);
                unmatched.push(Unmatched { model: spine, node: op.node, missing_in: model, reason });
            }
        }
        for (position, op) in other_ops.iter().enumerate() {
            if !matched.contains(&Some(position)) {
                let name = name_of(document, op);
                let reason = format!("{} '{name}' has no counterpart in the model that is compared with", op.op);
                unmatched.push(Unmatched { model, node: op.node, missing_in: spine, reason });
            }
        }
    }
    Alignment { spine, layers, unmatched }
}

/// Enters one model's operations into the layers.
fn place(layers: &mut [AlignedLayer], model: usize, spine: &[CoreOp], other: &[CoreOp], matched: &[Option<usize>]) {
    // Where an activation function of the spine is absorbed, by the operation whose quantizer does it.
    let mut absorbed_by: Vec<(usize, usize)> = Vec::new();
    for (position, op) in spine.iter().enumerate() {
        let missing = matched.get(position).is_none_or(Option::is_none);
        if is_optional(op) && missing {
            let before = before(spine, position, matched);
            absorbed_by.extend(
                before.filter(|&at| other.get(at).is_some_and(|op| op.quantizer.is_some())).map(|at| (position, at)),
            );
        }
    }
    for (position, layer) in layers.iter_mut().enumerate() {
        let own = matched.get(position).copied().flatten().and_then(|at| Some((at, other.get(at)?)));
        let absorbed = absorbed_by.iter().find(|(layer, _)| *layer == position).and_then(|(_, at)| other.get(*at));
        let member = match (own, absorbed) {
            (Some((at, op)), _) => {
                let takes_more = absorbed_by.iter().any(|(_, by)| *by == at);
                // The value behind the quantizer belongs to the absorbed layer; before it there is one only where
                // quantizing is a node of its own.
                let before_quantizer = (op.quantizer != Some(op.node)).then(|| op.output.clone());
                Some(LayerRef {
                    node: op.node,
                    output: op.output.clone(),
                    comparable: match takes_more {
                        true => before_quantizer,
                        false => Some(op.dequantized.clone().unwrap_or_else(|| op.output.clone())),
                    },
                    weights: weights_of(op),
                    absorbed: false,
                })
            }
            (None, Some(op)) => op.dequantized.clone().map(|value| LayerRef {
                node: op.quantizer.unwrap_or(op.node),
                output: value.clone(),
                comparable: Some(value),
                weights: Vec::new(),
                absorbed: true,
            }),
            (None, None) => None,
        };
        if let Some(slot) = layer.members.get_mut(model) {
            *slot = member;
        }
    }
}

/// The counterpart of the nearest operation before a layer that has one: back over operations that the other model
/// has folded into it.
fn before(spine: &[CoreOp], position: usize, matched: &[Option<usize>]) -> Option<usize> {
    let mut position = position;
    for _ in 0..spine.len() {
        let value = &spine.get(position)?.operands.iter().find(|operand| !operand.constant)?.value;
        position = spine.iter().position(|op| op.outputs.contains(value))?;
        if let Some(found) = matched.get(position).copied().flatten() {
            return Some(found);
        }
        let folded = spine.get(position).is_some_and(super::align_view::is_foldable);
        if !folded {
            return None;
        }
    }
    None
}

fn weights_of(op: &CoreOp) -> Vec<(String, String)> {
    let constants = op.operands.iter().filter(|operand| operand.constant);
    constants.map(|operand| (operand.role.to_owned(), operand.value.clone())).collect()
}

fn name_of(document: &Document, op: &CoreOp) -> String {
    let name = document.node(op.node).map_or("", |node| node.name());
    if name.is_empty() { op.output.clone() } else { name.to_owned() }
}
