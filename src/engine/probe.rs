//! One node of a live plan, computed apart with other operands: what would this layer have given if ...?

use super::error::EngineError;
use super::kernel::{self, Input, Kernel};
use super::live::LivePlan;
use super::lower::{FlatNode, label};
use super::plan::Plan;
use super::terms::Semantics;
use super::value::Value;
use crate::tensor::Tensor;
use std::collections::HashMap;

/// A node with a kernel of its own, so that what it packs stays packed from image to image.
pub struct Probe {
    node: String,
    op_type: String,
    kernel: Box<dyn Kernel>,
    /// Numbers of the values it reads.
    inputs: Vec<Option<usize>>,
    names: Vec<String>,
    /// Which of its outputs is asked for.
    output: usize,
    held: HashMap<String, Value>,
}

impl Probe {
    pub(super) fn new(plan: &Plan, flat: &FlatNode, output: &str) -> Result<Probe, EngineError> {
        let (node, op_type) = (label(&flat.proto).to_owned(), flat.proto.op_type().to_owned());
        let built = kernel::build(flat, Semantics::Simulate);
        let kernel =
            built.map_err(|message| EngineError::Node { node: node.clone(), op_type: op_type.clone(), message })?;
        let names: Vec<String> = flat.proto.input.iter().chain(&flat.captured).cloned().collect();
        let inputs = names.iter().map(|name| plan.names.get(name).copied()).collect();
        let output = flat.proto.output.iter().position(|name| name == output).unwrap_or(0);
        Ok(Probe { node, op_type, kernel, inputs, names, output, held: HashMap::new() })
    }

    /// The node's name.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The node's operator.
    pub fn op_type(&self) -> &str {
        &self.op_type
    }

    /// Names of the values it reads; empty where an optional one is left out.
    pub fn inputs(&self) -> &[String] {
        &self.names
    }

    /// Reads these real numbers instead of the plan's value of this name, until another hold.
    pub fn hold(&mut self, name: &str, tensor: &Tensor) -> Result<(), EngineError> {
        let value = Value::from_plain(tensor).map_err(|message| self.failure(message))?;
        self.held.insert(name.to_owned(), value);
        Ok(())
    }

    /// The output for what the readers of its inputs see in a plan's last run, but for what is held.
    pub fn run(&mut self, live: &LivePlan) -> Result<Tensor, EngineError> {
        let state = &live.plan().state;
        let read = |(name, id): (&String, &Option<usize>)| {
            let id = (*id)?;
            let value = self.held.get(name).or_else(|| state.seen(id))?.clone();
            Some(Input { value, constant: state.constant.get(id) == Some(&true) })
        };
        let inputs: Vec<Option<Input>> = self.names.iter().zip(&self.inputs).map(read).collect();
        let last = inputs.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        let results = self.kernel.run(inputs.get(..last).unwrap_or(&inputs));
        let results = results.map_err(|message| self.failure(message))?;
        let result = results.get(self.output).ok_or_else(|| self.failure("no result".to_owned()))?;
        result.to_plain().map_err(|message| self.failure(message))
    }

    fn failure(&self, message: String) -> EngineError {
        EngineError::Node { node: self.node.clone(), op_type: self.op_type.clone(), message }
    }
}
