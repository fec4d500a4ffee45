//! `inspect` and `extract`.

use crate::support::{expected, json_of, quantscope, reference, sample, scratch};
use serde_json::Value;
use std::collections::BTreeMap;

#[test]
fn a_card_says_what_the_model_is() {
    let shown =
        quantscope(&["inspect", &sample("street-digits-int8.onnx"), &sample("street-digits.onnx"), "--json"]).json();
    let expected = expected();
    for (card, model) in shown.as_array().unwrap().iter().zip(["int8", "float"]) {
        let recorded = &expected["models"][model];
        for (mine, theirs) in [("file", "file"), ("sha256", "sha256"), ("nodes", "nodes_total")] {
            assert_eq!(card[mine], recorded[theirs], "{model} {mine}");
        }
        let ops: BTreeMap<&str, &Value> =
            card["op_counts"].as_array().unwrap().iter().map(|op| (op[0].as_str().unwrap(), &op[1])).collect();
        let recorded = recorded["op_counts"].as_object().unwrap();
        assert_eq!(ops, recorded.iter().map(|(op, count)| (op.as_str(), count)).collect::<BTreeMap<_, _>>());
    }
    assert_eq!(shown[0]["quantized_tensors"].as_array().unwrap().len(), 66);
    assert_eq!(shown[1]["quantized_tensors"].as_array().unwrap().len(), 0);
    let words = quantscope(&["inspect", &sample("street-digits-int8.onnx")]);
    assert!(
        words.code == 0 && words.out.contains("32 QuantizeLinear and 66 DequantizeLinear (75.4 %)"),
        "{}",
        words.out
    );
}

#[test]
fn every_scale_of_the_sample_is_extracted() {
    for model in ["int8", "uint8"] {
        let extracted = quantscope(&["extract", &sample(&format!("street-digits-{model}.onnx")), "--json"]).json();
        assert_eq!(extracted["opset_version"], 15);
        let operations = extracted["operations"].as_array().unwrap();
        assert_eq!(operations.len(), 98);
        for row in expected()["models"][model]["quantized"].as_array().unwrap() {
            let (scale, zero_point) = (row["scale_name"].as_str().unwrap(), row["zero_point_name"].as_str().unwrap());
            let of = |kind: &str, name: &str| {
                let found: Vec<&Value> = operations.iter().filter_map(|operation| operation[kind].get(name)).collect();
                assert!(!found.is_empty() && found.iter().all(|value| *value == found[0]), "{name}");
                found[0].clone()
            };
            assert_eq!(of("scales", scale).as_f64(), row["scale"].as_f64(), "{scale}");
            assert_eq!(of("zero_points", zero_point), row["zero_point"], "{zero_point}");
        }
    }
}

/// The two files write a number with as many digits as tell it from its neighbours; readers may be off in the last bit.
const LAST_BIT: f64 = 1e-15;

#[test]
fn extracting_the_reference_models_gives_their_recorded_parameters() {
    for model in ["resnet8_int8", "resnet8_uint8", "resnet8_int8_per_channel", "resnet8_bn_folded_int8"] {
        let Some(file) = reference(&format!("models/{model}.onnx")) else { return };
        let Some(recorded) = reference(&format!("expected/quant_params/{model}.json")) else { return };
        let out = scratch(&format!("{model}.json"));
        let ended = quantscope(&["extract", &file, "--out", &out]);
        assert_eq!((ended.code, ended.out.as_str()), (0, ""));
        let extracted = json_of(&out);
        let entries = json_of(&recorded);
        let mut compared = 0;
        for entry in entries["entries"].as_array().unwrap() {
            let node = extracted["operations"].as_array().unwrap().iter().find(|node| node["name"] == entry["node"]);
            let node = node.unwrap_or_else(|| panic!("{model}: {}", entry["node"]));
            assert_eq!(node["op_type"], entry["op"]);
            let values = |value: &Value| match value.as_array() {
                Some(list) => list.iter().map(|value| value.as_f64().unwrap()).collect(),
                None => vec![value.as_f64().unwrap()],
            };
            for (kind, key, name) in
                [("scales", "scale", "scale_name"), ("zero_points", "zero_point", "zero_point_name")]
            {
                let found = values(&node[kind][entry[name].as_str().unwrap()]);
                let wanted = values(&entry[key]);
                assert_eq!(found.len(), wanted.len());
                for (found, wanted) in found.iter().zip(&wanted) {
                    assert!((found - wanted).abs() <= LAST_BIT * wanted.abs(), "{model}: {found} {wanted}");
                }
                compared += wanted.len();
            }
        }
        println!("{model}: {compared} numbers equal");
        assert!(compared > 100);
    }
}

#[test]
fn extracted_operations_have_the_fields_of_the_original_project() {
    let Some(recorded) = reference("expected/original_project/resnet8_int8_operations.json") else { return };
    let Some(model) = reference("models/resnet8_int8.onnx") else { return };
    let (recorded, found) = (json_of(&recorded), quantscope(&["extract", &model, "--json"]).json());
    for key in recorded.as_object().unwrap().keys() {
        assert!(found.get(key).is_some(), "{key}");
    }
    let kinds = |operations: &Value| -> BTreeMap<String, usize> {
        let mut kinds = BTreeMap::new();
        for operation in operations["operations"].as_array().unwrap() {
            *kinds.entry(operation["op_type"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        kinds
    };
    for key in recorded["operations"][0].as_object().unwrap().keys() {
        assert!(found["operations"][0].get(key).is_some(), "{key}");
    }
    assert_eq!(kinds(&found), kinds(&recorded));
    assert_eq!(found["summary"], recorded["summary"]);
}
