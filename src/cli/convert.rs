//! `convert`: a model of another framework to ONNX, or any model to PyTorch code.

use super::{Ended, Outcome, files, print, print_json};
use crate::export::pytorch::pytorch;
use crate::import::{KerasOptions, Kind, Limits, Opened, SourceFile, convert_keras, detect, open};
use crate::onnx::Document;
use crate::problem::Problem;
use bytes::Bytes;
use std::path::PathBuf;

/// Arguments of `convert`.
#[derive(clap::Args)]
pub struct Convert {
    /// A .h5, .keras, .pt, .safetensors, .tflite or .onnx file.
    input: PathBuf,
    /// The .onnx file to write; with `--to pytorch` the folder for model.py and its weights.
    #[arg(long)]
    out: PathBuf,
    /// The operator set, for Keras files.
    #[arg(long)]
    opset: Option<i64>,
    /// Fold batch normalization into convolutions and dense layers, for Keras files.
    #[arg(long)]
    fold_batch_norm: bool,
    /// What to write.
    #[arg(long, value_enum, default_value = "onnx")]
    to: Target,
}

/// Forms that can be written.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Target {
    Onnx,
    Pytorch,
}

impl Convert {
    /// Converts and writes.
    pub fn run(self, json: bool) -> Outcome {
        let bytes = Bytes::from(files::read(&self.input).map_err(|problem| vec![problem])?);
        let name = self.input.display().to_string();
        let (document, mut notes) = self.document(&name, bytes)?;
        let mut written = Vec::new();
        match self.to {
            Target::Onnx => {
                files::write(&self.out, &document.encode()).map_err(|problem| vec![problem])?;
                written.push(self.out.display().to_string());
            }
            Target::Pytorch => {
                let export = pytorch(&document).map_err(|error| {
                    vec![Problem {
                        file: name.clone(),
                        place: "the graph".to_owned(),
                        found: error.to_string(),
                        expected: "operators that have a PyTorch form".to_owned(),
                        advice: "Convert it to ONNX instead.".to_owned(),
                    }]
                })?;
                std::fs::create_dir_all(&self.out).map_err(|error| vec![files::internal(&error.to_string())])?;
                let mut parts: Vec<(&str, &[u8])> = vec![
                    ("model.py", export.model_py.as_bytes()),
                    ("model.safetensors", &export.safetensors),
                    ("model.pt", &export.state_dict),
                ];
                parts.extend(export.model_pt2e_py.as_ref().map(|code| ("model_pt2e.py", code.as_bytes())));
                for (part, content) in parts {
                    let path = self.out.join(part);
                    files::write(&path, content).map_err(|problem| vec![problem])?;
                    written.push(path.display().to_string());
                }
                notes.extend(export.notes);
            }
        }
        if json {
            print_json(&serde_json::json!({ "written": written, "notes": notes }))?;
        } else {
            notes.iter().chain(&written).for_each(|line| print(line));
        }
        Ok(Ended::Well)
    }

    fn document(&self, name: &str, bytes: Bytes) -> Result<(Document, Vec<String>), Vec<Problem>> {
        if matches!(detect(name, &bytes, bytes.len() as u64), Kind::Hdf5 | Kind::KerasZip) {
            let usual = KerasOptions::default();
            let options =
                KerasOptions { opset: self.opset.unwrap_or(usual.opset), fold_batch_norm: self.fold_batch_norm };
            let converted = convert_keras(&bytes, name, &options).map_err(|error| vec![error.into_problem(name)])?;
            return Ok((converted.document, converted.notes));
        }
        let (opened, problems) = open(vec![SourceFile { path: name.to_owned(), bytes }], &Limits::default());
        let model = opened.into_iter().find_map(|opened| match opened {
            Opened::Model { bytes, .. } => Some(bytes),
            _ => None,
        });
        let nothing = || Problem {
            file: name.to_owned(),
            place: "the file".to_owned(),
            found: "no model".to_owned(),
            expected: "a .h5, .keras, .pt, .safetensors, .tflite or .onnx file".to_owned(),
            advice: "Give the model's own file.".to_owned(),
        };
        let Some(bytes) = model else {
            return Err(if problems.is_empty() { vec![nothing()] } else { problems });
        };
        let document = Document::decode(bytes).map_err(|error| vec![error.problem(name)])?;
        let notes = document.proto().metadata_props.iter().filter(|entry| entry.key() == "note");
        let notes = notes.map(|entry| entry.value().to_owned()).collect();
        Ok((document, notes))
    }
}
