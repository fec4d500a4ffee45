//! Every Keras layer that is converted, once more as PyTorch code, against what Keras recorded.

use crate::pytorch_run::{export, python, reports, workplace};
use crate::support::{fixtures, npz_bytes};
use bytes::Bytes;
use quantscope::import::{KerasOptions, convert_keras};
use quantscope::onnx::{Document, declared_fact};
use quantscope::tensor::{DType, Tensor};
use std::collections::BTreeMap;
use std::io::Read;

/// Relative to the largest output, or absolute where that is below 1: the bound.
const KERAS: f64 = 1e-5;

fn files() -> BTreeMap<String, Vec<u8>> {
    let bytes = std::fs::read(fixtures("keras").join("layers.zip")).unwrap();
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    (0..archive.len())
        .map(|index| {
            let mut entry = archive.by_index(index).unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (entry.name().unwrap().into_owned(), bytes)
        })
        .collect()
}

/// Positions and truths are recorded as floats; a model gives them as integers.
fn as_declared(document: &Document, key: &str, array: &Tensor) -> Tensor {
    let at: usize = key.trim_start_matches("out_").parse().unwrap();
    let whole = declared_fact(&document.graph().output[at]).dtype.is_some_and(DType::is_int);
    if !whole || array.dtype().is_int() {
        return array.clone();
    }
    let values = array.to_f32().unwrap().into_iter().map(|value| value as i64).collect();
    Tensor::from_vec(array.shape().to_vec(), values).unwrap()
}

#[test]
fn every_keras_layer_equals_keras_in_pytorch() {
    let Some(python) = python() else { return };
    let folder = workplace("keras");
    let files = files();
    let mut names = Vec::new();
    for (name, bytes) in &files {
        let Some(stem) = name.strip_suffix(".h5").or(name.strip_suffix(".keras")) else { continue };
        let Some(recorded) = files.get(&format!("{stem}.npz")) else { continue };
        let recorded = npz_bytes(recorded);
        let converted = convert_keras(&Bytes::from(bytes.clone()), name, &KerasOptions::default())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let given: Vec<&Tensor> =
            recorded.iter().filter(|(key, _)| key.starts_with("in_")).map(|(_, array)| array).collect();
        let inputs = converted.document.inputs().enumerate().map(|(at, input)| {
            // A Sequential's input may carry another name in the file.
            let named = recorded.get(&format!("in_{}", input.name()));
            (format!("in_{at}"), named.unwrap_or_else(|| given[0]))
        });
        let outputs: Vec<(String, Tensor)> = recorded
            .iter()
            .filter(|(key, _)| key.starts_with("out_"))
            .map(|(key, array)| (key.clone(), as_declared(&converted.document, key, array)))
            .collect();
        let outputs = outputs.iter().map(|(key, array)| (key.clone(), array));
        let arrays: Vec<(String, &Tensor)> = inputs.chain(outputs).collect();
        export(&folder, name, &converted.document, &arrays);
        names.push(name.clone());
    }
    let reports = reports(&python, &folder);
    let off = |name: &String| reports[name]["model"].as_f64();
    let failed: Vec<String> = names
        .iter()
        .filter(|name| off(name).is_none_or(|distance| distance > KERAS))
        .map(|name| format!("{name}: {}", reports[name]))
        .collect();
    println!("{} models, at most {:e} off", names.len(), names.iter().filter_map(off).fold(0.0, f64::max));
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), names.len(), failed.join("\n"));
    assert!(names.len() > 130, "{}", names.len());
}
