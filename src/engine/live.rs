//! A float graph with a quantization table whose rows can be changed while the plan lives.
//!
//! The readers of a row's value see `clamp(value)` where the row is off and `round(clamp(value))` where it is on; the
//! readers of a constant see what its codes stand for. Only what is downstream of a change is computed again, with the
//! same kernels on the same values as in a full run, so that both give the same bits.

use super::error::EngineError;
use super::fake::MOST_BITS;
use super::lower::{FlatNode, flatten};
use super::plan::{Plan, PlanOptions};
use super::probe::Probe;
use super::seen::Seen;
use super::state::{Dirty, Snapshot};
use super::terms::Semantics;
use super::value::Value;
use crate::onnx::Document;
use crate::quant::table::{QuantTable, Row, RowMode};
use crate::tensor::Tensor;

/// A plan over a lifted float document, with the rows of its table between values and readers.
pub struct LivePlan {
    pub(super) plan: Plan,
    flat: Vec<FlatNode>,
}

/// The values of a [`LivePlan`] at one time; going back to them computes nothing.
#[derive(Clone)]
pub struct LiveSnapshot(Snapshot);

impl LivePlan {
    /// Makes a lifted document ready, with these rows. Fails as [`Plan::compile`] does, and where a row does not fit
    /// its value.
    pub fn compile(document: &Document, table: &QuantTable) -> Result<LivePlan, EngineError> {
        Self::compile_with(document, table, &PlanOptions::default())
    }

    /// The same, with a choice of the values that a run keeps.
    pub fn compile_with(
        document: &Document,
        table: &QuantTable,
        options: &PlanOptions,
    ) -> Result<LivePlan, EngineError> {
        let plan = Plan::compile(document, Semantics::Simulate, options)?;
        let mut live = LivePlan { plan, flat: flatten(document)? };
        for row in &table.rows {
            live.set_row(row)?;
        }
        Ok(live)
    }

    /// The same with the products of a convolution added in one go, as PyTorch's kernels do, and not in ONNX Runtime's
    /// blocks. Both are right to the last bits of a float; what is rounded to few bits afterwards tells them apart.
    pub fn in_one_go(mut self) -> Self {
        self.plan.steps.iter_mut().for_each(|step| step.kernel.sum_in_one_go());
        self
    }

    /// The plan, to look at values.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Sets what the readers of a row's value see; [`LivePlan::rerun`] computes what changes. A row that does not fit
    /// is refused, and the one before stays.
    pub fn set_row(&mut self, row: &Row) -> Result<(), EngineError> {
        let fail = |message: String| EngineError::Params { scale: row.tensor.clone(), message };
        let constant = row.constant.as_ref();
        if row.enabled && row.mode == RowMode::Fixed {
            let shape = constant.map(|constant| constant.float.shape());
            row.grid.check(shape).map_err(|error| fail(error.to_string()))?;
        }
        let seen = match constant {
            Some(_) => {
                let seen = row.seen_constant().ok_or_else(|| fail("the constant is gone".to_owned()))?;
                let seen = seen.map_err(|error| fail(error.to_string()))?;
                let seen = Value::from_plain(&seen).map_err(fail)?;
                // A row's constant is float32; the model's own may be float16.
                let dtype = self.plan.dtype_of(&row.tensor).unwrap_or(seen.dtype());
                Some(Seen::Replaced(seen.retyped(dtype).map_err(fail)?))
            }
            None if !row.enabled => row.absorbed.map(Seen::Clamped),
            None if row.grid.bits > MOST_BITS => {
                return Err(fail(format!("values of {} bits cannot be rounded to", row.grid.bits)));
            }
            None => Some(match row.mode {
                RowMode::Fixed => Seen::Rounded(row.grid.clone(), row.absorbed),
                RowMode::Dynamic => Seen::Dynamic(row.grid.clone(), row.absorbed),
            }),
        };
        self.plan.set_seen(&row.tensor, seen)
    }

    /// Runs everything on named inputs.
    pub fn run(&mut self, inputs: &[(String, Tensor)]) -> Result<(), EngineError> {
        self.plan.run(inputs)
    }

    /// Computes what depends on rows changed since, bit for bit what a full run gives.
    pub fn rerun(&mut self) -> Result<Dirty, EngineError> {
        self.plan.rerun()
    }

    /// The values and rows as they are. Tensors are shared, so it costs next to nothing.
    pub fn snapshot(&self) -> LiveSnapshot {
        LiveSnapshot(self.plan.state.snapshot())
    }

    /// Goes back to a snapshot of this plan: rows and values are those of then.
    pub fn restore(&mut self, snapshot: &LiveSnapshot) {
        self.plan.state.restore(&snapshot.0);
    }

    /// The node that makes a value, to be computed apart with other operands.
    pub fn probe(&self, output: &str) -> Result<Probe, EngineError> {
        let makes = |flat: &&FlatNode| flat.proto.output.iter().any(|name| name == output);
        let flat = self.flat.iter().find(makes).ok_or_else(|| EngineError::Graph {
            place: format!("value '{output}'"),
            message: "no node makes this value".to_owned(),
        })?;
        Probe::new(&self.plan, flat, output)
    }
}
