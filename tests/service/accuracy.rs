//! Evaluations of all reference models against ONNX Runtime's recorded ones, graph optimizations disabled: counts, per
//! class, confusion, and image by image.

use super::{Calm, Service, ask};
use futures::executor::block_on;
use quantscope::analysis::{Evaluation, ItemScore, evaluate};
use quantscope::import::read_npz;
use quantscope::worker::service::Attachment;
use quantscope::worker::{EvaluateOrder, Reply, Request, Semantics, Workspace};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// All 10,000 images of every model instead of a slice: some 20 minutes of two cores.
const ALL: &str = "QUANTSCOPE_EVERY_JPEG";
/// The bound for counts on the 1017 images, over all and per class: values on a rounding edge move with the order of
/// sums.
const HEAD: u64 = 6;
/// The same on 10,000 images.
const JPEG: u64 = 30;
/// The dynamic model quantizes every activation by its range, which was that of 100 images in the record.
const DYNAMIC_MOVED: u64 = 10;
/// Images of each class in the slice of the 10,000, which come class after class.
const SLICE: usize = 12;
const CLASSES: usize = 10;

fn reference() -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/reference");
    let folder = std::env::var_os("QUANTSCOPE_REFERENCE").map_or(default, PathBuf::from);
    if !folder.join("models").is_dir() {
        eprintln!("skipped: the reference data is not at {}", folder.display());
        return None;
    }
    Some(folder)
}

fn opened(paths: &[PathBuf]) -> (Service, Workspace) {
    let mut service = Service::default();
    let names = paths.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    let read = |path: &PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        Attachment::new(move || Ok(bytes))
    };
    let attachments = paths.iter().map(read).collect();
    let answer = block_on(service.answer(Request::Open { paths: names }, attachments, &Calm(Instant::now()))).0;
    let Reply::Workspace(workspace) = answer else { panic!("{answer:?}") };
    assert!(workspace.problems.is_empty(), "{:?}", workspace.problems);
    (service, workspace)
}

/// What was recorded of a model on a data set.
fn recorded(folder: &Path, model: &str, data: &str) -> Value {
    let text = std::fs::read(folder.join("expected/accuracy_onnxruntime.json")).unwrap();
    let all: Value = serde_json::from_slice(&text).unwrap();
    all[model]["unoptimized"][data].clone()
}

fn models(folder: &Path) -> Vec<String> {
    let text = std::fs::read(folder.join("expected/accuracy_onnxruntime.json")).unwrap();
    let all: Value = serde_json::from_slice(&text).unwrap();
    let names = all.as_object().unwrap().keys().filter(|name| name.ends_with(".onnx")).cloned();
    let names: Vec<String> = names.collect();
    assert_eq!(names.len(), 13);
    names
}

fn scores(folder: &Path, model: &str, data: &str, pieces: &[(usize, usize)]) -> (Vec<ItemScore>, Vec<String>) {
    let (mut service, workspace) =
        opened(&[folder.join("models").join(model), folder.join("cifar10").join(format!("{data}.bin"))]);
    let (opened, source) = (&workspace.models[0], &workspace.sources[0]);
    // As the file's own operators compute.
    let integer = model.contains("qoperator") || model.contains("dynamic");
    let mut all = Vec::new();
    for &(first, count) in pieces {
        let order = EvaluateOrder {
            model: opened.id,
            edited: false,
            source: source.id,
            first,
            count,
            preprocess: None,
            semantics: if integer { Semantics::Integer } else { Semantics::Simulate },
        };
        let Reply::Scores(found) = ask(&mut service, Request::Evaluate(order)).0 else { panic!("{model}") };
        all.extend(found.scores);
    }
    (all, source.class_names.clone().unwrap())
}

/// Over all, per class and confusion; gives how many images are at least counted elsewhere.
fn compare(model: &str, found: &Evaluation, wanted: &Value, bound: u64) -> u64 {
    let number = |value: &Value| value.as_u64().unwrap();
    assert_eq!(found.overall.total, number(&wanted["total"]), "{model}");
    let off = found.overall.correct.abs_diff(number(&wanted["correct"]));
    assert!(off <= bound, "{model}: {} instead of {}", found.overall.correct, wanted["correct"]);
    for class in &found.per_class {
        let recorded = &wanted["per_class"][&class.class_name];
        assert_eq!(class.fraction.total, number(&recorded["total"]), "{model} {}", class.class_name);
        let off = class.fraction.correct.abs_diff(number(&recorded["correct"]));
        assert!(off <= bound, "{model} {}: {} instead of {recorded}", class.class_name, class.fraction.correct);
    }
    let rows = wanted["confusion_rows_true_cols_predicted"].as_array().unwrap();
    let cells: Vec<u64> = rows.iter().flat_map(|row| row.as_array().unwrap()).map(number).collect();
    assert_eq!(cells.len(), found.confusion.len());
    // An image that is taken for another class leaves one cell and comes to another.
    let moved = cells.iter().zip(&found.confusion).map(|(wanted, found)| wanted.abs_diff(*found)).sum::<u64>() / 2;
    println!(
        "{model}: {} of {}, recorded {}, {moved} in other cells of the confusion",
        found.overall.correct, found.overall.total, wanted["correct"]
    );
    moved
}

#[test]
fn every_reference_model_on_the_test_images() {
    let Some(folder) = reference() else { return };
    for model in models(&folder) {
        let (scores, names) = scores(&folder, &model, "test_batch_head", &[(0, usize::MAX)]);
        let found = evaluate(&scores, &names);
        let moved = compare(&model, &found, &recorded(&folder, &model, "test_batch_head"), HEAD);
        assert!(moved <= if model.contains("dynamic") { DYNAMIC_MOVED } else { HEAD }, "{model}: {moved} images");
    }
}

#[test]
fn every_reference_model_on_the_jpeg_images() {
    let Some(folder) = reference() else { return };
    let bytes = std::fs::read(folder.join("expected/predicted_classes_all.npz")).unwrap();
    let predicted = read_npz(&bytes.into(), &quantscope::import::Limits::default()).unwrap();
    let all = std::env::var_os(ALL).is_some();
    for model in models(&folder) {
        let each = 1000;
        let pieces: Vec<_> = match all {
            true => vec![(0, usize::MAX)],
            false => (0..CLASSES).map(|class| (class * each, SLICE)).collect(),
        };
        let (scores, names) = scores(&folder, &model, "test_jpeg", &pieces);
        let key = format!("{}__unoptimized__jpeg", model.trim_end_matches(".onnx"));
        let wanted = predicted.iter().find(|array| array.name == key).unwrap().tensor.to_i64().unwrap();
        let other = scores.iter().filter(|score| i64::from(score.best) != wanted[score.item as usize]).count();
        println!("{model}: {other} of {} images classified otherwise", scores.len());
        // One image in a hundred may fall to the other side of an edge; of the dynamic model some more.
        let bound = scores.len().div_ceil(100) * if model.contains("dynamic") { 2 } else { 1 };
        assert!(other <= bound, "{model}: {other} of {} images", scores.len());
        if all {
            compare(&model, &evaluate(&scores, &names), &recorded(&folder, &model, "test_jpeg"), JPEG);
        }
    }
}
