//! Weights of one network in two formats, found by their values.

use crate::support::{bytes, json, reference, torch};
use quantscope::analysis::match_tensors;
use quantscope::onnx::Document;
use quantscope::tensor::Tensor;

/// Folded batch normalization constants differ by at most this between two machines.
const FOLDED_TOLERANCE: f64 = 1e-6;

fn constants(document: &Document) -> Vec<(String, Tensor)> {
    let initializers = document.graph().initializer.iter();
    initializers.map(|proto| (proto.name().to_owned(), document.tensor(proto).unwrap())).collect()
}

#[test]
fn state_dict_and_onnx() {
    let Some(folder) = reference() else { return };
    let file = torch(&folder.join("models/resnet8_state_dict.pt"));
    let tensors: Vec<(String, Tensor)> = file.tensors.iter().map(|t| (t.name.clone(), t.tensor.clone())).collect();
    let onnx = Document::decode(bytes(&folder.join("models/resnet8.onnx"))).unwrap();
    let matches = match_tensors(&tensors, &constants(&onnx));
    let expected = json(&folder.join("expected/state_dict_to_onnx_initializer.json"));
    for (name, partners) in expected.as_object().unwrap() {
        let found = matches.iter().find(|found| found.a == *name).unwrap_or_else(|| panic!("{name} is not matched"));
        let partners: Vec<&str> = partners.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        assert!(partners.contains(&found.b.as_str()), "{name}: {found:?}, {partners:?}");
        assert_eq!((found.max_abs_difference, found.transposition.as_deref()), (0.0, None), "{name}");
    }
    // The folded batch normalizations are found too.
    assert_eq!(matches.len(), tensors.len(), "{matches:?}");
    let worst = matches.iter().map(|found| found.max_abs_difference).fold(0.0, f64::max);
    println!("{} of {} matched, worst difference {worst:e}", matches.len(), tensors.len());
    assert!(worst <= FOLDED_TOLERANCE, "{worst}");
}
