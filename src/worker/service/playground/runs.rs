//! The three versions of a model at work on one input.

use super::super::model::OpenModel;
use super::super::source::Content;
use super::super::{Service, internal_problem};
use super::integer::IntegerRuns;
use super::session::Session;
use crate::engine::{EngineError, LivePlan, Plan, PlanOptions, Semantics};
use crate::problem::Problem;
use crate::quant::table::{Clamp, QuantTable, Row, RowMode};
use crate::tensor::Tensor;
use crate::worker::protocol::{InputChoice, RunOrder, Version, VersionTensor};
use std::borrow::Cow;

/// Live plans of the three versions, all run on the same input.
pub struct Runs {
    /// What the input is.
    pub order: RunOrder,
    /// The input.
    pub inputs: Vec<(String, Tensor)>,
    pub float: LivePlan,
    pub original: LivePlan,
    pub edited: LivePlan,
    /// Where values are computed otherwise than in f32 between the rows: the lowered tables' own runs.
    pub integer: Option<IntegerRuns>,
    /// The open float model, for measurements against it.
    pub reference: Option<Plan>,
    /// The picture shown last, of the two versions that an edit does not change.
    pub shown: Option<Shown>,
}

/// Parts of a picture that an edit leaves as they are.
pub struct Shown {
    pub tensor: String,
    pub channel: Option<usize>,
    pub bins: usize,
    pub range: Option<(f64, f64)>,
    pub first_value: usize,
    pub values: usize,
    pub float: VersionTensor,
    pub original: VersionTensor,
}

/// The table with every row off.
fn all_off(table: &QuantTable) -> QuantTable {
    let mut off = table.clone();
    off.rows.iter_mut().for_each(|row| row.enabled = false);
    off
}

impl Session {
    /// The plans, run on the page's input: that of the last run, or else the first item that is open, or else random
    /// values.
    pub fn runs(&mut self, service: &Service, model: &OpenModel) -> Result<&mut Runs, Problem> {
        Service::can_run(model)?;
        let order = service.table_input();
        let failed = |error: EngineError| error.problem(&model.summary.file);
        let fresh = match self.runs.take() {
            Some(runs) if runs.order == order => return Ok(self.runs.insert(runs)),
            Some(mut runs) => {
                runs.inputs = service.inputs_or_random(model, runs.edited.plan().inputs(), &order)?.0;
                runs.integer = None;
                runs.order = order;
                runs
            }
            None => {
                let compile = |table: &QuantTable| LivePlan::compile(&self.lifted, table).map_err(failed);
                let edited = compile(&self.edited)?;
                Runs {
                    inputs: service.inputs_or_random(model, edited.plan().inputs(), &order)?.0,
                    order,
                    float: compile(&all_off(&self.original))?,
                    original: compile(&self.original)?,
                    edited,
                    integer: None,
                    reference: None,
                    shown: None,
                }
            }
        };
        let runs = self.runs.insert(fresh);
        runs.shown = None;
        for plan in [&mut runs.float, &mut runs.original, &mut runs.edited] {
            plan.run(&runs.inputs).map_err(failed)?;
        }
        let dynamic = self.original.rows.iter().any(|row| row.mode == RowMode::Dynamic);
        // Integer sums of values whose scale is found in the run are no float sums of rounded values.
        if runs.order.semantics == Semantics::Integer || dynamic {
            let tables = [&self.original, &self.edited];
            let file = &model.summary.file;
            runs.integer = Some(IntegerRuns::new(&self.lifted, tables, runs.order.semantics, &runs.inputs, file)?);
        }
        Ok(runs)
    }

    /// The open float model's plan, where there is one; it is not run.
    pub fn reference(&mut self, service: &Service) -> Result<(), Problem> {
        let Some(id) = self.float_model else { return Ok(()) };
        let float = service.models.iter().find(|open| open.id == id);
        let (Some(runs), Some(float)) = (self.runs.as_mut(), float) else { return Ok(()) };
        if runs.reference.is_none() {
            let plan = Plan::compile(&float.document, Semantics::Simulate, &PlanOptions::default());
            runs.reference = Some(plan.map_err(|error| error.problem(&float.summary.file))?);
        }
        Ok(())
    }
}

impl Service {
    /// The input that tables are looked at with.
    fn table_input(&self) -> RunOrder {
        if let Some(run) = &self.last_run {
            let source = run.result.order.input.source();
            if source.is_none_or(|source| self.sources.iter().any(|open| open.id == source)) {
                return run.result.order.clone();
            }
        }
        let pictures = |content: &Content| matches!(content, Content::Dataset(_));
        let source = self.sources.iter().find(|source| pictures(&source.content)).or(self.sources.first());
        let input = match source {
            Some(source) => InputChoice::Item { source: source.id, index: 0 },
            None => InputChoice::Random { seed: 0 },
        };
        RunOrder { input, preprocess: None, semantics: Semantics::Simulate }
    }
}

impl Runs {
    /// The plan of a version.
    pub fn live(&self, version: Version) -> &LivePlan {
        match version {
            Version::Float => &self.float,
            Version::Original => &self.original,
            Version::Edited => &self.edited,
        }
    }

    /// What the readers of a value see in a version, as the page's semantics computes it.
    pub fn seen(&self, version: Version, value: &str) -> Option<Cow<'_, [f32]>> {
        let integer = self.integer.as_ref().and_then(|integer| integer.seen(version, value));
        integer.or_else(|| self.live(version).plan().seen_reals(value))
    }

    /// A row's values before their own rounding in a version, behind the absorbed activation function.
    pub fn before<'a>(&'a self, version: Version, row: &'a Row) -> Option<Cow<'a, [f32]>> {
        before_rounding(self.live(version), row)
    }

    /// Dims of a value on this input.
    pub fn shape(&self, value: &str) -> Option<&[usize]> {
        self.edited.plan().shape(value)
    }

    /// After rows of the edited table changed: sets them and computes what depends on them. Gives the values that
    /// changed and how many nodes ran.
    pub fn apply(&mut self, rows: &[&Row]) -> Result<(Vec<String>, usize), EngineError> {
        for row in rows {
            self.edited.set_row(row)?;
        }
        let dirty = self.edited.rerun()?;
        Ok((dirty.values, dirty.nodes))
    }
}

/// A row's values before their own rounding in a plan's last run, behind the absorbed activation function.
pub fn before_rounding<'a>(live: &'a LivePlan, row: &'a Row) -> Option<Cow<'a, [f32]>> {
    if let Some(constant) = &row.constant {
        return constant.float.to_f32().ok().map(Cow::Owned);
    }
    let made = live.plan().reals(&row.tensor)?;
    Some(match row.absorbed {
        Some(clamp) => clamped(&made, clamp),
        None => made,
    })
}

/// The values behind an activation function.
pub fn clamped<'a>(values: &[f32], Clamp { low, high }: Clamp) -> Cow<'a, [f32]> {
    // Written so that NaN goes through.
    let held = |&x: &f32| {
        if x < low {
            low
        } else if x > high {
            high
        } else {
            x
        }
    };
    Cow::Owned(values.iter().map(held).collect())
}

/// A failure of the engine that only a fault of ours can cause.
pub fn engine_fault(error: &EngineError) -> Problem {
    internal_problem(&error.to_string())
}
