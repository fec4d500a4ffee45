//! Classes, counts and probabilities.

use crate::support::{document, expected, input, npy, plan, run, test_set, values};
use quantscope::analysis::argmax;
use quantscope::engine::{Observe, Plan};
use quantscope::onnx::{Document, NodeExt};
use quantscope::quant::{Granularity, QuantParams};
use quantscope::tensor::DType;

/// Float sums are taken in another order: one image of 2,000 may lie that close to a draw.
const FLOAT_IMAGES_DIFFERENT: usize = 1;
/// The bound between two correct implementations in float32.
const FLOAT_PROBABILITY: f32 = 1e-5;
/// A sum in another order may fall to the other side of a tie before a quantizer, and one flip moves later integers:
/// 1 % of the classes may differ without FMA. (Probabilities of a quantized model move by whole steps.)
const QUANTIZED_IMAGES_DIFFERENT: f64 = 0.01;
/// For the same reason the count may be off by 6 per 1,017 images, the bound for a machine without FMA.
const QUANTIZED_CORRECT_OFF: f64 = 6.0 / 1017.0;
/// Of 640 quantized probabilities this many are equal (to float32 rounding): the rest moved by whole steps.
const QUANTIZED_PROBABILITIES_EQUAL: f64 = 0.97;

/// Output rows of the whole test set, image by image.
fn rows(plan: &mut Plan) -> Vec<Vec<f32>> {
    let (set, output) = (test_set(), plan.outputs()[0].clone());
    let row = |index| {
        run(plan, input(&set, index));
        values(plan, &output)
    };
    (0..set.len()).map(row).collect()
}

fn correct(classes: &[usize]) -> usize {
    let set = test_set();
    classes.iter().enumerate().filter(|&(index, &class)| set.label(index) == Some(class as u32)).count()
}

struct Compared {
    different: usize,
    found_correct: usize,
    expected_correct: usize,
    found64: Vec<f32>,
    expected64: Vec<f32>,
}

fn compare(model: &str) -> Compared {
    let rows = rows(&mut plan(model, Observe::OutputsOnly));
    let found: Vec<usize> = rows.iter().map(|row| argmax(row).unwrap()).collect();
    let expected: Vec<usize> =
        npy(&format!("predicted-{model}.npy")).to_i64().unwrap().into_iter().map(|class| class as usize).collect();
    assert_eq!((found.len(), expected.len()), (2000, 2000));
    let compared = Compared {
        different: found.iter().zip(&expected).filter(|(f, e)| f != e).count(),
        found_correct: correct(&found),
        expected_correct: correct(&expected),
        found64: rows.into_iter().take(64).flatten().collect(),
        expected64: npy(&format!("probs64-{model}.npy")).to_f32().unwrap(),
    };
    let recorded = crate::support::expected()["models"][model]["accuracy"]["correct"].as_u64();
    assert_eq!(
        recorded,
        Some(compared.expected_correct as u64),
        "labels or order of the images are not those recorded"
    );
    let Compared { different, found_correct, expected_correct, .. } = compared;
    println!("{model}: {found_correct} correct, recorded {expected_correct}, {different} of 2000 differ");
    compared
}

#[test]
fn float() {
    let compared = compare("float");
    assert!(compared.different <= FLOAT_IMAGES_DIFFERENT, "{} images differ", compared.different);
    assert!(compared.found_correct.abs_diff(compared.expected_correct) <= FLOAT_IMAGES_DIFFERENT);
    assert_eq!(compared.found64.len(), compared.expected64.len());
    let pairs = compared.found64.iter().zip(&compared.expected64);
    let worst = pairs.map(|(f, e)| (f - e).abs()).fold(0.0, f32::max);
    println!("float: 64 images, probabilities within {worst:e}");
    assert!(worst <= FLOAT_PROBABILITY, "{worst}");
}

fn quantized(model: &str) {
    let compared = compare(model);
    assert!(compared.different as f64 <= QUANTIZED_IMAGES_DIFFERENT * 2000.0, "{} images differ", compared.different);
    let off = compared.found_correct.abs_diff(compared.expected_correct);
    assert!(off as f64 <= QUANTIZED_CORRECT_OFF * 2000.0, "the count is off by {off}");
    assert_eq!(compared.found64.len(), compared.expected64.len());
    let pairs = compared.found64.iter().zip(&compared.expected64);
    let equal = pairs.filter(|(f, e)| (**f - **e).abs() <= FLOAT_PROBABILITY).count();
    println!("{model}: {equal} of 640 probabilities equal");
    assert!(equal as f64 >= QUANTIZED_PROBABILITIES_EQUAL * 640.0);
}

#[test]
fn int8() {
    quantized("int8");
}

#[test]
fn uint8() {
    quantized("uint8");
}

/// Kernels of convolutions and matrix products.
fn kernels(document: &Document) -> Vec<String> {
    let nodes = document.graph().node.iter();
    let kernels = nodes.filter(|node| matches!(node.op_type(), "Conv" | "MatMul"));
    kernels.filter_map(|node| node.input_name(1)).map(str::to_owned).collect()
}

/// The float model's kernels are rounded live to `bits` bits, per tensor and symmetric: max|w| is the largest code.
fn with_weight_bits(bits: u32) -> usize {
    let mut plan = plan("float", Observe::OutputsOnly);
    for kernel in kernels(&document("float")) {
        let largest = values(&plan, &kernel).iter().fold(0f32, |m, w| m.max(w.abs()));
        let scale = largest / ((1 << (bits - 1)) - 1) as f32;
        let params = QuantParams {
            scale: vec![scale],
            zero_point: vec![0],
            dtype: DType::Int8,
            granularity: Granularity::PerTensor,
        };
        plan.set_fake_quantize(&kernel, Some(&params)).unwrap();
    }
    let classes: Vec<usize> = rows(&mut plan).iter().map(|row| argmax(row).unwrap()).collect();
    correct(&classes)
}

/// Only weights are rounded, each exactly as recorded: what remains is the order of float sums.
const WEIGHT_BITS_CORRECT_OFF: usize = 2;

#[test]
fn weights_of_few_bits() {
    for bits in [4, 3] {
        let expected = expected()["weight_bits"][bits.to_string()]["correct"].as_u64().unwrap() as usize;
        let found = with_weight_bits(bits);
        println!("weights of {bits} bits: {found} correct, recorded {expected}");
        assert!(found.abs_diff(expected) <= WEIGHT_BITS_CORRECT_OFF, "{bits} bits: {found} instead of {expected}");
    }
}
