//! The reference model, calibrated and quantized by us, against the files that onnxruntime wrote.

use super::support::{Cifar, Recorded, Runner, document, reference};
use quantscope::quant::calibrate::{CalibrationMethod, RangeCollector};
use quantscope::quant::quantizer::{QuantizeOptions, calibration_tensors, quantize};
use quantscope::quant::table::TableFormat;
use quantscope::tensor::DType;
use std::path::Path;

/// Scales of activations may differ in their last bits: our engine adds f32 numbers in another order.
const ACTIVATION_SCALE: f64 = 1e-5;

const ENTROPY_2048: CalibrationMethod = CalibrationMethod::Entropy { bins: 2048, quantized_bins: 128 };

/// Zero points at a tie. A symmetric percentile range `-a..a` puts the zero point of int8 at -0.5, which the last bit of
/// `a` sends to 0 or to -1; our `a` differs from onnxruntime's in that bit.
const TIES: &[(&str, &str)] = &[(
    "resnet8_int8_percentile",
    "model_1/batch_normalization_6_1/batchnorm/add_1:0: zero point [0.0] instead of [-1.0]",
)];

fn options(activations: DType, weights: DType) -> QuantizeOptions {
    QuantizeOptions { activation_type: activations, weight_type: weights, ..Default::default() }
}

fn check(folder: &Path, float: &str, files: &[(&str, CalibrationMethod, QuantizeOptions)]) {
    let model = document(&folder.join(format!("models/{float}.onnx")));
    let images = Cifar::open(&folder.join("cifar10/data_batch_head.bin"));
    let mut runner = Runner::new(&model, calibration_tensors(&model, &QuantizeOptions::default()));
    let mut first = RangeCollector::new(&[CalibrationMethod::MinMax]).unwrap();
    (0..images.len()).for_each(|index| runner.run(images.image(index), |tensor, values| first.add(tensor, values)));
    let methods: Vec<CalibrationMethod> =
        files.iter().map(|(_, method, _)| *method).filter(|method| method.histogram().is_some()).collect();
    let mut second = RangeCollector::with_bounds(&methods, first.bounds()).unwrap();
    if !methods.is_empty() {
        (0..images.len())
            .for_each(|index| runner.run(images.image(index), |tensor, values| second.add(tensor, values)));
    }
    let mut wrong = Vec::new();
    for (file, method, options) in files {
        let collector = if method.histogram().is_some() { &second } else { &first };
        let quantized = quantize(&model, &collector.ranges(method).unwrap(), options).unwrap();
        assert!(quantized.document.issues().is_empty(), "{:?}", quantized.document.issues());
        let recorded = Recorded::of_file(&document(&folder.join(format!("models/{file}.onnx"))), &model);
        let lines = recorded.compare(&quantized, options.format, ACTIVATION_SCALE);
        let tie = |line: &String| TIES.contains(&(*file, line.as_str()));
        wrong.extend(lines.into_iter().filter(|line| !tie(line)).map(|line| format!("{file}: {line}")));
    }
    assert!(wrong.is_empty(), "{} differences\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn resnet8() {
    let Some(folder) = reference() else { return };
    let int8 = options(DType::Int8, DType::Int8);
    let uint8 = options(DType::Uint8, DType::Uint8);
    let per_channel = QuantizeOptions { per_channel: true, ..int8.clone() };
    let operator = QuantizeOptions { format: TableFormat::QOperator, ..uint8.clone() };
    check(
        &folder,
        "resnet8",
        &[
            ("resnet8_int8", CalibrationMethod::MinMax, int8.clone()),
            ("resnet8_uint8", CalibrationMethod::MinMax, uint8),
            ("resnet8_int8_per_channel", CalibrationMethod::MinMax, per_channel),
            ("resnet8_int8_percentile", CalibrationMethod::PERCENTILE, int8.clone()),
            ("resnet8_int8_entropy", CalibrationMethod::ENTROPY, int8.clone()),
            ("resnet8_int8_entropy2048", ENTROPY_2048, int8),
            ("resnet8_uint8_qoperator", CalibrationMethod::MinMax, operator),
        ],
    );
}

#[test]
fn resnet8_with_batch_norm_folded() {
    let Some(folder) = reference() else { return };
    check(
        &folder,
        "resnet8_bn_folded",
        &[
            ("resnet8_bn_folded_int8", CalibrationMethod::MinMax, options(DType::Int8, DType::Int8)),
            ("resnet8_bn_folded_uint8", CalibrationMethod::MinMax, options(DType::Uint8, DType::Uint8)),
        ],
    );
}
