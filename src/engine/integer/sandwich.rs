//! DequantizeLinear - operator - QuantizeLinear sandwiches of QDQ files, for `integer` semantics.

use crate::engine::lower::FlatNode;
use crate::engine::value::KernelError;
use crate::engine::kernel::Kernel;

/// A QuantizeLinear node whose codes an integer kernel computes.
pub(crate) struct Sandwich {
    /// Position of the QuantizeLinear node in the flat list.
    pub quantize: usize,
    /// Value names the kernel reads.
    pub inputs: Vec<String>,
    /// The QOperator whose inputs these are.
    pub op_type: &'static str,
    /// The integer kernel.
    pub kernel: Box<dyn Kernel>,
}

/// Finds the complete sandwiches of a graph.
pub(crate) fn find(_nodes: &[FlatNode]) -> Result<Vec<Sandwich>, KernelError> {
    Ok(Vec::new())
}
