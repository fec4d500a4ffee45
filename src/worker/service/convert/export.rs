//! A model in another form.

use super::super::{Answered, Job, Service, internal_problem};
use crate::export::pytorch::{pytorch, pytorch_zip};
use crate::export::{Compression, c_header, weights_npz};
use crate::problem::Problem;
use crate::worker::protocol::{ExportForm, ModelId, Reply};

/// Extensions of model files, which the name of an export goes without.
const EXTENSIONS: [&str; 9] = [".onnx", ".h5", ".hdf5", ".keras", ".pt", ".pth", ".safetensors", ".tflite", ".weights"];

impl Service {
    /// Writes a model as a file. Names: `<model>.onnx`, `<model>_pytorch.zip`, `<model>.h`, `<model>_weights.npz`.
    pub(super) async fn export_form(&self, id: ModelId, form: ExportForm, job: &impl Job) -> Answered {
        let model = self.model(id)?;
        Self::step(job, &format!("Exporting {}", model.summary.name), 0, 1).await?;
        let document = &model.document;
        let stem = stem(&model.summary.name);
        let failed = |found: String, advice: &str| Problem {
            file: model.summary.file.clone(),
            place: "the export".to_owned(),
            found,
            expected: "a model that has this form".to_owned(),
            advice: advice.to_owned(),
        };
        let (name, media_type, bytes) = match form {
            ExportForm::Onnx => (format!("{stem}.onnx"), "application/octet-stream", document.encode()),
            ExportForm::Pytorch => {
                let export = pytorch(document).map_err(|error| failed(error.to_string(), "Download it as ONNX."))?;
                let bytes = pytorch_zip(&export).map_err(|error| internal_problem(&error.to_string()))?;
                (format!("{stem}_pytorch.zip"), "application/zip", bytes)
            }
            ExportForm::CHeader => {
                let advice = "Open the model together with its data files.";
                let header = c_header(document, stem).map_err(|error| failed(error.to_string(), advice))?;
                (format!("{stem}.h"), "text/x-c", header.text.into_bytes())
            }
            ExportForm::Weights => {
                let advice = "Open the model together with its data files.";
                let file = weights_npz(document, Compression::Stored);
                let file = file.map_err(|error| failed(error.to_string(), advice))?;
                (format!("{stem}_weights.npz"), "application/zip", file.bytes)
            }
        };
        Ok((Reply::File { name, media_type: media_type.to_owned() }, Some(bytes)))
    }
}

/// The model's name without the extension of its file.
fn stem(name: &str) -> &str {
    let lower = name.to_ascii_lowercase();
    let found = EXTENSIONS.iter().find(|extension| lower.ends_with(**extension) && lower.len() > extension.len());
    found.and_then(|extension| name.get(..name.len() - extension.len())).unwrap_or(name)
}
