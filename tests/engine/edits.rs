//! Live edits: a partial re-run equals a full run of the edited parameters, bit for bit.

use crate::support::{Cifar, fixtures, npy_file, plan, reference};
use quantscope::engine::{Plan, Semantics};
use quantscope::tensor::Tensor;
use std::path::Path;

fn all_values(plan: &Plan) -> Vec<(String, Tensor)> {
    plan.observed().iter().map(|name| (name.clone(), plan.value(name).unwrap())).collect()
}

/// Edits every key of a model in turn, keeping earlier edits, and compares with a plan that ran in full.
fn edit_every_key(path: &Path, semantics: Semantics, image: &Tensor) {
    let mut live = plan(path, semantics);
    let mut full = plan(path, semantics);
    let input = live.inputs()[0].name.clone();
    live.run(&[(input.clone(), image.clone())]).unwrap();
    let before = all_values(&live);
    let keys = live.keys();
    assert!(!keys.is_empty());
    let mut fewest = usize::MAX;
    for (index, key) in keys.iter().enumerate() {
        let mut params = live.params(key).unwrap();
        let (low, high) = params.dtype.int_range().unwrap();
        for (channel, scale) in params.scale.iter_mut().enumerate() {
            *scale *= 0.75 + 0.125 * ((index + channel) % 5) as f32;
        }
        for zero_point in &mut params.zero_point {
            if low > i32::MIN.into() {
                *zero_point = (*zero_point + index as i32 % 3 - 1).clamp(low as i32, high as i32);
            }
        }
        live.set_params(key, &params).unwrap();
        let dirty = live.rerun().unwrap();
        fewest = fewest.min(dirty.nodes);
        full.set_params(key, &params).unwrap();
        full.run(&[(input.clone(), image.clone())]).unwrap();
        for ((name, partial), (_, complete)) in all_values(&live).iter().zip(&all_values(&full)) {
            assert_eq!(partial, complete, "{name} after the edit of {key:?}");
        }
        assert_eq!(live.params(key).unwrap(), params);
    }
    assert_ne!(before, all_values(&live), "the edits change something");
    assert!(fewest < live.observed().len(), "a re-run is partial");
    println!("{}: {} keys, fewest nodes run again {fewest}", path.display(), keys.len());
}

#[test]
fn partial_equals_full_on_tiny_models() {
    let inputs = npy_file(&fixtures("models/tiny_inputs.npy"));
    let first = inputs.to_f32().unwrap()[..192 * 2].to_vec();
    let image = Tensor::from_vec(vec![2, 8, 8, 3], first).unwrap();
    for model in ["tiny_int8", "tiny_int8_per_channel", "tiny_uint8_qoperator", "tiny_int16", "tiny_int4w"] {
        for semantics in [Semantics::Simulate, Semantics::Integer] {
            edit_every_key(&fixtures("models").join(format!("{model}.onnx")), semantics, &image);
        }
    }
}

#[test]
fn partial_equals_full_on_the_reference_model() {
    let Some(folder) = reference() else { return };
    let images = Cifar::open(&folder.join("cifar10/test_batch_head.bin"));
    let path = folder.join("models/resnet8_int8.onnx");
    edit_every_key(&path, Semantics::Simulate, &images.images(0, 1));
    edit_every_key(&path, Semantics::Integer, &images.images(5, 1));
}

#[test]
fn an_edit_that_changes_nothing_runs_nothing() {
    let inputs = npy_file(&fixtures("models/tiny_inputs.npy"));
    let mut plan = plan(&fixtures("models/tiny_int8.onnx"), Semantics::Simulate);
    assert!(plan.rerun().is_err());
    plan.run(&[("input".to_owned(), inputs)]).unwrap();
    let key = plan.keys()[0].clone();
    let params = plan.params(&key).unwrap();
    plan.set_params(&key, &params).unwrap();
    assert_eq!(plan.rerun().unwrap(), Default::default());
}

#[test]
fn bad_parameters_are_refused() {
    let mut plan = plan(&fixtures("models/tiny_int8.onnx"), Semantics::Simulate);
    let key = plan.keys()[0].clone();
    let good = plan.params(&key).unwrap();
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        assert!(plan.set_params(&key, &quantscope::quant::QuantParams { scale: vec![scale], ..good.clone() }).is_err());
    }
    let outside = quantscope::quant::QuantParams { zero_point: vec![128], ..good.clone() };
    assert!(plan.set_params(&key, &outside).is_err());
    let uneven = quantscope::quant::QuantParams { zero_point: vec![], ..good };
    assert!(plan.set_params(&key, &uneven).is_err());
}
