//! The project's own files (`tools/fixtures/torch_files.py`): every kind of file and operation against what PyTorch
//! answered when they were made.

use crate::support::{bytes, fixtures, npz, run, torch};
use quantscope::engine::Semantics;
use quantscope::import::{Kind, Limits, TorchKind, TorchOptions, detect, read_pytorch, read_safetensors};
use quantscope::onnx::{Dim, Document, declared_fact};
use quantscope::quant::{Granularity, dequantize_tensor, quantized_tensors};
use quantscope::tensor::{DType, Tensor};
use std::collections::BTreeMap;

/// PyTorch and tract sum in different orders; values here are around 1.
const FLOAT_TOLERANCE: f32 = 2e-5;

/// Runs a converted file on the recorded inputs and gives the largest difference of all outputs.
fn worst_difference(name: &str, semantics: Semantics) -> f32 {
    let file = torch(&fixtures().join(format!("{name}.pt")));
    assert!(file.has_graph, "{name}: {:?}", file.converted.notes);
    assert!(file.converted.unsupported.is_empty(), "{name}: {:?}", file.converted.unsupported);
    let document = &file.converted.document;
    assert!(document.issues().is_empty(), "{name}: {:?}", document.issues());
    let recorded = npz(&fixtures().join(format!("{name}.npz")));
    let of = |kind: char| -> Vec<Tensor> {
        recorded.iter().filter(|(key, _)| key.starts_with(kind)).map(|(_, tensor)| tensor.clone()).collect()
    };
    let found = run(document, &of('x'), semantics);
    let expected = of('y');
    assert_eq!(found.len(), expected.len(), "{name}");
    let mut worst = 0f32;
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found.shape(), expected.shape(), "{name}");
        for (a, b) in found.to_f32().unwrap().iter().zip(expected.to_f32().unwrap()) {
            worst = worst.max(if a.is_nan() { f32::INFINITY } else { (a - b).abs() });
        }
    }
    worst
}

#[test]
fn float_models_equal_pytorch() {
    let names = [
        "net_trace",
        "net_script",
        "shapes_trace",
        "activations_trace",
        "activations_script",
        "pools_trace",
        "ceil_pools_trace",
        "sliced",
        "lines_trace",
        "words_trace",
        "words_script",
        "branches_script",
        "sequential",
        "graph_module",
        "flattened_script",
        "viewed_script",
        "rows_script",
        "normed_script",
        "relu_first_script",
        "sizes_script",
        "lenet_script",
        "adaptive_trace",
        "shuffled_trace",
        "shuffled_script",
        "attention_script",
        "instances_trace",
    ];
    let mut failed = Vec::new();
    for name in names {
        let outcome = std::panic::catch_unwind(|| worst_difference(name, Semantics::Simulate));
        match outcome {
            Ok(worst) if worst <= FLOAT_TOLERANCE => println!("{name}: {worst:e}"),
            other => failed.push((name, other.ok())),
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn a_file_without_weights_says_why_it_is_not_converted() {
    let bytes = bytes(&fixtures().join("refused_trace.pt"));
    let options = quantscope::import::TorchOptions::default();
    let limits = quantscope::import::Limits::default();
    let refused = quantscope::import::read_pytorch(&bytes, "refused_trace.pt", &limits, &options).unwrap_err();
    let said = refused.to_string();
    assert!(said.contains("without any tensor") && said.contains("a divisor of its own"), "{said}");
}

#[test]
fn a_script_says_what_its_inputs_are_taken_for() {
    for (name, dims, word) in [
        ("flattened_script", [None, Some(1), Some(8), Some(8)].as_slice(), Some("images of 1 x 8 x 8")),
        ("viewed_script", &[None, Some(1), Some(8), Some(8)], Some("images of 1 x 8 x 8")),
        ("rows_script", &[None, Some(1), Some(8), Some(8)], Some("images of 1 x 8 x 8")),
        ("normed_script", &[None, Some(3), None, None], None),
        ("relu_first_script", &[None, Some(3), None], None),
        ("sizes_script", &[None, None, None, None], None),
        ("lenet_script", &[None, Some(1), None, None], None),
    ] {
        let file = torch(&fixtures().join(format!("{name}.pt")));
        assert!(file.has_graph, "{name}: {:?}", file.converted.notes);
        let input = declared_fact(&file.converted.document.graph().input[0]);
        let found: Vec<Option<usize>> = input.shape.unwrap().iter().map(Dim::known).collect();
        assert_eq!(found, dims, "{name}");
        let said = file.converted.notes.iter().find(|note| note.contains("does not tell its rank"));
        assert_eq!(said.is_some(), word.is_some(), "{name}: {:?}", file.converted.notes);
        assert!(word.is_none_or(|word| said.unwrap().contains(word)), "{name}: {said:?}");
    }
}

#[test]
fn an_old_file_of_a_newer_protocol_is_one() {
    let content = bytes(&fixtures().join("legacy_protocol_4.pt"));
    assert_eq!(detect("weights", &content, content.len() as u64), Kind::TorchLegacy);
    let file = torch(&fixtures().join("legacy_protocol_4.pt"));
    assert_eq!(file.tensors[0].tensor.to_f32().unwrap(), [1.0, 2.0]);
}

#[test]
fn an_archive_is_one_whatever_its_folder_is_called() {
    let content = bytes(&fixtures().join("name_of_21_characters.pt"));
    assert_eq!(detect("weights", &content, content.len() as u64), Kind::TorchZip);
    let file = torch(&fixtures().join("name_of_21_characters.pt"));
    assert_eq!(file.tensors[0].tensor.to_f32().unwrap(), [1.0, 2.0]);
}

#[test]
fn behind_an_unknown_operator_every_port_has_axes() {
    let file = torch(&fixtures().join("unknown.pt"));
    let converted = &file.converted;
    assert_eq!(converted.unsupported.len(), 1, "{:?}", converted.notes);
    let graph = converted.document.graph();
    let whole = |port: &quantscope::onnx::proto::ValueInfoProto| format!("{:?}", port.r#type).contains("shape: Some");
    assert!(graph.input.iter().chain(&graph.output).all(whole), "{graph:?}");
    assert!(converted.notes.iter().any(|note| note.contains("does not tell its rank")), "{:?}", converted.notes);
}

#[test]
fn weights_without_a_network_are_counted() {
    let file = torch(&fixtures().join("quant_state_dict.pt"));
    assert!(file.converted.document.is_weights_only() && !file.has_graph);
    let wanted: usize = file.tensors.iter().map(|tensor| tensor.tensor.len()).sum();
    assert_eq!(quantscope::onnx::parameters(&file.converted.document), wanted as u64);
    let network = torch(&fixtures().join("net_trace.pt"));
    assert!(!network.converted.document.is_weights_only());
}

/// Steps of the last layer's scale that a quantized output may be off: a value on a rounding edge moves by one step,
/// and what it feeds by a few.
const QUANTIZED_STEPS: f32 = 3.0;
/// Least part of the output values that are on the very step.
const QUANTIZED_EQUAL: f64 = 0.9;

#[test]
fn quantized_models_equal_pytorch() {
    let mut failed = Vec::new();
    for name in [
        "quant_fbgemm_trace",
        "quant_fbgemm_script",
        "quant_fbgemm_frozen",
        "quant_qnnpack_trace",
        "quant_eager_script",
        "quant_eager_frozen",
    ] {
        let outcome = std::panic::catch_unwind(|| {
            let file = torch(&fixtures().join(format!("{name}.pt")));
            assert!(file.has_graph, "{:?}", file.converted.notes);
            assert!(file.converted.unsupported.is_empty(), "{:?}", file.converted.unsupported);
            let recorded = npz(&fixtures().join(format!("{name}.npz")));
            let expected = recorded["y0"].to_f32().unwrap();
            for semantics in [Semantics::Simulate, Semantics::Integer] {
                let found = run(&file.converted.document, &[recorded["x0"].clone()], semantics);
                let found = found[0].to_f32().unwrap();
                assert_eq!(found.len(), expected.len());
                // The output lies on the grid of its scale: the smallest distance of two values on it is a step.
                let mut sorted = expected.clone();
                sorted.sort_by(f32::total_cmp);
                let distances = sorted.windows(2).map(|pair| pair[1] - pair[0]).filter(|&d| d > 1e-6);
                let step = distances.fold(f32::INFINITY, f32::min);
                let off = |(a, b): (&f32, &f32)| (a - b).abs() / step;
                let worst = found.iter().zip(&expected).map(off).fold(0.0, f32::max);
                let equal = found.iter().zip(&expected).filter(|pair| off(*pair) < 0.01).count();
                println!("{name} {semantics:?}: {equal} of {} on the step, worst {worst} steps", expected.len());
                assert!(worst <= QUANTIZED_STEPS && equal as f64 >= QUANTIZED_EQUAL * expected.len() as f64);
            }
        });
        if outcome.is_err() {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

/// A dynamic quantizer rounds the input with 8 bits here and 7 in the file; the note says so.
const DYNAMIC_TOLERANCE: f32 = 0.05;

#[test]
fn dynamic_quantization_is_close() {
    let worst = worst_difference("dynamic_script", Semantics::Simulate);
    println!("dynamic_script: {worst:e}");
    assert!(worst <= DYNAMIC_TOLERANCE);
    let file = torch(&fixtures().join("dynamic_script.pt"));
    assert!(file.converted.notes.iter().any(|note| note.contains("7")), "{:?}", file.converted.notes);
}

#[test]
fn a_class_without_code_keeps_its_weights() {
    let file = torch(&fixtures().join("custom_class.pt"));
    assert_eq!((file.kind, file.has_graph), (TorchKind::Module, false));
    assert!(file.converted.notes.iter().any(|note| note.contains("__main__.Net")), "{:?}", file.converted.notes);
    let names: Vec<&str> = file.tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    assert!(names.contains(&"blocks.1.norm.running_var") && names.contains(&"head.bias"), "{names:?}");
    assert_eq!(torch(&fixtures().join("graph_module.pt")).kind, TorchKind::GraphModule);
}

fn check_tensors(name: &str, prefix: &str) {
    let expected = npz(&fixtures().join("tensors.npz"));
    let file = torch(&fixtures().join(name));
    let found: BTreeMap<&str, _> = file.tensors.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
    for (key, expected) in &expected {
        if key.contains('.') {
            continue;
        }
        let tensor = found.get(format!("{prefix}{key}").as_str()).unwrap_or_else(|| panic!("{name}: {key}"));
        assert_eq!(tensor.tensor.shape(), expected.shape(), "{name}: {key}");
        assert_eq!(tensor.tensor.bytes(), expected.bytes(), "{name}: {key}");
        assert_eq!(tensor.quant.is_some(), key.starts_with("per_"), "{key}");
    }
    let types = [("bfloat16", DType::Bfloat16), ("boolean", DType::Bool), ("per_tensor", DType::Uint8)];
    for (key, dtype) in types {
        assert_eq!(found[format!("{prefix}{key}").as_str()].tensor.dtype(), dtype);
    }
}

#[test]
fn types_strides_and_formats() {
    check_tensors("tensors.pt", "");
    check_tensors("tensors_legacy.pt", "");
    check_tensors("checkpoint.pth", "");
    let checkpoint = torch(&fixtures().join("checkpoint.pth"));
    assert_eq!(checkpoint.kind, TorchKind::Checkpoint);
    assert!(checkpoint.tensors.iter().any(|tensor| tensor.name == "optimizer.state.0.exp_avg"));
}

/// Every quantized tensor of a document without a graph: scale, zero point, integers, real numbers.
fn check_quantized(document: &Document, expected: &BTreeMap<String, Tensor>) {
    assert!(document.issues().is_empty(), "{:?}", document.issues());
    let found = quantized_tensors(document);
    assert_eq!(found.len(), 3, "{found:?}");
    for tensor in &found {
        let params = tensor.fixed().unwrap();
        let numbers = |part: &str| expected[&format!("{}.{part}", tensor.value)].to_f32().unwrap();
        assert_eq!(params.scale, numbers("scale"), "{}", tensor.value);
        let zero_points: Vec<f32> = params.zero_point.iter().map(|&zero_point| zero_point as f32).collect();
        assert_eq!(zero_points, numbers("zero_point"));
        let axis = match params.granularity {
            Granularity::PerChannel { axis } => Some(axis),
            _ => None,
        };
        let expected_axis = [("per_tensor", None), ("per_channel", Some(0)), ("per_channel_last", Some(1))];
        assert!(expected_axis.contains(&(tensor.value.as_str(), axis)), "{}: {axis:?}", tensor.value);
        let stored = document.constant(&tensor.stored).unwrap().unwrap();
        assert_eq!(dequantize_tensor(params, &stored).unwrap(), numbers("real"), "{}", tensor.value);
    }
}

#[test]
fn a_state_dict_is_a_document_of_weights() {
    let file = torch(&fixtures().join("tensors.pt"));
    let expected = npz(&fixtures().join("tensors.npz"));
    assert!(!file.has_graph && file.kind == TorchKind::StateDict);
    check_quantized(&file.converted.document, &expected);
    assert!(file.converted.document.graph().initializer.iter().any(|tensor| tensor.name() == "channels_last"));
    let quantized = torch(&fixtures().join("quant_state_dict.pt"));
    let arrays = npz(&fixtures().join("quant_state_dict.npz"));
    for (name, expected) in &arrays {
        let tensor = quantized.tensors.iter().find(|tensor| tensor.name == *name);
        let tensor = tensor
            .unwrap_or_else(|| panic!("{name}: {:?}", quantized.tensors.iter().map(|t| &t.name).collect::<Vec<_>>()));
        assert_eq!(tensor.tensor.bytes(), expected.bytes(), "{name}");
    }
}

#[test]
fn safetensors_are_read() {
    let path = fixtures().join("tensors.safetensors");
    let converted = read_safetensors(&bytes(&path), "tensors.safetensors", 17).unwrap();
    assert!(converted.document.issues().is_empty(), "{:?}", converted.document.issues());
    assert!(converted.notes.iter().any(|note| note.contains("made = here")), "{:?}", converted.notes);
    let expected = npz(&fixtures().join("tensors.npz"));
    assert_eq!(converted.source_tensors.len(), 16);
    for tensor in &converted.source_tensors {
        assert_eq!(tensor.tensor.bytes(), expected[&tensor.path].bytes(), "{}", tensor.path);
        assert_eq!(tensor.shape, expected[&tensor.path].shape(), "{}", tensor.path);
    }
}

#[test]
fn layers_know_their_values() {
    let file = torch(&fixtures().join("net_script.pt"));
    let layers = &file.converted.layer_of;
    let layer = layers.iter().find(|layer| layer.layer == "blocks.1.conv").unwrap_or_else(|| panic!("{layers:?}"));
    let document = &file.converted.document;
    let node = document.producer_node(&layer.values[0]).unwrap();
    assert_eq!(node.op_type(), "Conv");
    assert!(document.index().initializer("blocks.1.conv.weight").is_some());
}

#[test]
fn the_shape_of_a_script_s_input_can_be_given() {
    let head = bytes(&fixtures().join("head_script.pt"));
    let read = |shape: Option<&str>| {
        let options = TorchOptions { input_shape: shape.map(|text| text.parse().unwrap()), ..TorchOptions::default() };
        read_pytorch(&head, "head_script.pt", &Limits::default(), &options).unwrap()
    };
    let without = read(None);
    let why = without.converted.notes.iter().find(|note| note.contains("convert again with an input shape"));
    assert!(!without.has_graph && why.is_some(), "{:?}", without.converted.notes);
    let with = read(Some("N,3,16,21"));
    assert!(with.has_graph && with.converted.unsupported.is_empty(), "{:?}", with.converted.notes);
    let input = declared_fact(&with.converted.document.graph().input[0]).shape.unwrap();
    assert_eq!(input, [Dim::Symbol("N".into()), Dim::Known(3), Dim::Known(16), Dim::Known(21)]);
    let recorded = npz(&fixtures().join("head_script.npz"));
    let found = run(&with.converted.document, &[recorded["x0"].clone()], Semantics::Simulate);
    let (found, expected) = (found[0].to_f32().unwrap(), recorded["y0"].to_f32().unwrap());
    assert_eq!(found.len(), expected.len());
    assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= FLOAT_TOLERANCE), "{found:?} {expected:?}");
    // Of other sizes the head has other windows, and of other channels it is no network.
    assert!(read(Some("2,3,32,32")).has_graph);
    let wrong = read(Some("N,5,16,21"));
    let said = wrong.converted.notes.join(" ");
    assert!(!wrong.has_graph || said.contains("The converted model:"), "{said}");
}

/// `torch.jit.save` writes where in which file of a machine each line came from; the fixtures are written without.
#[test]
fn no_archive_names_the_machine_it_was_made_on() {
    let mut archives = 0;
    for entry in std::fs::read_dir(fixtures()).unwrap() {
        let path = entry.unwrap().path();
        let Ok(archive) = zip::ZipArchive::new(std::io::Cursor::new(bytes(&path))) else { continue };
        archives += 1;
        let names = archive.file_names().map(|name| name.unwrap().into_owned());
        let debug: Vec<String> = names.filter(|name| name.ends_with(".debug_pkl")).collect();
        assert!(debug.is_empty(), "{}: {debug:?}", path.display());
    }
    assert!(archives > 30, "{archives}");
}
