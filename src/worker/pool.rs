//! Several workers, each with the same files open and an engine of its own.

use super::client::{Client, ClientError};
use super::protocol::{ConvertRequest, ModelSummary, Notice, Reply, Request, SourceKind, SourceSummary, Workspace};
use crate::import::ConvertOptions;
use crate::platform::PickedFile;
use std::rc::Rc;

/// A worker of the pool and what is open in it, under numbers of its own.
pub struct Member {
    /// Asks it.
    pub client: Rc<Client>,
    workspace: Workspace,
}

impl Member {
    /// Starts a worker and opens the files, batch by batch as they were opened in the first one.
    /// `conversions` are the models that were converted again since: file, SHA-256 before, options. `notice` hears what the
    /// worker says unasked of the requests that it is given afterwards.
    pub async fn start(
        batches: &[Vec<PickedFile>],
        conversions: &[(String, String, ConvertOptions)],
        notice: impl Fn(Notice) + Clone + 'static,
    ) -> Result<Self, ClientError> {
        let client = Client::start(move |_, said| notice(said), |_| {})?;
        let mut workspace = Workspace::default();
        for batch in batches {
            let paths = batch.iter().map(|picked| picked.path.clone()).collect();
            let (_, answer) = client.ask(Request::Open { paths }, batch);
            if let Reply::Workspace(opened) = answer.await?.reply {
                workspace = opened;
            }
        }
        for (file, sha256, options) in conversions {
            let same = |model: &&ModelSummary| model.file == *file && model.sha256 == *sha256;
            let Some(model) = workspace.models.iter().find(same).map(|model| model.id) else { continue };
            let order = Request::Convert(ConvertRequest::Again { model, options: options.clone() });
            let (_, answer) = client.ask(order, &[]);
            if let Reply::Workspace(converted) = answer.await?.reply {
                workspace = converted;
            }
        }
        Ok(Member { client, workspace })
    }

    /// The number here of a model that is open in the first worker.
    pub fn model(&self, of: &ModelSummary) -> Option<u32> {
        // Files of the same bytes are the same model.
        let same = |model: &&ModelSummary| model.sha256 == of.sha256;
        self.workspace.models.iter().find(same).map(|model| model.id)
    }

    /// The number here of a data set that is open in the first worker.
    pub fn source(&self, of: &SourceSummary) -> Option<u32> {
        // What counts as an item of an array depends on the open models.
        let counted = |source: &SourceSummary| source.kind == SourceKind::Array || source.count == of.count;
        let same = |source: &&SourceSummary| {
            source.name == of.name && source.kind == of.kind && source.shape == of.shape && counted(source)
        };
        self.workspace.sources.iter().find(same).map(|source| source.id)
    }
}
