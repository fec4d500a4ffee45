//! Errors, ledger, residuals, sensitivity and findings, through the service.

use crate::support::{Page, Patient, SEVEN, json, reference, sample};
use quantscope::quant::TensorKind;
use quantscope::quant::table::{Change, Edit};
use quantscope::worker::{
    Finding, Images, LayerErrorRow, LedgerRow, PlaygroundAsk, PlaygroundReply, Reply, ResidualRow, RowState,
    SensitivityReport,
};
use std::path::{Path, PathBuf};

/// What is allowed between our SQNR and the recorded one. With fused multiply-adds all integers are equal, and the
/// figures differ by 0.0002 dB; without them an integer on the edge may flip.
const SQNR_DB: f64 = 0.05;
/// The ledger's terms add up to the measured error within this part of it.
const LEDGER_SUM: f64 = 1e-5;

fn errors(page: &mut Page, model: u32, images: Images) -> Vec<LayerErrorRow> {
    match page.ask(model, PlaygroundAsk::LayerErrors(images)) {
        PlaygroundReply::LayerErrors(measured) => {
            assert_eq!(measured.count, images.count);
            measured.rows
        }
        other => panic!("{other:?}"),
    }
}

fn ledger(page: &mut Page, model: u32, images: Images) -> Vec<LedgerRow> {
    match page.ask(model, PlaygroundAsk::Ledger(images)) {
        PlaygroundReply::Ledger(measured) => measured.rows,
        other => panic!("{other:?}"),
    }
}

fn residuals(page: &mut Page, model: u32, images: Images) -> Vec<ResidualRow> {
    match page.ask(model, PlaygroundAsk::Residuals(images)) {
        PlaygroundReply::Residuals(measured) => measured.rows,
        other => panic!("{other:?}"),
    }
}

fn sensitivity(page: &mut Page, model: u32, images: Images) -> SensitivityReport {
    match page.ask(model, PlaygroundAsk::Sensitivity(images)) {
        PlaygroundReply::Sensitivity(report) => report,
        other => panic!("{other:?}"),
    }
}

fn findings(page: &mut Page, model: u32, images: Images) -> Vec<Finding> {
    match page.ask(model, PlaygroundAsk::Findings(images)) {
        PlaygroundReply::Findings(measured) => measured.rows,
        other => panic!("{other:?}"),
    }
}

/// A reference model beside the float one and the test images.
fn reference_page(folder: &Path, names: &[&str]) -> Page {
    let mut paths: Vec<PathBuf> = vec![folder.join("models/resnet8.onnx")];
    paths.extend(names.iter().map(|name| folder.join(format!("models/{name}.onnx"))));
    paths.push(folder.join("cifar10/test_batch_head.bin"));
    Page::open(&paths)
}

fn sample_page() -> Page {
    let files = ["street-digits.onnx", "street-digits-int8.onnx", "street-digits-uint8.onnx", "street-digits.tar.gz"];
    Page::open(&files.map(sample))
}

/// How far a figure is from a recorded one; `null` is no error at all.
fn off_db(found: Option<f64>, recorded: &serde_json::Value, what: &str) -> (f64, String) {
    match (found, recorded.as_f64()) {
        (None, None) => (0.0, what.to_owned()),
        (Some(found), Some(recorded)) => {
            ((found - recorded).abs(), format!("{what}: {found:.4} dB, recorded {recorded:.4} dB"))
        }
        pair => panic!("{what}: {pair:?}"),
    }
}

/// Compares the errors of a model with recorded ones: local, cumulative, weights. Gives what is too far off.
fn check_sqnr(name: &str, rows: &[LayerErrorRow], recorded: &serde_json::Value) -> Vec<String> {
    let row =
        |tensor: &str| rows.iter().find(|row| row.tensor == tensor).unwrap_or_else(|| panic!("{name}: no {tensor}"));
    let (mut off, mut count) = (Vec::new(), 0);
    for (tensor, figures) in recorded["activations"].as_object().unwrap() {
        let row = row(tensor);
        let cumulative = row.cumulative.unwrap_or_else(|| panic!("{name} {tensor}: not aligned"));
        for (found, key) in [(row.local, "qdq_np"), (cumulative, "xmodel_np")] {
            let (difference, words) = off_db(found.sqnr_db, &figures[key], &format!("{tensor} {key}"));
            off.push((difference, words));
        }
        count += 1;
    }
    for (tensor, figures) in recorded["weights"].as_object().unwrap() {
        let (difference, words) = off_db(row(tensor).local.sqnr_db, &figures["np"], tensor);
        off.push((difference, words));
        count += 1;
    }
    assert_eq!(count, rows.len(), "{name}: every row is recorded");
    off.sort_by(|a, b| b.0.total_cmp(&a.0));
    let beyond = off.iter().filter(|(difference, ..)| *difference > SQNR_DB).count();
    println!("{name}: {count} tensors, at most {:.4} dB off ({}), {beyond} beyond {SQNR_DB}", off[0].0, off[0].1);
    let too_far = off.into_iter().filter(|(difference, _)| *difference > SQNR_DB);
    too_far.map(|(_, words)| format!("{name} {words}")).collect()
}

#[test]
fn sqnr_of_seven_models() {
    let Some(folder) = reference() else { return };
    let recorded = json(&folder.join("expected/sqnr.json"));
    let mut page = reference_page(&folder, &SEVEN);
    let images = page.images("test_batch_head", 64);
    let mut off = Vec::new();
    for name in SEVEN {
        let model = page.model(name);
        let rows = errors(&mut page, model, images);
        off.extend(check_sqnr(name, &rows, &recorded[name]));
    }
    assert!(off.is_empty(), "{off:#?}");
}

/// The sample's record has the same figures, made by the same definition.
#[test]
fn sqnr_of_the_sample() {
    let recorded = json(&crate::support::fixture("sample/expected.json"));
    let mut page = sample_page();
    let images = page.images("test", 64);
    for (name, key) in [("street-digits-int8", "int8"), ("street-digits-uint8", "uint8")] {
        let model = page.model(name);
        let rows = errors(&mut page, model, images);
        let off = check_sqnr(name, &rows, &recorded["models"][key]["sqnr"]);
        assert!(off.is_empty(), "{off:#?}");
    }
}

fn check_ledger(name: &str, rows: &[LedgerRow], errors: &[LayerErrorRow]) {
    assert!(rows.len() > 10, "{name}: {}", rows.len());
    let mut totals = 0;
    for row in rows {
        let terms = row.inherited
            + row.weight_rounding
            + row.weight_clipping
            + row.bias
            + row.activation_clipping
            + row.activation_rounding;
        assert!((terms - row.total).abs() <= LEDGER_SUM * row.total, "{name} {}: {terms} of {}", row.tensor, row.total);
        if let Some(measured) = errors.iter().find(|error| error.tensor == row.tensor) {
            let mse = measured.cumulative.and_then(|metrics| metrics.mse).unwrap();
            assert!((mse - row.total).abs() <= LEDGER_SUM * mse, "{name} {}: {} against {mse}", row.tensor, row.total);
            totals += 1;
        }
    }
    assert!(totals > 10, "{name}: {totals} totals compared with the measured error");
    let sum = |part: fn(&LedgerRow) -> f64| rows.iter().map(part).sum::<f64>();
    assert!(sum(|row| row.weight_rounding.abs()) > 0.0 && sum(|row| row.inherited) > 0.0, "{name}");
    assert!(sum(|row| row.activation_rounding) > 0.0 && sum(|row| row.bias.abs()) > 0.0, "{name}");
}

#[test]
fn the_ledger_adds_up() {
    let mut page = sample_page();
    let images = page.images("test", 3);
    for name in ["street-digits-int8", "street-digits-uint8"] {
        let model = page.model(name);
        let (rows, errors) = (ledger(&mut page, model, images), errors(&mut page, model, images));
        check_ledger(name, &rows, &errors);
    }
    let Some(folder) = reference() else { return };
    let names = ["resnet8_int8", "resnet8_int8_per_channel", "resnet8_uint8_qoperator", "resnet8_int8_entropy2048"];
    let mut page = reference_page(&folder, &names);
    let images = page.images("test_batch_head", 4);
    for name in names {
        let model = page.model(name);
        let (rows, errors) = (ledger(&mut page, model, images), errors(&mut page, model, images));
        check_ledger(name, &rows, &errors);
        if name == "resnet8_int8" {
            let first = rows.iter().find(|row| row.tensor == "model_1/conv2d_1/BiasAdd:0").unwrap();
            println!("{name}: first convolution {first:?}");
            assert!(first.bias != 0.0 && first.inherited == 0.0, "pixels are codes: nothing is inherited");
        }
    }
}

#[test]
fn residual_ratios() {
    let mut page = sample_page();
    let images = page.images("test", 4);
    for name in ["street-digits-int8", "street-digits-uint8"] {
        let model = page.model(name);
        let table = page.table(model);
        let rows = residuals(&mut page, model, images);
        for row in &rows {
            let scales: Vec<f64> = row.branches.iter().map(|(_, scale, _)| f64::from(*scale)).collect();
            let (low, high) =
                (scales.iter().copied().fold(f64::MAX, f64::min), scales.iter().copied().fold(0.0, f64::max));
            assert_eq!(row.ratio, high / low);
            for (tensor, scale, zero) in &row.branches {
                let grid = &table.rows.iter().find(|row| row.tensor == *tensor).unwrap().grid.params;
                assert_eq!((grid.scale[0], grid.zero_point[0]), (*scale, *zero));
            }
            assert!(row.joined_sqnr_db.unwrap() > 5.0, "{row:?}");
        }
        println!("{name}: {rows:?}");
    }
    let Some(folder) = reference() else { return };
    let recorded = json(&folder.join("expected/residual_scale_mismatch.json"));
    let names: Vec<&str> =
        recorded.as_object().unwrap().keys().map(String::as_str).filter(|key| *key != "_about").collect();
    let mut page = reference_page(&folder, &names);
    let images = page.images("test_batch_head", 2);
    for name in names {
        let model = page.model(name);
        let rows = residuals(&mut page, model, images);
        let nodes = recorded[name].as_object().unwrap();
        assert_eq!(rows.len(), nodes.len(), "{name}: {rows:?}");
        for (node, figures) in nodes {
            let row =
                rows.iter().find(|row| row.node == *node).unwrap_or_else(|| panic!("{name}: no {node} in {rows:?}"));
            assert_eq!(row.ratio, figures["ratio"].as_f64().unwrap(), "{name} {node}");
            let output = figures["output_scale"].as_f64().unwrap() as f32;
            assert_eq!(row.output.unwrap().0, output, "{name} {node}");
            assert_eq!(
                i64::from(row.output.unwrap().1),
                figures["output_zero_point"].as_i64().unwrap(),
                "{name} {node}"
            );
            for branch in figures["branches"].as_array().unwrap() {
                let scale = branch["scale"].as_f64().unwrap() as f32;
                assert!(row.branches.iter().any(|(_, own, _)| *own == scale), "{name} {node}");
            }
            assert!(row.cost_db.unwrap() > 0.0, "{name} {node}: {row:?}");
        }
    }
}

#[test]
fn sensitivity_is_measured() {
    let mut page = sample_page();
    let model = page.model("street-digits-int8");
    let images = page.images("test", 3);
    let rows = page.table(model).rows.len();
    let job = Patient::new(usize::MAX);
    let (Reply::Playground(reply), _) = page.ask_with(model, PlaygroundAsk::Sensitivity(images), &job) else {
        panic!()
    };
    let PlaygroundReply::Sensitivity(report) = *reply else { panic!() };
    assert_eq!((report.count, report.total, report.rows.len()), (3, rows, rows));
    // What is told on the way grows row by row, then image by image.
    for (before, after) in job.partial.borrow().iter().zip(job.partial.borrow().iter().skip(1)) {
        assert!((before.count, before.rows.len()) < (after.count, after.rows.len()) && after.total == rows);
    }
    assert_eq!(report.float.output_sqnr_db, None, "without rounding it is the float model");
    let whole = report.quantized.output_sqnr_db.unwrap();
    // One row alone does less harm than all of them, for nearly every row.
    let gentle = report.rows.iter().filter(|row| row.on.output_sqnr_db.is_none_or(|alone| alone >= whole)).count();
    assert!(gentle * 10 >= rows * 8, "{gentle} of {rows}");
    assert!(report.rows.iter().any(|row| row.off.output_sqnr_db != Some(whole)));
    // The same rows switched through edits give the same figures.
    for row in report.rows.iter().step_by(11) {
        edit(&mut page, model, &row.tensor, Change::Enabled(false));
        let again = sensitivity(&mut page, model, images);
        assert_eq!(again.quantized, row.off, "{}", row.tensor);
        let PlaygroundReply::Edited(_) = page.ask(model, PlaygroundAsk::Undo(None)) else { panic!() };
    }
    assert_eq!(sensitivity(&mut page, model, images).quantized, report.quantized, "nothing is left changed");
}

#[test]
fn a_cancelled_measurement_leaves_everything_as_it_was() {
    let mut page = sample_page();
    let model = page.model("street-digits-int8");
    let images = page.images("test", 50);
    let before = page.table(model);
    let few = Images { count: 2, ..images };
    let errors_before = errors(&mut page, model, few);
    for ask in [
        PlaygroundAsk::Sensitivity(images),
        PlaygroundAsk::LayerErrors(images),
        PlaygroundAsk::Ledger(images),
        PlaygroundAsk::Findings(images),
        PlaygroundAsk::Residuals(images),
    ] {
        let (reply, _) = page.ask_with(model, ask.clone(), &Patient::new(9));
        assert!(matches!(reply, Reply::Cancelled), "{ask:?}: {reply:?}");
    }
    assert_eq!(page.table(model), before);
    assert_eq!(errors(&mut page, model, few), errors_before);
}

#[test]
fn findings_of_the_reference_and_the_sample() {
    let mut page = sample_page();
    for name in ["street-digits-int8", "street-digits-uint8"] {
        let (model, images) = (page.model(name), page.images("test", 8));
        let found = findings(&mut page, model, images);
        assert!(!found.is_empty(), "{name}");
        assert!(found.windows(2).all(|pair| pair[0].weight >= pair[1].weight), "worst first");
        for finding in &found {
            println!(
                "{name}: {:.3} {} [{}] {:?} -> {:?}",
                finding.weight, finding.title, finding.tensor, finding.evidence, finding.fix
            );
            assert!((0.0..=1.0).contains(&finding.weight) && !finding.evidence.is_empty());
        }
        let before = page.table(model);
        for finding in found.iter().take(4) {
            let ask = PlaygroundAsk::ApplyFix { finding: finding.id, images };
            let PlaygroundReply::Fixed(fixed) = page.ask(model, ask) else { panic!() };
            println!("  fix {}: {:?} -> {:?} kept {}", fixed.finding, fixed.before, fixed.after, fixed.kept);
            assert_eq!(fixed.kept, fixed.after.is_better_than(&fixed.before), "{fixed:?}");
            if !fixed.kept {
                assert!(fixed.edited.history.entries.iter().all(|entry| !entry.contains(&finding.tensor)));
            }
        }
        let PlaygroundReply::Edited(_) = page.ask(model, PlaygroundAsk::Reset(None)) else { panic!() };
        assert_eq!(page.table(model).rows, before.rows);
    }
    let Some(folder) = reference() else { return };
    let mut page = reference_page(&folder, &["resnet8_int8"]);
    let (model, images) = (page.model("resnet8_int8"), page.images("test_batch_head", 8));
    let found = findings(&mut page, model, images);
    for finding in &found {
        println!(
            "resnet8_int8: {:.3} {} [{}] {:?} -> {:?}",
            finding.weight, finding.title, finding.tensor, finding.evidence, finding.fix
        );
    }
    let bias = found
        .iter()
        .find(|finding| finding.tensor == "model_1/conv2d_1/Squeeze:0")
        .expect("the first convolution's bias");
    assert!(
        bias.title.contains("bias") && bias.evidence.iter().any(|(_, figure)| figure.starts_with("4.2 dB")),
        "{bias:?}"
    );
    let PlaygroundReply::Fixed(fixed) = page.ask(model, PlaygroundAsk::ApplyFix { finding: bias.id, images }) else {
        panic!()
    };
    println!("resnet8_int8: bias in float: {:?} -> {:?}, kept {}", fixed.before, fixed.after, fixed.kept);
    assert!(found.iter().all(|finding| !finding.fix.is_empty()));
    let joins = found.iter().filter(|finding| finding.title.contains("Branches join")).count();
    assert_eq!(joins, 3, "all three Adds have a ratio above 2");
    let biases = page.table(model).rows.iter().filter(|row| row.kind == TensorKind::Bias).count();
    assert!(biases > 5);
}

fn edit(page: &mut Page, model: u32, tensor: &str, change: Change) {
    let edit = Edit { tensor: tensor.to_owned(), change };
    let PlaygroundReply::Edited(edited) = page.ask(model, PlaygroundAsk::Edit { edit, gesture: None, show: None })
    else {
        panic!()
    };
    assert!(edited.refused.is_none(), "{edited:?}");
}

/// A fault is made, found first, and its fix is kept.
fn made_and_mended(change: impl Fn(&RowState) -> Change, row: impl Fn(&RowState) -> bool, words: &str) {
    let mut page = sample_page();
    let (model, images) = (page.model("street-digits-int8"), page.images("test", 6));
    let row = page.table(model).rows.into_iter().find(row).unwrap();
    edit(&mut page, model, &row.tensor, change(&row));
    let found = findings(&mut page, model, images);
    let finding = found.iter().find(|finding| finding.tensor == row.tensor && finding.title.contains(words));
    let finding = finding.unwrap_or_else(|| panic!("{words} of {}: {found:?}", row.tensor));
    let ask = PlaygroundAsk::ApplyFix { finding: finding.id, images };
    let PlaygroundReply::Fixed(fixed) = page.ask(model, ask) else { panic!() };
    println!("{words}: weight {:.3}, {:?} -> {:?}", finding.weight, fixed.before, fixed.after);
    assert!(fixed.kept && fixed.after.is_better_than(&fixed.before), "{words}: {fixed:?}");
    assert_eq!(page.table(model).history.entries.len(), 2);
    let (reply, _) = page.ask_with(model, PlaygroundAsk::ApplyFix { finding: 999, images }, &Patient::new(99));
    assert!(matches!(reply, Reply::Failed(_)));
}

#[test]
fn a_range_that_clips() {
    let middle = |row: &RowState| row.absorbed.is_some() && row.tensor.contains("activation_3");
    let change = |row: &RowState| Change::Scale { channel: None, scale: row.grid.params.scale[0] / 6.0 };
    made_and_mended(change, middle, "cuts");
}

#[test]
fn a_range_that_is_empty() {
    let middle = |row: &RowState| row.absorbed.is_none() && row.tensor.contains("conv2d_3_1/BiasAdd");
    let change = |row: &RowState| Change::Scale { channel: None, scale: row.grid.params.scale[0] * 6.0 };
    made_and_mended(change, middle, "empty");
}

/// Four bits on either side of 0, for values that are never below it: 7 steps where 15 would do.
#[test]
fn a_symmetric_type_on_one_sign() {
    let change = |row: &RowState| {
        let mut grid = row.grid.clone();
        let widest = row.grid.params.scale[0] * 255.0;
        grid.bits = 4;
        grid.params.scale[0] = widest / 7.0;
        grid.params.zero_point[0] = 0;
        Change::Grid(grid)
    };
    made_and_mended(change, |row| row.absorbed.is_some() && row.tensor.contains("activation_3"), "symmetric");
}

#[test]
fn a_tensor_quantized_twice() {
    let mut page = Page::open(&[crate::support::fixture("table/quantized_twice.onnx")]);
    let model = page.workspace.models[0].id;
    let images = Images { source: None, first: 0, count: 1 };
    let found = findings(&mut page, model, images);
    assert!(found.iter().any(|finding| finding.title.contains("twice")), "{found:?}");
}
