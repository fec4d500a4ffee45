//! What the two quantizers find.

use super::clamp::map_reals;
use super::graph::Graph;
use super::marks::Marks;
use super::note::Note;
use crate::onnx::proto::NodeProto;
use crate::onnx::{Attr, Document, NodeExt};
use crate::quant::table::Clamp;
use std::collections::{BTreeMap, BTreeSet};

/// The marks of a graph, what was absorbed on the way, and what was done otherwise than ONNX Runtime does it.
#[derive(Debug, Default)]
pub(super) struct Selection {
    pub marks: Marks,
    /// Bounds of the activation functions that are gone, by the tensor that they made.
    pub absorbed: BTreeMap<String, Clamp>,
    /// For the QOperator form: the name under which ONNX Runtime knows a tensor, where it is another: that of what went
    /// into an activation function that is gone, and that of what a copy is of.
    pub renamed: BTreeMap<String, String>,
    /// For the QOperator form: what comes out of operators that move integers about, and what went in. They have no rows
    /// of their own: their integers are those that went in.
    pub moved: BTreeMap<String, String>,
    /// For the QOperator form: copies that integer nodes read, and what they are copies of.
    pub copies: BTreeMap<String, String>,
    /// For the QOperator form: what integer nodes make.
    pub integer_nodes: BTreeSet<String>,
    pub notes: Vec<Note>,
}

impl Selection {
    /// The name that a tensor's range and its scale go by.
    pub fn known_as<'a>(&'a self, tensor: &'a str) -> &'a str {
        self.renamed.get(tensor).map_or(tensor, String::as_str)
    }

    /// The tensor whose row says what the integers of this one mean.
    pub fn row_of<'a>(&'a self, tensor: &'a str) -> &'a str {
        let mut tensor = tensor;
        // Each step goes back to an earlier node, so that there are no more steps than entries.
        for _ in 0..=self.moved.len() {
            match self.moved.get(tensor) {
                Some(before) => tensor = before,
                None => break,
            }
        }
        tensor
    }

    /// For the QOperator form: first outputs of the nodes that the quantizer has left float.
    pub fn float_nodes(&self, document: &Document) -> BTreeSet<String> {
        let outputs = document.graph().node.iter().filter_map(|node| node.output_name(0));
        let float = |output: &&str| !self.integer_nodes.contains(*output) && !self.copies.contains_key(*output);
        outputs.filter(float).map(str::to_owned).collect()
    }

    /// Notes that the function between `input` and `output` is gone.
    pub fn absorb(&mut self, input: &str, output: &str, bounds: Clamp) {
        let before = self.absorbed.remove(input);
        let both = before.map_or(bounds, |before| Clamp {
            low: before.low.max(bounds.low).min(bounds.high),
            high: before.high.min(bounds.high).max(bounds.low),
        });
        self.absorbed.insert(output.to_owned(), both);
    }

    /// Multiplies `beta` of a `Gemm` into its bias. ONNX Runtime 1.23 drops beta and leaves the bias as it is, which
    /// changes what the model computes. A bias with other readers stays, and so does beta.
    pub fn fold_beta(&mut self, graph: &mut Graph, position: usize, node: &NodeProto, bias: &str) {
        let beta = node.float("beta").filter(|&beta| node.op_type() == "Gemm" && beta != 1.0);
        let (Some(beta), Some(Ok(tensor))) = (beta, graph.tensor(bias)) else { return };
        if graph.readers(bias) > 1 {
            return;
        }
        if let Some(scaled) = map_reals(&tensor, |value| value * beta) {
            graph.replace(bias, &scaled);
            if let Some(Some(node)) = graph.nodes.get_mut(position) {
                node.attribute.retain(|attribute| attribute.name() != "beta");
            }
            self.notes.push(Note::BetaFolded { bias: bias.to_owned(), beta });
        }
    }
    /// For the QOperator form: `QGemm` computes `alpha x (A x B + C)`, a `Gemm` `alpha x A x B + beta x C`. The bias becomes
    /// `C x beta / alpha`, and beta becomes alpha, so that both say the same. A bias with other readers stays.
    pub fn fold_alpha(&mut self, graph: &mut Graph, position: usize, node: &NodeProto, bias: &str, alpha: f32) {
        let beta = node.float("beta").unwrap_or(1.0);
        let Some(Ok(tensor)) = graph.tensor(bias) else { return };
        if alpha == 0.0 || alpha == beta || graph.readers(bias) > 1 {
            return;
        }
        if let Some(scaled) = map_reals(&tensor, |value| value * beta / alpha) {
            graph.replace(bias, &scaled);
            if let Some(Some(node)) = graph.nodes.get_mut(position) {
                node.attribute.retain(|attribute| attribute.name() != "beta");
                node.attribute.push(Attr::Float(alpha).into_proto("beta"));
            }
            self.notes.push(Note::AlphaFolded { bias: bias.to_owned(), alpha, beta });
        }
    }
}
