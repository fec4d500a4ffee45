//! The recording code of the page, run by Keras itself on every kind of layer, where the environment variable
//! `QUANTSCOPE_KERAS` names a Python that has it.

use crate::keras::layers;
use crate::page::Page;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

fn python() -> Option<PathBuf> {
    let found = std::env::var_os("QUANTSCOPE_KERAS").map(PathBuf::from).filter(|path| path.is_file());
    if found.is_none() {
        eprintln!("skipped: QUANTSCOPE_KERAS names no Python with keras");
    }
    found
}

/// Files of Keras 1 and 2, which Keras 3 does not load, or not as they were.
fn is_old(name: &str) -> bool {
    name.contains(".k1.") || name.contains(".k2.")
}

/// What Keras 3.15 does not run itself: channels first on a CPU, and .h5 files with functions or normalized axes that it
/// does not read back, nor those with layers of its own applications.
const KERAS_FAILS: [&str; 9] = [
    "channels_first_h5",
    "channels_first_keras",
    "functions_h5",
    "functions_more_h5",
    "functions_shapes_h5",
    "layer_norm_h5",
    "layer_scale_h5",
    "masking_h5",
    "masks_h5",
];

/// Runs the recording code in every folder of this one; gives what failed.
fn record_all(python: &Path, folder: &Path) -> BTreeMap<String, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/convert/record_all.py");
    let output = Command::new(python).arg(script).arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(said.lines().last().unwrap()).unwrap()
}

#[test]
fn every_layer_of_every_tflite_file_equals_the_interpreter() {
    let Some(python) = python() else { return };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("recorded-tflite");
    let _ = std::fs::remove_dir_all(&folder);
    let own = std::fs::read_dir(crate::support::fixtures("tflite")).unwrap().map(|entry| entry.unwrap().path());
    let reference = crate::support::reference().map(|folder| folder.join("models/pretrainedResnet_quant.tflite"));
    let mut cases = Vec::new();
    for path in own.chain(reference).filter(|path| path.extension().is_some_and(|kind| kind == "tflite")) {
        let case = folder.join(path.file_stem().unwrap());
        std::fs::create_dir_all(&case).unwrap();
        let copy = case.join(path.file_name().unwrap());
        std::fs::copy(&path, &copy).unwrap();
        std::fs::write(case.join("record.py"), Page::open(std::slice::from_ref(&copy)).card(0).recorder).unwrap();
        cases.push(copy);
    }
    let failed = record_all(&python, &folder);
    assert!(failed.is_empty(), "{failed:?}");
    let mut wrong = Vec::new();
    for path in &cases {
        let recording = std::fs::read(path.with_file_name("recorded.npz")).unwrap();
        let mut page = Page::open(std::slice::from_ref(path));
        let tolerance = page.card(0).tolerance;
        let check = page.outputs(0, recording);
        let far: Vec<_> = check.rows.iter().filter(|row| !row.is_equal(tolerance)).collect();
        let quantized = check.rows.iter().filter(|row| row.step.is_some()).count();
        let steps = |row: &&quantscope::worker::OutputRow| {
            let most = row.difference.as_ref().unwrap().metrics.max_abs.unwrap_or(f64::INFINITY);
            (row.layer.chars().take(24).collect::<String>(), row.step.map(|step| most / step))
        };
        let said: Vec<_> = far.iter().map(steps).collect();
        println!("{}: {} layers, {quantized} quantized, far {said:?}", path.display(), check.rows.len());
        // What enters a layer with 8-bit weights between floats is rounded in the run, which is said.
        let hybrid = check.notes.iter().any(|note| note.contains("Differences of 1 % are usual"));
        assert_eq!(hybrid, path.ends_with("wide_dynamic.tflite"), "{}", path.display());
        if check.rows.len() < 3 || (!far.is_empty() && !hybrid) {
            wrong.push(format!("{}: {said:?}", path.display()));
        }
    }
    assert!(wrong.is_empty() && cases.len() > 10, "{}", wrong.join("\n"));
}

#[test]
fn every_layer_of_every_model_equals_keras() {
    let Some(python) = python() else { return };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("recorded-keras");
    let _ = std::fs::remove_dir_all(&folder);
    let files = layers();
    let mut cases = Vec::new();
    for (name, bytes) in &files {
        if !(name.ends_with(".keras") || name.ends_with(".h5")) || is_old(name) {
            continue;
        }
        if !files.contains_key(&format!("{}.npz", name.rsplit_once('.').unwrap().0)) {
            continue;
        }
        let case = folder.join(name.replace('.', "_"));
        std::fs::create_dir_all(&case).unwrap();
        std::fs::write(case.join(name), bytes).unwrap();
        std::fs::write(case.join("record.py"), Page::open(&[case.join(name)]).card(0).recorder).unwrap();
        cases.push((name.clone(), case));
    }
    let failed = record_all(&python, &folder);
    let (mut wrong, mut count) = (Vec::new(), 0);
    for (name, case) in &cases {
        let Ok(recording) = std::fs::read(case.join("recorded.npz")) else { continue };
        let mut page = Page::open(&[case.join(name)]);
        let tolerance = page.card(0).tolerance;
        let check = page.outputs(0, recording);
        count += check.rows.len();
        if name.starts_with("nested_once") {
            let inside = check.rows.iter().filter(|row| row.layer.starts_with("middle/block/")).count();
            assert_eq!(inside, 3, "{name}: layers of the model inside of a model inside");
        }
        if let Some(first) = check.first_differing(tolerance) {
            let row = &check.rows[first];
            wrong.push(format!("{name}: {} {:?} {:?}: {:?}", row.layer, row.source_shape, row.shape, row.difference));
        }
        if !check.missing.is_empty() {
            println!("{name}: {:?}", check.missing);
        }
    }
    println!("{} models, {count} layers", cases.len());
    failed.iter().for_each(|(name, why)| println!("not recorded: {name}: {why}"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let unexpected: Vec<_> = failed.keys().filter(|name| !KERAS_FAILS.contains(&name.as_str())).collect();
    assert!(unexpected.is_empty() && count > 500, "{unexpected:?} of {} models, {count} layers", cases.len());
}
