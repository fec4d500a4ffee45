//! Taking an edited table home.

use super::super::model::OpenModel;
use super::super::{Answered, Failure, Job, Service, internal_problem};
use super::compare::picture;
use super::integer::{LoweredError, LoweredRun};
use super::session::{Session, table_problem};
use crate::export::{Compression, Table, npz};
use crate::onnx::Document;
use crate::problem::Problem;
use crate::quant::quantizer::repetition;
use crate::quant::table::{Lowered, RowNames, TableFormat, lower, lower_named, python_snippet, tensor_quant_overrides};
use crate::tensor::Tensor;
use crate::worker::protocol::{BeforeAfter, EditsFormat, Reply, TensorQuery, TextFormat, Version};
use std::collections::HashMap;

impl Service {
    /// The edited model as an ONNX file: written, read again, run, and compared bit for bit with what the page shows. A
    /// difference is an error, not a file.
    pub(super) fn export_table(&self, session: &mut Session, model: &OpenModel, format: TableFormat) -> Answered {
        let (bytes, _) = self.written(session, model, format)?;
        let reply = Reply::File {
            name: format!("{}-edited.onnx", model.summary.name),
            media_type: "application/octet-stream".to_owned(),
        };
        Ok((reply, Some(bytes)))
    }

    /// .npz of every tensor of that file on the page's input, its inputs first, under the names that the file has.
    pub(super) async fn export_edited_activations(
        &self,
        session: &mut Session,
        model: &OpenModel,
        format: TableFormat,
        job: &impl Job,
    ) -> Answered {
        if !job.checkpoint("Running the edited model", 0, 2).await {
            return Err(Failure::Cancelled);
        }
        let (_, run) = self.written(session, model, format)?;
        if !job.checkpoint("Writing activations", 1, 2).await {
            return Err(Failure::Cancelled);
        }
        let inputs = session.runs.as_ref().map(|runs| runs.inputs.as_slice()).unwrap_or_default();
        let values = run.plan().observed().iter().filter_map(|name| Some((name.clone(), run.plan().value(name)?)));
        let made: Vec<(String, Tensor)> = values.collect();
        let all = inputs.iter().chain(&made).map(|(name, tensor)| (name.as_str(), tensor));
        let file = npz(&all.collect::<Vec<_>>(), Compression::Deflated);
        let file = file.map_err(|error| internal_problem(&error.to_string()))?;
        let reply = Reply::File {
            name: format!("{}-edited-activations.npz", model.summary.name),
            media_type: "application/zip".to_owned(),
        };
        Ok((reply, Some(file.bytes)))
    }

    /// All values of a tensor, of which the page lists a few at a time, in the three versions.
    pub(super) fn export_values(
        &self,
        session: &mut Session,
        model: &OpenModel,
        tensor: &str,
        channel: Option<usize>,
        format: TextFormat,
    ) -> Answered {
        // The page's own picture stays at hand for the next edit.
        let kept = session.runs(self, model)?.shown.take();
        let query = TensorQuery {
            tensor: tensor.to_owned(),
            channel,
            bins: 1,
            range: None,
            first_value: 0,
            values: usize::MAX,
        };
        let shown = picture(session, query, Vec::new());
        if let Some(runs) = session.runs.as_mut() {
            runs.shown = kept;
        }
        let failed = |error: crate::export::TableError| Failure::from(internal_problem(&error.to_string()));
        let table = values_table(&shown?).map_err(failed)?;
        let text = match format {
            TextFormat::Csv => table.to_csv(),
            TextFormat::Json => table.to_json(),
        };
        let stem = format!("values-{}-{tensor}", model.summary.name).replace(['/', ':'], "_");
        let reply =
            Reply::File { name: format!("{stem}.{}", format.extension()), media_type: format.media_type().to_owned() };
        Ok((reply, Some(text.map_err(failed)?.into_bytes())))
    }

    /// The edited model's file and its run, which is the page's, bit for bit.
    fn written(
        &self,
        session: &mut Session,
        model: &OpenModel,
        format: TableFormat,
    ) -> Result<(Vec<u8>, LoweredRun), Failure> {
        session.runs(self, model)?;
        let file = &model.summary.file;
        let written = lower_named(&session.lifted, &session.edited, format);
        let Lowered { document, names } = written.map_err(|error| table_problem(file, &error))?;
        let bytes = document.encode();
        let run = verify(session, &bytes, &names).map_err(|difference| match difference {
            Difference::Failed(error) => error.problem(file),
            Difference::Value(value) => Problem {
                file: file.clone(),
                place: format!("tensor '{value}' of the exported file"),
                found: "another value than the page shows".to_owned(),
                expected: "the same bits after writing, reading and running".to_owned(),
                advice: "Nothing was saved. This is a fault of Quantscope: please report it with the model and the edit list."
                    .to_owned(),
            },
            Difference::NoRun => internal_problem("the model has not been run"),
        })?;
        Ok((bytes, run))
    }

    /// A model as its table is edited, with the list of its edits: what an export in the file's own format would hold.
    pub(in super::super) fn edited_document(
        &self,
        tables: &mut super::Tables,
        model: &OpenModel,
    ) -> Result<(String, Document), Failure> {
        let session = tables.session(self, model)?;
        let written = lower(&session.lifted, &session.edited, session.original.format);
        let written = written.map_err(|error| table_problem(&model.summary.file, &error))?;
        Ok((session.edit_list(model), written))
    }

    /// The edits as our own list, as ONNX Runtime's overrides, or as Python.
    pub(super) fn export_edits(&self, session: &mut Session, model: &OpenModel, format: EditsFormat) -> Answered {
        let name = &model.summary.name;
        let float = session.float_model.and_then(|id| self.models.iter().find(|open| open.id == id));
        let how = || {
            // Without a float model its nodes and tensors are those of the lifted graph.
            let document = float.map_or(&session.lifted, |float| &float.document);
            let tensors = session.float_tensors(document);
            repetition(document, &session.edited, tensors)
                .map_err(|error| Failure::from(error.problem(&model.summary.file)))
        };
        let float_file = float.map_or("float.onnx", |float| float.summary.file.as_str());
        let (text, name, media_type) = match format {
            EditsFormat::Json => (session.edit_list(model), format!("{name}-edits.json"), "application/json"),
            EditsFormat::Overrides => {
                let text = serde_json::to_string_pretty(&tensor_quant_overrides(&session.edited, &how()?));
                let text = text.map_err(|error| Failure::from(super::super::internal_problem(&error.to_string())))?;
                (text, format!("{name}-overrides.json"), "application/json")
            }
            EditsFormat::Python => {
                let text = python_snippet(&session.edited, &how()?, float_file, &format!("{name}-again.onnx"));
                (text, format!("{name}-quantize.py"), "text/x-python")
            }
        };
        Ok((Reply::File { name, media_type: media_type.to_owned() }, Some(text.into_bytes())))
    }
}

/// Why a file is not offered.
enum Difference {
    /// It cannot be read or run.
    Failed(LoweredError),
    /// This value differs.
    Value(String),
    /// There is nothing to compare with.
    NoRun,
}

/// Reads a file, runs it on the page's input, and compares every row and every output.
fn verify(session: &Session, bytes: &[u8], names: &HashMap<String, RowNames>) -> Result<LoweredRun, Difference> {
    let runs = session.runs.as_ref().ok_or(Difference::NoRun)?;
    let document = Document::decode(bytes.to_vec().into());
    let document = document.map_err(|error| Difference::Failed(LoweredError::Document(error)))?;
    let run = LoweredRun::of(&document, names, &session.edited, runs.order.semantics, &runs.inputs);
    let run = run.map_err(Difference::Failed)?;
    let rows = session.edited.rows.iter().filter(|row| row.enabled).map(|row| &row.tensor);
    let outputs = run.plan().outputs();
    for value in rows.chain(outputs) {
        let (Some(shown), Some(found)) = (runs.seen(Version::Edited, value), run.seen(value)) else {
            return Err(Difference::Value(value.clone()));
        };
        let same =
            shown.len() == found.len() && shown.iter().zip(found.iter()).all(|(a, b)| a.to_bits() == b.to_bits());
        if !same {
            return Err(Difference::Value(value.clone()));
        }
    }
    Ok(run)
}

/// Index in memory order, the versions that there are, and what the edit changes.
fn values_table(shown: &BeforeAfter) -> Result<Table, crate::export::TableError> {
    let values = |version: Version| {
        let tensor = shown.tensors.iter().find(|tensor| tensor.version == version);
        tensor.map(|tensor| tensor.values.as_slice()).unwrap_or_default()
    };
    let (float, original, edited) = (values(Version::Float), values(Version::Original), values(Version::Edited));
    let headers = ["index", "float", "original", "edited", "edited_minus_float", "edited_minus_original"];
    let less = |one: Option<&f64>, other: Option<&f64>| Some(one? - other?);
    let row = |place: usize| {
        let (float, original, edited) = (float.get(place), original.get(place), edited.get(place));
        vec![
            place.into(),
            float.copied().into(),
            original.copied().into(),
            edited.copied().into(),
            less(edited, float).into(),
            less(edited, original).into(),
        ]
    };
    let count = float.len().max(original.len()).max(edited.len());
    Table::new(headers.map(str::to_owned).to_vec(), (0..count).map(row).collect())
}
