//! What is done beside rounding to nearest, measured on the reference model with the engine.

use super::support::{Cifar, Runner, document, reference};
use quantscope::onnx::{Document, tensor_to_proto};
use quantscope::quant::TensorKind;
use quantscope::quant::quantizer::{
    ChannelMeans, Gram, PrepareOptions, QuantizeOptions, Quantized, TensorOverride, Window, add_to_biases,
    computes_nothing, equalize, patches, prepare, quantize, round_to_data,
};
use quantscope::tensor::{DType, Tensor};
use std::collections::BTreeMap;
use std::path::Path;

/// Two float models that differ by where factors are multiplied: products of f32 numbers rounded in another order, over
/// twenty layers.
const SAME_FUNCTION: f32 = 2e-5;

fn probabilities(document: &Document, images: &[Tensor]) -> Vec<Vec<f32>> {
    let output = document.graph().output[0].name().to_owned();
    let mut runner = Runner::new(document, vec![output]);
    let mut all = Vec::new();
    for image in images {
        runner.run(image.clone(), |_, values| all.push(values.to_vec()));
    }
    all
}

fn farthest(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn images(folder: &Path, file: &str, indices: impl Iterator<Item = usize>) -> Vec<Tensor> {
    let file = Cifar::open(&folder.join("cifar10").join(file));
    indices.map(|index| file.image(index)).collect()
}

/// The model with the rows' constants as their readers see them: weights rounded, activations float.
fn weights_only(quantized: &Quantized) -> Document {
    let seen: BTreeMap<&str, Tensor> = quantized
        .table
        .rows
        .iter()
        .filter(|row| row.kind == TensorKind::Weight && row.enabled)
        .map(|row| (row.tensor.as_str(), row.seen_constant().unwrap().unwrap()))
        .collect();
    let changed = quantized.document.edit(|model| {
        for tensor in &mut model.graph.as_mut().unwrap().initializer {
            if let Some(seen) = seen.get(tensor.name()) {
                *tensor = tensor_to_proto(tensor.name(), seen);
            }
        }
    });
    changed.unwrap()
}

/// Convolutions of the reference model quantized to four bits: scale = largest weight / 7, codes -8 to 7.
fn four_bits(model: &Document) -> Quantized {
    let mut options = QuantizeOptions {
        op_types: Some(["Conv".to_owned()].into()),
        quantize_bias: false,
        keep_activation_functions: true,
        ..Default::default()
    };
    for node in model.graph().node.iter().filter(|node| node.op_type() == "Conv") {
        let weight = model.constant(&node.input[1]).unwrap().unwrap().to_f32().unwrap();
        let largest = weight.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        let change =
            TensorOverride { dtype: Some(DType::Int4), params: Some((largest / 7.0, 0)), ..Default::default() };
        options.overrides.insert(node.input[1].clone(), change);
    }
    let ranges = model.graph().node.iter().flat_map(|node| node.input.iter().chain(&node.output));
    let ranges = ranges.map(|tensor| (tensor.clone(), (-1.0, 1.0))).collect();
    quantize(model, &ranges, &options).unwrap()
}

fn correct(document: &Document, folder: &Path, count: usize) -> usize {
    let labels = std::fs::read(folder.join("cifar10/test_batch_head.bin")).unwrap();
    let answers = probabilities(document, &images(folder, "test_batch_head.bin", 0..count));
    let best = |values: &Vec<f32>| (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap();
    answers.iter().enumerate().filter(|(index, values)| best(values) == usize::from(labels[index * 3073])).count()
}

fn conv_outputs(model: &Document) -> Vec<String> {
    let convs = model.graph().node.iter().filter(|node| node.op_type() == "Conv");
    convs.map(|node| node.output[0].clone()).collect()
}

/// The mean of every convolution's output channel.
fn means(document: &Document, tensors: &[String], images: &[Tensor]) -> ChannelMeans {
    let mut runner = Runner::new(document, tensors.to_vec());
    let mut means = ChannelMeans::default();
    for image in images {
        runner.run_shaped(image.clone(), |tensor, value| {
            means.add(tensor, &value.to_f32().unwrap(), value.shape(), 1);
        });
    }
    means
}

#[test]
fn folding_and_equalizing_change_no_answer() {
    let Some(folder) = reference() else { return };
    let model = document(&folder.join("models/resnet8.onnx"));
    let images = images(&folder, "test_batch_head.bin", 0..8);
    let expected = probabilities(&model, &images);
    let prepared = prepare(&model, &PrepareOptions::default(), &computes_nothing).unwrap();
    // Batch normalization stands as Mul and Add behind seven convolutions.
    assert_eq!(prepared.folded.len(), 14, "{:?}", prepared.folded);
    assert!(prepared.document.issues().is_empty());
    let off = farthest(&expected, &probabilities(&prepared.document, &images));
    assert!(off <= SAME_FUNCTION, "folded: {off}");
    let equalized = equalize(&prepared.document).unwrap();
    assert!(!equalized.pairs.is_empty());
    assert!(equalized.document.issues().is_empty());
    let off = farthest(&expected, &probabilities(&equalized.document, &images));
    assert!(off <= SAME_FUNCTION, "equalized: {off}");
    eprintln!("{} folds, {} pairs equalized", prepared.folded.len(), equalized.pairs.len());
}

#[test]
fn empirical_bias_correction_of_four_bit_weights() {
    let Some(folder) = reference() else { return };
    let model = document(&folder.join("models/resnet8.onnx"));
    let rounded = weights_only(&four_bits(&model));
    let data = images(&folder, "data_batch_head.bin", (0..1000).step_by(10));
    let outputs = conv_outputs(&model);
    let float_means = means(&model, &outputs, &data);
    let additions = float_means.minus(&means(&rounded, &outputs, &data));
    // One layer after the other: what is corrected changes what the next ones see.
    let mut corrected = rounded.clone();
    for output in &outputs {
        let now = float_means.minus(&means(&corrected, std::slice::from_ref(output), &data));
        corrected = add_to_biases(&corrected, &now).unwrap().0;
    }
    let (at_once, served) = add_to_biases(&rounded, &additions).unwrap();
    assert_eq!(served.len(), 9);
    let counts = [&rounded, &at_once, &corrected].map(|model| correct(model, &folder, 500));
    eprintln!("of 500: rounded {}, corrected at once {}, layer by layer {}", counts[0], counts[1], counts[2]);
    assert!(counts[2] > counts[0] + 50, "{counts:?}");
}

#[test]
fn rounding_to_the_data_of_four_bit_weights() {
    let Some(folder) = reference() else { return };
    let model = document(&folder.join("models/resnet8.onnx"));
    let mut quantized = four_bits(&model);
    let before = weights_only(&quantized);
    let data = images(&folder, "data_batch_head.bin", (0..1000).step_by(50));
    for node in model.graph().node.iter().filter(|node| node.op_type() == "Conv") {
        let weight = model.constant(&node.input[1]).unwrap().unwrap();
        let [_, channels, height, width] = weight.shape() else { panic!() };
        let mut runner = Runner::new(&model, vec![node.input[0].clone(), node.output[0].clone()]);
        let mut gram = Gram::new(channels * height * width);
        let ints = |name: &str| node.attribute.iter().find(|a| a.name() == name).map_or(vec![], |a| a.ints.clone());
        let at = |list: &[i64], at: usize, default: usize| list.get(at).map_or(default, |&value| value as usize);
        let (strides, pads) = (ints("strides"), ints("pads"));
        let same = node.attribute.iter().any(|a| a.name() == "auto_pad" && a.s().starts_with(b"SAME"));
        assert!(!same, "the reference model has explicit pads");
        for image in &data {
            let mut shapes = BTreeMap::new();
            runner.run_shaped(image.clone(), |tensor, value| drop(shapes.insert(tensor.to_owned(), value)));
            let (input, output) = (&shapes[&node.input[0]], &shapes[&node.output[0]]);
            let window = Window {
                kernel: [*height, *width],
                strides: [at(&strides, 0, 1), at(&strides, 1, 1)],
                dilations: [1, 1],
                pads_before: [at(&pads, 0, 0), at(&pads, 1, 0)],
                output: [output.shape()[2], output.shape()[3]],
            };
            let shape = [1, input.shape()[1], input.shape()[2], input.shape()[3]];
            patches(&input.to_f32().unwrap(), shape, 0..*channels, &window, 17, |patch| gram.add(patch));
        }
        let row = quantized.table.row_mut(&node.input[1]).unwrap();
        let codes = round_to_data(&weight, &row.grid.params, &[gram]).unwrap();
        row.constant.as_mut().unwrap().stored = Some(codes);
    }
    let counts = [before, weights_only(&quantized)].map(|model| correct(&model, &folder, 500));
    eprintln!("of 500: rounded to nearest {}, rounded to the data {}", counts[0], counts[1]);
    assert!(counts[1] > counts[0] + 50, "{counts:?}");
}
