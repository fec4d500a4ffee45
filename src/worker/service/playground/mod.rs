//! Table sessions: edits of a model's quantization table, and what they do.
//!
//! A session holds a model's lifted float graph with the table as the file has it and as it is edited, and three live
//! plans over the same input: float (every row off), original, edited. Measurements over many images borrow the plans
//! and give them back as they were.

mod compare;
mod edits;
mod export;
mod findings;
mod float_model;
mod history;
mod integer;
mod layer_errors;
mod ledger;
mod measure;
mod reaches;
mod residuals;
mod runs;
mod sensitivity;
mod session;
mod states;

use super::model::OpenModel;
use super::{Answered, Failure, Job, Service};
use crate::worker::protocol::{Measured, PlaygroundAsk, PlaygroundReply, PlaygroundRequest, Reply};
use session::Session;

/// The sessions of all models whose table was asked for.
#[derive(Default)]
pub struct Tables(Vec<Session>);

impl Tables {
    /// Forgets models that are closed.
    pub fn keep(&mut self, open: &[OpenModel]) {
        self.0.retain(|session| open.iter().any(|model| model.id == session.model));
    }

    /// The session of a model, lifted where it is not there yet, and brought up to date where models were opened or
    /// closed since.
    fn session(&mut self, service: &Service, model: &OpenModel) -> Result<&mut Session, Failure> {
        let position = match self.0.iter().position(|session| session.model == model.id) {
            Some(position) => position,
            None => {
                self.0.push(Session::new(service, model)?);
                self.0.len() - 1
            }
        };
        // The position was found or made above.
        let session = &mut self.0[position];
        session.refresh(service, model)?;
        Ok(session)
    }
}

impl Service {
    /// Answers a question about a model's table.
    pub(super) async fn playground(&mut self, request: PlaygroundRequest, job: &impl Job) -> Answered {
        let mut tables = std::mem::take(&mut self.tables);
        let answered = self.ask_table(&mut tables, request, job).await;
        self.tables = tables;
        answered
    }

    async fn ask_table(&self, tables: &mut Tables, request: PlaygroundRequest, job: &impl Job) -> Answered {
        let model = self.model(request.model)?;
        let session = tables.session(self, model)?;
        let reply = match request.ask {
            PlaygroundAsk::Table => {
                // Dims are those of the input; a model that cannot run has a table all the same.
                let _ = session.runs(self, model);
                PlaygroundReply::Table(session.state(self))
            }
            PlaygroundAsk::Edit { edit, gesture, show } => {
                PlaygroundReply::Edited(self.edit(session, model, edit, gesture, show, job)?)
            }
            PlaygroundAsk::Undo(show) => PlaygroundReply::Edited(self.undo(session, model, show, job)?),
            PlaygroundAsk::Redo(show) => PlaygroundReply::Edited(self.redo(session, model, show, job)?),
            PlaygroundAsk::Reset(show) => PlaygroundReply::Edited(self.reset(session, model, show, job)?),
            PlaygroundAsk::ApplyEdits { json } => {
                PlaygroundReply::Edited(self.apply_edits(session, model, &json, job)?)
            }
            PlaygroundAsk::BeforeAfter(query) => {
                PlaygroundReply::BeforeAfter(self.before_after(session, model, query)?)
            }
            PlaygroundAsk::LayerErrors(images) => {
                let (images, count, rows) = self.layer_errors(session, model, images, job).await?;
                PlaygroundReply::LayerErrors(Measured { images, count, rows })
            }
            PlaygroundAsk::Ledger(images) => {
                let (images, count, rows) = self.ledger(session, model, images, job).await?;
                PlaygroundReply::Ledger(Measured { images, count, rows })
            }
            PlaygroundAsk::Sensitivity(images) => {
                PlaygroundReply::Sensitivity(self.sensitivity(session, model, images, job).await?)
            }
            PlaygroundAsk::Residuals(images) => {
                let (images, count, rows) = self.residuals(session, model, images, job).await?;
                PlaygroundReply::Residuals(Measured { images, count, rows })
            }
            PlaygroundAsk::Findings(images) => {
                let (images, count, rows) = self.findings(session, model, images, job).await?;
                PlaygroundReply::Findings(Measured { images, count, rows })
            }
            PlaygroundAsk::ApplyFix { finding, images } => {
                PlaygroundReply::Fixed(self.apply_fix(session, model, finding, images, job).await?)
            }
            PlaygroundAsk::ExportOnnx(format) => return self.export_table(session, model, format),
            PlaygroundAsk::ExportActivations(format) => {
                return self.export_edited_activations(session, model, format, job).await;
            }
            PlaygroundAsk::ExportValues { tensor, channel, format } => {
                return self.export_values(session, model, &tensor, channel, format);
            }
            PlaygroundAsk::ExportEdits(format) => return self.export_edits(session, model, format),
        };
        Ok((Reply::Playground(Box::new(reply)), None))
    }
}
