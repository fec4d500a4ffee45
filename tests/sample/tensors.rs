//! Single tensors: the integers of two images, and how far quantization moves each activation.

use crate::support::{document, expected, input, npz, plan, run, test_set, values};
use quantscope::analysis::{ErrorSums, error_metrics};
use quantscope::engine::Observe;
use quantscope::onnx::NodeExt;
use quantscope::quant::weight_view;
use std::collections::BTreeMap;

/// Sums in another order fall to the other side of a tie now and then, and every flip moves some later integers.
const EQUAL_INTEGERS: f64 = 0.999;
/// A flipped integer changes the noise; over 64 images this much at most. (A wrong rounding costs tenths of a dB.)
const SQNR_DB: f64 = 0.05;
/// The worst of 64 images is a single one, in which one flip weighs 64 times as much.
const WORST_IMAGE_SQNR_DB: f64 = 0.25;
/// The record multiplies scale x (q - zero point) in float64; from the stored integers that is the same number.
const STORED_WEIGHT_SQNR_DB: f64 = 1e-6;
/// The real weights are float32, each off by up to 2^-24 of itself. In tensors of 16 values that does not average out: at
/// 63 dB, the best recorded, it is worth up to 2 x 2^-24 x 10^(63/20) x 10/ln(10) = 7e-4 dB.
const REAL_WEIGHT_SQNR_DB: f64 = 1e-3;

#[test]
fn integers_of_two_images() {
    let (expected, set, arrays) = (expected(), test_set(), npz("integers2-int8.npz"));
    let rows = expected["models"]["int8"]["quantized"].as_array().unwrap();
    let mut plan = plan("int8", Observe::All);
    let (mut equal, mut all, mut worst) = (0, 0, 0);
    for image in 0..2 {
        run(&mut plan, input(&set, image));
        for (key, tensor) in expected["integers2"].as_object().unwrap() {
            let row = rows.iter().find(|row| row["role"] == "activation" && row["tensor"] == *tensor).unwrap();
            let recorded = &arrays.iter().find(|array| array.name == *key).unwrap().tensor;
            let found = plan.value(row["integers"].as_str().unwrap()).unwrap();
            assert_eq!(found.dtype(), recorded.dtype());
            assert_eq!(found.shape()[1..], recorded.shape()[1..], "{tensor}");
            let recorded = recorded.to_i64().unwrap();
            let recorded = recorded.chunks(recorded.len() / 2).nth(image).unwrap();
            let found = found.to_i64().unwrap();
            assert_eq!(found.len(), recorded.len());
            equal += found.iter().zip(recorded).filter(|(f, e)| f == e).count();
            worst = found.iter().zip(recorded).map(|(f, e)| f.abs_diff(*e)).max().unwrap_or(0).max(worst);
            all += found.len();
        }
    }
    println!("{equal} of {all} integers equal, worst step {worst}");
    assert!(all > 500_000, "{all}");
    assert!(equal as f64 >= EQUAL_INTEGERS * all as f64, "{equal} of {all}");
}

#[derive(Default)]
struct Errors {
    cumulative: ErrorSums,
    local: ErrorSums,
    worst_image_db: Option<f64>,
}

/// dB may be recorded as null: no error at all. Gives how far apart the two are.
fn off_db(found: Option<f64>, recorded: &serde_json::Value, of: &str) -> f64 {
    match (found, recorded.as_f64()) {
        (Some(found), Some(recorded)) => (found - recorded).abs(),
        (None, None) => 0.0,
        (found, _) => panic!("{of}: {found:?} instead of {recorded}"),
    }
}

fn activations(model: &str) {
    let (expected, set) = (expected(), test_set());
    let record = &expected["models"][model];
    let rows: Vec<_> =
        record["quantized"].as_array().unwrap().iter().filter(|row| row["role"] == "activation").collect();
    let (mut float, mut quantized) = (plan("float", Observe::All), plan(model, Observe::All));
    let mut errors: BTreeMap<&str, Errors> = BTreeMap::new();
    for image in 0..64 {
        run(&mut float, input(&set, image));
        run(&mut quantized, input(&set, image));
        for row in &rows {
            let name = |key: &str| row[key].as_str().unwrap();
            let (x, before, after) =
                (values(&float, name("tensor")), values(&quantized, name("before")), values(&quantized, name("after")));
            let errors = errors.entry(name("tensor")).or_default();
            errors.cumulative.add(&x, &after).unwrap();
            errors.local.add(&before, &after).unwrap();
            let alone = error_metrics(&x, &after).unwrap().sqnr_db;
            errors.worst_image_db = alone.into_iter().chain(errors.worst_image_db).reduce(f64::min);
        }
    }
    let recorded = record["sqnr"]["activations"].as_object().unwrap();
    assert_eq!((errors.len(), recorded.len()), (32, 32));
    let mut worst = [0f64; 3];
    for (tensor, recorded) in recorded {
        let found = &errors[tensor.as_str()];
        let off = [
            off_db(found.cumulative.metrics().sqnr_db, &recorded["xmodel_np"], tensor),
            off_db(found.local.metrics().sqnr_db, &recorded["qdq_np"], tensor),
            off_db(found.worst_image_db, &recorded["worst_per_image_db"], tensor),
        ];
        for (worst, off) in worst.iter_mut().zip(off) {
            *worst = worst.max(off);
        }
    }
    println!(
        "{model}: off by {:.4} dB cumulative, {:.4} dB local, {:.4} dB in the worst image",
        worst[0], worst[1], worst[2]
    );
    assert!(worst[0] <= SQNR_DB && worst[1] <= SQNR_DB && worst[2] <= WORST_IMAGE_SQNR_DB, "{worst:?}");
}

#[test]
fn sqnr_of_the_int8_activations() {
    activations("int8");
}

#[test]
fn sqnr_of_the_uint8_activations() {
    activations("uint8");
}

#[test]
fn sqnr_of_the_weights() {
    let (expected, float) = (expected(), document("float"));
    for model in ["int8", "uint8"] {
        let quantized = document(model);
        let record = &expected["models"][model];
        let mut worst = [0f64; 2];
        for row in record["quantized"].as_array().unwrap().iter().filter(|row| row["role"] != "activation") {
            let tensor = row["tensor"].as_str().unwrap();
            let after = row["after"].as_str().unwrap();
            let reader = quantized.graph().node.iter().find(|node| node.output_name(0) == Some(after));
            let stored = reader.and_then(|node| node.input_name(0)).unwrap();
            let x = weight_view(&float, tensor).unwrap().unwrap();
            let y = weight_view(&quantized, stored).unwrap().unwrap();
            let params = y.params.unwrap();
            let (scale, zero_point) = (f64::from(params.scale[0]), i64::from(params.zero_point[0]));
            let exact: Vec<f64> =
                y.stored.unwrap().iter().map(|&q| scale * (i64::from(q) - zero_point) as f64).collect();
            let recorded = &record["sqnr"]["weights"][tensor]["np"];
            let found = [error_metrics(&x.real, &exact).unwrap(), error_metrics(&x.real, &y.real).unwrap()];
            for (worst, found) in worst.iter_mut().zip(found) {
                *worst = worst.max(off_db(found.sqnr_db, recorded, tensor));
            }
        }
        println!("{model}: weights off by {:e} dB stored, {:e} dB real", worst[0], worst[1]);
        assert!(worst[0] <= STORED_WEIGHT_SQNR_DB && worst[1] <= REAL_WEIGHT_SQNR_DB, "{worst:?}");
    }
}
