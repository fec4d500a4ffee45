//! One model's table: as the file has it, as it is edited, and how it got there.

use super::super::model::OpenModel;
use super::super::{Failure, Service};
use super::float_model::{self, FloatModel};
use super::history::{Timeline, moved};
use super::runs::Runs;
use crate::onnx::{Document, Facts};
use crate::problem::Problem;
use crate::quant::table::{Edit, Lifted, QuantTable, Row, TableError, lift};
use crate::worker::protocol::{AsWritten, ModelId};
use std::collections::HashMap;

/// A model's table.
pub struct Session {
    /// Which model.
    pub model: ModelId,
    /// The open float model that its weights come from and its errors are measured against.
    pub float_model: Option<ModelId>,
    /// For values of the lifted graph the float model's value of the same meaning.
    pub float_names: HashMap<String, String>,
    /// The float model's name of a constant, by the name that the quantized file stores it under.
    float_constants: HashMap<String, String>,
    /// The lifted graph.
    pub lifted: Document,
    pub facts: Facts,
    /// As the file has it.
    pub original: QuantTable,
    /// As it is edited.
    pub edited: QuantTable,
    pub as_written: Vec<AsWritten>,
    /// Constants for which the float model's values are not used, with the reason.
    pub notes: Vec<String>,
    pub timeline: Timeline,
    /// The workspace's list position of each value's layer, at `revision`.
    pub layers: HashMap<String, usize>,
    /// The value that goes into the last Softmax, else the output.
    pub logits: Option<String>,
    /// What runs; `None` before the first question that needs it.
    pub runs: Option<Runs>,
    /// The edits of the fixes found last, by the finding's number.
    pub fixes: HashMap<u32, Vec<Edit>>,
    revision: u32,
}

/// What went wrong with a table, in words.
pub fn table_problem(file: &str, error: &TableError) -> Problem {
    match error {
        TableError::Document(error) => error.problem(file),
        TableError::EditList(found) => Problem {
            file: file.to_owned(),
            place: "the list".to_owned(),
            found: found.clone(),
            expected: "a list of edits of this very model".to_owned(),
            advice: "Open the model that the list was made for. What is edited now stays.".to_owned(),
        },
        error => Problem {
            file: file.to_owned(),
            place: "the quantization table".to_owned(),
            found: error.to_string(),
            expected: "rows that fit the model's tensors".to_owned(),
            advice: "The model can be inspected and run; its table cannot be edited.".to_owned(),
        },
    }
}

impl Session {
    /// Lifts a model. The float model is the open one that fits best; its weights are the rows' floats.
    pub fn new(service: &Service, model: &OpenModel) -> Result<Session, Failure> {
        let float = float_model::choose(service, model);
        Session::with(service, model, float.as_ref())
    }

    fn with(service: &Service, model: &OpenModel, float: Option<&FloatModel>) -> Result<Session, Failure> {
        let lifted = lift(&model.document, float.map(|float| &float.variant));
        let Lifted { float: lifted, table, as_written, notes } =
            lifted.map_err(|error| table_problem(&model.summary.file, &error))?;
        let opened = float.and_then(|float| service.models.iter().find(|open| open.id == float.id));
        let float_names = match (float, opened) {
            (Some(float), Some(opened)) => float.names(opened, model, &lifted, &table),
            _ => HashMap::new(),
        };
        Ok(Session {
            model: model.id,
            float_model: float.map(|float| float.id),
            float_names,
            float_constants: float.map(|float| float.variant.constant_names.clone()).unwrap_or_default(),
            facts: Facts::of(&lifted),
            logits: logits(&lifted),
            layers: layers(service, model, &lifted, &table),
            lifted,
            edited: table.clone(),
            original: table,
            as_written: as_written
                .into_iter()
                .map(|written| AsWritten { node: written.node, op: written.op, reason: written.reason })
                .collect(),
            notes,
            timeline: Timeline::default(),
            runs: None,
            fixes: HashMap::new(),
            revision: service.revision,
        })
    }

    /// After something was opened or closed: layers have other positions, and another float model may fit better.
    pub fn refresh(&mut self, service: &Service, model: &OpenModel) -> Result<(), Failure> {
        if self.revision == service.revision {
            return Ok(());
        }
        let float = float_model::choose(service, model);
        if float.as_ref().map(|float| float.id) != self.float_model {
            // The same edits over other float weights.
            let mut again = Session::with(service, model, float.as_ref())?;
            if !again.take_edits(self) {
                // A table of other rows: its history would speak of what is gone.
                let edits = self.edit_list(model);
                again.apply_list(&edits, model)?;
            }
            *self = again;
        }
        self.layers = layers(service, model, &self.lifted, &self.original);
        self.revision = service.revision;
        Ok(())
    }

    /// The tensor of a float model behind each row, by [`Row::tensor`]: the constant of the same role, or else the value
    /// of the same name, or else the one of the same meaning.
    pub fn float_tensors(&self, float: &Document) -> HashMap<String, String> {
        let there = |name: &&str| {
            let index = float.index();
            let input = || float.inputs().any(|input| input.name() == *name);
            index.producer(name).is_some() || index.initializer(name).is_some() || input()
        };
        let tensor = |row: &Row| {
            let stored = row.names.quantized.as_str();
            let constant = self.float_constants.get(stored).filter(|_| row.constant.is_some()).map(String::as_str);
            let stripped = stored.strip_suffix("_quantized").filter(|_| row.constant.is_some());
            let known = [
                constant,
                row.source.as_deref(),
                Some(row.tensor.as_str()),
                stripped,
                self.float_names.get(&row.tensor).map(String::as_str),
            ];
            known.into_iter().flatten().find(there).map(str::to_owned)
        };
        self.original.rows.iter().filter_map(|row| Some((row.tensor.clone(), tensor(row)?))).collect()
    }

    /// Takes edits and history of a session of the same model over into one that nothing was edited in; `false` where
    /// its table has no such rows.
    fn take_edits(&mut self, from: &Session) -> bool {
        let rows: Option<Vec<Row>> = from.dirty_rows().into_iter().map(|row| moved(row, &self.original)).collect();
        let (Some(rows), Some(timeline)) = (rows, from.timeline.over(&self.original)) else { return false };
        for row in rows {
            if let Some(slot) = self.edited.row_mut(&row.tensor) {
                *slot = row;
            }
        }
        self.timeline = timeline;
        true
    }

    /// Rows that differ from the file's.
    pub fn dirty_rows(&self) -> Vec<&Row> {
        self.edited.rows.iter().filter(|row| self.is_dirty(row)).collect()
    }

    /// Whether a row differs from the file's.
    pub fn is_dirty(&self, row: &Row) -> bool {
        self.original.row(&row.tensor).is_none_or(|original| differ(row, original))
    }
}

/// Whether two rows of one tensor round it differently.
pub fn differ(a: &Row, b: &Row) -> bool {
    let stored = |row: &Row| row.constant.as_ref().is_some_and(|constant| constant.stored.is_some());
    a.grid != b.grid || a.enabled != b.enabled || a.mode != b.mode || stored(a) != stored(b)
}

/// The value that goes into the Softmax before the first output, else that output.
fn logits(lifted: &Document) -> Option<String> {
    let output = lifted.graph().output.first()?.name().to_owned();
    let mut value = output.clone();
    for _ in 0..lifted.graph().node.len() {
        let Some(node) = lifted.producer_node(&value) else { break };
        let Some(input) = node.input.first().filter(|name| !name.is_empty()) else { break };
        match node.op_type() {
            "Softmax" | "LogSoftmax" => return Some(input.clone()),
            "Identity" | "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Cast" | "Transpose" => {
                value = input.clone()
            }
            _ => break,
        }
    }
    Some(output)
}

/// For each row, and each value that a node of the lifted graph makes, the position of its layer in the workspace's list.
fn layers(service: &Service, model: &OpenModel, lifted: &Document, table: &QuantTable) -> HashMap<String, usize> {
    let Some(at) = service.models.iter().position(|open| open.id == model.id) else { return HashMap::new() };
    let members: Vec<_> = service
        .layout
        .members
        .iter()
        .enumerate()
        .filter_map(|(position, members)| Some((position, members.get(at)?.as_ref()?)))
        .collect();
    let mut found = HashMap::new();
    for row in &table.rows {
        let own = [
            row.source.as_deref().unwrap_or(&row.tensor),
            row.names.quantized.as_str(),
            row.names.dequantized.as_str(),
            row.tensor.as_str(),
        ];
        let known = |name: &str| !name.is_empty() && own.contains(&name);
        let position = match row.constant.is_some() {
            true => members.iter().find(|(_, member)| member.values.iter().flatten().any(|value| known(value))),
            false => members.iter().find(|(_, member)| known(&member.operation.output)).or_else(|| {
                members.iter().find(|(_, member)| member.operation.comparable.as_deref().is_some_and(known))
            }),
        };
        if let Some((position, _)) = position {
            found.insert(row.tensor.clone(), *position);
        }
    }
    for (position, member) in &members {
        let made = lifted.index().producer(&member.operation.output).is_some();
        if made && !found.contains_key(&member.operation.output) {
            found.insert(member.operation.output.clone(), *position);
        }
    }
    found
}
