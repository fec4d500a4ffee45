//! Types, shapes, counts: against what ONNX Runtime and numpy saw.

use crate::support::{model, open, reference};
use quantscope::onnx::{Counts, Dim, Document, Facts, layers, macs};
use serde_json::Value;

/// The document without declared shapes of inner values and outputs: everything has to be inferred.
fn undeclared(document: &Document) -> Document {
    document
        .edit(|proto| {
            let graph = proto.graph.as_mut().unwrap();
            graph.value_info.clear();
            graph.output.iter_mut().for_each(|output| output.r#type = None);
        })
        .unwrap()
}

/// Asserts a recorded shape, measured with this batch; gives the number of dims that were not numbers.
fn assert_shape(facts: &Facts, value: &str, recorded: &Value, batch: u64, what: &str) -> usize {
    let found = facts.shape(value).unwrap_or_else(|| panic!("{what}: the shape of {value} is not known"));
    let recorded: Vec<u64> = recorded.as_array().unwrap().iter().map(|dim| dim.as_u64().unwrap()).collect();
    assert_eq!(found.len(), recorded.len(), "{what}: rank of {value}");
    let mut open = 0;
    for (found, recorded) in found.iter().zip(recorded) {
        match found {
            Dim::Known(dim) => assert_eq!(*dim as u64, recorded, "{what}: {value}"),
            Dim::Symbol(_) => {
                assert_eq!(recorded, batch, "{what}: {value}");
                open += 1;
            }
            Dim::Unknown => panic!("{what}: a dim of {value} is not known"),
        }
    }
    open
}

#[test]
fn every_activation_of_the_reference_has_its_shape() {
    let Some(folder) = reference() else { return };
    let mut checked = 0;
    for name in ["resnet8", "resnet8_int8", "resnet8_uint8"] {
        let path = folder.join("expected/activations").join(format!("{name}.json"));
        let recorded: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let document = model(name).unwrap();
        let inferred = undeclared(&document);
        for facts in [Facts::of(&document), Facts::of(&inferred)] {
            for entry in recorded["tensors"].as_array().unwrap_or_else(|| panic!("{}", recorded)) {
                let value = entry["tensor"].as_str().unwrap();
                assert_shape(&facts, value, &entry["shape"], 2, name);
                assert_eq!(facts.dtype(value).unwrap().name(), entry["dtype"].as_str().unwrap(), "{value}");
                checked += 1;
            }
        }
    }
    assert!(checked > 2 * 100, "{checked}");
}

#[test]
fn every_value_of_the_fixtures_has_its_shape() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models");
    let index: Value = serde_json::from_slice(&std::fs::read(folder.join("expected/index.json")).unwrap()).unwrap();
    let mut checked = 0;
    for (name, recorded) in index["models"].as_object().unwrap() {
        let document = undeclared(&open(&folder.join(name)));
        let facts = Facts::of(&document);
        for entry in recorded["tensors"].as_array().unwrap() {
            let value = entry["name"].as_str().unwrap();
            // What a local function writes is not inferred, nor what hangs on it.
            if name.contains("functions") || facts.get(value).is_none() {
                continue;
            }
            assert_shape(&facts, value, &entry["shape"], 2, name);
            checked += 1;
        }
    }
    assert!(checked > 400, "{checked}");
}

#[test]
fn counts_of_the_reference() {
    let Some(float) = model("resnet8") else { return };
    let int8 = model("resnet8_int8").unwrap();
    let counts = Counts::of(&int8, &Facts::of(&int8));
    assert_eq!((counts.quantize, counts.dequantize, counts.nodes), (32, 66, 130));
    assert!((counts.quantize_share() - 98.0 / 130.0).abs() < 1e-12);
    assert_eq!(counts.ops[&(String::new(), "Conv".to_owned())], 9);
    // MLPerf Tiny gives 12.5 M multiply-accumulates for this network. By layer, from the shapes:
    // 32x32x16x(3x3x3) + 2 x 32x32x16x(16x3x3) + 16x16x32x(16x3x3) + 16x16x32x(32x3x3) + 16x16x32x16
    // + 8x8x64x(32x3x3) + 8x8x64x(64x3x3) + 8x8x64x32 + 64x10
    let by_hand = 442_368 + 2 * 2_359_296 + 1_179_648 + 2_359_296 + 131_072 + 1_179_648 + 2_359_296 + 131_072 + 640;
    for name in [
        "resnet8",
        "resnet8_int8",
        "resnet8_int8_per_channel",
        "resnet8_uint8_qoperator",
        "resnet8_uint8_dynamic",
        "resnet8_bn_folded",
        "resnet8_bn_folded_uint8",
    ] {
        let document = model(name).unwrap();
        for document in [undeclared(&document), document] {
            let counts = Counts::of(&document, &Facts::of(&document));
            assert_eq!((counts.macs, counts.macs_unknown), (by_hand, 0), "{name}");
        }
    }
    // Summed over the initializers with numpy: kernels 76,720 + 640, biases 336 + 10, and 240 factors and 240 summands
    // of folded batch normalisation; the file's other 2 elements are the shape of a Reshape. Keras keeps 4 x 240
    // statistics where the file has 2 x 240.
    let parameters = |name: &str| {
        let document = model(name).unwrap();
        Counts::of(&document, &Facts::of(&document)).parameters
    };
    let float_parameters = Counts::of(&float, &Facts::of(&float)).parameters;
    assert_eq!(float_parameters, 78_186);
    assert_eq!(float_parameters, elements_of_floats(&float));
    for name in [
        "resnet8_int8",
        "resnet8_uint8",
        "resnet8_int8_per_channel",
        "resnet8_uint8_qoperator",
        "resnet8_uint8_dynamic",
    ] {
        assert_eq!(parameters(name), float_parameters, "{name}");
    }
    assert_eq!(parameters("resnet8_bn_folded"), 78_186 - 480);
    assert_eq!(parameters("resnet8_bn_folded_int8"), 78_186 - 480);
}

/// Every float of the file is a parameter there: its only other initializer is an integer shape.
fn elements_of_floats(document: &Document) -> u64 {
    let floats = document.graph().initializer.iter().filter(|tensor| tensor.data_type() == 1);
    floats.map(|tensor| tensor.dims.iter().product::<i64>() as u64).sum()
}

#[test]
fn layers_of_the_reference() {
    let Some(float) = model("resnet8") else { return };
    let list = layers(&float);
    assert_eq!(list.len(), 39);
    let first = list.iter().find(|layer| layer.op == "Conv").unwrap();
    assert_eq!(first.name, "model_1/conv2d_1/BiasAdd");
    assert_eq!(first.scope, ["model_1", "conv2d_1", "BiasAdd"]);
    assert_eq!(first.weights[0], ("weight".into(), "model_1/conv2d_1/convolution/ReadVariableOp:0".into()));
    assert_eq!(first.weights[1].0, "bias");
    assert!(list.iter().all(|layer| !layer.quantized));
    // 32 operations stay of the 130 nodes; the 7 Relu are absorbed by quantizers.
    for (name, count) in [
        ("resnet8_int8", 32),
        ("resnet8_uint8_qoperator", 32),
        ("resnet8_uint8_dynamic", 39),
        ("resnet8_bn_folded_int8", 18),
    ] {
        let document = model(name).unwrap();
        let list = layers(&document);
        assert_eq!(list.len(), count, "{name}");
        let convolutions: Vec<_> = list.iter().filter(|layer| layer.op == "Conv").collect();
        assert_eq!(convolutions.len(), 9, "{name}");
        assert!(convolutions.iter().all(|layer| layer.quantized && layer.weights.len() == 2), "{name}");
        let facts = Facts::of(&document);
        assert!(convolutions.iter().all(|layer| macs(&document, &facts, layer.node).is_some()));
    }
    let dynamic = layers(&model("resnet8_uint8_dynamic").unwrap());
    let conv = dynamic.iter().find(|layer| layer.op == "Conv").unwrap();
    assert_eq!((conv.op_type.as_str(), conv.output.as_str()), ("ConvInteger", "model_1/conv2d_1/BiasAdd:0"));
    assert_eq!(conv.weights[1], ("bias".into(), "model_1/conv2d_1/Squeeze:0".into()));
}
