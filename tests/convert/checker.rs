//! What conversions become, before onnx.checker and ONNX Runtime themselves.

use crate::support::{file, fixtures};
use quantscope::import::{ConvertOptions, Kind, Limits, Opened, SourceFile, convert, detect, open};
use quantscope::onnx::NEWEST_OPSET;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Weights without a network, and an operation that is shown and not converted: nothing that runs.
const NO_NETWORK: [&str; 6] = [
    "net_state.pt",
    "custom_class.pt",
    "tensors.safetensors",
    "unknown.pt",
    "legacy_protocol_4.pt",
    "name_of_21_characters.pt",
];

/// A script that needs the shape of its input, and that shape.
const SHAPED: (&str, &str) = ("head_script.pt", "N,3,16,21");

/// A Python with onnx and onnxruntime, or `None` with a line that says so.
pub fn python() -> Option<PathBuf> {
    let found = std::env::var_os("QUANTSCOPE_PYTHON").map(PathBuf::from);
    if found.is_none() {
        eprintln!("skipped: QUANTSCOPE_PYTHON names no Python with onnx and onnxruntime");
    }
    found
}

/// Runs a script of tools/fixtures on a folder, which must please it.
pub fn check(python: &Path, script: &str, folder: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/fixtures").join(script);
    let ended = Command::new(python).arg(script).arg(folder).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    println!("{said}");
    assert!(ended.status.success(), "{said}{}", String::from_utf8_lossy(&ended.stderr));
}

/// An empty folder for a test's files.
pub fn workplace(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn the_checker_and_onnxruntime_take_what_every_file_becomes() {
    let Some(python) = python() else { return };
    let folder = workplace("checked");
    let mut written = 0;
    for kind in ["torch", "tflite", "convert"] {
        for entry in std::fs::read_dir(fixtures(kind)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            // The shaped one is converted below.
            if NO_NETWORK.contains(&name.as_str()) || name == SHAPED.0 {
                continue;
            }
            let (opened, _) = open(vec![SourceFile::new(&name, file(&path))], &Limits::default());
            for model in opened {
                let Opened::Model { bytes, .. } = model else { continue };
                std::fs::write(folder.join(format!("{kind}_{name}.onnx")), bytes).unwrap();
                written += 1;
            }
        }
    }
    assert!(written > 40, "{written}");
    check(&python, "check_models.py", &folder);
}

/// Answers of the frameworks beside the fixtures that are float models: onnxruntime must give them at every operator set.
fn answers(path: &Path, opset: i64) -> Option<Vec<u8>> {
    let quantized = ["quant_", "int8", "int16", "dynamic", "i8"];
    let name = path.file_name()?.to_string_lossy().into_owned();
    // onnxruntime counts what ceil_mode lets an average reach behind the input, up to this operator set.
    if name.starts_with("ceil_pools") && opset < 19 {
        return None;
    }
    if quantized.iter().any(|word| name.contains(word)) {
        return None;
    }
    std::fs::read(path.with_extension("npz")).ok()
}

/// Operator sets at which operators changed their form: axes as attributes, as inputs, the last that onnxruntime runs, and
/// the newest, which may be the checker's alone.
#[test]
fn every_operator_set_pleases_the_checker_and_onnxruntime() {
    let Some(python) = python() else { return };
    let folder = workplace("operator-sets");
    let (mut written, mut compared) = (0, 0);
    for kind in ["torch", "tflite"] {
        for entry in std::fs::read_dir(fixtures(kind)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let content = file(&path);
            let found = detect(&name, &content, content.len() as u64);
            if !matches!(found, Kind::TorchZip | Kind::Tflite) || NO_NETWORK.contains(&name.as_str()) {
                continue;
            }
            for opset in [13, 18, 23, NEWEST_OPSET] {
                let input_shape = (name == SHAPED.0).then(|| SHAPED.1.parse().unwrap());
                let options = ConvertOptions { opset: Some(opset), fold_batch_norm: false, input_shape };
                // Files that are refused are those of other tests.
                let Ok(conversion) = convert(found, &content, &name, &options, &Limits::default()) else { continue };
                let document = &conversion.converted.document;
                if document.is_weights_only() {
                    continue;
                }
                let stem = format!("{kind}_{}_{opset}", path.file_stem().unwrap().to_string_lossy());
                std::fs::write(folder.join(format!("{stem}.onnx")), document.encode()).unwrap();
                written += 1;
                if let Some(answers) = answers(&path, opset) {
                    std::fs::write(folder.join(format!("{stem}.npz")), answers).unwrap();
                    compared += 1;
                }
            }
        }
    }
    println!("{written} models, {compared} with recorded answers");
    assert!(written > 100 && compared > 60, "{written} {compared}");
    check(&python, "check_models.py", &folder);
}
