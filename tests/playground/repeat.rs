//! The Python that repeats a table with ONNX Runtime's quantizer, run by ONNX Runtime: also for a model that is quantized
//! in part, and for rows that are off.

use crate::support::{Page, Patient, document, fixture};
use quantscope::quant::table::{Change, Edit, TableFormat, lift};
use quantscope::worker::{EditsFormat, PlaygroundAsk, PlaygroundReply, Reply, RowState, TableState};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Quantizes a model: `source target JSON`, where the JSON is arguments of quantize_static.
const QUANTIZE: &str = r#"
import json, sys
import numpy as np, onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
source, target, arguments = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
model = onnx.load(source)
constants = {tensor.name for tensor in model.graph.initializer}
rng = np.random.default_rng(5)
class Reader(CalibrationDataReader):
    def __init__(self):
        shape = lambda value: [dim.dim_value or 2 for dim in value.type.tensor_type.shape.dim]
        inputs = [value for value in model.graph.input if value.name not in constants]
        feed = lambda: {value.name: rng.normal(0, 1, shape(value)).astype(np.float32) for value in inputs}
        self.feeds = iter([feed() for _ in range(4)])
    def get_next(self):
        return next(self.feeds, None)
form = QuantFormat[arguments.pop("form")]
weights = QuantType[arguments.pop("weights", "QUInt8")]
quantize_static(model, target, Reader(), quant_format=form, activation_type=QuantType.QUInt8, weight_type=weights, **arguments)
"#;

fn python() -> Option<PathBuf> {
    let python = std::env::var_os("QUANTSCOPE_PYTHON").map(PathBuf::from);
    if python.is_none() {
        eprintln!("skipped: QUANTSCOPE_PYTHON names no Python with onnxruntime");
    }
    python
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Scales and zero points by the file's name of the scale.
type Scales = BTreeMap<String, (Vec<f32>, Vec<i32>)>;

fn scales(path: &Path) -> Scales {
    let rows = lift(&document(path), None).unwrap().table.rows;
    // The scale of a QLinear operator's bias has no name.
    let named = rows.into_iter().filter(|row| !row.names.scale.is_empty());
    named.map(|row| (row.names.scale, (row.grid.params.scale, row.grid.params.zero_point))).collect()
}

/// Quantizes the float model so, edits the table, runs the snippet and gives what the table says, what the snippet made,
/// and the snippet.
fn repeated(name: &str, arguments: &str, edits: impl Fn(&TableState) -> Vec<Edit>) -> Option<(Scales, Scales, String)> {
    let python = python()?;
    let folder = std::env::temp_dir().join(format!("quantscope-{}-repeat-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (float, part) = (folder.join("float.onnx"), folder.join("part.onnx"));
    std::fs::copy(fixture("quantize/cnn13.onnx"), &float).unwrap();
    run(Command::new(&python).arg("-c").arg(QUANTIZE).arg(&float).arg(&part).arg(arguments));
    let mut page = Page::open(&[float, part]);
    let model = page.model("part");
    let table = page.table(model);
    for edit in edits(&table) {
        let PlaygroundReply::Edited(edited) = page.ask(model, PlaygroundAsk::Edit { edit, gesture: None, show: None })
        else {
            panic!("{name}")
        };
        assert_eq!(edited.refused, None, "{name}");
    }
    let format = table.format;
    let (Reply::File { .. }, Some(bytes)) =
        page.ask_with(model, PlaygroundAsk::ExportOnnx(format), &Patient::new(usize::MAX))
    else {
        panic!("{name}: no export")
    };
    let edited = folder.join("edited.onnx");
    std::fs::write(&edited, bytes).unwrap();
    let ask = PlaygroundAsk::ExportEdits(EditsFormat::Python);
    let (Reply::File { .. }, Some(snippet)) = page.ask_with(model, ask, &Patient::new(usize::MAX)) else {
        panic!("{name}: no snippet")
    };
    std::fs::write(folder.join("snippet.py"), &snippet).unwrap();
    run(Command::new(&python).arg("snippet.py").current_dir(&folder));
    let found = (scales(&edited), scales(&folder.join("part-again.onnx")), String::from_utf8(snippet).unwrap());
    std::fs::remove_dir_all(folder).unwrap();
    Some(found)
}

/// An activation with a scale of its own.
fn activation(table: &TableState, at: usize) -> &RowState {
    let alone = |row: &&RowState| table.rows.iter().filter(|other| other.grid == row.grid).count() == 1;
    let mut rows = table.rows.iter().filter(|row| row.float_is_original.is_none()).filter(alone);
    rows.nth(at).unwrap()
}

/// Another scale for one activation.
fn rescaled(table: &TableState) -> Vec<Edit> {
    let row = activation(table, 1);
    let scale = row.grid.params.scale[0] * 1.25;
    vec![Edit { tensor: row.tensor.clone(), change: Change::Scale { channel: None, scale } }]
}

/// What is the same in both, and what is not.
fn differing(expected: &Scales, found: &Scales) -> Vec<String> {
    let names = expected.keys().chain(found.keys().filter(|name| !expected.contains_key(*name)));
    let differ = names.filter(|name| expected.get(*name) != found.get(*name));
    differ.map(|name| format!("{name}: {:?} and {:?}", expected.get(name), found.get(name))).collect()
}

#[test]
fn the_snippet_repeats_models_that_are_quantized_in_part() {
    for (name, arguments) in [
        ("all", r#"{"form": "QDQ"}"#),
        ("all-operators", r#"{"form": "QOperator"}"#),
        ("types", r#"{"form": "QDQ", "op_types_to_quantize": ["Conv", "MatMul"]}"#),
        (
            "types-per-channel",
            r#"{"form": "QDQ", "weights": "QInt8", "per_channel": true, "op_types_to_quantize": ["Conv", "Gemm"]}"#,
        ),
        ("nodes", r#"{"form": "QDQ", "nodes_to_exclude": ["c1/Conv", "a2/Add", "d5/Gemm"]}"#),
        ("types-operators", r#"{"form": "QOperator", "op_types_to_quantize": ["Conv", "Add"]}"#),
        ("types-operators-more", r#"{"form": "QOperator", "op_types_to_quantize": ["Conv", "Gemm", "MaxPool"]}"#),
        ("nodes-operators", r#"{"form": "QOperator", "nodes_to_exclude": ["c1/Conv", "d5/Gemm"]}"#),
        ("float-biases", r#"{"form": "QDQ", "extra_options": {"QuantizeBias": false}}"#),
        ("symmetric", r#"{"form": "QDQ", "weights": "QInt8", "extra_options": {"ActivationSymmetric": true}}"#),
    ] {
        let Some((expected, found, snippet)) = repeated(name, arguments, rescaled) else { return };
        assert!(expected.len() > 3, "{name}");
        let differing = differing(&expected, &found);
        assert!(differing.is_empty(), "{name}: {differing:#?}\n{snippet}");
    }
}

#[test]
fn the_snippet_leaves_float_what_is_off() {
    let off =
        |table: &TableState| vec![Edit { tensor: activation(table, 2).tensor.clone(), change: Change::Enabled(false) }];
    let Some((expected, found, snippet)) = repeated("off", r#"{"form": "QDQ"}"#, off) else { return };
    assert!(snippet.contains("nodes_to_exclude=") || snippet.contains("op_types_to_quantize="), "{snippet}");
    // Nothing is quantized that the table has float; what stays float besides, because a node cannot be quantized in
    // part, is said.
    let said = snippet.lines().filter(|line| line.contains("stays float")).count();
    let mut missing = 0;
    for (name, scale) in &expected {
        match found.get(name) {
            Some(other) => assert_eq!(scale, other, "{name}"),
            None => missing += 1,
        }
    }
    let biases = expected.keys().filter(|name| name.contains("quantized_scale") && !found.contains_key(*name)).count();
    assert!(found.keys().all(|name| expected.contains_key(name)), "{:?} {:?}", found.keys(), expected.keys());
    assert_eq!(missing - biases, said, "{snippet}");
}

#[test]
fn both_forms_have_snippets_that_name_the_form() {
    let Some(_) = python() else { return };
    let mut page = Page::open(&[fixture("models/tiny_uint8_qoperator.onnx")]);
    let model = page.workspace.models[0].id;
    assert_eq!(page.table(model).format, TableFormat::QOperator);
    let ask = PlaygroundAsk::ExportEdits(EditsFormat::Python);
    let (_, Some(snippet)) = page.ask_with(model, ask, &Patient::new(9)) else { panic!() };
    assert!(String::from_utf8(snippet).unwrap().contains("QuantFormat.QOperator"));
}
