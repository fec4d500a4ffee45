//! The live plan of an unedited table against the file's own run.

use crate::support::{Page, Patient, SEVEN, Seeded, cifar, document, fixture, lifted, plan, reference, sample};
use quantscope::engine::{LivePlan, Plan};
use quantscope::import::{Distribution, random_input};
use quantscope::onnx::Document;
use quantscope::quant::dequantize_tensor;
use quantscope::quant::table::{Lifted, Row, RowMode, TableFormat};
use quantscope::tensor::Tensor;
use quantscope::worker::{Images, PlaygroundAsk, PlaygroundReply, Reply, TensorQuery};
use std::path::Path;

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Compares every value that both have by name, and every row with the file's integers; gives how many.
fn compare(name: &str, file: &Plan, live: &LivePlan, lifted: &Lifted) -> (usize, usize) {
    let mut values = 0;
    let rounded = |value: &str| lifted.table.row(value).is_some();
    for value in live.plan().observed() {
        let (Some(ours), Some(theirs)) = (live.plan().value(value), file.value(value)) else { continue };
        // A row's name may be the file's name of the rounded value: that is compared below.
        if !rounded(value) {
            assert_eq!(ours, theirs, "{name}: {value}");
            values += 1;
        }
    }
    let mut rows = 0;
    for row in &lifted.table.rows {
        let ours = live.plan().seen_reals(&row.tensor).unwrap_or_else(|| panic!("{name}: {}", row.tensor));
        let theirs = match file.value(&row.names.quantized) {
            Some(stored) => dequantize_tensor(&row.grid.params, &stored).unwrap(),
            None => panic!("{name}: no integers of {}", row.tensor),
        };
        assert_eq!(bits(&ours), bits(&theirs), "{name}: {}", row.tensor);
        rows += 1;
    }
    for output in file.outputs() {
        let (ours, theirs) = (live.plan().rounded(output).unwrap(), file.value(output).unwrap());
        assert_eq!(ours, theirs, "{name}: output {output}");
    }
    (values, rows)
}

/// Runs a file and its lifted table on one input.
fn check(name: &str, model: &Document, input: &Tensor) {
    let lifted = lifted(model, None);
    let mut file = plan(model);
    let mut live = LivePlan::compile(&lifted.float, &lifted.table).unwrap();
    let inputs = vec![(file.inputs()[0].name.clone(), input.clone())];
    file.run(&inputs).unwrap();
    live.run(&inputs).unwrap();
    if lifted.table.rows.iter().any(|row| row.mode == RowMode::Dynamic) {
        // Integer sums there: only the lowered file gives the same bits, see `lowered`.
        return;
    }
    let (values, rows) = compare(name, &file, &live, &lifted);
    println!("{name}: {values} values and {rows} rows equal, {} nodes as written", lifted.as_written.len());
    assert!(rows > 0, "{name}");
}

fn image(path: &Path) -> Tensor {
    let pixels = (0..3072).map(|at| ((at * 37 + at / 96) % 256) as f32).collect();
    let _ = path;
    Tensor::from_vec(vec![1, 32, 32, 3], pixels).unwrap()
}

#[test]
fn unedited_equals_the_sample() {
    for name in ["street-digits-int8.onnx", "street-digits-uint8.onnx"] {
        check(name, &document(&sample(name)), &image(&sample(name)));
    }
}

#[test]
fn unedited_equals_the_tiny_models() {
    for name in ["tiny_int8", "tiny_int8_per_channel", "tiny_uint8", "tiny_uint8_qoperator", "tiny_int16", "tiny_int4w"]
    {
        let pixels = (0..192).map(|at| (at % 23) as f32 / 7.0 - 1.0).collect();
        let input = Tensor::from_vec(vec![1, 8, 8, 3], pixels).unwrap();
        check(name, &document(&fixture("models").join(format!("{name}.onnx"))), &input);
    }
}

#[test]
fn unedited_equals_the_reference_models() {
    let Some(folder) = reference() else { return };
    let others = ["resnet8_uint8_qoperator", "resnet8_bn_folded_int8", "resnet8_bn_folded_uint8"];
    for name in SEVEN.iter().chain(&others) {
        let model = document(&folder.join("models").join(format!("{name}.onnx")));
        for index in [0, 7] {
            check(name, &model, &cifar(&folder, index));
        }
    }
}

/// The models that are hard to lift: their outputs, and a table that can be looked at, edited and exported.
#[test]
fn hard_models() {
    let mut names: Vec<String> = std::fs::read_dir(fixture("table"))
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".onnx"))
        .collect();
    names.sort();
    assert!(names.len() > 15);
    for name in names {
        let path = fixture("table").join(&name);
        let model = document(&path);
        let lifted = lifted(&model, None);
        let (mut file, mut live) = (plan(&model), LivePlan::compile(&lifted.float, &lifted.table).unwrap());
        let input = |fact: &quantscope::engine::InputFact| {
            let shape: Vec<usize> = fact.shape.iter().map(|dim| dim.unwrap_or(1)).collect();
            let values = Distribution::for_input(false, fact.dtype);
            (fact.name.clone(), random_input(fact.dtype, &shape, 3, values).unwrap())
        };
        let inputs: Vec<(String, Tensor)> = file.inputs().iter().map(input).collect();
        file.run(&inputs).unwrap();
        live.run(&inputs).unwrap();
        let dynamic = lifted.table.rows.iter().any(|row| row.mode == RowMode::Dynamic);
        for output in file.outputs() {
            let (ours, theirs) = (live.plan().rounded(output).unwrap(), file.value(output).unwrap());
            if !dynamic {
                assert_eq!(ours, theirs, "{name}: {output}");
            }
        }
        edit_and_export(&name, &path);
    }
}

/// Every row is looked at, changed and exported; what cannot be is said.
fn edit_and_export(name: &str, path: &Path) {
    let mut page = Page::open(&[path.to_owned()]);
    let model = page.workspace.models[0].id;
    let table = page.table(model);
    let patient = || Patient::new(usize::MAX);
    let mut seeded = Seeded(9);
    for format in [TableFormat::Qdq, TableFormat::QOperator] {
        let (reply, _) = page.ask_with(model, PlaygroundAsk::ExportOnnx(format), &patient());
        assert!(matches!(reply, Reply::File { .. }), "{name} as {format:?}: {reply:?}");
    }
    let (mut exported, mut refused) = (0, Vec::new());
    for state in &table.rows {
        let query = TensorQuery {
            tensor: state.tensor.clone(),
            channel: None,
            bins: 10,
            range: None,
            first_value: 0,
            values: 4,
        };
        let PlaygroundReply::BeforeAfter(shown) = page.ask(model, PlaygroundAsk::BeforeAfter(query.clone())) else {
            panic!("{name}")
        };
        assert_eq!(shown.tensors.len(), 3, "{name}: {}", state.tensor);
        for _ in 0..3 {
            let mut row = Row::new(state.tensor.clone(), state.kind, state.grid.clone());
            row.enabled = state.enabled;
            let ask = PlaygroundAsk::Edit {
                edit: crate::edits::random_edit(&row, &mut seeded),
                gesture: None,
                show: Some(query.clone()),
            };
            let PlaygroundReply::Edited(edited) = page.ask(model, ask) else { panic!("{name}") };
            match page.ask_with(model, PlaygroundAsk::ExportOnnx(TableFormat::Qdq), &patient()).0 {
                Reply::File { .. } => exported += 1,
                Reply::Failed(problems) => {
                    refused.push(format!("{}: {} {:?}", state.tensor, problems[0], edited.history.entries))
                }
                other => panic!("{name}: {other:?}"),
            }
        }
        let PlaygroundReply::Edited(_) = page.ask(model, PlaygroundAsk::Reset(None)) else { panic!("{name}") };
    }
    // QDQ form can say every table.
    assert!(refused.is_empty(), "{name}: {exported} exported, refused: {refused:#?}");
    let images = Images { source: None, first: 0, count: 1 };
    for ask in [
        PlaygroundAsk::LayerErrors(images),
        PlaygroundAsk::Ledger(images),
        PlaygroundAsk::Sensitivity(images),
        PlaygroundAsk::Residuals(images),
        PlaygroundAsk::Findings(images),
    ] {
        page.ask(model, ask);
    }
}
