//! Any quantized files: `QUANTSCOPE_MODELS` names a folder, and every model in it is lifted, lowered, run and exported.
//! Where `QUANTSCOPE_PYTHON` names a Python with onnxruntime, that runs the exports beside the file.

use crate::support::{Page, Patient, document};
use quantscope::engine::{Plan, PlanOptions, Semantics};
use quantscope::export::{Compression, npz};
use quantscope::import::{Distribution, random_input};
use quantscope::onnx::Document;
use quantscope::quant::table::{TableFormat, lift, lower};
use quantscope::tensor::Tensor;
use quantscope::worker::{PlaygroundAsk, Reply};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Of the largest number that a model gives, this much may another form of it be off in ONNX Runtime: its integer
/// kernels and its float ones round to neighbouring codes, and that spreads.
const OTHER_FORM: f64 = 0.15;

/// Runs `STEM.onnx` and its exports on the arrays of `STEM.npz`, graph optimizations off; prints for each export the
/// largest difference of any output as a part of the largest magnitude, or what went wrong.
const RUN: &str = r#"
import json, sys
import numpy as np, onnxruntime as ort
folder, source, stems = sys.argv[1], sys.argv[2], sys.argv[3:]
options = ort.SessionOptions()
options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
options.log_severity_level = 4
def run(path, feed):
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"]).run(None, feed)
found = {}
for stem in stems:
    try:
        feed = dict(np.load(f"{folder}/{stem}.npz"))
        expected = run(f"{source}/{stem}.onnx", feed)
    except Exception as error:
        found[stem] = {"file": str(error)[:200]}
        continue
    found[stem] = {}
    for form in ["Qdq", "QOperator"]:
        try:
            made = run(f"{folder}/{stem}.{form}.onnx", feed)
            off = [np.abs(a.astype(np.float64) - b.astype(np.float64)).max(initial=0) for a, b in zip(expected, made)]
            most = max(np.abs(a.astype(np.float64)).max(initial=0) for a in expected)
            found[stem][form] = float(max(off)) / max(float(most), 1e-30)
        except Exception as error:
            found[stem][form] = str(error)[:200]
print(json.dumps(found))
"#;

fn models(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|ending| ending == "onnx"));
    found.sort();
    found
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

fn inputs(document: &Document) -> Result<Vec<(String, Tensor)>, String> {
    let plan =
        Plan::compile(document, Semantics::Simulate, &PlanOptions::default()).map_err(|error| error.to_string())?;
    let input = |fact: &quantscope::engine::InputFact| {
        let shape: Vec<usize> = fact.shape.iter().map(|dim| dim.unwrap_or(1)).collect();
        let values = random_input(fact.dtype, &shape, 11, Distribution::for_input(false, fact.dtype));
        values.map(|values| (fact.name.clone(), values)).map_err(|error| error.to_string())
    };
    plan.inputs().iter().map(input).collect()
}

fn run(document: &Document, semantics: Semantics, inputs: &[(String, Tensor)]) -> Result<Plan, String> {
    let mut plan = Plan::compile(document, semantics, &PlanOptions::default()).map_err(|error| error.to_string())?;
    plan.run(inputs).map_err(|error| error.to_string())?;
    Ok(plan)
}

/// Lifts and lowers a file, compares both runs bit for bit, and exports it in both forms. Gives what is to be said of it.
fn check(path: &Path, out: &Path) -> Result<String, String> {
    let model = document(path);
    let lifted = lift(&model, None).map_err(|error| error.to_string())?;
    if lifted.table.rows.is_empty() {
        return Err("its table is empty".to_owned());
    }
    let lowered =
        lower(&lifted.float, &lifted.table, lifted.table.format).map_err(|error| format!("lowered: {error}"))?;
    let lowered = Document::decode(lowered.encode().into()).map_err(|error| error.to_string())?;
    let inputs = inputs(&model)?;
    let mut integers = 0;
    for semantics in [Semantics::Simulate, Semantics::Integer] {
        let (before, after) = (run(&model, semantics, &inputs)?, run(&lowered, semantics, &inputs)?);
        for output in before.outputs() {
            if before.value(output) != after.value(output) {
                return Err(format!("output '{output}' differs in {semantics:?}"));
            }
        }
        let nodes = model.graph().node.iter().flat_map(|node| &node.output).filter(|name| !name.is_empty());
        for name in nodes {
            let (Some(expected), Some(found)) = (before.value(name), after.value(name)) else { continue };
            if expected.dtype().is_int() && expected != found {
                return Err(format!("'{name}' differs in {semantics:?}"));
            }
            integers += usize::from(expected.dtype().is_int());
        }
    }
    let arrays: Vec<(&str, &Tensor)> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    std::fs::write(out.join(format!("{}.npz", stem(path))), npz(&arrays, Compression::Stored).unwrap().bytes).unwrap();
    let mut page = Page::open(&[path.to_owned()]);
    let id = page.workspace.models[0].id;
    for format in [TableFormat::Qdq, TableFormat::QOperator] {
        match page.ask_with(id, PlaygroundAsk::ExportOnnx(format), &Patient::new(usize::MAX)) {
            (Reply::File { .. }, Some(bytes)) => {
                std::fs::write(out.join(format!("{}.{format:?}.onnx", stem(path))), bytes).unwrap();
            }
            (reply, _) => return Err(format!("export as {format:?}: {reply:?}")),
        }
    }
    let mut written: BTreeMap<String, usize> = BTreeMap::new();
    for node in &lifted.as_written {
        *written.entry(format!("{}: {}", node.op, node.reason)).or_default() += 1;
    }
    let (rows, format) = (lifted.table.rows.len(), lifted.table.format);
    Ok(format!("{format:?}, {rows} rows, {integers} integer values equal, as written {written:?}"))
}

#[test]
fn every_model_of_a_folder() {
    let Some(folder) = std::env::var_os("QUANTSCOPE_MODELS").map(PathBuf::from) else {
        eprintln!("skipped: QUANTSCOPE_MODELS names no folder of quantized models");
        return;
    };
    let out = std::env::temp_dir().join(format!("quantscope-{}-folder", std::process::id()));
    std::fs::create_dir_all(&out).unwrap();
    let (mut failures, mut stems, mut forms) = (Vec::new(), Vec::new(), BTreeMap::new());
    for path in models(&folder) {
        match check(&path, &out) {
            Ok(said) => {
                println!("{}: {said}", stem(&path));
                forms.insert(stem(&path), if said.starts_with("Qdq") { "Qdq" } else { "QOperator" });
                stems.push(stem(&path));
            }
            Err(why) => {
                println!("{}: FAILED {why}", stem(&path));
                failures.push(format!("{}: {why}", stem(&path)));
            }
        }
    }
    if let Some(python) = std::env::var_os("QUANTSCOPE_PYTHON") {
        let output = Command::new(python).arg("-c").arg(RUN).arg(&out).arg(&folder).args(&stems).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        for (stem, own) in &forms {
            if let Some(why) = found[stem]["file"].as_str() {
                println!("{stem}: ONNX Runtime does not run the file itself: {why}");
                continue;
            }
            for form in ["Qdq", "QOperator"] {
                let most = if form == *own { 0.0 } else { OTHER_FORM };
                match found[stem][form].as_f64() {
                    Some(off) if off <= most => {}
                    Some(off) => failures.push(format!("{stem} as {form}: {off:.4} of the output off")),
                    None => failures.push(format!("{stem} as {form}: {}", found[stem][form])),
                }
            }
        }
    }
    std::fs::remove_dir_all(&out).unwrap();
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}
