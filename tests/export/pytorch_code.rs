//! The text of the exported code, and refusals.

use crate::support::{document, fixtures};
use quantscope::export::pytorch::{PytorchError, pytorch};
use quantscope::onnx::{Dim, GraphBuilder};
use quantscope::tensor::DType;

#[test]
fn a_network_reads_like_one() {
    let export = pytorch(&document(&fixtures("models").join("tiny_batchnorm.onnx"))).unwrap();
    let code = &export.model_py;
    for line in
        ["class Model(nn.Module):", "nn.Conv2d(3, ", "nn.BatchNorm2d(", "nn.ReLU()", "nn.Softmax(dim=", "def load("]
    {
        assert!(code.contains(line), "{line} is not in\n{code}");
    }
    assert!(!code.contains("quantized_decomposed") && export.model_pt2e_py.is_none());
    assert!(code.is_ascii() && code.lines().all(|line| !line.ends_with(' ')));
    assert_eq!(pytorch(&document(&fixtures("models").join("tiny_batchnorm.onnx"))).unwrap(), export);
}

#[test]
fn quantized_models_keep_their_numbers() {
    let model = document(&fixtures("pytorch").join("qdq_conv.onnx"));
    let export = pytorch(&model).unwrap();
    // 0.02 as float32, written so that Python's double is the same number.
    let line = "QuantizeLinear(scale=0.019999999552965164, zero_point=5, low=-128, high=127, dtype=torch.int8)";
    assert!(export.model_py.contains(line), "{}", export.model_py);
    assert!(export.model_py.contains("DequantizeLinear(low=-128, high=127, dtype=torch.int8, shape=(5,), axis=0)"));
    let pt2e = export.model_pt2e_py.unwrap();
    assert!(pt2e.contains("quantized_decomposed") && pt2e.contains(line));
    assert!(export.notes.iter().any(|note| note.contains("quint8 activations")), "{:?}", export.notes);
}

#[test]
fn what_pytorch_cannot_is_said() {
    let export = pytorch(&document(&fixtures("pytorch").join("qdq_blocked.onnx"))).unwrap();
    assert!(export.model_pt2e_py.is_none());
    assert!(export.notes.iter().any(|note| note.contains("blocked scales")), "{:?}", export.notes);
    let uint8 = document(&fixtures("models").join("tiny_uint8.onnx"));
    let notes = pytorch(&uint8).unwrap().notes;
    assert!(notes.iter().any(|note| note.contains("fbgemm") && note.contains("uint8 weights")), "{notes:?}");
}

#[test]
fn a_node_without_a_form_is_named() {
    let mut builder = GraphBuilder::new("net", 17);
    let x = builder.input("x", DType::Float32, Some(&[Dim::Known(2)]));
    let relu = builder.node("Relu", &[&x], "relu", &[]);
    let odd = builder.node_of("my.domain", "Odd", &[&relu], &["made"], &[]);
    builder.output(&odd[0], DType::Float32, None);
    let error = pytorch(&builder.finish().unwrap()).unwrap_err();
    let PytorchError::Node { node, op_type, .. } = &error else { panic!("{error}") };
    assert_eq!((node.as_str(), op_type.as_str()), ("made", "my.domain.Odd"));
}

#[test]
fn integer_operators_become_float_ones_between_quantizers() {
    let qoperator = document(&fixtures("models").join("tiny_uint8_qoperator.onnx"));
    let export = pytorch(&qoperator).unwrap();
    assert!(export.notes.iter().any(|note| note.starts_with("Integer operators")), "{:?}", export.notes);
    let qdq = pytorch(&document(&fixtures("models").join("tiny_uint8.onnx"))).unwrap();
    let lines = |code: &str| code.lines().filter(|line| line.contains("= self.")).count();
    assert!(lines(&export.model_py) > 0 && !qdq.notes.iter().any(|note| note.starts_with("Integer operators")));
    // Ranges that are found in each run have no form, and it is said where fixed ones are made.
    let dynamic = document(&fixtures("models").join("tiny_uint8_dynamic.onnx"));
    if let Err(error) = pytorch(&dynamic) {
        assert!(error.to_string().contains("Quantize page"), "{error}");
    }
}

#[test]
fn names_of_the_file_are_never_code() {
    const EVIL: &str = "x\"\"\"\n        import os; os.system('touch /tmp/pwned')\n#";
    let mut builder = GraphBuilder::new(EVIL, 17);
    let x = builder.input(EVIL, DType::Float32, Some(&[Dim::Symbol(EVIL.to_owned()), Dim::Known(2)]));
    let weight = builder.floats(&format!("{EVIL}w"), &[2, 2], &[1.0; 4]).unwrap();
    let product = builder.node("Add", &[&x, &weight], &format!("{EVIL}y"), &[]);
    let relu = builder.node("Relu", &[&product], "forward", &[]);
    builder.output(&relu, DType::Float32, None);
    let code = pytorch(&builder.finish().unwrap()).unwrap().model_py;
    // Whatever is left of the name stands in a comment or is an identifier.
    for line in code.lines().filter(|line| line.contains("import os") || line.contains("touch")) {
        let before = line.split('#').next().unwrap();
        assert!(!before.contains("import os") && !before.contains("touch /"), "{line}");
    }
    let outside: String = code.lines().filter_map(|line| line.split('#').next()).collect();
    assert_eq!(outside.matches("\"\"\"").count(), 4, "two docstrings, no more: {code}");
    assert!(code.contains("self.forward_1 = nn.ReLU()"), "{code}");
}

#[test]
fn every_fixture_is_code_or_a_refusal() {
    for folder in ["node", "models", "odd"] {
        let (mut exported, mut refused) = (0, 0);
        for entry in std::fs::read_dir(fixtures(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "onnx") {
                match pytorch(&document(&path)) {
                    Ok(_) => exported += 1,
                    Err(error) => {
                        assert!(!error.to_string().is_empty());
                        refused += 1;
                    }
                }
            }
        }
        println!("{folder}: {exported} exported, {refused} refused");
        assert!(exported > 0);
    }
}
