//! Outputs that another framework recorded, against those of the converted model.

use super::error::{ErrorMetrics, ErrorSums};
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// What a recording's keys of inputs begin with: `input:image`.
pub const RECORDED_INPUT: &str = "input:";
/// What a recording's keys of layer outputs begin with: `output:conv2d_1`.
pub const RECORDED_OUTPUT: &str = "output:";

/// How far a layer may be off, relative to the largest magnitude of its recorded output. Two float32 implementations
/// sum in another order: a layer of a deep network is some 1e-6 off, a wrong axis, padding or epsilon 1e-3 and more.
/// For probabilities, whose largest is near 1, it is the difference that Keras, PyTorch and ONNX Runtime have among
/// each other (2e-6), with room for layers of large sums.
pub const LAYER_TOLERANCE: f64 = 1e-5;

/// Inputs and layer outputs by name, as a framework recorded them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recording {
    /// What was put in, in the archive's order.
    pub inputs: Vec<(String, Tensor)>,
    /// What layers gave, in the archive's order.
    pub outputs: Vec<(String, Tensor)>,
}

impl Recording {
    /// Tells inputs from outputs by their keys, [`RECORDED_INPUT`] and [`RECORDED_OUTPUT`]. A key with neither is an
    /// input where it is the name of one of the model's (`inputs`) or, where nothing else is, one of `input`, `inputs`,
    /// `x` and `images`; else an output.
    pub fn of(arrays: Vec<(String, Tensor)>, inputs: &[&str]) -> Self {
        let mut recording = Recording::default();
        for (key, tensor) in arrays {
            if let Some(name) = key.strip_prefix(RECORDED_INPUT) {
                recording.inputs.push((name.to_owned(), tensor));
            } else if let Some(name) = key.strip_prefix(RECORDED_OUTPUT) {
                recording.outputs.push((name.to_owned(), tensor));
            } else {
                recording.outputs.push((key, tensor));
            }
        }
        if recording.inputs.is_empty() {
            let by_name = |(key, _): &(String, Tensor)| inputs.contains(&key.as_str());
            let usual = |(key, _): &(String, Tensor)| ["input", "inputs", "x", "images"].contains(&key.as_str());
            let named = recording.outputs.iter().any(by_name);
            let (found, rest) =
                recording.outputs.into_iter().partition(|entry| if named { by_name(entry) } else { usual(entry) });
            recording = Recording { inputs: found, outputs: rest };
        }
        recording
    }

    /// The input for one of the model's: by its name, else by its position.
    pub fn input(&self, name: &str, position: usize) -> Option<&Tensor> {
        let named = self.inputs.iter().find(|(key, _)| key == name);
        named.or_else(|| self.inputs.get(position)).map(|(_, tensor)| tensor)
    }
}

/// One layer's output in the source and in the converted model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerDifference {
    /// Errors of the converted model's output against the recorded one.
    pub metrics: ErrorMetrics,
    /// Largest absolute difference, relative to the largest magnitude recorded (absolute where all are 0). Infinite
    /// where one is finite and the other not.
    pub relative: f64,
    /// The order of the converted tensor's axes in which it lies as the recorded one; `None` where it does already.
    pub order: Option<Vec<usize>>,
    /// Where the two are farthest apart: index in the recorded tensor, recorded, converted. `None` for empty tensors.
    pub worst: Option<(Vec<usize>, f64, f64)>,
}

/// Compares a recorded output with the converted model's, whose channels may be at the other end. Of the orders that
/// give the recorded shape, the one that fits best is taken. Dims of 1 may be more or fewer.
///
/// Fails, with the shapes in words, where no order gives the recorded shape.
pub fn compare_outputs(recorded: &Tensor, converted: &Tensor) -> Result<LayerDifference, String> {
    let reference = recorded.to_f64().map_err(|error| error.to_string())?;
    let mut best: Option<LayerDifference> = None;
    for order in orders(converted.shape().len()) {
        let dims: Vec<usize> = order.iter().filter_map(|&axis| converted.shape().get(axis).copied()).collect();
        if squeezed(&dims) != squeezed(recorded.shape()) {
            continue;
        }
        let is_plain = order.iter().enumerate().all(|(at, axis)| at == *axis);
        let laid = if is_plain { Ok(converted.clone()) } else { converted.permuted(&order) };
        let values = laid.and_then(|tensor| tensor.to_f64()).map_err(|error| error.to_string())?;
        let found = difference(&reference, &values, recorded.shape(), (!is_plain).then_some(order));
        if best.as_ref().is_none_or(|best| found.relative < best.relative) {
            best = Some(found);
        }
    }
    best.ok_or_else(|| format!("shape {:?}, recorded {:?}", converted.shape(), recorded.shape()))
}

/// As it is; channels moved to the end; channels moved behind the batch.
fn orders(rank: usize) -> Vec<Vec<usize>> {
    let mut orders = vec![(0..rank).collect::<Vec<usize>>()];
    if rank >= 3 {
        orders.push([0].into_iter().chain(2..rank).chain([1]).collect());
        orders.push([0, rank - 1].into_iter().chain(1..rank - 1).collect());
    }
    orders
}

fn squeezed(shape: &[usize]) -> Vec<usize> {
    shape.iter().copied().filter(|&dim| dim != 1).collect()
}

fn difference(reference: &[f64], values: &[f64], shape: &[usize], order: Option<Vec<usize>>) -> LayerDifference {
    let mut sums = ErrorSums::default();
    // Equal shapes but for dims of 1: the lengths are equal.
    let _ = sums.add(reference, values);
    let metrics = sums.metrics();
    let magnitude = reference.iter().filter(|value| value.is_finite()).fold(0f64, |most, value| most.max(value.abs()));
    let apart = |a: f64, b: f64| match (a.is_finite(), b.is_finite()) {
        (true, true) => (a - b).abs(),
        // Both infinite on the same side, or both no number.
        (false, false) if a == b || (a.is_nan() && b.is_nan()) => 0.0,
        _ => f64::INFINITY,
    };
    let mut worst: Option<(usize, f64)> = None;
    for (at, (a, b)) in reference.iter().zip(values).enumerate() {
        let distance = apart(*a, *b);
        if worst.is_none_or(|(_, most)| distance > most) {
            worst = Some((at, distance));
        }
    }
    let most = worst.map_or(0.0, |(_, most)| most);
    let worst = worst.and_then(|(at, _)| Some((index_of(at, shape), *reference.get(at)?, *values.get(at)?)));
    LayerDifference { metrics, relative: if magnitude > 0.0 { most / magnitude } else { most }, order, worst }
}

/// The index of an element by its position in memory.
fn index_of(mut at: usize, shape: &[usize]) -> Vec<usize> {
    let mut index: Vec<usize> = shape
        .iter()
        .rev()
        .map(|&dim| {
            let here = at % dim.max(1);
            at /= dim.max(1);
            here
        })
        .collect();
    index.reverse();
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(shape: &[usize], values: Vec<f32>) -> Tensor {
        Tensor::from_vec(shape.to_vec(), values).unwrap()
    }

    #[test]
    fn channels_at_the_other_end_are_found() {
        let recorded = tensor(&[1, 2, 2, 3], (0..12u8).map(f32::from).collect());
        let mut converted = recorded.permuted(&[0, 3, 1, 2]).unwrap();
        let found = compare_outputs(&recorded, &converted).unwrap();
        assert_eq!((found.order, found.relative, found.metrics.max_abs), (Some(vec![0, 2, 3, 1]), 0.0, Some(0.0)));
        let mut values = converted.to_f32().unwrap();
        values[5] += 0.55; // channel 1, row 0, column 1
        converted = tensor(&[1, 3, 2, 2], values);
        let found = compare_outputs(&recorded, &converted).unwrap();
        assert!((found.relative - 0.05).abs() < 1e-6, "{found:?}");
        assert_eq!(found.worst.unwrap().0, [0, 0, 1, 1]);
    }

    #[test]
    fn a_cube_lies_as_it_fits() {
        let recorded = tensor(&[2, 2, 2], (0..8u8).map(f32::from).collect());
        assert_eq!(compare_outputs(&recorded, &recorded).unwrap().order, None);
        let turned = recorded.permuted(&[0, 2, 1]).unwrap();
        assert_eq!(compare_outputs(&recorded, &turned).unwrap().relative, 0.0);
    }

    #[test]
    fn what_is_not_finite_counts() {
        let recorded = tensor(&[3], vec![1.0, f32::INFINITY, f32::NAN]);
        assert_eq!(compare_outputs(&recorded, &recorded).unwrap().relative, 0.0);
        let other = tensor(&[3], vec![1.0, 5.0, f32::NAN]);
        assert_eq!(compare_outputs(&recorded, &other).unwrap().relative, f64::INFINITY);
        assert!(compare_outputs(&recorded, &tensor(&[2], vec![0.0; 2])).unwrap_err().contains("[2]"));
        assert_eq!(compare_outputs(&tensor(&[0], vec![]), &tensor(&[1, 0], vec![])).unwrap().worst, None);
    }

    #[test]
    fn keys_say_what_is_what() {
        let one = || tensor(&[1], vec![0.0]);
        let arrays = |keys: &[&str]| keys.iter().map(|key| (key.to_string(), one())).collect::<Vec<_>>();
        let names = |list: &[(String, Tensor)]| list.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let recording = Recording::of(arrays(&["input:a", "output:conv", "input:b"]), &["a", "b"]);
        assert_eq!(
            (names(&recording.inputs), names(&recording.outputs)),
            (vec!["a".into(), "b".into()], vec!["conv".into()])
        );
        let recording = Recording::of(arrays(&["conv", "image", "x"]), &["image"]);
        assert_eq!(names(&recording.inputs), ["image"]);
        let recording = Recording::of(arrays(&["conv", "x"]), &["image"]);
        assert_eq!((names(&recording.inputs), names(&recording.outputs)), (vec!["x".into()], vec!["conv".into()]));
        assert!(recording.input("image", 0).is_some() && recording.input("other", 1).is_none());
    }
}
