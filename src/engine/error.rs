//! What can go wrong between a document and its numbers.

use super::terms::UnsupportedNode;
use crate::onnx::OnnxError;
use crate::problem::Problem;
use thiserror::Error;

/// A failure of the engine, with the place it happened at.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum EngineError {
    /// The model holds nodes that cannot run; all of them are listed.
    #[error("{} node(s) cannot run, the first is {}", .0.len(), first_of(.0))]
    Unsupported(Vec<UnsupportedNode>),
    /// A node failed: its attributes, its inputs or its sizes do not fit.
    #[error("node '{node}' ({op_type}): {message}")]
    Node {
        /// The node's name.
        node: String,
        /// Operator name.
        op_type: String,
        /// What does not fit.
        message: String,
    },
    /// A tensor of the file cannot be read.
    #[error(transparent)]
    Document(#[from] OnnxError),
    /// The graph's wiring is not that of a model.
    #[error("{place}: {message}")]
    Graph {
        /// The place inside the file.
        place: String,
        /// What is wrong there.
        message: String,
    },
    /// An input tensor was not given or does not fit the model.
    #[error("input '{name}': found {found}, expected {expected}")]
    Input {
        /// Name of the graph input.
        name: String,
        /// What was given.
        found: String,
        /// What the model declares.
        expected: String,
    },
    /// Quantization parameters that do not fit their key.
    #[error("quantization parameters '{scale}': {message}")]
    Params {
        /// ONNX name of the scale.
        scale: String,
        /// What does not fit.
        message: String,
    },
    /// A re-run was asked for before the first run.
    #[error("the plan has not run yet")]
    NotRun,
}

fn first_of(nodes: &[UnsupportedNode]) -> String {
    nodes.first().map_or_else(String::new, |n| format!("'{}' ({}): {}", n.node, n.op_type, n.reason))
}

impl EngineError {
    /// The error as a message for people: place, found, expected, what to do.
    pub fn problem(&self, file: &str) -> Problem {
        let problem = |place: String, found: String, expected: &str, advice: &str| Problem {
            file: file.to_owned(),
            place,
            found,
            expected: expected.to_owned(),
            advice: advice.to_owned(),
        };
        match self {
            EngineError::Unsupported(nodes) => problem(
                nodes.iter().map(|n| format!("node '{}'", n.node)).collect::<Vec<_>>().join(", "),
                nodes.iter().map(|n| format!("{}: {}", n.op_type, n.reason)).collect::<Vec<_>>().join("; "),
                "operators this engine runs",
                "The model can be inspected but not run. Export it with standard ONNX operators.",
            ),
            EngineError::Node { node, op_type, message } => problem(
                format!("node '{node}' ({op_type})"),
                message.clone(),
                "attributes and inputs that fit the operator",
                "Check the node in the graph, and the shape of the input; onnx.checker with full_check names such errors.",
            ),
            EngineError::Document(error) => error.problem(file),
            EngineError::Graph { place, message } => problem(
                place.clone(),
                message.clone(),
                "a graph whose values are all made",
                "Export the model again, or check it with onnx.checker.",
            ),
            EngineError::Input { name, found, expected } => problem(
                format!("graph input '{name}'"),
                found.clone(),
                expected,
                "Change the preprocessing so that it makes the declared type and shape.",
            ),
            EngineError::Params { scale, message } => problem(
                format!("quantization parameters '{scale}'"),
                message.clone(),
                "scales greater than 0 and zero points inside the type's range",
                "Enter a value in range.",
            ),
            EngineError::NotRun => problem(
                "the run".to_owned(),
                "a re-run without a first run".to_owned(),
                "a run with an input first",
                "Run the model once.",
            ),
        }
    }
}
