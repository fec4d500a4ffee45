//! Recorded layer outputs against the model's.

use super::super::card::port_of;
use super::super::inputs::fit;
use super::super::model::OpenModel;
use super::super::run::Plans;
use super::super::{Attachment, Failure, Job, Service};
use crate::analysis::{Recording, compare_outputs};
use crate::engine::{InputFact, Observe, Plan, Semantics};
use crate::import::{Kind, Limits, read_npz};
use crate::onnx::{Dim, NodeExt};
use crate::problem::Problem;
use crate::quant::TensorKind;
use crate::tensor::Tensor;
use crate::worker::protocol::{ModelId, OutputCheck, OutputRow, PortSummary};
use std::collections::{HashMap, HashSet};

/// Name of the recording in messages about its content.
const RECORDING: &str = "the recorded outputs";
/// Layers that are named in one note.
const MOST_NAMED: usize = 8;
/// How far back from a value its layer is looked for.
const MOST_STEPS: usize = 6;

impl Service {
    /// Runs the model on the recorded inputs and compares every recorded output.
    pub(super) async fn check_outputs(
        &mut self,
        id: ModelId,
        file: String,
        attachments: Vec<Attachment>,
        job: &impl Job,
    ) -> Result<OutputCheck, Failure> {
        let mut plans = std::mem::take(&mut self.plans);
        let checked = self.compare_recorded(id, file, attachments, &mut plans, job).await;
        self.plans = plans;
        checked
    }

    async fn compare_recorded(
        &self,
        id: ModelId,
        file: String,
        attachments: Vec<Attachment>,
        plans: &mut Plans,
        job: &impl Job,
    ) -> Result<OutputCheck, Failure> {
        let model = self.model(id)?;
        Self::can_run(model)?;
        Self::step(job, "Reading the recorded outputs", 0, 3).await?;
        let attachment = attachments.into_iter().next().ok_or_else(|| problem("no file", "an .npz file"))?;
        let bytes = attachment.read().map_err(|reason| problem(&reason, "a file that can be read"))?;
        let arrays = read_npz(&bytes.into(), &Limits::default()).map_err(|error| error.into_problem(&file))?;
        let names: Vec<&str> = model.document.inputs().map(|input| input.name()).collect();
        let arrays = arrays.into_iter().map(|array| (array.name, array.tensor)).collect();
        let recording = Recording::of(arrays, &names);
        Self::step(job, "Running the recorded inputs", 1, 3).await?;
        let mut notes = Vec::new();
        let plan =
            plans.of(model, Semantics::Simulate, Observe::All).map_err(|error| error.problem(&model.summary.file))?;
        let (inputs, batch) = inputs(plan.inputs(), &recording, &mut notes)?;
        plan.run(&inputs).map_err(|error| error.problem(&model.summary.file))?;
        let total = recording.outputs.len();
        let names = Names::of(model, plan, &inputs);
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for (done, (key, recorded)) in recording.outputs.iter().enumerate() {
            Self::step(job, "Comparing layers", done, total).await?;
            let Some((value, at)) = names.value(key) else {
                missing.extend(names.why_missing(key));
                continue;
            };
            let given = inputs.iter().find(|(name, _)| *name == value).map(|(_, tensor)| tensor.clone());
            let Some(tensor) = given.or_else(|| plan.value(&value)) else {
                missing.extend(names.why_missing(key));
                continue;
            };
            let recorded = match batch {
                Some((whole, part)) => first_of(recorded, whole, part),
                None => recorded.clone(),
            };
            let row = OutputRow {
                layer: key.clone(),
                row: self.row_of(model, &value),
                step: step_of(model, &value),
                steps: 1,
                value,
                source_shape: recorded.shape().to_vec(),
                shape: tensor.shape().to_vec(),
                difference: compare_outputs(&recorded, &tensor),
            };
            found.push((at, row));
        }
        found.sort_by_key(|(at, _)| *at);
        let mut rows: Vec<OutputRow> = found.into_iter().map(|(_, row)| row).collect();
        allow_steps(&mut rows);
        if rows.is_empty() {
            let keys: Vec<&str> = recording.outputs.iter().take(5).map(|(key, _)| key.as_str()).collect();
            let found = format!("outputs called {}, none of which the model has", keys.join(", "));
            return Err(problem(&found, "an .npz with outputs under the names of layers").into());
        }
        notes.extend(layout_note(&rows));
        notes.extend(step_note(&rows));
        notes.extend(names.not_recorded(&rows));
        notes.extend(hybrid_note(model));
        Ok(OutputCheck { model: id, recording: file, inputs: ports(&inputs), rows, missing, notes })
    }

    /// The tree's name of the layer that a value belongs to: that makes it, or that it only rearranges.
    fn row_of(&self, model: &OpenModel, value: &str) -> Option<String> {
        let position = self.models.iter().position(|open| open.id == model.id)?;
        let mut value = value.to_owned();
        for _ in 0..MOST_STEPS {
            let row = self.layout.members.iter().position(|members| {
                let member = members.get(position).and_then(Option::as_ref);
                member.is_some_and(|member| {
                    member.operation.output == value || member.operation.comparable.as_deref() == Some(&value)
                })
            });
            if let Some(row) = row.and_then(|row| self.layout.rows.get(row)) {
                return Some(row.name.clone());
            }
            let node = model.document.producer_node(&value)?;
            value = node.input_name(0)?.to_owned();
        }
        None
    }
}

fn problem(found: &str, expected: &str) -> Problem {
    Problem {
        file: RECORDING.to_owned(),
        place: "the file".to_owned(),
        found: found.to_owned(),
        expected: expected.to_owned(),
        advice: "Record them with the Python code that the page shows.".to_owned(),
    }
}

/// The model's inputs, and where its batch is fixed and smaller than recorded: (examples recorded, examples taken).
type Prepared = (Vec<(String, Tensor)>, Option<(usize, usize)>);

/// The recorded input for each of the model's.
fn inputs(facts: &[InputFact], recording: &Recording, notes: &mut Vec<String>) -> Result<Prepared, Problem> {
    let (mut inputs, mut batch) = (Vec::new(), None);
    for (position, fact) in facts.iter().enumerate() {
        let place = format!("input '{}'", fact.name);
        let Some(recorded) = recording.input(&fact.name, position) else {
            return Err(Problem {
                place,
                ..problem("nothing", "the input that was recorded, under the key input:NAME")
            });
        };
        let whole = recorded.shape().first().copied().unwrap_or(1);
        let fixed = fact.shape.first().copied().flatten().filter(|&fixed| fact.ranked && fixed < whole);
        let recorded = match fixed {
            Some(part) if recorded.shape().len() == fact.shape.len() => {
                batch = Some((whole, part));
                first_of(recorded, whole, part)
            }
            _ => recorded.clone(),
        };
        let turned = |order: &[usize]| recorded.permuted(order).ok().and_then(|tensor| fit(tensor, fact).ok());
        let rank = recorded.shape().len();
        let tensor = match fit(recorded.clone(), fact) {
            Ok(tensor) => tensor,
            Err(found) => {
                let last: Vec<usize> = [0].into_iter().chain(2..rank).chain([1]).collect();
                let first: Vec<usize> =
                    [0, rank.saturating_sub(1)].into_iter().chain(1..rank.saturating_sub(1)).collect();
                let tensor = (rank >= 3).then(|| turned(&last).or_else(|| turned(&first))).flatten();
                notes.push(format!("The channels of '{}' are at the other end in the recording.", fact.name));
                let dims = fact.shape.iter().map(|dim| dim.map_or("?".to_owned(), |dim| dim.to_string()));
                let expected = format!("{} [{}]", fact.dtype, dims.collect::<Vec<_>>().join(", "));
                tensor.ok_or_else(|| Problem { place, ..problem(&found, &expected) })?
            }
        };
        inputs.push((fact.name.clone(), tensor));
    }
    if let Some((whole, part)) = batch {
        notes.push(format!(
            "The model takes {part} at a time: the first {part} of {whole} recorded examples are compared."
        ));
    }
    Ok((inputs, batch))
}

/// The first `part` examples of a tensor whose first dim is `whole`; any other tensor as it is.
fn first_of(tensor: &Tensor, whole: usize, part: usize) -> Tensor {
    let Some((&dim, rest)) = tensor.shape().split_first() else { return tensor.clone() };
    let bits = tensor.dtype().bits().filter(|bits| bits % 8 == 0);
    let (true, Some(bits)) = (dim == whole, bits) else { return tensor.clone() };
    let bytes = rest.iter().product::<usize>() * part * bits / 8;
    let shape = [part].iter().chain(rest).copied().collect();
    if bytes > tensor.bytes().len() {
        return tensor.clone();
    }
    Tensor::new(tensor.dtype(), shape, tensor.bytes().slice(..bytes)).unwrap_or_else(|_| tensor.clone())
}

/// Which value of the model a recorded name means.
struct Names {
    /// The source's layers with their first values.
    layers: HashMap<String, String>,
    /// Every value with its place in the order of running.
    values: HashMap<String, usize>,
    outputs: Vec<String>,
    /// Whether the source records more than its layers.
    has_scratch: bool,
}

impl Names {
    fn of(model: &OpenModel, plan: &Plan, inputs: &[(String, Tensor)]) -> Self {
        let layers = model.original.iter().flat_map(|original| &original.layer_of);
        let first = |layer: &crate::import::LayerValues| Some((layer.layer.clone(), layer.values.first()?.clone()));
        let order = inputs.iter().map(|(name, _)| name).chain(plan.observed());
        Names {
            layers: layers.filter_map(first).collect(),
            values: order.enumerate().map(|(at, name)| (name.clone(), at)).collect(),
            outputs: plan.outputs().to_vec(),
            has_scratch: model.original.as_ref().is_some_and(|original| original.kind == Kind::Tflite),
        }
    }

    /// The value for a recorded key, and its place: by the source's layer, by the value's name, by the number of an
    /// output (`output_0`), and by either name as other tools write it (`a/b:0`, `a_b`).
    fn value(&self, key: &str) -> Option<(String, usize)> {
        let there = |name: &str| self.values.get(name).map(|&at| (name.to_owned(), at));
        if let Some(found) = self.layers.get(key).and_then(|value| there(value)).or_else(|| there(key)) {
            return Some(found);
        }
        // The whole module, as hooks see it.
        if key.is_empty() {
            return there(self.outputs.first()?);
        }
        let number =
            key.strip_prefix("output_").or_else(|| key.strip_prefix("out_")).and_then(|text| text.parse().ok());
        if let Some(found) = number.and_then(|number: usize| there(self.outputs.get(number)?)) {
            return Some(found);
        }
        let plain = |name: &str| -> String {
            let name = name.strip_suffix(":0").unwrap_or(name);
            name.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect()
        };
        let wanted = plain(key);
        let layer = self.layers.iter().find(|(layer, _)| plain(layer) == wanted).and_then(|(_, value)| there(value));
        let value = || self.values.keys().find(|name| plain(name) == wanted).and_then(|name| there(name));
        layer.or_else(value)
    }

    /// Which of the source's layers the recording does not have, in words.
    fn not_recorded(&self, rows: &[OutputRow]) -> Option<String> {
        let seen: HashSet<&str> = rows.iter().map(|row| row.value.as_str()).collect();
        let there = self.layers.iter().filter_map(|(layer, value)| Some((*self.values.get(value)?, layer, value)));
        let mut left: Vec<(usize, &String, &String)> = there.collect();
        let all = left.len();
        left.retain(|(_, _, value)| !seen.contains(value.as_str()));
        left.sort_unstable();
        let some: Vec<&str> = left.iter().take(MOST_NAMED).map(|(_, layer, _)| layer.as_str()).collect();
        let more = left.len().saturating_sub(MOST_NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let some = some.join(", ");
        (!left.is_empty())
            .then(|| format!("{} of the model's {all} layers were not recorded: {some}{more}.", left.len()))
    }

    /// The reason in words; `None` where nobody needs one: TensorFlow Lite records constants and scratch memory too.
    fn why_missing(&self, key: &str) -> Option<String> {
        if self.has_scratch && !self.layers.contains_key(key) {
            return None;
        }
        Some(format!("{key}: no value of its own in the converted model (folded into another layer, or left out)"))
    }
}

fn ports(inputs: &[(String, Tensor)]) -> Vec<PortSummary> {
    let port = |(name, tensor): &(String, Tensor)| {
        let dims: Vec<Dim> = tensor.shape().iter().map(|&dim| Dim::Known(dim)).collect();
        port_of(name, Some(tensor.dtype()), Some(&dims))
    };
    inputs.iter().map(port).collect()
}

/// How many layers have their channels elsewhere than the recording, in words.
fn layout_note(rows: &[OutputRow]) -> Option<String> {
    let moved = rows.iter().filter(|row| row.difference.as_ref().is_ok_and(|found| found.order.is_some())).count();
    (moved > 0).then(|| {
        format!(
            "{moved} of {} layers have their channels behind the batch here and at the end in the recording (NCHW and \
             NHWC), or the other way round: they are turned before they are compared.",
            rows.len()
        )
    })
}

/// The step between the codes of a value, as real numbers: its scale where it is dequantized, or only moved after that,
/// and 1 where it is the codes.
fn step_of(model: &OpenModel, value: &str) -> Option<f64> {
    let mut value = value.to_owned();
    for _ in 0..MOST_STEPS {
        if model.quantized.iter().any(|tensor| tensor.stored == value && tensor.fixed().is_some()) {
            return Some(1.0);
        }
        let node = model.document.producer_node(&value)?;
        let from = node.input_name(0)?.to_owned();
        match node.op_type() {
            "DequantizeLinear" => {
                let params = model.quantized.iter().find(|tensor| tensor.stored == from)?.fixed()?;
                return params.scale.iter().map(|&scale| f64::from(scale)).reduce(f64::max);
            }
            "Transpose" | "Reshape" | "Identity" | "Flatten" | "Squeeze" | "Unsqueeze" => value = from,
            _ => return None,
        }
    }
    None
}

/// What TensorFlow Lite does with weights of 8 bits between float values, in words.
fn hybrid_note(model: &OpenModel) -> Option<String> {
    let is_tflite = model.original.as_ref().is_some_and(|original| original.kind == Kind::Tflite);
    let has = |kind: TensorKind| model.quantized.iter().any(|tensor| tensor.kind == kind);
    (is_tflite && has(TensorKind::Weight) && !has(TensorKind::Activation)).then(|| {
        "The file has weights of 8 bits between float values: TensorFlow Lite rounds what enters such a layer to 8 bits in \
         each run, the converted model does not. Differences of 1 % are usual."
            .to_owned()
    })
}

/// Steps that a quantized layer may be off behind one that is: its sums add up what is off before it.
const STEPS_BEHIND: u8 = 3;
/// Part of a step from which on a layer is off.
const IS_OFF: f64 = 0.5;

/// Rows in the order of running: each quantized one may be a step off, and a few behind one that is.
fn allow_steps(rows: &mut [OutputRow]) {
    let mut off = false;
    for row in rows {
        row.steps = if off { STEPS_BEHIND } else { 1 };
        off |= row.steps_off().is_some_and(|steps| steps > IS_OFF);
    }
}

/// How many layers are equal only as far as codes go, in words.
fn step_note(rows: &[OutputRow]) -> Option<String> {
    let all = rows.iter().filter(|row| row.step.is_some()).count();
    let off = rows.iter().filter(|row| row.steps_off().is_some_and(|steps| steps > IS_OFF)).count();
    (all > 0).then(|| {
        format!(
            "{all} layers are quantized. A sum between two codes may be rounded to either: they count as equal where no \
             value is more than one step of their scale off, or {STEPS_BEHIND} behind a layer that is off. {off} of them \
             are off by a step or more."
        )
    })
}
