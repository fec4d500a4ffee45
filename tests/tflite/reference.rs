//! MLPerf Tiny's own files against the recorded answers of TensorFlow Lite's interpreter.

use crate::support::{Cifar, argmax, npy_file, reference};
use quantscope::engine::{Observe, Plan, PlanOptions, Semantics};
use quantscope::import::tflite::{TfliteModel, TfliteOptions, convert};
use std::path::Path;

/// Probabilities of the float file against the interpreter's.
const FLOAT: f32 = 2e-6;
/// What one runtime and another may differ by in their count of correct images, of 1017 (the reference's own word).
const COUNT: usize = 6;
/// Of the 64 images with recorded outputs, how many must be classified as recorded: 99 %, which is all but none.
const ALIKE: f64 = 0.99;

/// Images per run.
const BATCH: usize = 64;

fn rows(folder: &Path, name: &str, semantics: Semantics) -> (Vec<Vec<f32>>, usize) {
    let bytes = std::fs::read(folder.join("models").join(name)).unwrap();
    let model = TfliteModel::read(bytes.into()).unwrap();
    let converted = convert(&model, &TfliteOptions::default()).unwrap();
    assert!(converted.unsupported.is_empty() && converted.document.issues().is_empty());
    let options = PlanOptions { observe: Observe::OutputsOnly };
    let mut plan = Plan::compile(&converted.document, semantics, &options).unwrap();
    let images = Cifar::open(&folder.join("cifar10/test_batch_head.bin"));
    let (input, output) = (plan.inputs()[0].name.clone(), plan.outputs()[0].clone());
    let mut rows: Vec<Vec<f32>> = Vec::new();
    for first in (0..images.len()).step_by(BATCH) {
        let count = BATCH.min(images.len() - first);
        plan.run(&[(input.clone(), images.images(first, count))]).unwrap();
        rows.extend(plan.value(&output).unwrap().to_f32().unwrap().chunks(10).map(<[f32]>::to_vec));
    }
    let correct = rows.iter().enumerate().filter(|(at, row)| argmax(row) == images.label(*at)).count();
    (rows, correct)
}

fn recorded(folder: &Path, name: &str) -> Vec<Vec<f32>> {
    let values = npy_file(&folder.join(format!("expected/probs64/{name}_tflite.npy"))).to_f32().unwrap();
    values.chunks(10).map(<[f32]>::to_vec).collect()
}

#[test]
fn the_float_file_equals_the_interpreter() {
    let Some(folder) = reference() else { return };
    let (rows, correct) = rows(&folder, "pretrainedResnet.tflite", Semantics::Simulate);
    let expected = recorded(&folder, "pretrainedResnet");
    let worst = rows.iter().zip(&expected).flat_map(|(f, e)| f.iter().zip(e).map(|(f, e)| (f - e).abs()));
    let worst = worst.fold(0.0, f32::max);
    println!("pretrainedResnet.tflite: {correct} of {} correct, 64 outputs within {worst:e}", rows.len());
    assert_eq!((correct, rows.len()), (895, 1017));
    assert!(worst <= FLOAT, "{worst}");
}

#[test]
fn the_int8_file_is_close_to_the_interpreter() {
    let Some(folder) = reference() else { return };
    let expected = recorded(&folder, "pretrainedResnet_quant");
    for semantics in [Semantics::Simulate, Semantics::Integer] {
        let (rows, correct) = rows(&folder, "pretrainedResnet_quant.tflite", semantics);
        let alike = rows.iter().zip(&expected).filter(|(f, e)| argmax(f) == argmax(e)).count();
        let equal = rows.iter().zip(&expected).flat_map(|(f, e)| f.iter().zip(e)).filter(|(f, e)| f == e).count();
        let apart = rows.iter().zip(&expected).flat_map(|(f, e)| f.iter().zip(e).map(|(f, e)| (f - e).abs()));
        println!(
            "pretrainedResnet_quant.tflite {semantics:?}: {correct} of {} correct, {alike} of 64 alike, {equal} of 640 \
             outputs equal, the others within {:e}",
            rows.len(),
            apart.fold(0.0, f32::max)
        );
        assert!(correct.abs_diff(892) <= COUNT, "{semantics:?}: {correct}");
        assert!(alike as f64 >= ALIKE * 64.0, "{semantics:?}: {alike}");
    }
}
