//! `run`: a model on an array.

use super::job::TerminalJob;
use super::{Ended, Outcome, files, print, print_json};
use crate::engine::{Observe, Plan, PlanOptions, Semantics};
use crate::export::{Compression, npz};
use crate::import::{Limits, NamedArray, Opened, SourceFile, open};
use crate::problem::Problem;
use crate::tensor::Tensor;
use crate::worker::service::{Service, fit};
use std::path::PathBuf;

/// Arguments of `run`.
#[derive(clap::Args)]
pub struct Run {
    /// The model.
    model: PathBuf,
    /// A .npy for the first input, or an .npz whose keys are the inputs' names.
    #[arg(long)]
    input: PathBuf,
    /// The .npz to write: outputs under their ONNX names.
    #[arg(long)]
    out: PathBuf,
    /// Write every tensor, not only the outputs.
    #[arg(long)]
    all: bool,
    /// How quantized operators are computed.
    #[arg(long, value_enum, default_value = "simulate")]
    semantics: SemanticsArgument,
}

/// The two semantics.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum SemanticsArgument {
    /// Float arithmetic between DequantizeLinear and QuantizeLinear: ONNX Runtime with graph optimizations off.
    Simulate,
    /// Integer arithmetic: ONNX Runtime's QOperator kernels, and an int8 device.
    Integer,
}

impl From<SemanticsArgument> for Semantics {
    fn from(argument: SemanticsArgument) -> Self {
        match argument {
            SemanticsArgument::Simulate => Semantics::Simulate,
            SemanticsArgument::Integer => Semantics::Integer,
        }
    }
}

impl Run {
    /// Runs the model and writes the .npz.
    pub fn run(self, json: bool) -> Outcome {
        let job = TerminalJob::silent();
        let mut service = Service::default();
        let workspace = files::open(&mut service, std::slice::from_ref(&self.model), &job)?;
        let file = self.model.display().to_string();
        let models = files::models(&workspace, std::slice::from_ref(&self.model))?;
        let document = models.first().and_then(|model| service.document(model.id));
        let document = document.ok_or_else(|| vec![files::internal("an opened model is not there")])?;
        if let Some(issue) = document.issues().first() {
            return Err(vec![issue.problem(&file)]);
        }
        let observe = if self.all { Observe::All } else { Observe::OutputsOnly };
        let mut plan = Plan::compile(document, self.semantics.into(), &PlanOptions { observe })
            .map_err(|error| vec![error.problem(&file)])?;
        let arrays = self.arrays()?;
        let mut inputs = Vec::new();
        for (position, fact) in plan.inputs().iter().enumerate() {
            let named = arrays.iter().find(|array| array.name == fact.name);
            let given = named.or(if position == 0 && arrays.len() == 1 { arrays.first() } else { None });
            let wrong = |found: String| {
                let dims = fact.shape.iter().map(|dim| dim.map_or("?".to_owned(), |dim| dim.to_string()));
                vec![Problem {
                    file: self.input.display().to_string(),
                    place: format!("input '{}'", fact.name),
                    found,
                    expected: format!("{} [{}]", fact.dtype, dims.collect::<Vec<_>>().join(", ")),
                    advice: "Save the array with the model's own shape and type, several under the inputs' names."
                        .to_owned(),
                }]
            };
            let given = given.ok_or_else(|| wrong("no array".to_owned()))?;
            inputs.push((fact.name.clone(), fit(given.tensor.clone(), fact).map_err(wrong)?));
        }
        plan.run(&inputs).map_err(|error| vec![error.problem(&file)])?;
        let names = if self.all { plan.observed() } else { plan.outputs() };
        let values: Vec<(&str, Tensor)> =
            names.iter().filter_map(|name| Some((name.as_str(), plan.value(name)?))).collect();
        let mut arrays: Vec<(&str, &Tensor)> = Vec::new();
        if self.all {
            arrays.extend(inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)));
        }
        arrays.extend(values.iter().map(|(name, tensor)| (*name, tensor)));
        let written = npz(&arrays, Compression::Deflated).map_err(|error| vec![files::internal(&error.to_string())])?;
        files::write(&self.out, &written.bytes).map_err(|problem| vec![problem])?;
        if json {
            let listed = arrays.iter().map(|(name, tensor)| {
                serde_json::json!({ "name": name, "dtype": tensor.dtype().to_string(), "shape": tensor.shape() })
            });
            print_json(&serde_json::json!({
                "out": self.out.display().to_string(),
                "arrays": listed.collect::<Vec<_>>(),
            }))?;
        } else {
            print(&format!("{} arrays in {}", arrays.len(), self.out.display()));
        }
        Ok(Ended::Well)
    }

    fn arrays(&self) -> Result<Vec<NamedArray>, Vec<Problem>> {
        let bytes = files::read(&self.input).map_err(|problem| vec![problem])?;
        let name = self.input.display().to_string();
        let refused = |found: &str| {
            vec![Problem {
                file: name.clone(),
                place: "the file".to_owned(),
                found: found.to_owned(),
                expected: "a .npy or .npz array".to_owned(),
                advice: "Write it with numpy.save or numpy.savez.".to_owned(),
            }]
        };
        let bytes = bytes::Bytes::from(bytes);
        if bytes.starts_with(b"\x93NUMPY") {
            let tensor = crate::import::read_npy(&bytes).map_err(|error| vec![error.into_problem(&name)])?;
            return Ok(vec![NamedArray { name: "x".to_owned(), tensor }]);
        }
        // Arrays as they are: what looks like images would be taken for a data set.
        if bytes.starts_with(b"PK")
            && let Ok(arrays) = crate::import::read_npz(&bytes, &Limits::default())
            && !arrays.is_empty()
        {
            return Ok(arrays);
        }
        let (opened, problems) = open(vec![SourceFile { path: name.clone(), bytes }], &Limits::default());
        if !problems.is_empty() {
            return Err(problems);
        }
        let arrays: Vec<NamedArray> = opened
            .into_iter()
            .flat_map(|opened| if let Opened::Arrays { arrays, .. } = opened { arrays } else { Vec::new() })
            .collect();
        if arrays.is_empty() { Err(refused("no array")) } else { Ok(arrays) }
    }
}
