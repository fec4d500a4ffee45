//! Variants of one network: every pair of the reference, renamed and reordered copies, swapped branches.

use crate::support::{floats, model, model_of, node, open, reference, value};
use bytes::Bytes;
use prost::Message;
use quantscope::onnx::proto::{AttributeProto, GraphProto, ModelProto, attribute_proto::AttributeType};
use quantscope::onnx::{Alignment, Document, align};
use quantscope::quant::weight_view;
use rand_core::{RngCore, SeedableRng};

fn weight(document: &Document, value: &str) -> Option<Vec<f32>> {
    weight_view(document, value)?.ok().map(|view| view.real)
}

fn aligned(documents: &[&Document]) -> Alignment {
    align(documents, &weight)
}

/// The name of a constant without what quantizers append.
fn bare(name: &str) -> &str {
    name.strip_suffix("_quantized").unwrap_or(name)
}

const CONVOLUTIONS: [&str; 9] = ["1", "1_2", "2_1", "5_1", "3_1", "4_1", "8_1", "6_1", "7_1"];

#[test]
fn every_reference_variant_pairs_with_the_float_model() {
    let Some(folder) = reference() else { return };
    let float = model("resnet8").unwrap();
    let variants = [
        "resnet8_int8",
        "resnet8_uint8",
        "resnet8_int8_per_channel",
        "resnet8_int8_percentile",
        "resnet8_int8_entropy",
        "resnet8_int8_entropy2048",
        "resnet8_int8_original_params",
        "resnet8_uint8_qoperator",
        "resnet8_uint8_dynamic",
    ];
    let documents: Vec<Document> =
        variants.iter().map(|name| open(&folder.join("models").join(format!("{name}.onnx")))).collect();
    // The float model last: it is the spine all the same.
    let all: Vec<&Document> = documents.iter().chain([&float]).collect();
    let result = aligned(&all);
    assert_eq!(result.spine, variants.len());
    assert_eq!(result.layers.len(), 39);
    assert_eq!(result.unmatched, []);
    let convolutions: Vec<_> = result.layers.iter().filter(|layer| layer.op == "Conv").collect();
    for (layer, number) in convolutions.iter().zip(CONVOLUTIONS) {
        assert_eq!(layer.label, format!("model_1/conv2d_{number}/BiasAdd"));
    }
    for layer in &result.layers {
        let spine = layer.members[result.spine].as_ref().unwrap();
        for (name, member) in variants.iter().zip(&layer.members) {
            let member = member.as_ref().unwrap_or_else(|| panic!("{name}: {}", layer.label));
            // Every constant is the quantized form of the same one: names are stable between these files.
            if !member.absorbed {
                let mine: Vec<_> = member.weights.iter().map(|(role, value)| (role.as_str(), bare(value))).collect();
                let other: Vec<_> = spine.weights.iter().map(|(role, value)| (role.as_str(), value.as_str())).collect();
                assert_eq!(mine, other, "{name}: {}", layer.label);
            }
            let absorbed = layer.op == "Relu" && !name.contains("dynamic");
            assert_eq!(member.absorbed, absorbed, "{name}: {}", layer.label);
            let comparable = member.comparable.as_deref();
            match layer.op.as_str() {
                // The value behind the quantizer is the Relu's.
                "Relu" => assert!(comparable.is_some(), "{name}: {}", layer.label),
                _ if name.contains("qoperator") => {}
                _ => assert!(comparable.is_some(), "{name}: {}", layer.label),
            }
        }
    }
    let relu = result.layers.iter().find(|layer| layer.op == "Relu").unwrap();
    let stands_for = |model: usize| relu.members[model].as_ref().unwrap().comparable.clone().unwrap();
    assert_eq!(stands_for(0), "model_1/activation_1/Relu:0_DequantizeLinear_Output");
    assert_eq!(stands_for(8), "model_1/activation_1/Relu:0");
}

#[test]
fn folded_batch_normalisation_is_said() {
    let Some(float) = model("resnet8") else { return };
    for name in ["resnet8_bn_folded", "resnet8_bn_folded_int8", "resnet8_bn_folded_uint8"] {
        let folded = model(name).unwrap();
        let result = aligned(&[&float, &folded]);
        // conv2d_1/... of one file is conv2d/..., conv2d_1/..., conv2d_2/... of the other.
        let other = |number: &str| match number {
            "1" => "model/conv2d/".to_owned(),
            "1_2" => "model/conv2d_1/".to_owned(),
            number => format!("model/conv2d_{}/", number.trim_end_matches("_1")),
        };
        let convolutions = result.layers.iter().filter(|layer| layer.op == "Conv");
        for (layer, number) in convolutions.zip(CONVOLUTIONS) {
            let member = layer.members[1].as_ref().unwrap_or_else(|| panic!("{name}: {}", layer.label));
            assert!(member.weights[0].1.starts_with(&other(number)), "{name}: {} {member:?}", layer.label);
        }
        for layer in result.layers.iter().filter(|layer| layer.op != "Conv") {
            let folded_away = layer.label.contains("batchnorm");
            assert_eq!(layer.members[1].is_none(), folded_away, "{name}: {}", layer.label);
        }
        let (here, there): (Vec<_>, Vec<_>) = result.unmatched.iter().partition(|unmatched| unmatched.model == 0);
        assert_eq!((here.len(), there.len()), (14, 0), "{name}");
        assert!(here.iter().all(|unmatched| unmatched.reason.contains("batchnorm")), "{name}");
    }
}

/// Random names for everything but the graph's inputs and outputs, and nodes in another valid order.
fn scrambled(document: &Document, seed: u64) -> (Document, Vec<(String, String)>) {
    let mut random = rand_pcg::Pcg64::seed_from_u64(seed);
    let mut renamed: Vec<(String, String)> = Vec::new();
    let shuffled = document.edit(|proto| {
        let graph = proto.graph.as_mut().unwrap();
        let kept: Vec<String> = graph.input.iter().chain(&graph.output).map(|value| value.name().to_owned()).collect();
        let mut rename = |name: &mut String| {
            if name.is_empty() || kept.contains(name) {
                return;
            }
            let known = renamed.iter().find(|(old, _)| old == name).map(|(_, new)| new.clone());
            let new = known.unwrap_or_else(|| {
                let new = format!("v{:08x}", random.next_u32());
                renamed.push((name.clone(), new.clone()));
                new
            });
            *name = new;
        };
        for node in &mut graph.node {
            node.input.iter_mut().chain(&mut node.output).for_each(&mut rename);
            node.name = None;
        }
        graph.initializer.iter_mut().for_each(|tensor| rename(tensor.name.as_mut().unwrap()));
        graph.value_info.clear();
        for nodes in (1..graph.node.len()).rev() {
            graph.node.swap(nodes, random.next_u32() as usize % (nodes + 1));
        }
        graph.initializer.reverse();
    });
    (shuffled.unwrap(), renamed)
}

fn assert_scrambled_matches(float: &Document, quantized: &Document, seed: u64) {
    let straight = aligned(&[float, quantized]);
    let (other, renamed) = scrambled(quantized, seed);
    let result = aligned(&[float, &other]);
    let new_name = |name: &str| renamed.iter().find(|(old, _)| old == name).map_or(name, |(_, new)| new).to_owned();
    assert_eq!(result.unmatched.len(), straight.unmatched.len());
    for (a, b) in straight.layers.iter().zip(&result.layers) {
        let (a, b) = (a.members[1].as_ref().unwrap(), b.members[1].as_ref().unwrap_or_else(|| panic!("{}", b.label)));
        assert_eq!(new_name(&a.output), b.output);
        let weights: Vec<_> = a.weights.iter().map(|(role, value)| (role.clone(), new_name(value))).collect();
        assert_eq!(weights, b.weights);
    }
}

#[test]
fn names_and_order_do_not_matter() {
    let Some(float) = model("resnet8") else { return };
    for (name, seed) in [
        ("resnet8_int8", 1),
        ("resnet8_uint8_qoperator", 2),
        ("resnet8_uint8_dynamic", 3),
        ("resnet8_int8_per_channel", 4),
    ] {
        assert_scrambled_matches(&float, &model(name).unwrap(), seed);
    }
}

#[test]
fn permuted_constant_numbers_do_not_mislead() {
    let (Some(float), Some(int8)) = (model("resnet8"), model("resnet8_int8")) else { return };
    // 139 becomes 140, 140 becomes 141, and so on: every one of these names exists and means another tensor.
    let next = |name: &str| {
        let Some(rest) = name.strip_prefix("const_fold_opt__") else { return name.to_owned() };
        let number: u32 = rest[..3].parse().unwrap();
        format!("const_fold_opt__{}{}", if number == 146 { 139 } else { number + 1 }, &rest[3..])
    };
    let permuted = int8
        .edit(|proto| {
            let graph = proto.graph.as_mut().unwrap();
            for node in &mut graph.node {
                node.input.iter_mut().chain(&mut node.output).for_each(|name| *name = next(name));
                node.name = node.name.as_deref().map(next);
            }
            graph.initializer.iter_mut().for_each(|tensor| tensor.name = tensor.name.as_deref().map(next));
        })
        .unwrap();
    let result = aligned(&[&float, &permuted]);
    assert_eq!(result.unmatched, []);
    let mut seen = 0;
    for layer in &result.layers {
        let [Some(a), Some(b)] = layer.members.as_slice() else { panic!("{}", layer.label) };
        for ((_, a), (_, b)) in a.weights.iter().zip(&b.weights).filter(|((_, a), _)| a.starts_with("const_fold")) {
            assert_eq!(next(a), bare(b));
            seen += 1;
        }
    }
    assert_eq!(seen, 7);
}

#[test]
fn fixtures_pair_with_their_float_model() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models");
    let tiny = open(&folder.join("tiny.onnx"));
    for name in [
        "int8",
        "uint8",
        "int8_per_channel",
        "int8_percentile",
        "uint8_qoperator",
        "uint8_dynamic",
        "int16",
        "int16_opset21",
        "int4w",
        "uint4w",
        "int4_blocked",
        "fp16",
        "fp16_weights",
    ] {
        let variant = open(&folder.join(format!("tiny_{name}.onnx")));
        let result = aligned(&[&tiny, &variant]);
        assert_eq!(result.unmatched, [], "{name}");
        for layer in result.layers.iter().filter(|layer| layer.op != "Relu") {
            let [Some(a), Some(b)] = layer.members.as_slice() else { panic!("{}", layer.label) };
            for ((_, a), (_, b)) in a.weights.iter().zip(&b.weights) {
                assert!(b.starts_with(a.as_str()), "{name}: {a} {b}");
            }
        }
    }
    for (float, variant) in
        [("tiny", "tiny_renamed"), ("tiny_int8", "tiny_int8_renamed"), ("tiny", "tiny_int8_renamed")]
    {
        let names = std::fs::read(folder.join(format!("{variant}_names.json"))).unwrap();
        let names: serde_json::Value = serde_json::from_slice(&names).unwrap();
        let (a, b) = (open(&folder.join(format!("{float}.onnx"))), open(&folder.join(format!("{variant}.onnx"))));
        let result = aligned(&[&a, &b]);
        assert_eq!(result.unmatched, []);
        for layer in &result.layers {
            let [Some(a), Some(b)] = layer.members.as_slice() else { panic!("{}", layer.label) };
            for ((_, a), (_, b)) in a.weights.iter().zip(&b.weights) {
                let quantized = format!("{a}_quantized");
                let expected = names.get(a).or_else(|| names.get(&quantized)).unwrap().as_str();
                assert!(expected == Some(b) || names[&quantized].as_str() == Some(b), "{variant}: {a} {b}");
            }
        }
    }
    let depthwise = open(&folder.join("tiny_depthwise.onnx"));
    for name in ["int8", "int8_per_channel", "uint8_qoperator"] {
        let variant = open(&folder.join(format!("tiny_depthwise_{name}.onnx")));
        assert_eq!(aligned(&[&depthwise, &variant]).unmatched, [], "{name}");
    }
}

/// Two branches of equal shape behind one input, summed; only their weights tell them apart.
fn branches(first: &str, second: &str) -> ModelProto {
    let kernel = |name: &str| match name {
        "left" => [1.0, -2.0, 0.5, 3.0],
        _ => [-1.0, 0.25, 4.0, 1.0],
    };
    let weights = [first, second].map(|name| floats(&format!("{name}_w"), &[2, 2, 1, 1], &kernel(name)));
    let conv = |name: &str| {
        let mut conv = node("Conv", &["x", &format!("{name}_w")], &[name]);
        let ones = AttributeProto {
            name: Some("kernel_shape".into()),
            r#type: Some(AttributeType::Ints as i32),
            ints: vec![1, 1],
            ..Default::default()
        };
        conv.attribute.push(ones);
        conv
    };
    let relu = |name: &str| node("Relu", &[name], &[&format!("{name}_relu")]);
    model_of(GraphProto {
        name: Some("g".into()),
        node: vec![
            conv(first),
            conv(second),
            relu(first),
            relu(second),
            node("Add", &[&format!("{first}_relu"), &format!("{second}_relu")], &["y"]),
        ],
        initializer: weights.into(),
        input: vec![value("x", &[1, 2, 4, 4])],
        output: vec![value("y", &[1, 2, 4, 4])],
        ..Default::default()
    })
}

#[test]
fn swapped_branches_are_told_apart_by_their_weights() {
    let decode = |proto: ModelProto| Document::decode(Bytes::from(proto.encode_to_vec())).unwrap();
    let straight = decode(branches("left", "right"));
    let (swapped, renamed) = scrambled(&decode(branches("right", "left")), 5);
    let result = aligned(&[&straight, &swapped]);
    assert_eq!(result.unmatched, []);
    for layer in &result.layers {
        let [Some(a), Some(b)] = layer.members.as_slice() else { panic!("{}", layer.label) };
        let expected = renamed.iter().find(|(old, _)| *old == a.output).map_or("y", |(_, new)| new);
        assert_eq!(b.output, expected, "{}", layer.label);
    }
    // Without weights the names decide.
    let swapped = decode(branches("right", "left"));
    let result = align(&[&straight, &swapped], &|_, _| None);
    assert!(result.layers.iter().all(|layer| {
        layer.members[0].as_ref().map(|member| &member.output) == layer.members[1].as_ref().map(|member| &member.output)
    }));
}

#[test]
fn another_network_has_no_counterparts() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models");
    let Some(float) = model("resnet8") else { return };
    let result = aligned(&[&float, &open(&folder.join("tiny_depthwise.onnx"))]);
    let convolutions = result.layers.iter().filter(|layer| layer.op == "Conv");
    assert!(convolutions.into_iter().all(|layer| layer.members[1].is_none()));
    assert!(result.unmatched.len() > 18);
    assert_eq!(aligned(&[]), Alignment::default());
    assert_eq!(aligned(&[&float]).unmatched, []);
}
