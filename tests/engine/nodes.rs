//! ONNX node tests of the quantization operators (tests/fixtures/node, made by tools/fixtures/gen_node.py).

use crate::support::{document, fixtures, npz};
use bytes::Bytes;
use quantscope::engine::{Plan, PlanOptions, Semantics, unsupported};
use quantscope::tensor::{DType, Tensor};
use serde_json::Value;

/// An array of the fixture in the type the model declares: narrow types are stored as wider ones.
fn as_declared(stored: &Tensor, declared: &str) -> Tensor {
    let dtype = match declared {
        "float" => DType::Float32,
        "double" => DType::Float64,
        name => {
            let all = (1..=26).filter_map(DType::from_onnx);
            let plain = |s: &str| s.replace('_', "").to_lowercase();
            all.into_iter().find(|d| plain(d.name()) == plain(name)).unwrap_or_else(|| panic!("type {name}"))
        }
    };
    if stored.dtype() == dtype {
        return stored.clone();
    }
    let bytes = match dtype.bits() {
        Some(bits @ (2 | 4)) => {
            let codes: Vec<u8> = stored.bytes().to_vec();
            let per_byte = 8 / bits;
            let mask = (1u8 << bits) - 1;
            codes
                .chunks(per_byte)
                .map(|c| c.iter().enumerate().fold(0, |b, (i, v)| b | (v & mask) << (i * bits)))
                .collect()
        }
        _ => stored.bytes().to_vec(),
    };
    Tensor::new(dtype, stored.shape().to_vec(), Bytes::from(bytes)).unwrap()
}

/// Largest distance between two tensors; a NaN equals a NaN, -0 equals 0.
fn distance(found: &Tensor, expected: &Tensor) -> f64 {
    let (found, expected) = (found.to_f64().unwrap(), expected.to_f64().unwrap());
    found
        .iter()
        .zip(&expected)
        .map(|(f, e)| if f == e || (f.is_nan() && e.is_nan()) { 0.0 } else { (f - e).abs() })
        .fold(0.0, |worst, d| if d.is_nan() || d > worst { d } else { worst })
}

/// The case's failures in words; empty where it passes.
fn run_case(name: &str, case: &Value, semantics: Semantics) -> Result<(), String> {
    let folder = fixtures("node");
    let arrays = npz(&folder.join(format!("{name}.npz")));
    let document = document(&folder.join(format!("{name}.onnx")));
    let refused = unsupported(&document);
    if !refused.is_empty() {
        return Err(format!("unsupported: {refused:?}"));
    }
    let mut plan = Plan::compile(&document, semantics, &PlanOptions::default()).map_err(|e| e.to_string())?;
    let inputs: Vec<(String, Tensor)> = case["inputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|input| {
            let name = input["name"].as_str().unwrap();
            (name.to_owned(), as_declared(&arrays[&format!("in_{name}")], input["dtype"].as_str().unwrap()))
        })
        .collect();
    plan.run(&inputs).map_err(|e| e.to_string())?;
    for output in case["outputs"].as_array().unwrap() {
        let output_name = output["name"].as_str().unwrap();
        let stored = &arrays[&format!("out_{output_name}")];
        let mut expected = as_declared(stored, output["dtype"].as_str().unwrap());
        // onnxruntime cuts float16 quotients toward zero; the specification rounds, and so do we. The reference
        // evaluator wraps where the quotient is infinite, there onnxruntime's saturation is right.
        if case["note"].as_str().is_some_and(|n| n.contains("a defect")) {
            let rounded = as_declared(&arrays[&format!("ref_{output_name}")], output["dtype"].as_str().unwrap());
            let both = expected.to_i64().unwrap().into_iter().zip(rounded.to_i64().unwrap());
            let codes: Vec<i64> =
                both.map(|(cut, rounded)| if cut.abs_diff(rounded) <= 1 { rounded } else { cut }).collect();
            expected = Tensor::from_vec(expected.shape().to_vec(), codes).unwrap();
        }
        let found = plan.value(output_name).ok_or("no value")?;
        let declared = as_declared(stored, output["dtype"].as_str().unwrap()).dtype();
        if found.dtype() != declared || found.shape() != expected.shape() {
            return Err(format!(
                "{}{:?} instead of {}{:?}",
                found.dtype(),
                found.shape(),
                expected.dtype(),
                expected.shape()
            ));
        }
        let allowed = case["tolerance"]["value"].as_f64().unwrap_or(0.0);
        let distance = distance(&found, &expected);
        if distance > allowed || distance.is_nan() {
            let first: Vec<_> = found
                .to_f64()
                .unwrap()
                .into_iter()
                .zip(expected.to_f64().unwrap())
                .enumerate()
                .filter(|(_, (f, e))| f != e)
                .take(4)
                .collect();
            return Err(format!("off by {distance}, allowed {allowed}: {first:?}"));
        }
    }
    Ok(())
}

#[test]
fn quantization_operators() {
    let index: Value = serde_json::from_slice(&std::fs::read(fixtures("node/index.json")).unwrap()).unwrap();
    let cases = index["cases"].as_object().unwrap();
    let mut failures = Vec::new();
    for (name, case) in cases {
        // QDQ sandwiches were recorded without fusion; QOperator nodes are the integer kernels.
        let semantics = if name.starts_with("qdq_") { Semantics::Simulate } else { Semantics::Integer };
        if let Err(message) = run_case(name, case, semantics) {
            failures.push(format!("{name}: {message}"));
        }
    }
    println!("{} of {} cases pass", cases.len() - failures.len(), cases.len());
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}
