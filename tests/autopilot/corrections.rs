//! Equalization, adaptive rounding and bias correction in a quantization, each measured.

use super::network::{images, network};
use super::support::{ask, open, sample};
use bytes::Bytes;
use quantscope::onnx::Document;
use quantscope::quant::quantizer::CorrectionStep;
use quantscope::tensor::DType;
use quantscope::worker::service::Service;
use quantscope::worker::{
    BiasCorrection, CalibrationImages, CalibrationMethod, Corrections, QuantizeOptions, QuantizeOrder, QuantizedFile,
    Reply, Request, TableFormat, Workspace,
};

fn order(workspace: &Workspace, options: QuantizeOptions, corrections: Corrections) -> QuantizeOrder {
    QuantizeOrder {
        model: workspace.models[0].id,
        source: workspace.sources[0].id,
        images: CalibrationImages::First(32),
        preprocess: None,
        calibration: CalibrationMethod::MinMax,
        options,
        preset: None,
        fold: true,
        corrections,
        compare: false,
    }
}

fn quantized(service: &mut Service, order: QuantizeOrder) -> (QuantizedFile, Document) {
    match ask(service, Request::Quantize(Box::new(order))) {
        (Reply::Quantized(made), Some(bytes)) => (made, Document::decode(Bytes::from(bytes)).unwrap()),
        (other, _) => panic!("{other:?}"),
    }
}

fn all(bias: BiasCorrection) -> Corrections {
    Corrections { equalize: true, adaptive_rounding: true, bias }
}

fn four_bits(per_channel: bool) -> QuantizeOptions {
    QuantizeOptions { weight_type: DType::Int4, per_channel, ..QuantizeOptions::default() }
}

fn gain_db(made: &QuantizedFile, step: CorrectionStep) -> (usize, f64) {
    let effect = made.effects.iter().find(|effect| effect.step == step).unwrap();
    (effect.layers, effect.with.output_sqnr_db.unwrap() - effect.without.output_sqnr_db.unwrap())
}

fn codes(document: &Document, name: &str) -> Vec<i64> {
    document.constant(name).unwrap().unwrap().to_i64().unwrap()
}

#[test]
fn every_step_is_measured_on_many_kinds_of_layers() {
    let mut service = Service::default();
    let workspace = open(&mut service, vec![("network.onnx".into(), network(true)), ("images.bin".into(), images(80))]);
    let (plain, before) = quantized(&mut service, order(&workspace, four_bits(false), Corrections::default()));
    assert!(plain.effects.is_empty() && plain.measured_on.is_empty());
    let (made, after) = quantized(&mut service, order(&workspace, four_bits(false), all(BiasCorrection::Empirical)));
    assert_eq!(made.measured_on, "48 images that did not calibrate of images.bin");
    let steps: Vec<CorrectionStep> = made.effects.iter().map(|effect| effect.step).collect();
    let (equalized, rounded, corrected) =
        (CorrectionStep::Equalization, CorrectionStep::AdaptiveRounding, CorrectionStep::BiasCorrection);
    assert_eq!(steps, [equalized, rounded, corrected]);
    for step in &steps {
        eprintln!("{}: {:?}", step.name(), gain_db(&made, *step));
    }
    // Each effect begins where the one before it ends.
    for pair in made.effects.windows(2) {
        assert_eq!(pair[0].with, pair[1].without);
    }
    assert!(gain_db(&made, equalized).0 >= 2, "first to depthwise, depthwise to 1 x 1");
    // Four convolutions, a Gemm and a MatMul.
    let (layers, gain) = gain_db(&made, rounded);
    assert!(layers >= 5 && gain > 1.0, "{layers} layers, {gain} dB");
    assert_eq!(gain_db(&made, corrected).0, 6, "{:?}", made.notes);
    let first = made.effects[0].without.output_sqnr_db.unwrap();
    let last = made.effects[2].with.output_sqnr_db.unwrap();
    assert!(last > first + 3.0, "{first} to {last} dB");
    // The file has it: other codes, int32 biases where there were none.
    let weight = |document: &Document| codes(document, "matmul_weight_quantized");
    assert_ne!(weight(&before), weight(&after));
    assert_ne!(codes(&before, "gemm_bias_quantized"), codes(&after, "gemm_bias_quantized"));
    assert_ne!(codes(&before, "add_bias_quantized"), codes(&after, "add_bias_quantized"));
    assert!(made.notes.iter().any(|note| note.contains("were equalized")), "{:?}", made.notes);
    assert!(made.notes.iter().any(|note| note.contains("were rounded the other way")));
}

#[test]
fn batch_norm_tells_the_means() {
    let mut service = Service::default();
    let workspace = open(&mut service, vec![("network.onnx".into(), network(true)), ("images.bin".into(), images(64))]);
    for corrections in [
        Corrections { bias: BiasCorrection::Analytic, ..Corrections::default() },
        Corrections { bias: BiasCorrection::Analytic, equalize: true, ..Corrections::default() },
    ] {
        let (made, _) = quantized(&mut service, order(&workspace, four_bits(true), corrections));
        // The three convolutions behind a batch norm; not the first, and not what is behind the pool.
        let effect = made.effects.last().unwrap();
        assert_eq!((effect.step, effect.layers), (CorrectionStep::BiasCorrection, 3), "{:?}", made.notes);
        assert_ne!(effect.with.output_sqnr_db, effect.without.output_sqnr_db);
        assert!(made.notes.iter().any(|note| note.contains("no batch normalization tells the mean")));
    }
    // Without batch norm there is nothing to go by, and the model stays as it is.
    let workspace = open(&mut service, vec![("plain.onnx".into(), network(false))]);
    let analytic = Corrections { bias: BiasCorrection::Analytic, ..Corrections::default() };
    let plain = |corrections| QuantizeOrder {
        model: workspace.models[1].id,
        ..order(&workspace, four_bits(true), corrections)
    };
    let (made, file) = quantized(&mut service, plain(analytic));
    assert_eq!(made.effects[0].layers, 0);
    assert_eq!(made.effects[0].with, made.effects[0].without);
    assert!(made.notes.iter().any(|note| note.contains("no BatchNormalization")), "{:?}", made.notes);
    assert_eq!(file.encode(), quantized(&mut service, plain(Corrections::default())).1.encode());
}

#[test]
fn a_bias_that_was_not_there_is_made() {
    let mut service = Service::default();
    let workspace = open(&mut service, vec![("plain.onnx".into(), network(false)), ("images.bin".into(), images(40))]);
    let corrections = Corrections { bias: BiasCorrection::Empirical, ..Corrections::default() };
    for format in [TableFormat::Qdq, TableFormat::QOperator] {
        let options = QuantizeOptions { format, activation_type: DType::Uint8, ..QuantizeOptions::default() };
        let (made, file) = quantized(&mut service, order(&workspace, options, corrections));
        assert_eq!(made.notes.iter().filter(|note| note.contains("was given a bias")).count(), 4);
        let convs = file.graph().node.iter().filter(|node| matches!(node.op_type(), "Conv" | "QLinearConv"));
        let biases = convs.map(|node| *[2usize, 8].iter().find(|at| **at + 1 == node.input.len()).unwrap());
        assert_eq!(biases.collect::<Vec<_>>(), vec![if format == TableFormat::Qdq { 2 } else { 8 }; 4]);
        let (layers, gain) = gain_db(&made, CorrectionStep::BiasCorrection);
        assert!(layers >= 5, "{format:?} {layers} {gain}");
    }
}

#[test]
fn float_biases_are_corrected_too() {
    let mut service = Service::default();
    let workspace = open(&mut service, vec![("network.onnx".into(), network(true)), ("images.bin".into(), images(40))]);
    let options = QuantizeOptions { quantize_bias: false, ..four_bits(true) };
    let corrections = Corrections { bias: BiasCorrection::Empirical, ..Corrections::default() };
    let (made, file) = quantized(&mut service, order(&workspace, options.clone(), corrections));
    assert_eq!(gain_db(&made, CorrectionStep::BiasCorrection).0, 6);
    let plain = quantized(&mut service, order(&workspace, options, Corrections::default())).1;
    let bias = |document: &Document| document.constant("gemm_bias").unwrap().unwrap().to_f32().unwrap();
    assert_ne!(bias(&file), bias(&plain));
}

/// Of 300 images: what 4 bits lose by rounding to nearest, and the corrections give back.
#[test]
fn four_bits_on_the_sample() {
    let mut service = Service::default();
    let workspace = open(&mut service, sample());
    let source = workspace.sources.iter().find(|source| source.name.contains("calib")).unwrap().id;
    let order = QuantizeOrder {
        source,
        images: CalibrationImages::PerClass { count: 6, seed: 1 },
        ..order(&workspace, four_bits(true), all(BiasCorrection::Empirical))
    };
    let (made, _) = quantized(&mut service, order);
    for effect in &made.effects {
        eprintln!("{:?} {} {:?} {:?}", effect.step, effect.layers, effect.without, effect.with);
    }
    let (layers, gain) = gain_db(&made, CorrectionStep::AdaptiveRounding);
    assert!(layers == 10 && gain > 3.0, "{layers} {gain}");
    let last = made.effects.last().unwrap().with;
    assert!(last.accuracy.unwrap() > made.effects[0].without.accuracy.unwrap());
}
