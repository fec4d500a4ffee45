//! The exported code run by PyTorch itself, where the environment variable `QUANTSCOPE_PYTORCH` names a Python that has it.

use crate::support::{Cifar, document, fixtures, npy_file, npz, reference};
use quantscope::export::pytorch::pytorch;
use quantscope::export::{Compression, npz as write_npz};
use quantscope::onnx::Document;
use quantscope::tensor::Tensor;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Relative to the largest output, or absolute where that is below 1: the bound.
const FLOAT: f64 = 1e-5;
/// Outputs of a quantized model are probabilities. Both compute in float between the same quantizers, but sum in another
/// order: a value on a rounding edge moves by a step, which spreads. onnx's own evaluator is up to 0.19 away from
/// onnxruntime on these images of resnet8 (`reference_evaluator.json`); single ones may be as far here.
const QUANTIZED: f64 = 0.25;
/// How many outputs of a quantized model must be within 1 % all the same.
const QUANTIZED_NEAR: f64 = 0.9;
/// Images that a quantized model must classify as onnxruntime does.
const ALIKE: f64 = 0.98;

/// The Python with PyTorch, or a line that says that there is none.
pub fn python() -> Option<PathBuf> {
    let found = std::env::var_os("QUANTSCOPE_PYTORCH").map(PathBuf::from).filter(|path| path.is_file());
    if found.is_none() {
        eprintln!("skipped: QUANTSCOPE_PYTORCH names no Python with torch");
    }
    found
}

/// A folder of exports, empty at first.
pub fn workplace(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("pytorch-{name}"));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

pub fn export(folder: &Path, name: &str, document: &Document, arrays: &[(String, &Tensor)]) {
    let export = pytorch(document).unwrap_or_else(|error| panic!("{name}: {error}"));
    let case = folder.join(name);
    std::fs::create_dir_all(&case).unwrap();
    std::fs::write(case.join("model.py"), &export.model_py).unwrap();
    if let Some(code) = &export.model_pt2e_py {
        std::fs::write(case.join("model_pt2e.py"), code).unwrap();
    }
    std::fs::write(case.join("model.pt"), &export.state_dict).unwrap();
    std::fs::write(case.join("model.safetensors"), &export.safetensors).unwrap();
    let arrays: Vec<(&str, &Tensor)> = arrays.iter().map(|(name, tensor)| (name.as_str(), *tensor)).collect();
    std::fs::write(case.join("case.npz"), write_npz(&arrays, Compression::Stored).unwrap().bytes).unwrap();
}

/// What PyTorch says of each case.
pub fn reports(python: &Path, folder: &Path) -> BTreeMap<String, Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/export/run_models.py");
    let output = Command::new(python).arg(script).arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_operator_equals_onnxruntime() {
    let Some(python) = python() else { return };
    let folder = workplace("ops");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(fixtures("pytorch")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if path.extension().is_some_and(|extension| extension == "onnx") {
            let arrays = npz(&path.with_extension("npz"));
            let arrays: Vec<(String, &Tensor)> = arrays.iter().map(|(name, tensor)| (name.clone(), tensor)).collect();
            export(&folder, &name, &document(&path), &arrays);
            names.push(name);
        }
    }
    assert!(names.len() > 150, "{}", names.len());
    let reports = reports(&python, &folder);
    let mut failed = Vec::new();
    let (mut worst, mut pt2e) = (0f64, 0);
    for name in &names {
        let report = &reports[name];
        let distance = report["model"].as_f64();
        match distance.filter(|distance| *distance <= FLOAT) {
            Some(distance) => worst = worst.max(distance),
            None => failed.push(format!("{name}: {report}")),
        }
        if !report["model_pt2e"].is_null() {
            pt2e += 1;
        }
        if report["same_weights"] == Value::Bool(false) {
            failed.push(format!("{name}: model.safetensors is not model.pt"));
        }
    }
    println!("{} operators, at most {worst:e} off, {pt2e} with a PT2E form", names.len());
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn whole_networks_equal_onnxruntime() {
    let Some(python) = python() else { return };
    let folder = workplace("networks");
    let inputs = npy_file(&fixtures("models").join("tiny_inputs.npy"));
    let float = ["tiny", "tiny_batchnorm", "tiny_depthwise"];
    let quantized = ["tiny_depthwise_int8", "tiny_depthwise_int8_per_channel", "tiny_int16_opset21"];
    for name in float.iter().chain(&quantized) {
        let expected = npy_file(&fixtures("models/expected").join(format!("{name}_probs.npy")));
        let model = document(&fixtures("models").join(format!("{name}.onnx")));
        export(&folder, name, &model, &[("in_0".to_owned(), &inputs), ("out_0".to_owned(), &expected)]);
    }
    let reports = reports(&python, &folder);
    for name in float {
        println!("{name}: {}", reports[name]);
        assert!(reports[name]["model"].as_f64().unwrap() <= FLOAT, "{name}: {}", reports[name]);
    }
    for name in quantized {
        println!("{name}: {}", reports[name]);
        assert!(reports[name]["model"].as_f64().unwrap() <= QUANTIZED, "{name}: {}", reports[name]);
        assert!(reports[name]["model_pt2e"].as_f64().unwrap() <= QUANTIZED, "{name}: {}", reports[name]);
    }
}

#[test]
fn models_in_unusual_clothes() {
    let Some(python) = python() else { return };
    let folder = workplace("odd");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(fixtures("odd")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "onnx") {
            continue;
        }
        let (name, model) = (path.file_stem().unwrap().to_string_lossy().into_owned(), document(&path));
        let arrays = npz(&path.with_extension("npz"));
        let inputs: Vec<String> = model.inputs().map(|input| format!("in_{}", input.name())).collect();
        let outputs = model.graph().output.iter().map(|output| format!("out_{}", output.name()));
        let outputs: Vec<String> = outputs.collect();
        if pytorch(&model).is_err() || inputs.iter().chain(&outputs).any(|name| !arrays.contains_key(name)) {
            println!("{name}: {}", pytorch(&model).err().map_or("not recorded".to_owned(), |error| error.to_string()));
            continue;
        }
        let order = |word: &str, names: &[String]| {
            let numbered = names.iter().enumerate().map(|(at, name)| (format!("{word}_{at}"), &arrays[name]));
            numbered.collect::<Vec<_>>()
        };
        let arrays: Vec<_> = order("in", &inputs).into_iter().chain(order("out", &outputs)).collect();
        export(&folder, &name, &model, &arrays);
        names.push(name);
    }
    let reports = reports(&python, &folder);
    let failed = names.iter().filter(|name| reports[*name]["model"].as_f64().is_none_or(|distance| distance > FLOAT));
    let failed: Vec<String> = failed.map(|name| format!("{name}: {}", reports[name])).collect();
    println!("{} of the odd models run", names.len());
    assert!(failed.is_empty() && names.len() >= 20, "{} models:\n{}", names.len(), failed.join("\n"));
}

#[test]
fn the_reference_models() {
    let (Some(python), Some(reference)) = (python(), reference()) else { return };
    let folder = workplace("reference");
    let images = Cifar::open(&reference.join("cifar10/test_batch_head.bin")).images(0, 64);
    let float = ["resnet8", "resnet8_bn_folded"];
    let quantized = ["resnet8_int8", "resnet8_uint8", "resnet8_int8_per_channel", "resnet8_uint8_qoperator"];
    for name in float.iter().chain(&quantized) {
        let expected = npy_file(&reference.join(format!("expected/probs64/{name}__unoptimized.npy")));
        let model = document(&reference.join("models").join(format!("{name}.onnx")));
        export(&folder, name, &model, &[("in_0".to_owned(), &images), ("out_0".to_owned(), &expected)]);
    }
    let reports = reports(&python, &folder);
    for (name, report) in &reports {
        println!("{name}: {report}");
    }
    for name in float {
        assert!(reports[name]["model"].as_f64().unwrap() <= FLOAT, "{name}: {}", reports[name]);
        assert_eq!(reports[name]["alike_model"], 1.0);
    }
    for name in quantized {
        let report = &reports[name];
        assert!(report["model"].as_f64().unwrap() <= QUANTIZED, "{name}: {report}");
        assert!(report["near_model"].as_f64().unwrap() >= QUANTIZED_NEAR, "{name}: {report}");
        assert!(report["near_model_pt2e"].as_f64().unwrap() >= QUANTIZED_NEAR, "{name}: {report}");
        assert!(report["alike_model"].as_f64().unwrap() >= ALIKE, "{name}: {report}");
        assert!(report["alike_model_pt2e"].as_f64().unwrap() >= ALIKE, "{name}: {report}");
    }
}
