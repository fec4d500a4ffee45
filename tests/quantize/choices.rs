//! What the options ask for, on the sample's float network; the rules are onnxruntime's and PyTorch's.

use super::support::document;
use quantscope::onnx::{Document, NodeExt, tensor_from_proto, tensor_to_proto};
use quantscope::quant::quantizer::{
    Note, QuantizeError, QuantizeOptions, Ranges, calibration_tensors, left_float, presets, quantize,
};
use quantscope::quant::table::{TableFormat, lift, lower};
use quantscope::tensor::{DType, Tensor};
use std::path::Path;

fn sample() -> Document {
    document(&Path::new(env!("CARGO_MANIFEST_DIR")).join("public/sample/street-digits.onnx"))
}

/// Every tensor from 0 to 3: only the choice of nodes and types is looked at.
fn ranges(model: &Document, options: &QuantizeOptions) -> Ranges {
    calibration_tensors(model, options).into_iter().map(|tensor| (tensor, (0.0, 3.0))).collect()
}

fn count(file: &Document, op: &str) -> usize {
    file.graph().node.iter().filter(|node| node.op_type() == op).count()
}

#[test]
fn what_is_left_out_stays_float_in_the_operator_form() {
    let model = sample();
    let everything = QuantizeOptions {
        format: TableFormat::QOperator,
        activation_type: DType::Uint8,
        weight_type: DType::Uint8,
        ..QuantizeOptions::default()
    };
    let residuals = |file: &Document| {
        (count(file, "QLinearAdd"), file.graph().node.iter().filter(|n| n.op_type() == "Add").count())
    };
    let written = |options: &QuantizeOptions| {
        let quantized = quantize(&model, &ranges(&model, options), options).unwrap();
        let file = lower(&quantized.document, &quantized.table, options.format).unwrap();
        assert_eq!(left_float(&quantized, &file), []);
        file
    };
    let (all, none) = residuals(&written(&everything));
    assert!(all > 0 && none == 0);
    let mut without = everything;
    without.op_types_excluded.insert("Add".to_owned());
    let file = written(&without);
    assert_eq!(residuals(&file), (0, all));
    // The file says so, and lifting it keeps it.
    let lifted = lift(&file, None).unwrap();
    let again = lower(&lifted.float, &lifted.table, TableFormat::QOperator).unwrap();
    assert_eq!(residuals(&again), (0, all));
}

#[test]
fn torch_spreads_weights_over_all_numbers() {
    let model = sample();
    for (id, per_channel) in [("torch-fbgemm", true), ("torch-qnnpack", false)] {
        let options = presets().into_iter().find(|preset| preset.id == id).unwrap().options;
        let quantized = quantize(&model, &ranges(&model, &options), &options).unwrap();
        let row = quantized.table.rows.iter().find(|row| row.tensor.contains("conv2d_1") && row.bias_of.is_none());
        let row = row
            .filter(|row| row.constant.is_some())
            .or_else(|| quantized.table.rows.iter().find(|row| row.constant.is_some() && row.channel_axis == Some(0)));
        let row = row.unwrap();
        let weights = row.constant.as_ref().unwrap().float.to_f32().unwrap();
        let channels = row.grid.params.scale.len();
        assert_eq!(channels > 1, per_channel);
        for (own, scale) in weights.chunks(weights.len() / channels).zip(&row.grid.params.scale) {
            let most = own.iter().fold(0f32, |most, weight| most.max(weight.abs()));
            // PerChannelMinMaxObserver and MinMaxObserver, symmetric: max|w| / ((127 + 128) / 2), zero point 0.
            let relative = f64::from(*scale) * 127.5 / f64::from(most) - 1.0;
            assert!(relative.abs() < 1e-6, "{id}: {scale} for {most}");
        }
        assert!(row.grid.params.zero_point.iter().all(|&zero_point| zero_point == 0));
    }
}

#[test]
fn four_bits_before_opset_21_are_all_of_the_runtimes_domain() {
    let model = sample();
    let options = QuantizeOptions { weight_type: DType::Int4, ..QuantizeOptions::default() };
    let quantized = quantize(&model, &ranges(&model, &options), &options).unwrap();
    let file = lower(&quantized.document, &quantized.table, options.format).unwrap();
    let quantizers = file.graph().node.iter().filter(|node| node.op_type().ends_with("quantizeLinear"));
    assert!(file.opset("").unwrap() < 21);
    assert!(quantizers.clone().count() > 20 && quantizers.clone().all(|node| node.domain_name() == "com.microsoft"));
}

#[test]
fn scales_per_channel_before_they_are_in_the_standard() {
    let at = |opset: i64, options: &QuantizeOptions| {
        let model = sample().edit(|model| model.opset_import[0].version = Some(opset)).unwrap();
        let quantized = quantize(&model, &ranges(&model, options), options).unwrap();
        let file = lower(&quantized.document, &quantized.table, options.format).unwrap();
        let of_runtime = file.graph().node.iter().filter(|node| node.domain_name() == "com.microsoft").count();
        let told = quantized.notes.iter().any(|note| matches!(note, Note::PerChannelOpset { needed: 13, .. }));
        (of_runtime > 0, told)
    };
    let spread = QuantizeOptions { per_channel: true, ..QuantizeOptions::default() };
    assert_eq!(at(12, &spread), (true, true));
    assert_eq!(at(13, &spread), (false, false));
    assert_eq!(at(12, &QuantizeOptions::default()), (false, false));
    // All nodes are of com.microsoft for another reason, in ONNX Runtime's file too.
    let wide = QuantizeOptions { activation_type: DType::Int16, ..spread };
    assert_eq!(at(12, &wide), (true, false));
}

#[test]
fn what_no_runtime_takes_is_refused() {
    let model = sample();
    let operator =
        QuantizeOptions { format: TableFormat::QOperator, activation_type: DType::Uint8, ..QuantizeOptions::default() };
    let mut old = model.proto().clone();
    old.opset_import[0].version = Some(9);
    let old = model.with_proto(old).unwrap();
    let error = quantize(&old, &ranges(&model, &operator), &operator).unwrap_err();
    assert_eq!(error, QuantizeError::Opset { found: 9, needed: 10 });

    let mut half = model.proto().clone();
    let graph = half.graph.as_mut().unwrap();
    for tensor in graph.initializer.iter_mut().filter(|tensor| tensor.data_type == Some(1)) {
        let own = tensor_from_proto(tensor).unwrap();
        let halves = own.to_f32().unwrap().into_iter().map(half::f16::from_f32).collect();
        *tensor = tensor_to_proto(tensor.name(), &Tensor::from_vec(own.shape().to_vec(), halves).unwrap());
    }
    let half = model.with_proto(half).unwrap();
    let options = QuantizeOptions::default();
    let error = quantize(&half, &ranges(&model, &options), &options).unwrap_err();
    assert!(matches!(error, QuantizeError::Float16 { .. }), "{error}");
    assert!(error.to_string().contains("convert the model to float32"));
}
