//! The reference files: every tensor, and `resnet8_int8.pt` as ONNX against PyTorch's own classes.

use crate::support::{argmax, bytes, images, json, plan, reference, sha256, torch};
use quantscope::engine::Semantics;
use quantscope::import::{TorchKind, read_npy, read_safetensors};
use quantscope::quant::Granularity;
use std::collections::HashMap;

#[test]
fn every_tensor_has_its_hash() {
    let Some(folder) = reference() else { return };
    let contents = json(&folder.join("expected/pt_contents.json"));
    let expected = contents["resnet8.pt"]["tensors"].as_array().unwrap();
    for name in ["resnet8.pt", "resnet8_state_dict.pt", "resnet8.safetensors"] {
        let path = folder.join("models").join(name);
        let tensors: HashMap<String, String> = if name.ends_with("safetensors") {
            let converted = read_safetensors(&bytes(&path), name, 17).unwrap();
            assert!(converted.document.issues().is_empty(), "{:?}", converted.document.issues());
            converted.source_tensors.iter().map(|t| (t.path.clone(), sha256(&t.tensor))).collect()
        } else {
            torch(&path).tensors.iter().map(|t| (t.name.clone(), sha256(&t.tensor))).collect()
        };
        assert_eq!(tensors.len(), expected.len(), "{name}: {:?}", tensors.keys());
        for entry in expected {
            let wanted = entry["name"].as_str().unwrap();
            assert_eq!(tensors.get(wanted).map(String::as_str), entry["sha256_le"].as_str(), "{name}: {wanted}");
        }
    }
    let kinds = ["resnet8.pt", "resnet8_state_dict.pt", "resnet8_int8.pt"]
        .map(|name| torch(&folder.join("models").join(name)).kind);
    assert_eq!(kinds, [TorchKind::Checkpoint, TorchKind::StateDict, TorchKind::TorchScript]);
}

#[test]
fn the_quantized_weights_are_unpacked() {
    let Some(folder) = reference() else { return };
    let contents = json(&folder.join("expected/pt_contents.json"));
    let expected = &contents["resnet8_int8.pt"];
    let file = torch(&folder.join("models/resnet8_int8.pt"));
    let find = |name: &str| {
        let found = file.tensors.iter().find(|tensor| tensor.name == name);
        found.unwrap_or_else(|| {
            panic!("{name} is not among {:?}", file.tensors.iter().map(|t| &t.name).collect::<Vec<_>>())
        })
    };
    let floats = |value: &serde_json::Value| -> Vec<f32> {
        let list = value.as_array().unwrap_or_else(|| panic!("{value}"));
        list.iter().map(|number| number.as_f64().unwrap() as f32).collect()
    };
    let convolutions = expected["convolutions"].as_array().unwrap();
    assert!(!convolutions.is_empty());
    for entry in convolutions {
        let module = entry["module"].as_str().unwrap();
        let weight = find(&format!("{module}.weight"));
        assert_eq!(sha256(&weight.tensor), entry["weight"]["sha256_le"].as_str().unwrap(), "{module}");
        let quant = weight.quant.as_ref().unwrap();
        assert_eq!(quant.granularity, Granularity::PerChannel { axis: 0 });
        assert_eq!(quant.scale, floats(&entry["scales"]), "{module}");
        assert!(quant.zero_point.iter().all(|&zero_point| zero_point == 0));
        assert_eq!(floats(&entry["zero_points"]), vec![0.0; quant.scale.len()]);
        let bias = find(&format!("{module}.bias"));
        assert_eq!(sha256(&bias.tensor), entry["bias"]["sha256_le"].as_str().unwrap(), "{module}");
    }
    let mut checked = 0;
    for (name, value) in expected["buffers"].as_object().unwrap() {
        let Some(number) = value.as_f64() else { continue };
        let tensor = &find(name).tensor;
        assert_eq!(tensor.to_f64().unwrap()[0] as f32, number as f32, "{name}");
        checked += 1;
    }
    assert!(checked > 70, "{checked}");
}

/// Least part of the images whose class is PyTorch's, and how far the count of correct ones may be from its 884:
/// fbgemm multiplies by reciprocals where the specification divides, which moves single values by one step.
const SAME_CLASS: f64 = 0.99;
const CORRECT: usize = 884;
const CORRECT_TOLERANCE: usize = 6;

#[test]
fn the_torchscript_model_runs() {
    let Some(folder) = reference() else { return };
    let file = torch(&folder.join("models/resnet8_int8.pt"));
    assert!(file.has_graph, "{:?}", file.converted.notes);
    assert!(file.converted.unsupported.is_empty(), "{:?}", file.converted.unsupported);
    let document = &file.converted.document;
    assert!(document.issues().is_empty(), "{:?}", document.issues());
    // Per image only the first 64 are recorded, as probabilities.
    let recorded = read_npy(&bytes(&folder.join("expected/probs64/torch_resnet8_int8_pt.npy"))).unwrap();
    let recorded: Vec<usize> = recorded.to_f32().unwrap().chunks(10).map(argmax).collect();
    for semantics in [Semantics::Simulate, Semantics::Integer] {
        let mut plan = plan(document, semantics);
        let name = plan.inputs()[0].name.clone();
        let (mut same, mut correct, mut total) = (0usize, 0usize, 0usize);
        for first in (0..1017).step_by(113) {
            let (batch, labels) = images(&folder.join("cifar10/test_batch_head.bin"), first, 113);
            plan.run(&[(name.clone(), batch)]).unwrap();
            let output = plan.outputs()[0].clone();
            let rows = plan.value(&output).unwrap().to_f32().unwrap();
            for (row, label) in rows.chunks(10).zip(&labels) {
                let class = argmax(row);
                same += usize::from(recorded.get(total) == Some(&class));
                correct += usize::from(class == *label);
                total += 1;
            }
        }
        println!("{semantics:?}: {same} of {} classes are PyTorch's, {correct} of {total} correct", recorded.len());
        assert_eq!(total, 1017);
        assert!(same as f64 >= SAME_CLASS * recorded.len() as f64, "{same} of {}", recorded.len());
        assert!(correct.abs_diff(CORRECT) <= CORRECT_TOLERANCE, "{correct}");
    }
}

/// Keras, ONNX Runtime and PyTorch agree within 2e-6 on the float model.
const FLOAT_PROBABILITY: f32 = 1e-5;

#[test]
fn the_graph_module_is_converted() {
    let Some(folder) = reference() else { return };
    let file = torch(&folder.join("models/resnet8.pt"));
    assert!(file.code.iter().any(|(_, text)| text.contains("def forward(self, input_1)")));
    assert!(file.has_graph && file.converted.unsupported.is_empty(), "{:?}", file.converted);
    let document = &file.converted.document;
    assert!(document.issues().is_empty(), "{:?}", document.issues());
    let (batch, _) = images(&folder.join("cifar10/test_batch_head.bin"), 0, 64);
    let expected = std::fs::read_dir(folder.join("expected/probs64")).unwrap();
    let mut worst: Option<f32> = None;
    for entry in expected.map(|entry| entry.unwrap().path()) {
        let name = entry.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("torch") && !name.contains("int8") {
            let recorded = read_npy(&bytes(&entry)).unwrap().to_f32().unwrap();
            let found = crate::support::run(document, std::slice::from_ref(&batch), Semantics::Simulate);
            let found = found[0].to_f32().unwrap();
            assert_eq!(found.len(), recorded.len());
            let difference = found.iter().zip(&recorded).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            println!("{name}: {difference:e}");
            worst = Some(worst.unwrap_or(0.0).max(difference));
        }
    }
    assert!(worst.unwrap() <= FLOAT_PROBABILITY);
}
