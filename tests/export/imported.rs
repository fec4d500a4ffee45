//! What PyTorch and TensorFlow Lite files become, once more as PyTorch code, against what their frameworks recorded.

use crate::pytorch_run::{export, python, reports, workplace};
use crate::support::{fixtures, npz};
use bytes::Bytes;
use quantscope::import::{ConvertOptions, Limits, convert, detect};
use quantscope::onnx::declared_fact;
use quantscope::tensor::{DType, Tensor};
use std::collections::BTreeMap;

/// Relative to the largest output, or absolute where that is below 1: the bound.
const FLOAT: f64 = 1e-5;
/// Outputs of quantized models lie on a grid: values on a rounding edge move by steps of it.
const QUANTIZED: f64 = 0.1;
/// How many of them must be within 1 % all the same.
const QUANTIZED_NEAR: f64 = 0.8;

/// Files of which nothing is run: weights alone, an operator that is not known, scales that each run finds anew (which
/// have no form in PyTorch here), one item at a time where several are recorded.
const NO_NETWORK: [&str; 5] = ["custom_class", "unknown", "quant_state_dict", "dynamic_script", "residual_fixed"];
/// Words in the names of quantized models.
const ROUNDED: [&str; 4] = ["quant_", "int8", "int16", "dynamic"];

#[test]
fn imported_models_equal_their_frameworks_in_pytorch() {
    let Some(python) = python() else { return };
    let folder = workplace("imported");
    let mut names = Vec::new();
    for kind in ["torch", "tflite"] {
        for entry in std::fs::read_dir(fixtures(kind)).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
            let model = path.extension().is_some_and(|extension| extension == "pt" || extension == "tflite");
            if !model || !path.with_extension("npz").is_file() || NO_NETWORK.contains(&stem.as_str()) {
                continue;
            }
            let content = Bytes::from(std::fs::read(&path).unwrap());
            let found = detect(&stem, &content, content.len() as u64);
            let conversion = convert(found, &content, &stem, &ConvertOptions::default(), &Limits::default());
            let converted = conversion.unwrap_or_else(|error| panic!("{stem}: {error}")).converted;
            if converted.document.is_weights_only() {
                continue;
            }
            let recorded: BTreeMap<String, Tensor> = npz(&path.with_extension("npz"));
            // Of a quantized output both is recorded, its codes (y0_q) and what they stand for (y0).
            let codes = converted.document.graph().output.iter().map(|port| declared_fact(port).dtype);
            let codes: Vec<bool> = codes.map(|dtype| dtype.is_some_and(DType::is_int)).collect();
            let meant = |key: &str| {
                let (number, is_codes) = (key.trim_start_matches('y').trim_end_matches("_q"), key.ends_with("_q"));
                let coded = number.parse().ok().and_then(|at: usize| codes.get(at).copied()).unwrap_or(false);
                !key.starts_with('y') || is_codes == (coded && recorded.contains_key(&format!("y{number}_q")))
            };
            let numbered = |word: char, name: &'static str| {
                let listed = recorded.iter().filter(move |(key, _)| key.starts_with(word) && meant(key));
                listed.enumerate().map(move |(at, (_, tensor))| (format!("{name}_{at}"), tensor))
            };
            let arrays: Vec<(String, &Tensor)> = numbered('x', "in").chain(numbered('y', "out")).collect();
            let name = format!("{kind}_{stem}");
            export(&folder, &name, &converted.document, &arrays);
            names.push(name);
        }
    }
    let reports = reports(&python, &folder);
    let (mut failed, mut worst) = (Vec::new(), 0f64);
    for name in &names {
        let report = &reports[name];
        let rounded = ROUNDED.iter().any(|word| name.contains(word));
        let distance = report["model"].as_f64().unwrap_or(f64::INFINITY);
        let near = report["near_model"].as_f64().unwrap_or(0.0);
        let fine = match rounded {
            true => distance <= QUANTIZED && near >= QUANTIZED_NEAR,
            false => distance <= FLOAT,
        };
        match fine {
            true if rounded => println!("{name}: {report}"),
            true => worst = worst.max(distance),
            false => failed.push(format!("{name}: {report}")),
        }
    }
    println!("{} models, those of floats at most {worst:e} off", names.len());
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), names.len(), failed.join("\n"));
    assert!(names.len() > 40, "{}", names.len());
}
