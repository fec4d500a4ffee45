//! The words about the engine that the page speaks too. **No tract here:** the page's binary is built without it.

use serde::{Deserialize, Serialize};

/// What an integer operator computes. The user always sees which one he is looking at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Semantics {
    /// f32 between dequantize and quantize, as ONNX Runtime does with graph optimizations disabled. QOperator nodes are
    /// dequantize - operator - quantize.
    Simulate,
    /// Integer arithmetic with ONNX Runtime's requantization, as an int8 device does it: bit for bit its QOperator
    /// kernels. In a QDQ file each complete sandwich (all inputs of an operator dequantized, its one reader a
    /// QuantizeLinear) gets its codes from the integer kernel; what is not complete is simulated.
    Integer,
}

/// A node that the engine cannot run, found before anything is computed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnsupportedNode {
    /// The node's name, or the name of its first output where it has none.
    pub node: String,
    /// Operator name.
    pub op_type: String,
    /// Operator domain; empty for `ai.onnx`.
    pub domain: String,
    /// Why it cannot run.
    pub reason: String,
}
