//! Versions that are computed by running their lowered files: integer kernels, and ranges found in the run.

use super::session::table_problem;
use crate::engine::{EngineError, Plan, PlanOptions, Semantics};
use crate::onnx::{Document, OnnxError};
use crate::problem::Problem;
use crate::quant::Granularity;
use crate::quant::QuantParams;
use crate::quant::dequantize_tensor;
use crate::quant::table::{Lowered, QuantTable, Row, RowMode, RowNames, TableError, lower_named};
use crate::tensor::Tensor;
use crate::worker::protocol::Version;
use std::borrow::Cow;
use std::collections::HashMap;

/// The runs of the original and of the edited table as files.
pub struct IntegerRuns {
    semantics: Semantics,
    original: LoweredRun,
    edited: LoweredRun,
}

/// A table written as a file, and the run of that file.
pub struct LoweredRun {
    plan: Plan,
    /// The rows with the names under which the file has them.
    rows: HashMap<String, Row>,
}

/// What can go wrong with a lowered table.
pub enum LoweredError {
    /// The table cannot be written so.
    Table(TableError),
    /// The file is no good.
    Document(OnnxError),
    /// It does not run.
    Engine(EngineError),
}

impl LoweredError {
    /// In words.
    pub fn problem(&self, file: &str) -> Problem {
        match self {
            LoweredError::Table(error) => table_problem(file, error),
            LoweredError::Document(error) => error.problem(file),
            LoweredError::Engine(error) => error.problem(file),
        }
    }
}

impl LoweredRun {
    /// Runs a file that a table was written to; `names` says where the file has its rows.
    pub fn of(
        document: &Document,
        names: &HashMap<String, RowNames>,
        table: &QuantTable,
        semantics: Semantics,
        inputs: &[(String, Tensor)],
    ) -> Result<LoweredRun, LoweredError> {
        let mut plan = Plan::compile(document, semantics, &PlanOptions::default()).map_err(LoweredError::Engine)?;
        plan.run(inputs).map_err(LoweredError::Engine)?;
        let named = |row: &Row| {
            let names = names.get(&row.tensor).cloned().unwrap_or_default();
            (row.tensor.clone(), Row { names, ..row.clone() })
        };
        Ok(LoweredRun { plan, rows: table.rows.iter().map(named).collect() })
    }

    /// What the readers of a value see in the file's run: a row's integers, dequantized.
    pub fn seen(&self, value: &str) -> Option<Cow<'_, [f32]>> {
        let Some(row) = self.rows.get(value) else { return self.plan.reals(value) };
        if let Some(seen) = row.seen_constant() {
            return seen.ok()?.to_f32().ok().map(Cow::Owned);
        }
        if !row.enabled {
            return self.plan.reals(if row.names.dequantized.is_empty() { value } else { &row.names.dequantized });
        }
        let stored = self.plan.value(&row.names.quantized)?;
        let params = match row.mode {
            RowMode::Fixed => Cow::Borrowed(&row.grid.params),
            RowMode::Dynamic => Cow::Owned(QuantParams {
                scale: self.plan.value(&row.names.scale)?.to_f32().ok()?,
                zero_point: self
                    .plan
                    .value(&row.names.zero_point)?
                    .to_i64()
                    .ok()?
                    .into_iter()
                    .map(|zero| zero as i32)
                    .collect(),
                dtype: stored.dtype(),
                granularity: Granularity::PerTensor,
            }),
        };
        dequantize_tensor(&params, &stored).map(Cow::Owned)
    }

    /// The plan, to look at its outputs.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}

/// The file of a table, run.
fn lowered(
    lifted: &Document,
    table: &QuantTable,
    semantics: Semantics,
    inputs: &[(String, Tensor)],
) -> Result<LoweredRun, LoweredError> {
    let Lowered { document, names } = lower_named(lifted, table, table.format).map_err(LoweredError::Table)?;
    LoweredRun::of(&document, &names, table, semantics, inputs)
}

impl IntegerRuns {
    /// Runs the original and the edited table.
    pub fn new(
        lifted: &Document,
        [original, edited]: [&QuantTable; 2],
        semantics: Semantics,
        inputs: &[(String, Tensor)],
        file: &str,
    ) -> Result<IntegerRuns, Problem> {
        let run = |table| lowered(lifted, table, semantics, inputs).map_err(|error| error.problem(file));
        Ok(IntegerRuns { semantics, original: run(original)?, edited: run(edited)? })
    }

    /// What the readers of a value see; `None` for the version without rounding.
    pub fn seen(&self, version: Version, value: &str) -> Option<Cow<'_, [f32]>> {
        match version {
            Version::Float => None,
            Version::Original => self.original.seen(value),
            Version::Edited => self.edited.seen(value),
        }
    }

    /// Runs the edited table anew: a full run. Gives the number of nodes.
    pub fn set_edited(
        &mut self,
        lifted: &Document,
        edited: &QuantTable,
        inputs: &[(String, Tensor)],
    ) -> Result<usize, LoweredError> {
        self.edited = lowered(lifted, edited, self.semantics, inputs)?;
        Ok(self.edited.plan.observed().len())
    }
}
