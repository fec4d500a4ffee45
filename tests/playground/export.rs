//! Files taken home: checked before they are offered, and loaded by ONNX Runtime.

use crate::edits::random_edit;
use crate::support::{Page, Patient, Seeded, reference, sample};
use quantscope::import::{Limits, read_npz};
use quantscope::onnx::Document;
use quantscope::quant::table::{Change, Edit, Row, TableFormat, lift};
use quantscope::worker::{
    EditsFormat, InputChoice, PlaygroundAsk, PlaygroundReply, Reply, Request, RunOrder, Semantics, TensorQuery,
    TextFormat, Version,
};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// ONNX Runtime sums in another order, so a value on the edge of two codes may fall to the other side and move what
/// follows: of the exported files this many give every output within `OUTPUT`, and this many the same best class.
const FILES_EQUAL: f64 = 0.95;
const FILES_SAME_CLASS: f64 = 0.99;
/// Float32 probabilities of two correct implementations.
const OUTPUT: f64 = 1e-5;

/// Python with onnxruntime, or `None` with a line that says so.
fn python() -> Option<PathBuf> {
    let python = std::env::var_os("QUANTSCOPE_PYTHON").map(PathBuf::from);
    if python.is_none() {
        eprintln!("skipped: QUANTSCOPE_PYTHON names no Python with onnxruntime");
    }
    python
}

/// Runs every listed file on the arrays of input.npz with graph optimizations off, and prints its first output.
const RUN: &str = r#"
import json, sys
import numpy as np, onnxruntime as ort
folder, names = sys.argv[1], sys.argv[2:]
arrays = np.load(folder + "/input.npz")
options = ort.SessionOptions()
options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
options.log_severity_level = 3
found = []
for name in names:
    session = ort.InferenceSession(folder + "/" + name, options, providers=["CPUExecutionProvider"])
    feed = {value.name: arrays[value.name] for value in session.get_inputs()}
    found.append([float(v) for v in np.asarray(session.run(None, feed)[0], dtype=np.float64).ravel()])
print(json.dumps(found))
"#;

fn run_python(python: &Path, script: &str, arguments: &[String]) -> String {
    let output = Command::new(python).arg("-c").arg(script).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A folder for one test's files.
fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("quantscope-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn export(page: &mut Page, model: u32, format: TableFormat) -> (Reply, Option<Vec<u8>>) {
    page.ask_with(model, PlaygroundAsk::ExportOnnx(format), &Patient::new(usize::MAX))
}

fn query(tensor: &str) -> TensorQuery {
    TensorQuery { tensor: tensor.to_owned(), channel: None, bins: 4, range: None, first_value: 0, values: 64 }
}

/// The edited version's output on the page's input.
fn shown_output(page: &mut Page, model: u32, tensor: &str) -> Vec<f64> {
    let PlaygroundReply::BeforeAfter(shown) = page.ask(model, PlaygroundAsk::BeforeAfter(query(tensor))) else {
        panic!()
    };
    shown.tensors.iter().find(|tensor| tensor.version == Version::Edited).unwrap().values.clone()
}

/// Random edits of a model, exported again and again; what the page shows beside each file.
fn exported(
    page: &mut Page,
    name: &str,
    sequences: usize,
    folder: &Path,
    format: TableFormat,
) -> Vec<(String, Vec<f64>)> {
    let model = page.model(name);
    let source = page.workspace.sources.iter().find(|source| source.name.contains("test")).unwrap().id;
    let order =
        RunOrder { input: InputChoice::Item { source, index: 5 }, preprocess: None, semantics: Semantics::Simulate };
    let job = Patient::new(usize::MAX);
    let answer = |page: &mut Page, request| futures::executor::block_on(page.service.answer(request, Vec::new(), &job));
    let (Reply::Run(_), _) = answer(page, Request::Run(order)) else { panic!() };
    let (_, Some(npz)) = answer(page, Request::ExportActivations(model)) else { panic!() };
    std::fs::write(folder.join("input.npz"), npz).unwrap();
    let table = page.table(model);
    let document = page.service.document(model).unwrap();
    let output = document.graph().output[0].name().to_owned();
    let rows = lift(document, None).unwrap().table.rows;
    let mut seeded = Seeded(23);
    let mut files = Vec::new();
    let mut refused = 0;
    for number in 0..sequences {
        // A sequence now and then begins with the file's own table.
        if number % 4 == 0 {
            let PlaygroundReply::Edited(_) = page.ask(model, PlaygroundAsk::Reset(None)) else { panic!() };
        }
        for _ in 0..1 + seeded.below(3) {
            let row: &Row = &rows[seeded.below(rows.len())];
            let edit = gentle(random_edit(row, &mut seeded), row);
            let PlaygroundReply::Edited(_) = page.ask(model, PlaygroundAsk::Edit { edit, gesture: None, show: None })
            else {
                panic!()
            };
        }
        match export(page, model, format) {
            (Reply::File { name, .. }, Some(bytes)) => {
                assert!(name.ends_with(".onnx"));
                let file = format!("{format:?}-{number}.onnx");
                std::fs::write(folder.join(&file), bytes).unwrap();
                files.push((file, shown_output(page, model, &output)));
            }
            (Reply::Failed(problems), None) => {
                // QOperator has no form for everything; that is said.
                let edits = page.table(model).history.entries;
                assert_eq!(format, TableFormat::QOperator, "{problems:?} after {edits:?}");
                if refused == 0 {
                    println!("{name}: {}", problems[0]);
                }
                refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    println!("{name}: {} files, {refused} refused as {format:?}, {} rows", files.len(), table.rows.len());
    files
}

/// An edit whose model still says something: random ranges would make every output the same.
fn gentle(edit: Edit, row: &Row) -> Edit {
    let change = match edit.change {
        Change::Codes { bits, signed, narrow_range } => Change::Codes { bits: bits.max(5), signed, narrow_range },
        Change::ZeroPoint { channel, .. } => {
            let zero = row.grid.params.zero_point[0];
            let (low, high) = row.grid.codes();
            Change::ZeroPoint { channel, zero_point: (zero + 3).clamp(low, high) }
        }
        other => other,
    };
    Edit { change, ..edit }
}

fn compare(name: &str, python: &Path, folder: &Path, files: &[(String, Vec<f64>)]) {
    let mut arguments = vec![folder.to_str().unwrap().to_owned()];
    arguments.extend(files.iter().map(|(file, _)| file.clone()));
    let found: Vec<Vec<f64>> = serde_json::from_str(run_python(python, RUN, &arguments).trim()).unwrap();
    assert_eq!(found.len(), files.len());
    let (mut equal, mut same_class, mut worst) = (0, 0, 0f64);
    let best = |values: &[f64]| (0..values.len()).reduce(|best, at| if values[at] > values[best] { at } else { best });
    for ((file, shown), found) in files.iter().zip(&found) {
        assert_eq!(shown.len(), found.len(), "{file}");
        let off = shown.iter().zip(found).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        worst = worst.max(off);
        equal += usize::from(off <= OUTPUT);
        same_class += usize::from(best(shown) == best(found));
    }
    println!(
        "{name}: {equal} of {} files within {OUTPUT}, {same_class} with the same class, worst {worst:.2e}",
        files.len()
    );
    assert!(equal as f64 >= FILES_EQUAL * files.len() as f64, "{name}");
    assert!(same_class as f64 >= FILES_SAME_CLASS * files.len() as f64, "{name}");
}

#[test]
fn exported_edits_of_the_sample() {
    let mut page = Page::open(
        &["street-digits.onnx", "street-digits-int8.onnx", "street-digits-uint8.onnx", "street-digits.tar.gz"]
            .map(sample),
    );
    let folder = folder("sample");
    let files = exported(&mut page, "street-digits-int8", 40, &folder, TableFormat::Qdq);
    assert_eq!(files.len(), 40);
    let operators = exported(&mut page, "street-digits-uint8", 10, &folder, TableFormat::QOperator);
    if let Some(python) = python() {
        compare("street-digits-int8", &python, &folder, &files);
        if !operators.is_empty() {
            println!("{} QOperator files are loaded", operators.len());
            let mut arguments = vec![folder.to_str().unwrap().to_owned()];
            arguments.extend(operators.iter().map(|(file, _)| file.clone()));
            run_python(&python, RUN, &arguments);
        }
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn exported_edits_of_the_reference() {
    let (Some(reference), Some(python)) = (reference(), python()) else { return };
    let names = ["resnet8", "resnet8_int8", "resnet8_int8_per_channel"];
    let mut paths: Vec<PathBuf> = names.iter().map(|name| reference.join(format!("models/{name}.onnx"))).collect();
    paths.push(reference.join("cifar10/test_batch_head.bin"));
    let mut page = Page::open(&paths);
    for (name, sequences) in [("resnet8_int8", 160), ("resnet8_int8_per_channel", 40)] {
        let folder = folder(name);
        let files = exported(&mut page, name, sequences, &folder, TableFormat::Qdq);
        compare(name, &python, &folder, &files);
        std::fs::remove_dir_all(folder).unwrap();
    }
}

#[test]
fn an_unedited_table_is_exported_as_the_file() {
    let mut page = Page::open(&[sample("street-digits-int8.onnx")]);
    let model = page.model("street-digits-int8");
    let (Reply::File { .. }, Some(bytes)) = export(&mut page, model, TableFormat::Qdq) else { panic!() };
    let (again, file) = (Document::decode(bytes.into()).unwrap(), page.service.document(model).unwrap());
    assert_eq!(again.graph().node.len(), file.graph().node.len());
    assert_eq!(again.proto().opset_import, file.proto().opset_import);
    assert_eq!(again.proto().metadata_props, file.proto().metadata_props);
    let names = |document: &Document| {
        let mut names: Vec<String> = document.graph().node.iter().map(|node| node.name().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&again), names(file));
}

/// The edited model's tensors under the names of its file, the page's own numbers among them.
#[test]
fn activations_of_the_edited_model() {
    let mut page = Page::open(&["street-digits.onnx", "street-digits-int8.onnx", "street-digits.tar.gz"].map(sample));
    let model = page.model("street-digits-int8");
    let table = page.table(model);
    let row = table.rows.iter().find(|row| row.absorbed.is_some()).unwrap().clone();
    let scale = row.grid.params.scale[0] * 4.0;
    let edit = Edit { tensor: row.tensor.clone(), change: Change::Scale { channel: None, scale } };
    page.ask(model, PlaygroundAsk::Edit { edit, gesture: None, show: None });
    let archive = |page: &mut Page, format| {
        let (reply, blob) = page.ask_with(model, PlaygroundAsk::ExportActivations(format), &Patient::new(99));
        let Reply::File { name, .. } = reply else { panic!("{reply:?}") };
        assert_eq!(name, "street-digits-int8-edited-activations.npz");
        read_npz(&blob.unwrap().into(), &Limits::default()).unwrap()
    };
    // A file of integer operators has no pairs around them.
    for (format, least) in [(TableFormat::Qdq, 60), (TableFormat::QOperator, 30)] {
        let arrays = archive(&mut page, format);
        let (reply, file) = export(&mut page, model, format);
        assert!(matches!(reply, Reply::File { .. }), "{reply:?}");
        let file = Document::decode(file.unwrap().into()).unwrap();
        let mut names: HashSet<&str> = file.inputs().map(|input| input.name()).collect();
        names.extend(file.graph().node.iter().flat_map(|node| &node.output).map(String::as_str));
        assert!(
            arrays.len() > least && arrays.iter().all(|array| names.contains(array.name.as_str())),
            "{}",
            arrays.len()
        );
        let output = arrays.iter().find(|array| array.name == file.graph().output[0].name()).unwrap();
        let output = output.tensor.to_f32().unwrap();
        let PlaygroundReply::BeforeAfter(shown) = page.ask(model, PlaygroundAsk::BeforeAfter(query(&row.tensor)))
        else {
            panic!()
        };
        let edited = shown.outcomes.iter().find(|outcome| outcome.version == Version::Edited).unwrap();
        let top = &edited.predictions.as_ref().unwrap().top;
        assert!(!top.is_empty());
        for class in top {
            assert_eq!(class.probability, f64::from(output[class.index]), "{format:?}: class {}", class.index);
        }
    }
}

/// All values of a tensor, not a page of them, and the differences that the page shows.
#[test]
fn values_as_text() {
    let mut page = Page::open(&["street-digits.onnx", "street-digits-int8.onnx", "street-digits.tar.gz"].map(sample));
    let model = page.model("street-digits-int8");
    let row = page.table(model).rows.iter().find(|row| row.channels.is_some()).unwrap().clone();
    let scale = row.grid.params.scale[0] * 4.0;
    let edit = Edit { tensor: row.tensor.clone(), change: Change::Scale { channel: None, scale } };
    page.ask(model, PlaygroundAsk::Edit { edit, gesture: None, show: None });
    let count: usize = row.shape.unwrap().iter().product();
    for (channel, format) in [(None, TextFormat::Csv), (None, TextFormat::Json), (Some(1), TextFormat::Csv)] {
        let ask = PlaygroundAsk::ExportValues { tensor: row.tensor.clone(), channel, format };
        let (reply, blob) = page.ask_with(model, ask, &Patient::new(99));
        let Reply::File { name, .. } = reply else { panic!("{reply:?}") };
        assert!(name.starts_with("values-street-digits-int8-") && name.ends_with(format.extension()), "{name}");
        let text = String::from_utf8(blob.unwrap()).unwrap();
        let values = if channel.is_some() { count / row.channels.unwrap().1 } else { count };
        match format {
            TextFormat::Csv => {
                let mut lines = text.lines();
                assert_eq!(lines.next(), Some("index,float,original,edited,edited_minus_float,edited_minus_original"));
                let rows: Vec<Vec<f64>> =
                    lines.map(|line| line.split(',').map(|cell| cell.parse().unwrap()).collect()).collect();
                assert_eq!(rows.len(), values);
                assert!(rows.iter().all(|row| row[4] == row[3] - row[1] && row[5] == row[3] - row[2]));
                assert!(rows.iter().any(|row| row[5] != 0.0), "the edit changes values");
            }
            TextFormat::Json => {
                let rows: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
                assert_eq!(rows.len(), values);
                assert!(rows[0]["edited_minus_float"].is_number());
            }
        }
    }
    let ask = PlaygroundAsk::ExportValues { tensor: "nobody".into(), channel: None, format: TextFormat::Csv };
    assert!(matches!(page.ask_with(model, ask, &Patient::new(99)).0, Reply::Failed(_)));
}

#[test]
fn edits_in_three_forms() {
    let mut page = Page::open(&["street-digits.onnx", "street-digits-int8.onnx"].map(sample));
    let model = page.model("street-digits-int8");
    let row = page.table(model).rows.iter().find(|row| row.absorbed.is_some()).unwrap().clone();
    let scale = row.grid.params.scale[0] * 0.75;
    let edit = Edit { tensor: row.tensor.clone(), change: Change::Scale { channel: None, scale } };
    let PlaygroundReply::Edited(edited) = page.ask(model, PlaygroundAsk::Edit { edit, gesture: None, show: None })
    else {
        panic!()
    };
    let text = |page: &mut Page, format| {
        let (Reply::File { .. }, Some(bytes)) =
            page.ask_with(model, PlaygroundAsk::ExportEdits(format), &Patient::new(9))
        else {
            panic!()
        };
        String::from_utf8(bytes).unwrap()
    };
    assert_eq!(text(&mut page, EditsFormat::Json), edited.history.edits_json);
    let overrides: serde_json::Value = serde_json::from_str(&text(&mut page, EditsFormat::Overrides)).unwrap();
    assert_eq!(overrides[&row.tensor][0]["scale"].as_f64().unwrap() as f32, scale);
    let python_code = text(&mut page, EditsFormat::Python);
    let Some(python) = python() else { return };
    // The snippet makes ONNX Runtime quantize the float model to the very table.
    let folder = folder("snippet");
    let target = folder.join("street-digits-int8-again.onnx");
    std::fs::copy(sample("street-digits.onnx"), folder.join("street-digits.onnx")).unwrap();
    std::fs::write(folder.join("quantize.py"), &python_code).unwrap();
    let output = Command::new(&python).arg("quantize.py").current_dir(&folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let again = lift(&Document::decode(std::fs::read(&target).unwrap().into()).unwrap(), None).unwrap().table;
    let table = page.table(model);
    let mut compared = 0;
    for row in table.rows.iter().filter(|row| !row.derived) {
        let made = again
            .row(&row.tensor)
            .or_else(|| again.rows.iter().find(|made| made.names.quantized == format!("{}_quantized", row.tensor)));
        let made = made.unwrap_or_else(|| panic!("no {}", row.tensor));
        assert_eq!(
            (&made.grid.params.scale, &made.grid.params.zero_point),
            (&row.grid.params.scale, &row.grid.params.zero_point),
            "{}",
            row.tensor
        );
        compared += 1;
    }
    println!("{compared} rows repeated by ONNX Runtime's quantizer");
    std::fs::remove_dir_all(folder).unwrap();
}
