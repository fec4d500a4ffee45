//! `convert`: a model of another framework to ONNX, or any model to PyTorch code.

use super::{Ended, Outcome, files, print, print_json};
use crate::export::pytorch::pytorch;
use crate::import::{ConvertOptions, InputShape, Limits, convert, detect};
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
    /// The operator set, 13 or newer; an ONNX file keeps its own.
    #[arg(long)]
    opset: Option<i64>,
    /// Fold batch normalization into the layers before it.
    #[arg(long)]
    fold_batch_norm: bool,
    /// The shape of the first input of a PyTorch file, N for an open dim: N,3,224,224. A scripted file does not tell it.
    #[arg(long)]
    input_shape: Option<InputShape>,
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
            Target::Onnx if document.is_weights_only() => {
                let why = notes.join(" ");
                return Err(vec![Problem {
                    file: name,
                    place: "the file".to_owned(),
                    found: if why.is_empty() { "weights without a network".to_owned() } else { why },
                    expected: "a network".to_owned(),
                    advice: "Save the network with its weights; --to pytorch and extract take weights alone."
                        .to_owned(),
                }]);
            }
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
        let kind = detect(name, &bytes, bytes.len() as u64);
        let options = ConvertOptions {
            opset: self.opset,
            fold_batch_norm: self.fold_batch_norm,
            input_shape: self.input_shape.clone(),
        };
        let conversion = convert(kind, &bytes, name, &options, &Limits::default());
        let converted = conversion.map_err(|error| vec![error.into_problem(name)])?.converted;
        let unsupported = converted.unsupported.into_iter().map(|what| format!("warning: not converted: {what}"));
        Ok((converted.document, converted.notes.into_iter().chain(unsupported).collect()))
    }
}
