//! Where branches join: their scales, how far they are apart, and what that costs.

use super::super::model::OpenModel;
use super::super::{Failure, Job, Service};
use super::runs::{Runs, engine_fault};
use super::session::Session;
use crate::analysis::{JoinSums, round_to_scale, scale_ratio};
use crate::engine::{LivePlan, Probe};
use crate::onnx::{Document, NodeExt};
use crate::problem::Problem;
use crate::quant::table::{QuantTable, Row, RowMode};
use crate::tensor::Tensor;
use crate::worker::protocol::{Images, ResidualRow};

/// A node at which quantized branches join.
pub struct Join {
    /// Its name, or its output's.
    pub node: String,
    /// Its operator.
    pub op: String,
    /// The value it makes.
    pub output: String,
    /// For each branch the value that the node reads, and the row that rounds it.
    pub branches: Vec<(String, Row)>,
}

/// Nodes that hand values on as they are, or some of them: what is rounded stays rounded.
pub fn only_moves(op_type: &str) -> bool {
    matches!(
        op_type,
        "Identity"
            | "Reshape"
            | "Flatten"
            | "Squeeze"
            | "Unsqueeze"
            | "Transpose"
            | "Dropout"
            | "MaxPool"
            | "GlobalMaxPool"
            | "Slice"
            | "Split"
            | "Gather"
            | "GatherElements"
            | "GatherND"
            | "Expand"
            | "Tile"
    )
}

/// The per-tensor row that has rounded a value, directly or before nodes that only move it.
pub fn row_behind<'a>(lifted: &Document, table: &'a QuantTable, value: &str) -> Option<&'a Row> {
    let mut value = value.to_owned();
    for _ in 0..=lifted.graph().node.len() {
        if let Some(row) = table.row(&value).filter(|row| row.enabled) {
            let fixed = row.mode == RowMode::Fixed && row.grid.params.scale.len() == 1;
            return (fixed && row.constant.is_none()).then_some(row);
        }
        let node = lifted.producer_node(&value).filter(|node| only_moves(node.op_type()))?;
        value = node.input_name(0)?.to_owned();
    }
    None
}

/// Every Add, Concat and Mul with two or more branches that are not constant and quantized, in graph order.
pub fn joins(lifted: &Document, table: &QuantTable) -> Vec<Join> {
    let order = lifted.index().order().iter().filter_map(|&position| lifted.node(position));
    let joining =
        order.filter(|node| matches!(node.op_type(), "Add" | "Concat" | "Mul") && node.domain_name().is_empty());
    let join = |node: &crate::onnx::proto::NodeProto| {
        let mut branches: Vec<(String, Row)> = Vec::new();
        for input in node.input.iter().filter(|input| !input.is_empty()) {
            let new = branches.iter().all(|(other, _)| other != input);
            if let Some(row) = row_behind(lifted, table, input).filter(|_| new) {
                branches.push((input.clone(), row.clone()));
            }
        }
        let output = node.output_name(0)?.to_owned();
        let node_name = if node.name().is_empty() { output.clone() } else { node.name().to_owned() };
        let op = node.op_type().to_owned();
        (branches.len() > 1).then_some(Join { node: node_name, op, output, branches })
    };
    joining.filter_map(join).collect()
}

/// Scale and zero point of a per-tensor row.
fn grid_of(row: &Row) -> Option<(f32, i32)> {
    let (&[scale], &[zero_point]) = (row.grid.params.scale.as_slice(), row.grid.params.zero_point.as_slice()) else {
        return None;
    };
    Some((scale, zero_point))
}

/// The row of the joined value: its own, or that of the activation function behind it.
fn output_row<'a>(lifted: &Document, table: &'a QuantTable, output: &str) -> Option<&'a Row> {
    let usable = |row: &&Row| row.enabled && row.mode == RowMode::Fixed;
    if let Some(row) = table.row(output).filter(usable) {
        return Some(row);
    }
    let [slot] = lifted.index().consumers(output) else { return None };
    let node = lifted.node(slot.node).filter(|node| matches!(node.op_type(), "Relu" | "Clip" | "Identity"))?;
    table.row(node.output_name(0)?).filter(usable)
}

impl Service {
    /// Every place where branches join, measured with only the branches rounded.
    pub(super) async fn residuals(
        &self,
        session: &mut Session,
        model: &OpenModel,
        images: Images,
        job: &impl Job,
    ) -> Result<(Images, usize, Vec<ResidualRow>), Failure> {
        let (images, items) = self.items(session, model, images)?;
        let joins = joins(&session.lifted, &session.edited);
        let Some(runs) = session.runs.as_mut() else { return Err(Failure::Cancelled) };
        let mut probes = Vec::with_capacity(joins.len());
        for join in &joins {
            probes.push(runs.float.probe(&join.output).map_err(|error| engine_fault(&error))?);
        }
        let kept = runs.keep();
        let mut sums = vec![JoinSums::default(); joins.len()];
        let mut cancelled = false;
        let mut failed = None;
        for (done, item) in items.iter().enumerate() {
            if !job.checkpoint("Measuring where branches join", done, items.len()).await {
                cancelled = true;
                break;
            }
            let added = self.item_input(runs, model, item).and_then(|inputs| {
                runs.float.run(&inputs).map_err(|error| engine_fault(&error))?;
                add(&runs.float, &joins, &mut probes, &mut sums)
            });
            if let Err(problem) = added {
                failed = Some(problem);
                break;
            }
        }
        Runs::give_back(runs, &kept);
        match failed {
            Some(problem) => return Err(problem.into()),
            None if cancelled => return Err(Failure::Cancelled),
            None => {}
        }
        let rows = joins.iter().zip(sums).filter_map(|(join, sums)| {
            let branch = |(_, row): &(String, Row)| {
                let (scale, zero_point) = grid_of(row)?;
                Some((row.tensor.clone(), scale, zero_point))
            };
            let branches: Vec<(String, f32, i32)> = join.branches.iter().filter_map(branch).collect();
            let scales: Vec<f32> = branches.iter().map(|(_, scale, _)| *scale).collect();
            let output = output_row(&session.lifted, &session.edited, &join.output);
            Some(ResidualRow {
                node: join.node.clone(),
                op: join.op.clone(),
                layer: layer(session, &join.output, output),
                ratio: scale_ratio(&scales)?,
                branches,
                output: output.and_then(grid_of),
                joined_sqnr_db: sums.sqnr_db(),
                cost_db: sums.cost_db(),
            })
        });
        Ok((images, items.len(), rows.collect()))
    }
}

fn layer(session: &Session, output: &str, row: Option<&Row>) -> Option<usize> {
    session.layers.get(output).or_else(|| session.layers.get(&row?.tensor)).copied()
}

/// What a branch's values become; `None` where it cannot be told.
type Rounding<'a> = dyn Fn(&Row, &[f32]) -> Option<Vec<f32>> + 'a;

/// Adds the image that the float version was run on last.
fn add(float: &LivePlan, joins: &[Join], probes: &mut [Probe], sums: &mut [JoinSums]) -> Result<(), Problem> {
    for ((join, probe), sums) in joins.iter().zip(probes).zip(sums) {
        let smallest = join.branches.iter().filter_map(|(_, row)| Some(grid_of(row)?.0)).fold(f32::INFINITY, f32::min);
        let mut joined = |round: &Rounding| -> Result<Option<Vec<f32>>, Problem> {
            for (value, row) in &join.branches {
                let plan = float.plan();
                let rounded = plan.seen_reals(value).and_then(|values| round(row, &values));
                let shape = plan.shape(value).map(<[usize]>::to_vec);
                let tensor = rounded.zip(shape).and_then(|(rounded, shape)| Tensor::from_vec(shape, rounded).ok());
                let Some(tensor) = tensor else { return Ok(None) };
                probe.hold(value, &tensor).map_err(|error| engine_fault(&error))?;
            }
            let result = probe.run(float).map_err(|error| engine_fault(&error))?;
            Ok(result.to_f32().ok())
        };
        let rounded = joined(&|row, values| {
            let (scale, zero_point) = grid_of(row)?;
            let (low, high) = row.grid.codes();
            let real = |&x: &f32| {
                crate::quant::dequantize(crate::quant::quantize(x, scale, zero_point, low, high), scale, zero_point)
            };
            Some(values.iter().map(real).collect())
        })?;
        let even = joined(&|_, values| Some(values.iter().map(|&x| round_to_scale(x, smallest)).collect()))?;
        let plain = float.plan().reals(&join.output);
        if let (Some(plain), Some(rounded), Some(even)) = (plain, rounded, even) {
            sums.add(&plain, &rounded, &even);
        }
    }
    Ok(())
}
