//! The quantization parameters found in a file equal those recorded by the tools that read them with onnx.

use crate::support::{model, open, reference};
use quantscope::onnx::{Document, is_dequantize, is_quantize};
use quantscope::quant::{
    Granularity, Parameters, QuantizedTensor, TensorKind, quantized_tensors, representable_ranges, weight_view,
};
use quantscope::tensor::DType;
use serde_json::Value;

/// Numbers of any nesting, row by row; nothing for null. A scale is recorded as the f64 of an f32.
fn numbers(value: &Value) -> Vec<f32> {
    match value {
        Value::Array(list) => list.iter().flat_map(numbers).collect(),
        Value::Null => Vec::new(),
        number => vec![number.as_f64().unwrap() as f32],
    }
}

/// Compares one recorded entry (a Q or DQ node, or one operand of an integer operator) with what was found.
fn assert_entry(document: &Document, found: &[QuantizedTensor], entry: &Value, what: &str) {
    let text = |key: &str| entry[key].as_str().unwrap_or_default();
    let node = document.graph().node.iter().position(|node| node.name() == text("node")).unwrap();
    let proto = document.node(node).unwrap();
    let uses: Vec<_> = found
        .iter()
        .filter(|tensor| tensor.nodes.contains(&node))
        .filter(|tensor| match is_quantize(proto) {
            true => document.index().producer(&tensor.stored).is_some_and(|slot| slot.node == node),
            false => tensor.stored == text("tensor"),
        })
        .filter(|tensor| tensor.scale_name.as_deref() == entry["scale_name"].as_str())
        .collect();
    assert!(!uses.is_empty(), "{what}: {} of {} is not found", text("tensor"), text("node"));
    for tensor in uses {
        if is_quantize(proto) {
            assert_eq!(tensor.value, text("tensor"), "{what}");
        }
        assert_eq!(tensor.zero_point_name.as_deref(), entry["zero_point_name"].as_str(), "{what} {}", text("node"));
        let params = tensor.fixed().unwrap_or_else(|| panic!("{what} {}: {:?}", text("tensor"), tensor.params));
        let scale = params.scale.clone();
        assert_eq!(scale, numbers(&entry["scale"]), "{what}: scale of {}", text("tensor"));
        let zero_point: Vec<f32> = params.zero_point.iter().map(|&zero| zero as f32).collect();
        let recorded = numbers(&entry["zero_point"]);
        let recorded = if recorded.is_empty() { vec![0.0; scale.len()] } else { recorded };
        assert_eq!(zero_point, recorded, "{what}: zero point of {}", text("tensor"));
        if let Some(axis) = entry["axis"].as_i64() {
            let rank = tensor.shape.as_ref().map_or(0, Vec::len) as i64;
            let axis = if axis < 0 { axis + rank } else { axis } as usize;
            match params.granularity {
                Granularity::PerTensor => assert_eq!(scale.len(), 1, "{what} {}", text("tensor")),
                Granularity::PerChannel { axis: found } | Granularity::Blocked { axis: found, .. } => {
                    assert_eq!(found, axis, "{what} {}", text("tensor"));
                }
            }
        }
        if let Some(shape) = entry["quantized_shape"].as_array() {
            let shape: Vec<_> = shape.iter().map(|dim| dim.as_u64().unwrap().to_string()).collect();
            let found: Vec<_> = tensor.shape.as_ref().unwrap().iter().map(ToString::to_string).collect();
            assert_eq!(found, shape, "{what} {}", text("tensor"));
        }
        match text("role") {
            "weight" | "bias" => assert_ne!(tensor.kind, TensorKind::Activation, "{what} {}", text("tensor")),
            "activation" | "output" => assert_eq!(tensor.kind, TensorKind::Activation, "{what} {}", text("tensor")),
            _ => {}
        }
        assert_eq!(params.dtype.name(), text("dtype"), "{what} {}", text("tensor"));
    }
}

#[test]
fn every_reference_parameter_is_found() {
    let Some(folder) = reference() else { return };
    let (mut files, mut entries) = (0, 0);
    for file in std::fs::read_dir(folder.join("expected/quant_params")).unwrap() {
        let recorded: Value = serde_json::from_slice(&std::fs::read(file.unwrap().path()).unwrap()).unwrap();
        let name = recorded["model"].as_str().unwrap();
        let document = open(&folder.join("models").join(name));
        let found = quantized_tensors(&document);
        let dynamic = name.contains("dynamic");
        for entry in recorded["entries"].as_array().unwrap().iter().filter(|_| !dynamic) {
            assert_entry(&document, &found, entry, name);
            entries += 1;
        }
        // Nothing is found that is not recorded: every use belongs to a recorded node.
        let nodes: Vec<&str> =
            recorded["entries"].as_array().unwrap().iter().filter_map(|entry| entry["node"].as_str()).collect();
        for tensor in found.iter().filter(|_| !dynamic) {
            for &node in &tensor.nodes {
                assert!(nodes.contains(&document.node(node).unwrap().name()), "{name}: {tensor:?}");
            }
        }
        files += 1;
    }
    assert_eq!((files, entries), (12, 7 * 98 + 2 * 56 + 90));
}

#[test]
fn kinds_of_the_reference_int8_model() {
    let Some(document) = model("resnet8_int8") else { return };
    let found = quantized_tensors(&document);
    let count = |kind| found.iter().filter(|tensor| tensor.kind == kind).count();
    // 9 convolutions and a dense layer; 7 products, 7 sums and the dense bias; 32 quantizers.
    assert_eq!(
        [TensorKind::Weight, TensorKind::Bias, TensorKind::Constant, TensorKind::Activation].map(count),
        [10, 9, 15, 32]
    );
    let weights = found.iter().filter(|tensor| tensor.kind == TensorKind::Weight);
    assert!(weights.clone().all(QuantizedTensor::symmetric));
    assert!(weights.clone().all(|tensor| tensor.value == tensor.stored));
    let input = found.iter().find(|tensor| tensor.kind == TensorKind::Activation).unwrap();
    // scale 1, zero point -128: exactly the pixels.
    assert_eq!(input.range(), Some((0.0, 255.0)));
    assert!(!input.symmetric());
    let uint8 = quantized_tensors(&model("resnet8_uint8").unwrap());
    assert!(uint8.iter().filter(|tensor| tensor.kind == TensorKind::Weight).all(|tensor| !tensor.symmetric()));
}

#[test]
fn the_qoperator_bias_has_the_product_of_two_scales() {
    let (Some(qoperator), Some(qdq)) = (model("resnet8_uint8_qoperator"), model("resnet8_uint8")) else { return };
    let qdq = quantized_tensors(&qdq);
    let found = quantized_tensors(&qoperator);
    let biases: Vec<_> = found.iter().filter(|tensor| tensor.kind == TensorKind::Bias).collect();
    assert_eq!(biases.len(), 9);
    for bias in biases {
        let same = qdq.iter().find(|tensor| tensor.stored == bias.stored).unwrap();
        assert_eq!(bias.fixed().unwrap().scale, same.fixed().unwrap().scale, "{}", bias.stored);
        assert_eq!((bias.fixed().unwrap().dtype, &bias.scale_name), (DType::Int32, &None));
    }
    // What DequantizeLinear gives at the end is the real-valued name.
    assert!(found.iter().any(|tensor| tensor.stored == "dense_quantized" && tensor.value == "dense"));
}

#[test]
fn dynamic_quantization_has_weights_and_run_time_activations() {
    let Some(folder) = reference() else { return };
    let document = open(&folder.join("models/resnet8_uint8_dynamic.onnx"));
    let recorded: Value = serde_json::from_slice(
        &std::fs::read(folder.join("expected/quant_params/resnet8_uint8_dynamic.json")).unwrap(),
    )
    .unwrap();
    let found = quantized_tensors(&document);
    let entries = recorded["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 10);
    for entry in entries {
        let weight = entry["weight"].as_str().unwrap();
        let tensor = found.iter().find(|tensor| tensor.stored == weight).unwrap();
        let params = tensor.fixed().unwrap();
        assert_eq!(params.zero_point, [entry["weight_zero_point"].as_i64().unwrap() as i32]);
        assert_eq!(tensor.scale_name.as_deref(), Some(&*weight.replace("_quantized", "_scale")));
        assert_eq!(tensor.kind, TensorKind::Weight);
    }
    let dynamic = found.iter().filter(|t| t.params == Parameters::AtRunTime { dtype: DType::Uint8 });
    assert_eq!(dynamic.count(), 8);
    assert_eq!(found.len(), 18);
}

#[test]
fn weight_views_equal_the_recorded_statistics() {
    let Some(folder) = reference() else { return };
    let recorded: Value =
        serde_json::from_slice(&std::fs::read(folder.join("expected/weight_histograms.json")).unwrap()).unwrap();
    assert!(recorded.is_object());
    // Stored integers and reals of every constant follow the formula, in every quantized model.
    for name in ["resnet8_int8", "resnet8_uint8", "resnet8_int8_per_channel", "resnet8_uint8_qoperator"] {
        let document = model(name).unwrap();
        for tensor in quantized_tensors(&document).iter().filter(|tensor| tensor.kind != TensorKind::Activation) {
            let view = weight_view(&document, &tensor.value).unwrap().unwrap();
            let params = view.params.as_ref().unwrap();
            let stored = view.stored.as_ref().unwrap();
            let raw = document.constant(&tensor.stored).unwrap().unwrap().to_i64().unwrap();
            assert!(raw.iter().zip(stored).all(|(&a, &b)| a == i64::from(b)));
            let ranges = representable_ranges(params).unwrap();
            let (low, high) = ranges.iter().fold((f32::MAX, f32::MIN), |(l, h), r| (l.min(r.0), h.max(r.1)));
            assert!(view.real.iter().all(|real| (low..=high).contains(real)), "{name} {}", tensor.value);
            if let Granularity::PerChannel { axis } = params.granularity {
                let inner: usize = view.shape[axis + 1..].iter().product();
                let at = |i: usize| (i / inner) % view.shape[axis];
                assert!(
                    view.real.iter().zip(stored).enumerate().all(|(i, (&real, &q))| {
                        real == (q - params.zero_point[at(i)]) as f32 * params.scale[at(i)]
                    })
                );
            }
        }
    }
    let float = model("resnet8").unwrap();
    let view = weight_view(&float, "model_1/conv2d_1/convolution/ReadVariableOp:0").unwrap().unwrap();
    assert_eq!((view.stored, view.shape, view.params), (None, vec![16, 3, 3, 3], None));
    assert_eq!(view.real.len(), 432);
}

#[test]
fn fixtures_have_the_recorded_parameters() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models");
    let bytes = std::fs::read(folder.join("expected/index.json")).unwrap();
    let index: Value = serde_json::from_slice(&bytes).unwrap();
    let mut entries = 0;
    for (name, recorded) in index["models"].as_object().unwrap() {
        let Some(list) = recorded["quantized"].as_array().filter(|list| !list.is_empty()) else { continue };
        let document = open(&folder.join(name));
        let found = quantized_tensors(&document);
        for entry in list {
            if entry["scale"].is_null() {
                continue;
            }
            entries += 1;
            assert_fixture(&document, &found, entry, name);
        }
        assert!(document.graph().node.iter().any(is_dequantize) || name.contains("dynamic"), "{name}");
    }
    assert!(entries > 100, "{entries}");
}

/// The fixtures' index names the node, the integer tensor and its type.
fn assert_fixture(document: &Document, found: &[QuantizedTensor], entry: &Value, what: &str) {
    let node = document.graph().node.iter().position(|node| node.name() == entry["node"].as_str().unwrap()).unwrap();
    let of_node = |tensor: &&QuantizedTensor| tensor.nodes.contains(&node) && tensor.stored == entry["tensor"];
    let tensor = found.iter().find(of_node).unwrap_or_else(|| panic!("{what}: {entry} is not found"));
    let params = tensor.fixed().unwrap_or_else(|| panic!("{what}: {entry}: {:?}", tensor.params));
    let scale = params.scale.clone();
    // Blocked scales are recorded flat or nested; both are in row-major order.
    assert_eq!(scale, numbers(&entry["scale"]), "{what}: scale of {}", entry["tensor"]);
    let zero_point: Vec<f32> = params.zero_point.iter().map(|&zero| zero as f32).collect();
    let recorded = numbers(&entry["zero_point"]);
    assert_eq!(zero_point, if recorded.is_empty() { vec![0.0; scale.len()] } else { recorded }, "{what} {entry}");
    assert_eq!(params.dtype.name(), entry["dtype"].as_str().unwrap(), "{what} {}", entry["tensor"]);
    let axis = match params.granularity {
        Granularity::PerTensor => None,
        Granularity::PerChannel { axis } | Granularity::Blocked { axis, .. } => Some(axis as u64),
    };
    if axis.is_some() || entry["axis"].is_u64() {
        assert_eq!(axis, entry["axis"].as_u64(), "{what} {}", entry["tensor"]);
    }
    if let Some(block_size) = entry["block_size"].as_u64() {
        let blocked = Granularity::Blocked { axis: axis.unwrap() as usize, block_size: block_size as usize };
        assert_eq!(params.granularity, blocked, "{what}");
    }
}
