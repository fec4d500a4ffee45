//! Where each layer's error comes from: the float model's operands are swapped for the quantized model's one by one.

use super::super::model::OpenModel;
use super::super::{Failure, Job, Service};
use super::compare::spread;
use super::measure::Item;
use super::runs::{Runs, clamped, engine_fault};
use super::session::Session;
use crate::analysis::{LedgerSums, Steps};
use crate::engine::{EngineError, LivePlan, Probe};
use crate::problem::Problem;
use crate::quant::TensorKind;
use crate::quant::table::{QuantTable, Row};
use crate::tensor::Tensor;
use crate::worker::protocol::{Images, LedgerRow};
use std::borrow::Cow;

/// A layer whose error is split.
struct LayerLedger {
    node: String,
    /// The value it makes.
    value: String,
    /// Row of its output, where there is one.
    row: Option<Row>,
    /// The node with the float weights and bias, with clipped weights, with rounded weights: those that can differ from
    /// the one after it.
    float_weights: Option<Probe>,
    clipped_weights: Option<Probe>,
    rounded_weights: Option<Probe>,
    sums: LedgerSums,
}

impl Service {
    /// The ledger of every layer that the float model has too, in graph order.
    pub(super) async fn ledger(
        &self,
        session: &mut Session,
        model: &OpenModel,
        images: Images,
        job: &impl Job,
    ) -> Result<(Images, usize, Vec<LedgerRow>), Failure> {
        let (images, items) = self.items(session, model, images)?;
        let Some(kept) = session.runs.as_ref().map(Runs::keep) else { return Err(Failure::Cancelled) };
        let mut layers = layers(session).map_err(|error| engine_fault(&error))?;
        let done = self.sum_ledgers(session, model, &mut layers, &items, job).await;
        if let Some(runs) = session.runs.as_mut() {
            runs.give_back(&kept);
        }
        done?;
        let measured = layers.into_iter().filter(|layer| layer.sums != LedgerSums::default());
        let rows = measured.map(|layer| {
            let ledger = layer.sums.ledger();
            let [inherited, weight_clipping, weight_rounding, bias, activation_clipping, activation_rounding] =
                ledger.terms;
            LedgerRow {
                layer: session.layers.get(&layer.value).copied(),
                node: layer.node,
                tensor: layer.value,
                total: ledger.total,
                weight_rounding,
                weight_clipping,
                activation_rounding,
                activation_clipping,
                bias,
                inherited,
            }
        });
        Ok((images, items.len(), rows.collect()))
    }

    async fn sum_ledgers(
        &self,
        session: &mut Session,
        model: &OpenModel,
        layers: &mut [LayerLedger],
        items: &[Item],
        job: &impl Job,
    ) -> Result<(), Failure> {
        for (done, item) in items.iter().enumerate() {
            let float_model = session.float_model;
            let Some(runs) = session.runs.as_mut() else { return Err(Failure::Cancelled) };
            let inputs = self.item_input(runs, model, item)?;
            self.run_reference(runs, float_model, &inputs, item)?;
            runs.edited.run(&inputs).map_err(|error| engine_fault(&error))?;
            for layer in layers.iter_mut() {
                if !job.checkpoint("Splitting the error of every layer", done, items.len()).await {
                    return Err(Failure::Cancelled);
                }
                layer.add(session)?;
            }
        }
        Ok(())
    }
}

/// Every layer with the probes it needs.
fn layers(session: &Session) -> Result<Vec<LayerLedger>, EngineError> {
    let Some(runs) = &session.runs else { return Ok(Vec::new()) };
    let mut layers = Vec::new();
    for &position in session.lifted.index().order() {
        let Some(node) = session.lifted.node(position) else { continue };
        let Some(value) = node.output.first().filter(|value| !value.is_empty()) else { continue };
        let comparable = runs.reference.is_none() || session.float_names.contains_key(value);
        let depends = node.input.iter().any(|input| !is_constant(session, input));
        if !comparable || !depends || !is_float(&runs.edited, value) {
            continue;
        }
        let probe = Probes { live: &runs.edited, table: &session.edited, value, inputs: &node.input };
        layers.push(LayerLedger {
            node: if node.name().is_empty() { value.clone() } else { node.name().to_owned() },
            value: value.clone(),
            row: session.edited.row(value).filter(|row| row.enabled || row.absorbed.is_some()).cloned(),
            float_weights: probe.float_weights()?,
            clipped_weights: probe.clipped_weights()?,
            rounded_weights: probe.rounded_weights()?,
            sums: LedgerSums::default(),
        });
    }
    Ok(layers)
}

fn is_constant(session: &Session, input: &str) -> bool {
    input.is_empty() || session.lifted.is_constant(&session.lifted.origin(input))
}

fn is_float(live: &LivePlan, value: &str) -> bool {
    live.plan().value(value).is_some_and(|tensor| tensor.dtype().is_float())
}

/// Makes a layer's probes.
struct Probes<'a> {
    live: &'a LivePlan,
    table: &'a QuantTable,
    value: &'a str,
    inputs: &'a [String],
}

impl<'a> Probes<'a> {
    /// Rows of the constant operands that are rounded: of the bias, or of the others.
    fn rounded(&self, bias: bool) -> Vec<&'a Row> {
        let rows = self.inputs.iter().filter_map(|input| self.table.row(input));
        let kind = |row: &&Row| (row.bias_of.is_some() || row.kind == TensorKind::Bias) == bias;
        rows.filter(|row| row.enabled && row.constant.is_some()).filter(kind).collect()
    }

    fn probe(&self, held: &[(&str, Tensor)]) -> Result<Option<Probe>, EngineError> {
        let mut probe = self.live.probe(self.value)?;
        for (name, tensor) in held {
            probe.hold(name, tensor)?;
        }
        Ok(Some(probe))
    }

    fn floats(rows: Vec<&'a Row>) -> Vec<(&'a str, Tensor)> {
        let float = |row: &'a Row| Some((row.tensor.as_str(), row.constant.as_ref()?.float.clone()));
        rows.into_iter().filter_map(float).collect()
    }

    /// Weights and bias of the float model; `None` where nothing of them is rounded.
    fn float_weights(&self) -> Result<Option<Probe>, EngineError> {
        let mut held = Self::floats(self.rounded(false));
        held.extend(Self::floats(self.rounded(true)));
        if held.is_empty() { Ok(None) } else { self.probe(&held) }
    }

    /// Weights cut off at the ends of their codes; `None` where that changes nothing.
    fn clipped_weights(&self) -> Result<Option<Probe>, EngineError> {
        let mut held = Vec::new();
        let mut clips = false;
        for row in self.rounded(false) {
            let Some(constant) = &row.constant else { continue };
            let Ok(floats) = constant.float.to_f32() else { continue };
            let clipped = clip(&floats, row, constant.float.shape());
            clips |= clipped.as_ref() != floats.as_slice();
            if let Ok(tensor) = Tensor::from_vec(constant.float.shape().to_vec(), clipped.into_owned()) {
                held.push((row.tensor.as_str(), tensor));
            }
        }
        held.extend(Self::floats(self.rounded(true)));
        if clips { self.probe(&held) } else { Ok(None) }
    }

    /// Weights rounded, the bias not; `None` where there is no rounded bias, since then that is the quantized model's.
    fn rounded_weights(&self) -> Result<Option<Probe>, EngineError> {
        let held = Self::floats(self.rounded(true));
        if held.is_empty() { Ok(None) } else { self.probe(&held) }
    }
}

/// Values cut off at the ends of a row's codes.
fn clip<'a>(values: &'a [f32], row: &Row, shape: &[usize]) -> Cow<'a, [f32]> {
    if !row.enabled {
        return Cow::Borrowed(values);
    }
    let (channels, reach) = spread(row, shape);
    let held = |(index, &value): (usize, &f32)| match reach.get(channels.of(index)) {
        Some(&(low, _)) if value < low => low,
        Some(&(_, high)) if value > high => high,
        _ => value,
    };
    Cow::Owned(values.iter().enumerate().map(held).collect())
}

impl LayerLedger {
    /// Adds the image that was run last.
    fn add(&mut self, session: &Session) -> Result<(), Problem> {
        let Some(runs) = &session.runs else { return Ok(()) };
        let plan = runs.edited.plan();
        let (Some(made), Some(seen), Some(float)) =
            (plan.reals(&self.value), plan.seen_reals(&self.value), session.reference_value(&self.value))
        else {
            return Ok(());
        };
        let row = self.row.as_ref();
        let behind = |values: &[f32]| match row.and_then(|row| row.absorbed) {
            Some(clamp) => clamped(values, clamp).into_owned(),
            None => values.to_vec(),
        };
        let run = |probe: &mut Option<Probe>| -> Result<Option<Vec<f32>>, Problem> {
            let Some(probe) = probe else { return Ok(None) };
            let result = probe.run(&runs.edited).map_err(|error| engine_fault(&error))?;
            Ok(result.to_f32().ok().map(|values| behind(&values)))
        };
        let inherited = run(&mut self.float_weights)?;
        let clipped_weights = run(&mut self.clipped_weights)?;
        let rounded_weights = run(&mut self.rounded_weights)?;
        let made = behind(&made);
        let ends = row.map(|row| clip(&made, row, plan.shape(&self.value).unwrap_or_default()));
        // What no probe computes apart is the quantized model's own value: the next step, but for the first.
        let has_weights = inherited.is_some();
        let has_bias = rounded_weights.is_some();
        let steps: Steps = [
            Some(inherited.as_deref().unwrap_or(&made)),
            clipped_weights.as_deref(),
            if has_weights { Some(rounded_weights.as_deref().unwrap_or(&made)) } else { None },
            if has_bias { Some(&made) } else { None },
            ends.as_deref(),
            Some(&seen),
        ];
        // A float tensor of another length is not the same tensor: it has no ledger.
        let _ = self.sums.add(&float, steps);
        Ok(())
    }
}
