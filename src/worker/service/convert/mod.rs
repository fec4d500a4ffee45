//! Conversion: what models were made of, other options, other forms, and proofs of equality.

mod again;
mod card;
mod export;
mod outputs;
mod parity;
mod rows;
mod weights;

use super::{Answered, Attachment, Failure, Job, Service};
use crate::worker::protocol::{ConvertReply, ConvertRequest, Reply};

impl Service {
    /// Answers a request about conversion.
    pub(super) async fn convert(
        &mut self,
        request: ConvertRequest,
        attachments: Vec<Attachment>,
        job: &impl Job,
    ) -> Answered {
        let reply = match request {
            ConvertRequest::Card(model) => ConvertReply::Card(self.conversion_card(model)?),
            ConvertRequest::Again { model, options } => return self.convert_again(model, options, job).await,
            ConvertRequest::Export { model, form } => return self.export_form(model, form, job).await,
            ConvertRequest::CheckOutputs { model, recording } => {
                ConvertReply::Outputs(self.check_outputs(model, recording, attachments, job).await?)
            }
            ConvertRequest::CheckWeights(model) => ConvertReply::Weights(self.check_weights(model, job).await?),
            ConvertRequest::Parity(models) => ConvertReply::Parity(self.parity(&models, job).await?),
        };
        Ok((Reply::Converted(Box::new(reply)), None))
    }

    /// Lets events in and ends where the request was cancelled.
    async fn step(job: &impl Job, what: &str, done: usize, total: usize) -> Result<(), Failure> {
        if job.checkpoint(what, done, total).await { Ok(()) } else { Err(Failure::Cancelled) }
    }
}
