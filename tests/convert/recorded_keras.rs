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
/// does not read back.
const KERAS_FAILS: [&str; 5] =
    ["channels_first_h5", "channels_first_keras", "functions_h5", "layer_norm_h5", "masks_h5"];

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
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/convert/record_all.py");
    let output = Command::new(python).arg(script).arg(&folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout);
    let failed: BTreeMap<String, String> = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    let (mut wrong, mut count) = (Vec::new(), 0);
    for (name, case) in &cases {
        let Ok(recording) = std::fs::read(case.join("recorded.npz")) else { continue };
        let mut page = Page::open(&[case.join(name)]);
        let tolerance = page.card(0).tolerance;
        let check = page.outputs(0, recording);
        count += check.rows.len();
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
