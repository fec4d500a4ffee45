//! Table sessions: edits of a model's quantization table, and what they do.

use super::{Answered, Failure, Job, Service, internal_problem};
use crate::worker::protocol::PlaygroundRequest;

impl Service {
    /// Answers a question about a model's table.
    pub(super) async fn playground(&mut self, request: PlaygroundRequest, _job: &impl Job) -> Answered {
        Err(Failure::from(internal_problem(&format!("model {} has no table yet", request.model))))
    }
}
