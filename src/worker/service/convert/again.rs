//! Converting a file again with other options.

use super::super::model::OpenModel;
use super::super::{Answered, Job, Service};
use crate::import::{ConvertOptions, Kind, Limits, Original, convert};
use crate::problem::Problem;
use crate::worker::protocol::ModelId;

impl Service {
    /// Converts a model's file with these options and puts the result in the model's place, under a number of its own.
    /// The model stays where that fails.
    pub(super) async fn convert_again(&mut self, id: ModelId, options: ConvertOptions, job: &impl Job) -> Answered {
        let model = self.model(id)?;
        let (file, name) = (model.summary.file.clone(), model.summary.name.clone());
        Self::step(job, &format!("Converting {file}"), 0, 1).await?;
        let (kind, bytes) = match &model.original {
            Some(original) => (original.kind, original.bytes.clone()),
            None if model.is_incomplete() || model.document.source_bytes().is_none() => {
                return Err(Problem {
                    file,
                    place: "the model".to_owned(),
                    found: "data in other files".to_owned(),
                    expected: "a model in one file".to_owned(),
                    advice: "Save it with its data inside: onnx.save(onnx.load(...), ...).".to_owned(),
                }
                .into());
            }
            None => (Kind::Onnx, model.source.clone()),
        };
        let conversion = convert(kind, &bytes, &file, &options, &Limits::default());
        let converted = conversion.map_err(|error| error.into_problem(&file))?.converted;
        let (source, layer_of) = (converted.document.encode().into(), converted.layer_of);
        let fresh = self.fresh_id();
        let again = OpenModel::open(fresh, name, &file, source, &|_| None).map_err(|error| error.problem(&file))?;
        let original = Some(Original { kind, bytes, options, layer_of });
        if let Some(place) = self.models.iter_mut().find(|model| model.id == id) {
            *place = OpenModel { original, ..again };
        }
        Ok(self.changed(Vec::new()))
    }
}
