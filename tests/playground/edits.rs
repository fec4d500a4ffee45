//! Edits: refused or done, undone, kept, shared; and that an edit gives bit for bit what a full run gives.

use crate::support::{Page, Seeded, cifar, document, fixture, lifted, reference, sample};
use quantscope::engine::LivePlan;
use quantscope::onnx::Document;
use quantscope::quant::Granularity;
use quantscope::quant::table::{Change, Edit, Lifted, Row, RowMode, apply};
use quantscope::tensor::Tensor;
use quantscope::worker::{
    Edited, Images, InputChoice, PlaygroundAsk, PlaygroundReply, Reply, Request, RunOrder, Semantics, TableState,
    TensorQuery, Version,
};
use std::collections::HashSet;
use std::time::Instant;

/// Any edit of a row that its kind allows; most of them are taken.
pub fn random_edit(row: &Row, seeded: &mut Seeded) -> Edit {
    if row.bias_of.is_some() {
        // Its scale follows: it can only be switched.
        return Edit { tensor: row.tensor.clone(), change: Change::Enabled(!row.enabled) };
    }
    let scale = row.grid.params.scale[0];
    let channel =
        (row.grid.params.scale.len() > 1 && seeded.below(2) == 0).then(|| seeded.below(row.grid.params.scale.len()));
    let (low, high) = row.grid.codes();
    // A constant of int32 has more codes than an i32 can count.
    let span = i64::from(high) - i64::from(low);
    let change = match seeded.below(9) {
        0 | 1 => Change::Scale { channel, scale: scale * (0.5 + seeded.unit()) },
        2 => Change::ZeroPoint {
            channel,
            zero_point: (i64::from(low) + seeded.below((span + 1) as usize) as i64) as i32,
        },
        3 | 4 => {
            let reach = scale * span as f32;
            Change::Range { channel, low: -reach * seeded.unit(), high: reach * (0.1 + seeded.unit()) }
        }
        5 => Change::Codes {
            bits: 2 + seeded.below(7) as u8,
            signed: seeded.below(2) == 0,
            narrow_range: seeded.below(3) == 0,
        },
        6 => Change::Symmetric(seeded.below(2) == 0),
        7 => match row.channel_axis.is_some() && row.constant.is_some() {
            true => Change::PerChannel(row.grid.params.granularity == Granularity::PerTensor),
            false => Change::Enabled(!row.enabled),
        },
        _ => Change::Enabled(!row.enabled),
    };
    Edit { tensor: row.tensor.clone(), change }
}

fn assert_same(live: &LivePlan, full: &LivePlan, what: &str) {
    for value in live.plan().observed() {
        assert_eq!(live.plan().value(value), full.plan().value(value), "{what}: {value}");
        assert_eq!(live.plan().rounded(value), full.plan().rounded(value), "{what}: {value} as seen");
    }
}

/// Edits of a table, each run incrementally and in full by another plan, from time to time by a fresh one.
fn incremental_equals_full(name: &str, model: &Document, float: Option<&Document>, input: &Tensor, edits: usize) {
    let Lifted { float: graph, mut table, .. } = lifted(model, float);
    let original = table.clone();
    let mut live = LivePlan::compile(&graph, &table).unwrap();
    let mut full = LivePlan::compile(&graph, &table).unwrap();
    let inputs = vec![(live.plan().inputs()[0].name.clone(), input.clone())];
    live.run(&inputs).unwrap();
    let (mut seeded, mut taken, mut partial) = (Seeded(11), 0, 0);
    let began = Instant::now();
    for number in 0..edits {
        let at = seeded.below(table.rows.len());
        let edit = random_edit(&table.rows[at], &mut seeded);
        let before = table.clone();
        let changed = match apply(&mut table, &original, &edit, None) {
            Ok(changed) => changed,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                assert_eq!(table, before, "a refused edit changes nothing");
                continue;
            }
        };
        taken += 1;
        for tensor in &changed {
            live.set_row(table.row(tensor).unwrap()).unwrap_or_else(|error| panic!("{edit:?}: {error}"));
            full.set_row(table.row(tensor).unwrap()).unwrap();
        }
        let dirty = live.rerun().unwrap();
        partial += usize::from(dirty.nodes < live.plan().observed().len());
        full.run(&inputs).unwrap();
        assert_same(&live, &full, &format!("{name}, edit {number} {edit:?}"));
        if number % 50 == 49 {
            let mut fresh = LivePlan::compile(&graph, &table).unwrap();
            fresh.run(&inputs).unwrap();
            assert_same(&live, &fresh, &format!("{name}, fresh plan after edit {number}"));
        }
    }
    println!("{name}: {taken} of {edits} edits taken, {partial} partial re-runs, {} ms", began.elapsed().as_millis());
    assert!(taken * 2 > edits, "{name}: {taken} of {edits}");
}

fn pixels(count: usize) -> Vec<f32> {
    (0..count).map(|at| ((at * 37 + at / 96) % 256) as f32).collect()
}

#[test]
fn two_hundred_edits_of_the_sample() {
    let input = Tensor::from_vec(vec![1, 32, 32, 3], pixels(3072)).unwrap();
    let float = document(&sample("street-digits.onnx"));
    let model = document(&sample("street-digits-int8.onnx"));
    incremental_equals_full("street-digits-int8", &model, Some(&float), &input, 200);
}

#[test]
fn edits_of_tiny_models() {
    let input = Tensor::from_vec(vec![1, 8, 8, 3], pixels(192).into_iter().map(|v| v / 100.0 - 1.2).collect()).unwrap();
    for name in ["tiny_int8_per_channel", "tiny_uint8_qoperator", "tiny_int16", "tiny_int4w", "tiny_uint8_dynamic"] {
        incremental_equals_full(name, &document(&fixture("models").join(format!("{name}.onnx"))), None, &input, 60);
    }
}

#[test]
fn two_hundred_edits_of_the_reference() {
    let Some(folder) = reference() else { return };
    let model = |name: &str| document(&folder.join(format!("models/{name}.onnx")));
    let float = model("resnet8");
    for (name, edits) in [("resnet8_int8", 200), ("resnet8_uint8_qoperator", 60)] {
        incremental_equals_full(name, &model(name), Some(&float), &cifar(&folder, 3), edits);
    }
}

fn edited(page: &mut Page, model: u32, ask: PlaygroundAsk) -> Edited {
    match page.ask(model, ask) {
        PlaygroundReply::Edited(edited) => edited,
        other => panic!("{other:?}"),
    }
}

fn sample_page() -> (Page, u32) {
    let page = Page::open(&["street-digits.onnx", "street-digits-int8.onnx", "street-digits.tar.gz"].map(sample));
    let model = page.model("street-digits-int8");
    (page, model)
}

fn query(tensor: &str) -> TensorQuery {
    TensorQuery { tensor: tensor.to_owned(), channel: None, bins: 60, range: None, first_value: 0, values: 12 }
}

fn scale_edit(tensor: &str, scale: f32) -> Edit {
    Edit { tensor: tensor.to_owned(), change: Change::Scale { channel: None, scale } }
}

#[test]
fn the_table_says_what_it_is_measured_against() {
    let (mut page, model) = sample_page();
    let table = page.table(model);
    assert_eq!(table.float_model, Some(page.model("street-digits")));
    assert!(table.rows.len() == 66 && table.as_written.is_empty(), "{} rows", table.rows.len());
    assert!(!table.history.dirty && table.history.entries.is_empty());
    assert!(table.rows.iter().all(|row| row.layer.is_some() && row.shape.is_some() && !row.dirty), "{:?}", table.rows);
    assert!(table.rows.iter().any(|row| row.derived) && table.rows.iter().any(|row| row.absorbed.is_some()));
    // Without a float model the model itself is the reference.
    let mut alone = Page::open(&[sample("street-digits-int8.onnx")]);
    let model = alone.model("street-digits-int8");
    let table = alone.table(model);
    assert!(table.float_model.is_none() && !table.float_words.is_empty());
}

#[test]
fn an_edit_is_done_undone_and_done_again() {
    let (mut page, model) = sample_page();
    let table = page.table(model);
    let row = table.rows.iter().find(|row| row.absorbed.is_some()).unwrap().clone();
    let show = Some(query(&row.tensor));
    let PlaygroundReply::BeforeAfter(before) = page.ask(model, PlaygroundAsk::BeforeAfter(query(&row.tensor))) else {
        panic!()
    };
    assert_eq!(before.outcomes.len(), 3);
    assert!(before.outcomes.iter().all(|outcome| outcome.predictions.is_some() && outcome.logits.len() == 10));
    assert_eq!(before.tensors.len(), 3);
    assert_eq!(before.tensors[1].values, before.tensors[2].values, "nothing is edited yet");
    let scale = row.grid.params.scale[0];
    let first = edited(
        &mut page,
        model,
        PlaygroundAsk::Edit { edit: scale_edit(&row.tensor, scale / 8.0), gesture: Some(7), show: show.clone() },
    );
    let second = edited(
        &mut page,
        model,
        PlaygroundAsk::Edit { edit: scale_edit(&row.tensor, scale / 3.0), gesture: Some(7), show: show.clone() },
    );
    assert_eq!(second.history.entries.len(), 1, "one drag is one entry: {:?}", second.history);
    assert!(second.history.dirty && second.rows.iter().any(|changed| changed.tensor == row.tensor && changed.dirty));
    assert!(second.changed.contains(&row.tensor) && second.nodes > 0 && first.versions != second.versions);
    let shown = second.shown.as_ref().unwrap();
    let (clipped, rounded) = (shown.clipped, shown.rounded);
    assert!(
        clipped.count > 0 && (clipped.share_of_error + rounded.share_of_error - 1.0).abs() < 1e-9,
        "{clipped:?} {rounded:?}"
    );
    assert!(shown.tensors[2].error.unwrap().mse > shown.tensors[1].error.unwrap().mse, "a third of the range is worse");
    let counts = |at: usize| shown.tensors[at].histogram.as_ref().unwrap();
    assert!(
        (0..3).all(|at| counts(at).edges == counts(0).edges)
            && shown.before_rounding.as_ref().unwrap().edges == counts(0).edges
    );
    // A picture asked for alone is the one that came with the edit.
    let PlaygroundReply::BeforeAfter(again) = page.ask(model, PlaygroundAsk::BeforeAfter(query(&row.tensor))) else {
        panic!()
    };
    assert_eq!(&again, shown);
    let undone = edited(&mut page, model, PlaygroundAsk::Undo(show.clone()));
    assert_eq!(undone.shown.as_ref(), Some(&before));
    assert!(!undone.history.dirty && undone.history.applied == 0 && undone.history.entries.len() == 1);
    let redone = edited(&mut page, model, PlaygroundAsk::Redo(show.clone()));
    assert_eq!(redone.shown, second.shown);
    let reset = edited(&mut page, model, PlaygroundAsk::Reset(show));
    assert_eq!(reset.shown.as_ref(), Some(&before));
    assert_eq!((reset.history.entries.len(), reset.history.dirty), (2, false));
    assert_eq!(page.table(model).rows, table.rows);
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let (mut page, model) = sample_page();
    let before = page.table(model);
    let row = before.rows.iter().find(|row| row.channels.is_none() && !row.derived).unwrap().tensor.clone();
    let weight = before.rows.iter().find(|row| row.channels.is_some()).unwrap().clone();
    let bias = before.rows.iter().find(|row| row.derived).unwrap().tensor.clone();
    let zero_point = |zero_point| Change::ZeroPoint { channel: None, zero_point };
    let mut wrong: Vec<(String, Change)> = [0.0, -1.0, f32::NAN, f32::INFINITY]
        .into_iter()
        .map(|scale| (row.clone(), Change::Scale { channel: None, scale }))
        .collect();
    wrong.push((row.clone(), zero_point(128)));
    wrong.push((row.clone(), zero_point(-129)));
    wrong.push((row.clone(), Change::Range { channel: None, low: 2.0, high: 1.0 }));
    wrong.push((row.clone(), Change::Range { channel: None, low: f32::NAN, high: 1.0 }));
    wrong.push((row.clone(), Change::Codes { bits: 1, signed: true, narrow_range: false }));
    wrong.push((row.clone(), Change::Codes { bits: 17, signed: true, narrow_range: false }));
    wrong.push((bias, Change::Scale { channel: None, scale: 1.0 }));
    wrong.push(("nobody".to_owned(), Change::Enabled(false)));
    let mut grid = weight.grid.clone();
    grid.params.scale = vec![0.1; 3];
    grid.params.zero_point = vec![0; 3];
    grid.params.granularity = Granularity::PerChannel { axis: 0 };
    wrong.push((weight.tensor, Change::Grid(grid)));
    for (tensor, change) in wrong {
        let edit = Edit { tensor, change };
        let answer = edited(&mut page, model, PlaygroundAsk::Edit { edit: edit.clone(), gesture: None, show: None });
        assert!(
            answer.refused.is_some() && answer.rows.is_empty() && answer.changed.is_empty(),
            "{edit:?}: {answer:?}"
        );
        assert!(!answer.refused.unwrap().to_string().is_empty());
    }
    assert_eq!(page.table(model), before);
}

#[test]
fn edits_survive_as_a_list() {
    let (mut page, model) = sample_page();
    let mut seeded = Seeded(5);
    let table = page.table(model);
    for _ in 0..12 {
        let at = seeded.below(table.rows.len());
        let row = &table.rows[at];
        let mut plain = Row::new(row.tensor.clone(), row.kind, row.grid.clone());
        plain.enabled = row.enabled;
        let edit = random_edit(&plain, &mut seeded);
        edited(&mut page, model, PlaygroundAsk::Edit { edit, gesture: None, show: None });
    }
    let done = page.table(model);
    assert!(done.history.dirty);
    let (mut other, same_model) = sample_page();
    let json = done.history.edits_json.clone();
    let applied = edited(&mut other, same_model, PlaygroundAsk::ApplyEdits { json: json.clone() });
    assert!(applied.refused.is_none() && applied.history.dirty);
    let restored = other.table(same_model);
    assert_eq!(restored.rows, done.rows);
    assert_eq!(restored.history.edits_json, json);
    let errors =
        |page: &mut Page| page.ask(same_model, PlaygroundAsk::LayerErrors(Images { source: None, first: 0, count: 1 }));
    assert_eq!(errors(&mut page), errors(&mut other));
    // Another model's list is no list of this one, nor is any text.
    let mut uint8 = Page::open(&[sample("street-digits-uint8.onnx")]);
    let wrong_model = uint8.model("street-digits-uint8");
    for json in [json, "{}".to_owned(), "no json".to_owned()] {
        let (reply, _) =
            uint8.ask_with(wrong_model, PlaygroundAsk::ApplyEdits { json }, &crate::support::Patient::new(99));
        assert!(matches!(reply, Reply::Failed(_)), "{reply:?}");
    }
    assert!(!uint8.table(wrong_model).history.dirty);
}

#[test]
fn opening_and_closing_models_keeps_edits() {
    let mut page = Page::open(&[sample("street-digits-int8.onnx")]);
    let model = page.model("street-digits-int8");
    let row = page.table(model).rows[1].clone();
    let scale = row.grid.params.scale[0] / 2.0;
    edited(&mut page, model, PlaygroundAsk::Edit { edit: scale_edit(&row.tensor, scale), gesture: None, show: None });
    let weight = page.table(model).rows.into_iter().find(|row| row.channels.is_some()).unwrap();
    let per_channel = Edit { tensor: weight.tensor.clone(), change: Change::PerChannel(true) };
    edited(&mut page, model, PlaygroundAsk::Edit { edit: per_channel, gesture: None, show: None });
    edited(&mut page, model, PlaygroundAsk::Undo(None));
    let alone = page.table(model);
    page.add(&[sample("street-digits.onnx")]);
    let table = page.table(model);
    assert!(table.float_model.is_some() && table.history.dirty);
    assert_eq!(table.rows.iter().find(|found| found.tensor == row.tensor).unwrap().grid.params.scale, [scale]);
    // The history goes on where it was.
    assert_eq!(table.history, alone.history);
    assert_eq!((table.history.entries.len(), table.history.applied), (2, 1));
    let redone = edited(&mut page, model, PlaygroundAsk::Redo(None));
    let found = redone.rows.iter().find(|found| found.tensor == weight.tensor).unwrap();
    assert!(found.grid.params.scale.len() > 1 && redone.history.applied == 2);
    for _ in 0..2 {
        edited(&mut page, model, PlaygroundAsk::Undo(None));
    }
    let undone = page.table(model);
    assert!(!undone.history.dirty && undone.rows.iter().all(|row| !row.dirty && row.grid == row.original));
    // What the unedited table says of the float model is what it says in a page of its own.
    let (mut fresh, own) = sample_page();
    let grids = |table: &TableState| {
        table.rows.iter().map(|row| (row.tensor.clone(), row.grid.clone(), row.absorbed)).collect::<Vec<_>>()
    };
    assert_eq!(grids(&undone), grids(&fresh.table(own)));
    edited(&mut page, model, PlaygroundAsk::Redo(None));
    let float = page.model("street-digits");
    page.close(float);
    let table = page.table(model);
    assert!(table.float_model.is_none() && table.history.dirty);
    assert_eq!((table.history.entries.len(), table.history.applied), (2, 1));
}

/// An activation's symmetric range, told to be asymmetric, goes as far on either side as its values do.
#[test]
fn an_activation_is_made_asymmetric() {
    let (mut page, model) = sample_page();
    let row = page.table(model).rows.into_iter().find(|row| row.absorbed.is_some() && row.layer.is_some()).unwrap();
    let mut change = |change: Change| {
        let edit = Edit { tensor: row.tensor.clone(), change };
        let done = edited(&mut page, model, PlaygroundAsk::Edit { edit, gesture: None, show: None });
        assert!(done.refused.is_none(), "{done:?}");
        done.rows.into_iter().find(|changed| changed.tensor == row.tensor).unwrap()
    };
    let before = row.reach[0];
    assert!(before.0 == 0.0 && before.1 > 0.0, "behind a Relu: {before:?}");
    let symmetric = change(Change::Symmetric(true));
    assert!(symmetric.grid.is_symmetric());
    let side = symmetric.reach[0].1;
    assert!((side - before.1).abs() < 1e-4 * side, "the calibrated range stays: {before:?} {side}");
    let asymmetric = change(Change::Symmetric(false));
    assert!(!asymmetric.grid.is_symmetric());
    let (low, high) = asymmetric.reach[0];
    assert!(low == 0.0 && (high - side).abs() < 1e-4 * side, "nothing is below 0: {low} {high}");
}

/// A drag inwards and out again leaves every channel as it was: its steps start from where it began.
#[test]
fn a_drag_there_and_back_changes_nothing() {
    let (mut page, model) = sample_page();
    let row = page.table(model).rows.into_iter().find(|row| row.channels.is_some()).unwrap();
    let mut order = |change: Change, gesture: Option<u32>| {
        let edit = Edit { tensor: row.tensor.clone(), change };
        let done = edited(&mut page, model, PlaygroundAsk::Edit { edit, gesture, show: None });
        assert!(done.refused.is_none(), "{done:?}");
        (done.rows.into_iter().find(|changed| changed.tensor == row.tensor), done.history)
    };
    let began = order(Change::PerChannel(true), None).0.unwrap();
    let most = began.grid.params.scale.iter().fold(0f32, |most, scale| most.max(scale * 127.0));
    let range = |side: f32| Change::Range { channel: None, low: -side, high: side };
    let inside = order(range(most / 8.0), Some(3)).0.unwrap();
    assert!(inside.grid.params.scale.iter().all(|scale| scale * 127.0 <= most / 7.9));
    let (back, history) = order(range(most), Some(3));
    assert_eq!(back.unwrap().grid, began.grid, "every channel has its own scale again");
    assert_eq!(history.entries.len(), 2);
    // So does the number of bits.
    order(Change::Codes { bits: 2, signed: true, narrow_range: false }, Some(4));
    let (back, history) = order(Change::Codes { bits: 8, signed: true, narrow_range: false }, Some(4));
    assert_eq!((back.unwrap().grid, history.entries.len()), (began.grid, 3));
}

/// In integer semantics every version is the run of its own file; an edit is a full run.
#[test]
fn integer_semantics_run_the_lowered_table() {
    let Some(folder) = reference() else { return };
    let mut page = Page::open(&[
        folder.join("models/resnet8_uint8_qoperator.onnx"),
        folder.join("models/resnet8.onnx"),
        folder.join("cifar10/test_batch_head.bin"),
    ]);
    let model = page.model("resnet8_uint8_qoperator");
    let source = page.workspace.sources[0].id;
    let order =
        RunOrder { input: InputChoice::Item { source, index: 2 }, preprocess: None, semantics: Semantics::Integer };
    let (reply, _) = futures::executor::block_on(page.service.answer(
        Request::Run(order),
        Vec::new(),
        &crate::support::Patient::new(99),
    ));
    let Reply::Run(run) = reply else { panic!("{reply:?}") };
    let row = page
        .table(model)
        .rows
        .iter()
        .find(|row| row.channels.is_none() && row.kind == quantscope::quant::TensorKind::Activation)
        .unwrap()
        .clone();
    let PlaygroundReply::BeforeAfter(shown) = page.ask(model, PlaygroundAsk::BeforeAfter(query(&row.tensor))) else {
        panic!()
    };
    let outcome = run.outcomes.iter().find(|outcome| outcome.model == model).unwrap().result.as_ref().unwrap();
    let original = shown.outcomes.iter().find(|outcome| outcome.version == Version::Original).unwrap();
    let top = |predictions: &quantscope::worker::Predictions| -> Vec<(usize, f64)> {
        predictions.top.iter().map(|entry| (entry.index, entry.probability)).collect()
    };
    assert_eq!(top(original.predictions.as_ref().unwrap()), top(outcome.predictions.as_ref().unwrap()));
    let scale = row.grid.params.scale[0] * 1.5;
    let after = edited(
        &mut page,
        model,
        PlaygroundAsk::Edit { edit: scale_edit(&row.tensor, scale), gesture: None, show: Some(query(&row.tensor)) },
    );
    assert!(after.refused.is_none(), "{:?}", after.refused);
    assert_ne!(after.shown.unwrap().tensors[2].values, shown.tensors[2].values);
}

/// Rows of a table by their mode, for what a dynamic file shows.
#[test]
fn a_dynamic_file_shows_its_own_run() {
    let Some(folder) = reference() else { return };
    let mut page =
        Page::open(&[folder.join("models/resnet8_uint8_dynamic.onnx"), folder.join("cifar10/test_batch_head.bin")]);
    let model = page.model("resnet8_uint8_dynamic");
    let source = page.workspace.sources[0].id;
    let order =
        RunOrder { input: InputChoice::Item { source, index: 4 }, preprocess: None, semantics: Semantics::Simulate };
    let (reply, _) = futures::executor::block_on(page.service.answer(
        Request::Run(order),
        Vec::new(),
        &crate::support::Patient::new(99),
    ));
    let Reply::Run(run) = reply else { panic!("{reply:?}") };
    let table = page.table(model);
    let row = table.rows.iter().find(|row| row.mode == RowMode::Dynamic).unwrap();
    let PlaygroundReply::BeforeAfter(shown) = page.ask(model, PlaygroundAsk::BeforeAfter(query(&row.tensor))) else {
        panic!()
    };
    let outcome = run.outcomes[0].result.as_ref().unwrap().predictions.as_ref().unwrap();
    let original = shown
        .outcomes
        .iter()
        .find(|outcome| outcome.version == Version::Original)
        .unwrap()
        .predictions
        .as_ref()
        .unwrap();
    assert_eq!(outcome.top, original.top);
}

/// Nodes of a file that depend on a value, without those that only quantize: they are no nodes of the lifted graph.
fn downstream(file: &Document, tensor: &str) -> usize {
    let of = |name: &str| name == tensor || name.strip_prefix(tensor).is_some_and(|rest| rest.starts_with('_'));
    let nodes = &file.graph().node;
    let mut reached: HashSet<&str> =
        nodes.iter().flat_map(|node| &node.input).map(String::as_str).filter(|name| of(name)).collect();
    // A file's nodes stand in topological order.
    let mut count = 0;
    for node in nodes {
        if node.input.iter().any(|input| reached.contains(input.as_str())) {
            reached.extend(node.output.iter().map(String::as_str));
            count += usize::from(!matches!(node.op_type(), "QuantizeLinear" | "DequantizeLinear"));
        }
    }
    count
}

/// While a handle is dragged only what is downstream of it is computed.
#[test]
fn a_drag_computes_what_is_downstream() {
    let mut page = Page::open(&["street-digits.onnx", "street-digits-int8.onnx", "street-digits.tar.gz"].map(sample));
    let file = document(&sample("street-digits-int8.onnx"));
    let model = page.model("street-digits-int8");
    let rows = page.table(model).rows;
    let (mut seen, mut worst) = (Vec::new(), 0f64);
    for row in rows.iter().filter(|row| !row.derived) {
        let most = downstream(&file, &row.tensor);
        for step in 0..3 {
            let scale = row.grid.params.scale[0] * (0.6 + 0.1 * step as f32);
            let ask = PlaygroundAsk::Edit {
                edit: scale_edit(&row.tensor, scale),
                gesture: Some(1),
                show: Some(query(&row.tensor)),
            };
            let edited = edited(&mut page, model, ask);
            // Nothing reads what is rounded last.
            assert!(
                (most.min(1)..=most).contains(&edited.nodes),
                "{}: {} nodes of {most} downstream",
                row.tensor,
                edited.nodes
            );
            seen.push(edited.nodes);
            worst = worst.max(edited.worker_ms);
        }
        edited(&mut page, model, PlaygroundAsk::Reset(None));
    }
    println!(
        "{} drags of {} to {} nodes, at most {worst:.1} ms",
        seen.len(),
        seen.iter().min().unwrap(),
        seen.iter().max().unwrap()
    );
    assert!(seen.iter().min() < Some(&3) && seen.iter().max() > Some(&15), "from the last layer to the first");
}
